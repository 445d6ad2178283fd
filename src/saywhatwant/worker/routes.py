"""The handlers of the HTTP interface: each makes the checks that decoding cannot, calls the object, and answers."""

from contextlib import suppress
from typing import TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace
from starlette.requests import Request
from starlette.responses import Response

from durable_objects import DurableObjectError, Runtime
from saywhatwant import schemas
from saywhatwant.entities import Entity
from saywhatwant.errors import InvalidField, NotReady, UpgradeRequired
from saywhatwant.message import clean_text, clean_username
from saywhatwant.queue.read_cache import as_list
from saywhatwant.topology import Position, Wall
from saywhatwant.worker import assets
from saywhatwant.worker.auth import BotAuth
from saywhatwant.worker.broadcaster import Broadcaster
from saywhatwant.worker.claim_waiters import ClaimWaiters
from saywhatwant.worker.decoders import NoParameters, header
from saywhatwant.worker.endpoint import JSON
from saywhatwant.worker.metrics import Metrics
from saywhatwant.worker.posts import MessageRules, Posts
from saywhatwant.worker.queries import EntitySummary, ListingQuery, PendingQuery, ReadQuery, SocketQuery, WallSummary
from saywhatwant.worker.queue_events import QueueEvents

T = TypeVar("T")


