"""The handlers of the HTTP interface: each makes the checks that decoding cannot, calls the object, and answers."""

from collections.abc import Sized
from contextlib import suppress
from typing import TypeVar
from urllib.parse import urlencode

import msgspec
from msgspec import UNSET, UnsetType
from msgspec.structs import replace
from starlette.responses import Response

from durable_objects import DurableObjectError, Runtime
from saywhatwant import schemas
from saywhatwant.entities import Entity
from saywhatwant.errors import InvalidField, NotReady, UpgradeRequired
from saywhatwant.queue.read_cache import as_list
from saywhatwant.topology import Position, Wall
from saywhatwant.usage import Usage
from saywhatwant.worker import assets
from saywhatwant.worker.auth import Auth
from saywhatwant.worker.bot_desk import BotDesk
from saywhatwant.worker.decoders import NoParameters, header
from saywhatwant.worker.endpoint import JSON
from saywhatwant.worker.metrics import Metrics
from saywhatwant.worker.posts import MessageRules, Posts
from saywhatwant.worker.queries import (
    EntitySummary,
    ListingQuery,
    PendingQuery,
    ReadQuery,
    SocketQuery,
    WallSummary,
)
from saywhatwant.worker.request import Request

T = TypeVar("T")

ACCEPTED = 202
"""The status of a post that waits for review."""


class Api:
    """The handlers of ``operations.OPERATIONS``, by name. Each takes the request and its decoded body or query."""

    def __init__(
        self,
        wall: Wall,
        *,
        rules: MessageRules,
        auth: Auth,
        posts: Posts,
        desk: BotDesk,
        readers: Sized,
        metrics: Metrics,
        runtime: Runtime,
    ) -> None:
        self._wall = wall
        self._rules = rules
        self._auth = auth
        self._posts = posts
        self._waiters = desk.waiters
        self._calls = desk.calls
        self._desk = desk
        self._readers = readers
        self._bots = desk.waiters.bots
        self._metrics = metrics
        self._runtime = runtime

    # -- The wall

    async def post(self, request: Request, body: schemas.PostRequest) -> Response:
        """POST /api/comments."""
        posted = await self._posts.add(request, self._posts.new_message(request, body))
        if posted.held:
            return JSON(schemas.PostResponse(posted.id, posted.timestamp, "held"), ACCEPTED)
        return JSON(schemas.PostResponse(posted.id, posted.timestamp))

    async def read(self, request: Request, query: ReadQuery) -> Response:
        """GET /api/comments."""
        limit = query.limit or None
        link, reset = None, False
        if query.changed_after is UNSET:
            newest_first = query.order != "asc"
            page = await self._wall.read(
                query.since or 0,
                limit,
                newest_first=newest_first,
                before=None if query.before is UNSET else query.before,
                conversation=query.conversation or None,
            )
            body, etag = page.body, page.etag
            if page.cut_at is not None:
                link = next_page(replace(query, **{"before" if newest_first else "since": page.cut_at}))
        else:
            changes = await self._wall.changes(Position.parse(query.changed_after), limit)
            body, etag, reset = as_list(map(bytes, changes.messages)), changes.position.etag, changes.reset
            if changes.more:
                link = next_page(replace(query, changed_after=str(changes.position)))
        known = header(request, b"if-none-match")
        # A client or proxy may send a list of ETags and mark them as weak; ours are digits in quotes.
        if known is not None and etag in known:
            return Response(status_code=304, headers={"etag": etag.decode()})
        return JSON(body, etag=etag, link=link, reset=reset)

    async def websocket(self, _: Request, __: SocketQuery) -> Response:
        """GET /api/ws without a handshake; ``broadcaster.Broadcaster`` handles handshakes."""
        raise UpgradeRequired("this is a WebSocket; clients without WebSockets poll GET /api/comments")

    # -- The work

    async def bots_socket(self, _: Request, __: NoParameters) -> Response:
        """GET /api/queue/ws without a handshake; ``bot_sockets.BotSockets`` handles handshakes."""
        raise UpgradeRequired("this is a WebSocket; bots without WebSockets claim with POST /api/queue/claim")

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
        return JSON(await self._calls.complete(body))

    async def extend(self, _: Request, body: schemas.ExtendRequest) -> Response:
        """POST /api/queue/extend."""
        return JSON(await self._calls.extend(body))

    async def fail(self, _: Request, body: schemas.FailRequest) -> Response:
        """POST /api/queue/fail."""
        return JSON(await self._calls.fail(body))

    async def release(self, _: Request, body: schemas.ReleaseRequest) -> Response:
        """POST /api/queue/release."""
        return JSON(await self._calls.release(body))

    async def progress(self, _: Request, body: schemas.ProgressRequest) -> Response:
        """POST /api/queue/progress."""
        return JSON(await self._calls.progress(body))

    async def retry(self, request: Request, body: schemas.RetryRequest) -> Response:
        """POST /api/queue/retry."""
        await self._wall.retry(body.message_id, self._auth.operator(request).name)
        return JSON(schemas.Ok())

    async def batch(self, request: Request, body: schemas.BatchRequest) -> Response:
        """POST /api/queue/batch."""
        choices = {"messageIds": body.message_ids, "entity": body.entity, "all": body.all}
        given = [name for name, value in choices.items() if value is not None]
        if len(given) != 1:
            raise InvalidField(given[1] if given else "messageIds", "exactly one of messageIds, entity and all must be given")
        if body.reason is not None and body.action != "fail":
            raise InvalidField("reason", "is allowed only with the action fail")
        return JSON(await self._wall.batch(body, self._auth.operator(request).name))

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
        """GET /api/stats; circuits name providers' addresses, so they need an operator's token."""
        stats = replace(await self._stats(), usage=Usage.of(self._runtime.meter))
        return JSON(stats if self._auth.allows(request, "operator") else replace(stats, circuits=UNSET))

    async def metrics(self, _: Request, __: NoParameters) -> Response:
        """GET /metrics."""
        from saywhatwant.worker.exposition import exposition  # noqa: PLC0415 - see there

        stats = await self._stats()
        served = {name: self._summary(name, entity, stats).served for name, entity in self._rules.entities.current.items()}
        text = exposition(
            self._metrics,
            self._runtime.meter,
            stats,
            served=served | {"": any(served.values()) or len(self._bots) > 0},
            is_ready=self._runtime.health() is None,
            waiting_claims=len(self._waiters),
            sockets=len(self._readers),
            bot_sockets=len(self._desk),
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
