"""The HTTP interface: each call's route, what it takes and gives, and its handler."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from durable_objects import Stub
from saywhatwant import schemas
from saywhatwant.entities import Entities, Entity
from saywhatwant.errors import InvalidField, NotReady, UpgradeRequired
from saywhatwant.message import DEFAULT_PRIORITY, NewMessage, clean_text, clean_username
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.read_cache import page_of
from saywhatwant.worker.auth import BotAuth, PostRateLimiter
from saywhatwant.worker.broadcaster import Broadcaster
from saywhatwant.worker.claim_waiters import ClaimWaiters
from saywhatwant.worker.endpoint import JSON, BodyReader, QueryReader, header
from saywhatwant.worker.metrics import Metrics
from saywhatwant.worker.operations import EntitySummary, Listing, Pending, Read, WallSummary

MAX_KEY_CHARS = 255


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What the worker asks of a message beyond its shape."""

    max_text: int
    entities: Entities
    open_entities: bool

    @property
    def max_body_bytes(self) -> int:
        """The longest text, each character in JSON's longest escape (12 bytes), and room for the rest."""
        return 12 * self.max_text + 4_096


class Api:
    """The handlers. They check who may, read the request, call the object, and answer."""

    def __init__(
        self,
        queue: Stub[MessageQueue],
        *,
        rules: Rules,
        access: BotAuth,
        rate: PostRateLimiter,
        room: ClaimWaiters,
        live: Broadcaster,
        metrics: Metrics,
        trouble: Callable[[], str | None],
    ) -> None:
        self._queue = queue
        self._rules = rules
        self._access = access
        self._rate = rate
        self._room = room
        self._live = live
        self._metrics = metrics
        self._trouble = trouble
        max_bytes = rules.max_body_bytes
        self._post = BodyReader(schemas.PostRequest, max_bytes)
        self._claim = BodyReader(schemas.ClaimRequest, max_bytes)
        self._complete = BodyReader(schemas.CompleteRequest, max_bytes)
        self._extend = BodyReader(schemas.ExtendRequest, max_bytes)
        self._fail = BodyReader(schemas.FailRequest, max_bytes)
        self._progress = BodyReader(schemas.ProgressRequest, max_bytes)
        self._retry = BodyReader(schemas.RetryRequest, max_bytes)
        self._circuit = BodyReader(schemas.CircuitReport, max_bytes)
        self._read = QueryReader(Read)
        self._pending = QueryReader(Pending)
        self._listing = QueryReader(Listing)

    # -- The wall

    async def post(self, request: Request) -> Response:
        """POST /api/comments."""
        body = await self._post.read(request)
        if body.message_type == "AI":
            self._access.check(request)
        else:
            self._rate.check(request)
        new = self._checked(body)
        return JSON(await self._queue.call(MessageQueue.post, new, _idempotency_key(request)))

    async def read(self, request: Request) -> Response:
        """GET /api/comments."""
        query = self._read.read(request)
        if query.changed_after is None:
            newest_first = query.order == "desc"
            page = await self._queue.call(
                MessageQueue.read, query.since, query.limit, newest_first=newest_first, before=query.before
            )
        else:
            changes = await self._queue.call(MessageQueue.changes, query.changed_after, query.limit)
            page = page_of(changes.seq, map(bytes, changes.messages))
        known = header(request, b"if-none-match")
        # A client or proxy may send a list of ETags and mark them as weak; ours are digits in quotes.
        if known is not None and b'"%d"' % page.seq in known:
            return Response(status_code=304, headers={"etag": f'"{page.seq}"'})
        return JSON(page.body, etag=page.seq)

    async def live(self, _: Request) -> Response:
        """GET /api/ws without a handshake; with one it is ``live.Broadcaster``'s."""
        raise UpgradeRequired("this is a WebSocket; poll GET /api/comments where there can be none")

    # -- The work

    async def pending(self, request: Request) -> Response:
        """GET /api/queue/pending."""
        self._access.check(request)
        query = self._pending.read(request)
        return JSON(await self._queue.call(MessageQueue.pending, query.limit, query.entity))

    async def listing(self, request: Request) -> Response:
        """GET /api/queue/messages."""
        self._access.check(request)
        query = self._listing.read(request)
        match query.state:
            case "pending":
                messages = await self._queue.call(MessageQueue.pending, query.limit)
            case "waiting":
                messages = await self._queue.call(MessageQueue.waiting, query.limit)
            case "held":
                messages = await self._queue.call(MessageQueue.held, query.limit)
            case "failed":
                messages = await self._queue.call(MessageQueue.failed, query.limit)
        return JSON(messages)

    async def claim(self, request: Request) -> Response:
        """POST /api/queue/claim."""
        self._access.check(request)
        body = await self._claim.read(request)
        if body.message_id is not None:
            return JSON(schemas.ClaimResponse(await self._queue.call(MessageQueue.claim, body.message_id, body.worker_id)))
        entities = None if body.entities is None else tuple(body.entities)
        found = await self._room.claim(body.worker_id, entities, body.limit, body.wait, lambda: _disconnected(request))
        return JSON(schemas.ClaimNextResponse(found))

    async def complete(self, request: Request) -> Response:
        """POST /api/queue/complete."""
        self._access.check(request)
        body = await self._complete.read(request)
        reply = body.reply
        if reply is not None:
            reply = schemas.Reply(
                text=clean_text(reply.text, self._rules.max_text, "reply.text"),
                username=None if reply.username is None else clean_username(reply.username, "reply.username"),
                color=reply.color,
            )
        done = await self._queue.call(MessageQueue.complete, body.message_id, body.worker_id, body.attempt, reply)
        return JSON(done)

    async def extend(self, request: Request) -> Response:
        """POST /api/queue/extend."""
        self._access.check(request)
        body = await self._extend.read(request)
        return JSON(await self._queue.call(MessageQueue.extend, body.message_id, body.worker_id, body.attempt))

    async def fail(self, request: Request) -> Response:
        """POST /api/queue/fail."""
        self._access.check(request)
        body = await self._fail.read(request)
        failed = await self._queue.call(
            MessageQueue.fail, body.message_id, body.worker_id, body.attempt, body.error, retry=body.retry
        )
        return JSON(failed)

    async def progress(self, request: Request) -> Response:
        """POST /api/queue/progress."""
        self._access.check(request)
        body = await self._progress.read(request)
        text = clean_text(body.text, self._rules.max_text)
        await self._queue.call(MessageQueue.progress, body.message_id, body.worker_id, body.attempt, text)
        return JSON(schemas.Ok())

    async def retry(self, request: Request) -> Response:
        """POST /api/queue/retry."""
        self._access.check(request)
        body = await self._retry.read(request)
        await self._queue.call(MessageQueue.retry, body.message_id)
        return JSON(schemas.Ok())

    async def circuit(self, request: Request) -> Response:
        """POST /api/queue/circuit."""
        self._access.check(request)
        await self._queue.call(MessageQueue.report_circuit, await self._circuit.read(request))
        return JSON(schemas.Ok())

    # -- Figures and probes

    async def entities(self, _: Request) -> Response:
        """GET /api/entities."""
        self._rules.entities.refresh()
        known = self._rules.entities.current.items()
        summaries = [EntitySummary(name, entity.display_name, entity.color) for name, entity in known]
        return JSON(WallSummary(summaries, self._rules.max_text))

    async def stats(self, _: Request) -> Response:
        """GET /api/stats."""
        return JSON(await self._queue.call(MessageQueue.stats))

    async def metrics(self, _: Request) -> Response:
        """GET /metrics."""
        stats = await self._queue.call(MessageQueue.stats)
        return Response(
            self._metrics.exposition(stats, len(self._room), len(self._live), self._live.too_slow),
            media_type="text/plain; version=0.0.4",
        )

    async def healthz(self, _: Request) -> Response:
        """GET /healthz."""
        return JSON({"status": "alive"})

    async def readyz(self, _: Request) -> Response:
        """GET /readyz."""
        if trouble := self._trouble():
            raise NotReady(trouble)
        await self._queue.call(MessageQueue.stats)
        return JSON({"status": "ready"})

    def _checked(self, body: schemas.PostRequest) -> NewMessage:
        name, priority = body.bot_params.entity, body.bot_params.priority
        entity = self._entity(name)
        if priority is None:
            priority = entity.priority if entity else DEFAULT_PRIORITY
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