class Api:
    """The handlers of ``operations.OPERATIONS``, by name. Each takes the request and its decoded body or query."""

    def __init__(
        self,
        wall: Wall,
        *,
        rules: MessageRules,
        auth: BotAuth,
        posts: Posts,
        queue_events: QueueEvents,
        waiters: ClaimWaiters,
        broadcaster: Broadcaster,
        metrics: Metrics,
        runtime: Runtime,
    ) -> None:
        self._wall = wall
        self._rules = rules
        self._auth = auth
        self._posts = posts
        self._queue_events = queue_events
        self._waiters = waiters
        self._broadcaster = broadcaster
        self._bots = waiters.bots
        self._metrics = metrics
        self._runtime = runtime

    # -- The wall

    async def post(self, request: Request, body: schemas.PostRequest) -> Response:
        """POST /api/comments."""
        posted = await self._posts.add(request, self._posts.new_message(request, body))
        return JSON(schemas.PostResponse(posted.id, posted.timestamp))

    async def read(self, request: Request, query: ReadQuery) -> Response:
        """GET /api/comments."""
        limit = _given(query.limit)
        link = None
        if query.changed_after is UNSET:
            newest_first = query.order != "asc"
            page = await self._wall.read(
                query.since or 0,
                limit,
                newest_first=newest_first,
                before=_given(query.before),
                conversation=_given(query.conversation),
            )
            body, etag = page.body, page.etag
            if page.cut_at is not None:
                link = next_page(replace(query, **{"before" if newest_first else "since": page.cut_at}))
        else:
            changes = await self._wall.changes(Position.parse(query.changed_after), limit)
            body, etag = as_list(map(bytes, changes.messages)), changes.position.etag
            if changes.more:
                link = next_page(replace(query, changed_after=str(changes.position)))
        known = header(request, b"if-none-match")
        # A client or proxy may send a list of ETags and mark them as weak; ours are digits in quotes.
        if known is not None and etag in known:
            return Response(status_code=304, headers={"etag": etag.decode()})
        return JSON(body, etag=etag, link=link)

    async def websocket(self, _: Request, __: SocketQuery) -> Response:
        """GET /api/ws without a handshake; ``broadcaster.Broadcaster`` handles handshakes."""
        raise UpgradeRequired("this is a WebSocket; clients without WebSockets poll GET /api/comments")

    # -- The work

    async def pending(self, _: Request, query: PendingQuery) -> Response:
        """GET /api/queue/pending."""
        return JSON(await self._wall.pending(query.limit, _given(query.entity)))

    async def listing(self, _: Request, query: ListingQuery) -> Response:
        """GET /api/queue/messages."""
        return JSON(await self._wall.listing(query.state, query.limit))

    async def claim(self, request: Request, body: schemas.ClaimRequest) -> Response:
        """POST /api/queue/claim."""
        entities = None if body.entities is None else tuple(body.entities)
        worker = body.worker_id
        if body.message_id is not None and (body.limit != 1 or body.wait):
            raise InvalidField("messageId", "must not be combined with limit or wait: it names the one message to claim")
        conflicts = self._bots.claims(worker, entities, body.personas, body.version)
        also, context = tuple(body.personas or ()), body.context
        if body.message_id is not None:
            claim = self._wall.claim(body.message_id, worker, entities=entities, also=also, context=context)
            return JSON(await claim)
        found = await self._waiters.claim(
            worker, entities, body.limit, body.wait, lambda: _disconnected(request), also=also, context=context
        )
        return JSON(replace(found, conflicts=conflicts) if conflicts else found)

    async def complete(self, _: Request, body: schemas.CompleteRequest) -> Response:
        """POST /api/queue/complete."""
        self._bots.calls(body.worker_id)
        reply = body.reply
        if reply is not None:
            reply = schemas.Reply(
                text=clean_text(reply.text, self._rules.max_text, "reply.text"),
                username=None if reply.username is None else clean_username(reply.username, "reply.username"),
                color=reply.color,
            )
        done = await self._wall.complete(body.message_id, body.worker_id, body.attempt, reply)
        return JSON(done)

    async def extend(self, _: Request, body: schemas.ExtendRequest) -> Response:
        """POST /api/queue/extend."""
        self._bots.calls(body.worker_id)
        return JSON(await self._wall.extend(body.message_id, body.worker_id, body.attempt))

    async def fail(self, _: Request, body: schemas.FailRequest) -> Response:
        """POST /api/queue/fail."""
        self._bots.calls(body.worker_id)
        failed = await self._wall.fail(
            body.message_id,
            body.worker_id,
            body.attempt,
            body.error,
            retry=body.retry,
            detail=body.detail,
        )
        return JSON(failed)

    async def release(self, _: Request, body: schemas.ReleaseRequest) -> Response:
        """POST /api/queue/release."""
        self._bots.calls(body.worker_id)
        return JSON(await self._wall.release(body.message_id, body.worker_id, body.attempt))

    async def progress(self, _: Request, body: schemas.ProgressRequest) -> Response:
        """POST /api/queue/progress."""
        self._bots.calls(body.worker_id)
        text = ""
        if body.state == "writing" or body.text.strip():
            text = clean_text(body.text, self._rules.max_text)
        await self._queue_events.start()  # for those who open the page later
        await self._wall.progress(body.message_id, body.worker_id, body.attempt, text, body.state)
        return JSON(schemas.Ok())

    async def retry(self, _: Request, body: schemas.RetryRequest) -> Response:
        """POST /api/queue/retry."""
        await self._wall.retry(body.message_id)
        return JSON(schemas.Ok())

    async def batch(self, _: Request, body: schemas.BatchRequest) -> Response:
        """POST /api/queue/batch."""
        choices = {"messageIds": body.message_ids, "entity": body.entity, "all": body.all}
        given = [name for name, value in choices.items() if value is not None]
        if len(given) != 1:
            raise InvalidField(given[1] if given else "messageIds", "exactly one of messageIds, entity and all must be given")
        if body.reason is not None and body.action != "fail":
            raise InvalidField("reason", "is allowed only with the action fail")
        return JSON(await self._wall.batch(body))

    async def bots(self, _: Request, __: NoParameters) -> Response:
        """GET /api/queue/bots."""
        return JSON(self._bots.listing())

    async def circuit(self, _: Request, body: schemas.CircuitReport) -> Response:
        """POST /api/queue/circuit."""
        await self._wall.report_circuit(body)
        return JSON(schemas.Ok())

    # -- Figures and probes

    async def entities(self, _: Request, __: NoParameters) -> Response:
        """GET /api/entities."""
        self._rules.entities.refresh()
        stats = None
        with suppress(DurableObjectError):  # without the queue's figures the rest is still true
            stats = await self._stats()
        summaries = [self._summary(name, entity, stats) for name, entity in self._rules.entities.current.items()]
        return JSON(WallSummary(summaries, self._rules.max_text, assets.version()))

    def _summary(self, name: str, entity: Entity, stats: schemas.Stats | None) -> EntitySummary:
        """``stats`` shows what bots do at other gateways: they wait for work, have some, or report a circuit."""
        bots, cut_off, is_waited_for, is_held = self._bots.serving(name), set[str](), False, False
        if stats is not None:
            cut_off = {circuit.worker_id for circuit in stats.circuits or () if name in circuit.entities}
            is_waited_for = name in stats.waited_for
            is_held = name in stats.entities and stats.entities[name].processing > 0
        served = bool(bots or cut_off or is_waited_for or is_held)
        reason = None
        if not served:
            reason = "no bot answers for it at the moment"
        elif cut_off and bots <= cut_off and (bots or not is_waited_for):
            reason = "its model does not answer at the moment"
        return EntitySummary(
            name=name,
            display_name=entity.display_name,
            color=entity.color,
            about=entity.about,
            openers=entity.openers,
            alias=entity.alias,
            served=served,
            reason=reason,
        )

    async def stats(self, request: Request, _: NoParameters) -> Response:
        """GET /api/stats; circuits name providers' addresses, so they need the bot token."""
        stats = await self._stats()
        return JSON(stats if self._auth.allows(request) else replace(stats, circuits=UNSET))

    async def metrics(self, _: Request, __: NoParameters) -> Response:
        """GET /metrics."""
        from saywhatwant.worker.exposition import exposition  # noqa: PLC0415 - see there

        text = exposition(
            self._metrics,
            self._runtime.meter,
            await self._stats(),
            waiting_claims=len(self._waiters),
            sockets=len(self._broadcaster),
            bots=len(self._bots),
        )
        return Response(text, media_type="text/plain; version=0.0.4")

    async def healthz(self, _: Request, __: NoParameters) -> Response:
        """GET /healthz."""
        return JSON({"status": "alive"})

    async def readyz(self, _: Request, __: NoParameters) -> Response:
        """GET /readyz."""
        if trouble := self._runtime.health():
            raise NotReady(trouble)
        await self._wall.stats()
        return JSON({"status": "ready"})

    # -- Helpers

    async def _stats(self) -> schemas.Stats:
        entities = self._rules.entities
        entities.refresh()
        return await self._wall.stats(tuple(entities.current))


def next_page(query: ReadQuery) -> str:
    """The header ``Link`` (RFC 8288) that leads to ``query``."""
    return f'</api/comments?{urlencode(msgspec.to_builtins(query))}>; rel="next"'


def _given(value: T | UnsetType) -> T | None:
    return None if value is UNSET else value


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
