"""A post from its decoded body to the queue: who may post it, and the rules that its types cannot express."""

from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from durable_objects import Meter
from saywhatwant import schemas
from saywhatwant.entities import Entities, Entity
from saywhatwant.errors import InvalidField
from saywhatwant.message import DEFAULT_PRIORITY, NewMessage, Posted, clean_context, clean_text, clean_username
from saywhatwant.topology import Wall
from saywhatwant.worker.auth import Auth
from saywhatwant.worker.decoders import header
from saywhatwant.worker.limits import MAX_KEY_CHARS
from saywhatwant.worker.moderator import Moderator
from saywhatwant.worker.rate_limit import PostRateLimiter
from saywhatwant.worker.request import Request


@dataclass(frozen=True, kw_only=True)
class MessageRules:
    """The rules for messages from the settings and the entities file."""

    max_text: int
    entities: Entities
    open_entities: bool
    most_urgent_priority: int
    """The lowest priority number that a post without the bot token may have."""
    max_context_bytes: int

    @property
    def max_body_bytes(self) -> int:
        """The longest text, each character in JSON's longest escape (12 bytes), and room for the rest."""
        return 12 * self.max_text + 4_096

    @property
    def max_post_bytes(self) -> int:
        """A post may have a context too, which escapes make up to three times as long, except for ASCII letters."""
        return self.max_body_bytes + 3 * self.max_context_bytes


class Posts:
    """Checks posts and hands them to the queue; ``meter.served`` counts those that ask for an answer."""

    def __init__(
        self, wall: Wall, rules: MessageRules, auth: Auth, rate: PostRateLimiter, meter: Meter, moderator: Moderator
    ) -> None:
        self._meter = meter
        self._wall = wall
        self._rules = rules
        self._auth = auth
        self._rate = rate
        self._moderator = moderator

    def new_message(self, request: Request, body: schemas.PostRequest) -> NewMessage:
        """The message of a post, if its sender may post it now; counts it.

        Raises ``NotAllowed``, ``WrongScope`` or ``CrossSite`` for an AI message without a bot's token, ``TooManyPosts``, or
        ``InvalidField``.
        """
        if body.message_type == "AI":
            self._auth.bot(request)
        else:
            self._rate.check(request)
        params = body.bot_params
        if body.message_type == "AI" or not params.answer or body.worker_id is not None or body.attempt is not None:
            _check_fields(body)
        name, priority = params.entity, params.priority
        entity = self._entity(name)
        if priority is None:
            priority = entity.priority if entity else DEFAULT_PRIORITY
        elif priority < self._rules.most_urgent_priority and not self._auth.allows(request, "bot"):
            least = self._rules.most_urgent_priority
            raise InvalidField("botParams.priority", f"must be a whole number of at least {least} without the bot token")
        if params.ais is not None and name is not None and not self._has_alias(name):
            raise InvalidField("botParams.ais", f"is not allowed by the entity {name!r}: its file does not have alias = true")
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
            id=body.id,
            answer=params.answer,
            ais=params.ais,
            session_id=params.session_id,
            context=None if body.context is None else clean_context(body.context, self._rules.max_context_bytes),
        )

    def add(self, request: Request, new: NewMessage) -> Coroutine[Any, Any, Posted]:
        """Post the message, with the request's Idempotency-Key if it has one; raises ``InvalidField`` if it has an id too.

        Raises also what ``Moderator.post`` raises, if there are rules.
        """
        key = _idempotency_key(request)
        if key is not None and new.id is not None:
            raise InvalidField("id", "must not be combined with the header Idempotency-Key: an id is itself the message's key")
        self._meter.served += new.answer and new.message_type == "human"
        return self._wall.post(new, key) if self._moderator.is_idle else self._moderator.post(request, new, key)

    def _has_alias(self, name: str) -> bool:
        """Whether the entity's answers may appear under a name that the post chooses."""
        self._rules.entities.refresh()
        entity = self._rules.entities.current.get(name)
        return entity is not None and entity.alias

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


def _check_fields(body: schemas.PostRequest) -> None:
    """Raise ``InvalidField`` for a field that this kind of message does not take."""
    params = body.bot_params
    if body.message_type != "AI" or body.reply_to is None:
        for field, given in (("workerId", body.worker_id), ("attempt", body.attempt)):
            if given is not None:
                raise InvalidField(field, "is allowed only in an AI message with replyTo")
    refused: dict[str, object] = {"botParams.ais": params.ais, "context": body.context}
    if body.message_type == "AI":
        rule = "is allowed only in a human message"
        refused |= {"botParams.sessionId": params.session_id, "botParams.answer": None if params.answer else False}
    elif params.answer:
        return
    else:
        rule = "must not be combined with answer: false, which asks for no answer"
        refused |= {"botParams.entity": params.entity, "botParams.priority": params.priority}
    for field, value in refused.items():
        if value is not None:
            raise InvalidField(field, rule)


def _idempotency_key(request: Request) -> str | None:
    value = header(request, b"idempotency-key")
    if value is None:
        return None
    key = value.decode("latin-1")
    if not (1 <= len(key) <= MAX_KEY_CHARS and key.isascii() and key.isprintable()):
        raise InvalidField("Idempotency-Key", f"must have 1 to {MAX_KEY_CHARS} printable ASCII characters")
    return key
