"""The handlers of the HTTP interface: each makes the checks that decoding cannot, calls the object, and answers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from durable_objects import Meter, Stub
from saywhatwant import schemas
from saywhatwant.entities import Entities, Entity
from saywhatwant.errors import InvalidField, NotReady, UpgradeRequired
from saywhatwant.message import DEFAULT_PRIORITY, NewMessage, clean_text, clean_username
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.read_cache import page_of
from saywhatwant.worker.auth import BotAuth, PostRateLimiter
from saywhatwant.worker.broadcaster import Broadcaster
from saywhatwant.worker.claim_waiters import ClaimWaiters
from saywhatwant.worker.decoders import NoParameters, header
from saywhatwant.worker.endpoint import JSON
from saywhatwant.worker.limits import MAX_KEY_CHARS
from saywhatwant.worker.metrics import Metrics
from saywhatwant.worker.queries import EntitySummary, ListingQuery, PendingQuery, ReadQuery, SocketQuery, WallSummary

T = TypeVar("T")

_LISTS = {
    "pending": MessageQueue.pending,
    "waiting": MessageQueue.delayed,
    "held": MessageQueue.in_flight,
    "failed": MessageQueue.failed,
}
"""The lists of GET /api/queue/messages."""


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


class Api:
    """The handlers of ``operations.OPERATIONS``, by name. Each takes the request and its decoded body or query."""

    def __init__(
        self,
        queue: Stub[MessageQueue],
        *,
        rules: MessageRules,
        auth: BotAuth,
        rate: PostRateLimiter,
        waiters: ClaimWaiters,
        broadcaster: Broadcaster,
        metrics: Metrics,
        meter: Meter,
        trouble: Callable[[], str | None],
    ) -> None:
        self._queue = queue
        self._rules = rules
        self._auth = auth
        self._rate = rate
        self._waiters = waiters
        self._broadcaster = broadcaster
        self._metrics = metrics
        self._meter = meter
        self._trouble = trouble

    # -- The wall

    async def post(self, request: Request, body: schemas.PostRequest) -> Response:
        """POST /api/comments."""
        if body.message_type == "AI":
            self._auth.check(request)
        else:
            self._rate.check(request)
        return JSON(await self._queue.call(MessageQueue.post, self._new_message(request, body), _idempotency_key(request)))

    async def read(self, request: Request, query: ReadQuery) -> Response:
        """GET /api/comments."""
        limit = _given(query.limit)
        link = None
        if query.changed_after is UNSET:
            newest_first = query.order != "asc"
            page = await self._queue.call(
                MessageQueue.read, query.since or 0, limit, newest_first=newest_first, before=_given(query.before)
            )
            if page.cut_at is not None:
                link = next_page(replace(query, **{"before" if newest_first else "since": page.cut_at}))
        else:
            changes = await self._queue.call(MessageQueue.changes, query.changed_after, limit)
            page = page_of(changes.seq, map(bytes, changes.messages))
            if changes.more:
                link = next_page(replace(query, changed_after=changes.seq))
        known = header(request, b"if-none-match")
        # A client or proxy may send a list of ETags and mark them as weak; ours are digits in quotes.
        if known is not None and b'"%d"' % page.seq in known:
            return Response(status_code=304, headers={"etag": f'"{page.seq}"'})
        return JSON(page.body, etag=page.seq, link=link)

    async def websocket(self, _: Request, __: SocketQuery) -> Response:
        """GET /api/ws without a handshake; ``broadcaster.Broadcaster`` handles handshakes."""
        raise UpgradeRequired("this is a WebSocket; clients without WebSockets poll GET /api/comments")

    # -- The work

    async def pending(self, _: Request, query: PendingQuery) -> Response:
        """GET /api/queue/pending."""
        return JSON(await self._queue.call(MessageQueue.pending, query.limit, _given(query.entity)))

    async def listing(self, _: Request, query: ListingQuery) -> Response:
        """GET /api/queue/messages."""
        return JSON(await self._queue.call(_LISTS[query.state], query.limit))

    async def claim(self, request: Request, body: schemas.ClaimRequest) -> Response:
        """POST /api/queue/claim."""
        if body.message_id is not None:
            if body.entities is not None or body.limit != 1 or body.wait:
                raise InvalidField(
                    "messageId", "must not be combined with entities, limit or wait: it names the one message to claim"
                )
            return JSON(schemas.ClaimResponse(await self._queue.call(MessageQueue.claim, body.message_id, body.worker_id)))
        entities = None if body.entities is None else tuple(body.entities)
        found = await self._waiters.claim(body.worker_id, entities, body.limit, body.wait, lambda: _disconnected(request))
        return JSON(schemas.ClaimNextResponse(found))

    async def complete(self, _: Request, body: schemas.CompleteRequest) -> Response:
        """POST /api/queue/complete."""
        reply = body.reply
        if reply is not None:
            reply = schemas.Reply(
                text=clean_text(reply.text, self._rules.max_text, "reply.text"),
                username=None if reply.username is None else clean_username(reply.username, "reply.username"),
                color=reply.color,
            )
        done = await self._queue.call(MessageQueue.complete, body.message_id, body.worker_id, body.attempt, reply)
        return JSON(done)

    async def extend(self, _: Request, body: schemas.ExtendRequest) -> Response:
        """POST /api/queue/extend."""
        return JSON(await self._queue.call(MessageQueue.extend, body.message_id, body.worker_id, body.attempt))

    async def fail(self, _: Request, body: schemas.FailRequest) -> Response:
        """POST /api/queue/fail."""
        failed = await self._queue.call(
            MessageQueue.fail, body.message_id, body.worker_id, body.attempt, body.error, retry=body.retry
        )
        return JSON(failed)

    async def progress(self, _: Request, body: schemas.ProgressRequest) -> Response:
        """POST /api/queue/progress."""
        text = clean_text(body.text, self._rules.max_text)
        await self._queue.call(MessageQueue.progress, body.message_id, body.worker_id, body.attempt, text)
        return JSON(schemas.Ok())

    async def retry(self, _: Request, body: schemas.RetryRequest) -> Response:
        """POST /api/queue/retry."""
        await self._queue.call(MessageQueue.retry, body.message_id)
        return JSON(schemas.Ok())

    async def circuit(self, _: Request, body: schemas.CircuitReport) -> Response:
        """POST /api/queue/circuit."""
        await self._queue.call(MessageQueue.report_circuit, body)
        return JSON(schemas.Ok())

    # -- Figures and probes

    async def entities(self, _: Request, __: NoParameters) -> Response:
        """GET /api/entities."""
        self._rules.entities.refresh()
        known = self._rules.entities.current.items()
        summaries = [EntitySummary(name, entity.display_name, entity.color) for name, entity in known]
        return JSON(WallSummary(summaries, self._rules.max_text))

    async def stats(self, request: Request, _: NoParameters) -> Response:
        """GET /api/stats; circuits name providers' addresses, so they need the bot token."""
        stats = await self._stats()
        return JSON(stats if self._auth.allows(request) else replace(stats, circuits=UNSET))

    async def metrics(self, _: Request, __: NoParameters) -> Response:
        """GET /metrics."""
        from saywhatwant.worker.exposition import exposition  # noqa: PLC0415 - see there

        text = exposition(
            self._metrics,
            self._meter,
            await self._stats(),
            waiting_claims=len(self._waiters),
            sockets=len(self._broadcaster),
        )
        return Response(text, media_type="text/plain; version=0.0.4")

    async def healthz(self, _: Request, __: NoParameters) -> Response:
        """GET /healthz."""
        return JSON({"status": "alive"})

    async def readyz(self, _: Request, __: NoParameters) -> Response:
        """GET /readyz."""
        if trouble := self._trouble():
            raise NotReady(trouble)
        await self._queue.call(MessageQueue.stats)
        return JSON({"status": "ready"})

    # -- Helpers

    async def _stats(self) -> schemas.Stats:
        entities = self._rules.entities
        entities.refresh()
        return await self._queue.call(MessageQueue.stats, tuple(entities.current))

    def _new_message(self, request: Request, body: schemas.PostRequest) -> NewMessage:
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


def next_page(query: ReadQuery) -> str:
    """The header ``Link`` (RFC 8288) that leads to ``query``."""
    return f'</api/comments?{urlencode(msgspec.to_builtins(query))}>; rel="next"'


def _given(value: T | UnsetType) -> T | None:
    return None if value is UNSET else value


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _idempotency_key(request: Request) -> str | None:
    value = header(request, b"idempotency-key")
    if value is None:
        return None
    key = value.decode("latin-1")
    if not (1 <= len(key) <= MAX_KEY_CHARS and key.isascii() and key.isprintable()):
        raise InvalidField("Idempotency-Key", f"must have 1 to {MAX_KEY_CHARS} printable ASCII characters")
    return key
