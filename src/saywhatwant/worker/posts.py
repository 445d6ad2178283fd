"""A post from its decoded body to the queue: who may post it, and the rules that its types cannot express."""

from dataclasses import dataclass

from starlette.requests import Request

from durable_objects import Stub
from saywhatwant import schemas
from saywhatwant.entities import Entities, Entity
from saywhatwant.errors import InvalidField
from saywhatwant.message import DEFAULT_PRIORITY, NewMessage, clean_text, clean_username
from saywhatwant.queue import MessageQueue
from saywhatwant.worker.auth import BotAuth, PostRateLimiter
from saywhatwant.worker.decoders import header
from saywhatwant.worker.limits import MAX_KEY_CHARS


@dataclass(frozen=True, kw_only=True)
class MessageRules:
    """The rules for messages from the settings and the entities file."""

    max_text: int
    entities: Entities
    open_entities: bool
    most_urgent_priority: int
    """The lowest priority number that a post without the bot token may have."""

    @property
    def max_body_bytes(self) -> int:
        """The longest text, each character in JSON's longest escape (12 bytes), and room for the rest."""
        return 12 * self.max_text + 4_096


class Posts:
    """The way of a post into the queue."""

    def __init__(self, queue: Stub[MessageQueue], rules: MessageRules, auth: BotAuth, rate: PostRateLimiter) -> None:
        self._queue = queue
        self._rules = rules
        self._auth = auth
        self._rate = rate

    def new_message(self, request: Request, body: schemas.PostRequest) -> NewMessage:
        """The message of a post, if its sender may post it now; counts it.

        Raises ``NotAllowed`` or ``CrossSite`` for an AI message without the bot token, ``TooManyPosts``, ``InvalidField``.
        """
        if body.message_type == "AI":
            self._auth.check(request)
        else:
            self._rate.check(request)
        if body.worker_id is not None or body.attempt is not None:
            _check_is_reply(body)
        name, priority = body.bot_params.entity, body.bot_params.priority
        entity = self._entity(name)
        if priority is None:
            priority = entity.priority if entity else DEFAULT_PRIORITY
        elif priority < self._rules.most_urgent_priority and not self._auth.allows(request):
            least = self._rules.most_urgent_priority
            raise InvalidField("botParams.priority", f"must be a whole number of at least {least} without the bot token")
        return NewMessage(
            text=clean_text(body.text, self._rules.max_text),
            username=clean_username(body.username),
            color=body.color,
            message_type=body.message_type,
            reply_to=body.reply_to,
            entity=name,
            priority=priority,
            worker_id=body.worker_id,
            attempt=body.attempt,
        )

    async def add(self, request: Request, new: NewMessage) -> schemas.PostResponse:
        """Post the message, with the request's Idempotency-Key if it has one."""
        return await self._queue.call(MessageQueue.post, new, _idempotency_key(request))

    def _entity(self, name: str | None) -> Entity | None:
        if name is None:
            return None
        entities = self._rules.entities
        if name not in entities.current and not self._rules.open_entities:
            entities.refresh()
            if name not in entities.current:
                known = ", ".join(sorted(entities.current))
                raise InvalidField("botParams.entity", f"must be one of the entities that answer here: {known}")
        return entities.current.get(name)


def _check_is_reply(body: schemas.PostRequest) -> None:
    if body.message_type != "AI" or body.reply_to is None:
        field = "attempt" if body.worker_id is None else "workerId"
        raise InvalidField(field, "is allowed only in an AI message with replyTo")


def _idempotency_key(request: Request) -> str | None:
    value = header(request, b"idempotency-key")
    if value is None:
        return None
    key = value.decode("latin-1")
    if not (1 <= len(key) <= MAX_KEY_CHARS and key.isascii() and key.isprintable()):
        raise InvalidField("Idempotency-Key", f"must have 1 to {MAX_KEY_CHARS} printable ASCII characters")
    return key
