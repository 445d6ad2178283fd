"""The handlers of the dialect: each translates, and calls the same queue as the clean interface."""

import asyncio
from typing import NoReturn

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType
from starlette.responses import Response

from durable_objects import Meter
from saywhatwant.errors import InvalidField
from saywhatwant.limits import MAX_ANSWER_BYTES, MAX_PAGE
from saywhatwant.message import MessageType
from saywhatwant.schemas import CompleteResponse
from saywhatwant.topology import Wall
from saywhatwant.worker.bots import Bots
from saywhatwant.worker.decoders import NoParameters
from saywhatwant.worker.endpoint import JSON
from saywhatwant.worker.original import dialect
from saywhatwant.worker.original.translation import completed, to_original, to_request, translated
from saywhatwant.worker.posts import MessageRules, Posts
from saywhatwant.worker.request import Request
from saywhatwant.worker.routes import ACCEPTED

MEMORY_TURNS = 200
"""Earlier messages of the talk that a claim brings, as many as the later page would have sent."""

POLLER = "a bot of the original"
"""The worker that lists pending messages; it names itself only when it claims one."""


class _Head(Struct, frozen=True, rename="camel"):
    timestamp: int
    message_type: MessageType


_messages = msgspec.json.Decoder(list[Raw]).decode
_head_of = msgspec.json.Decoder(_Head).decode


class OriginalApi:
    """The handlers of the dialect. Each takes the request and its decoded body or query."""

    def __init__(self, wall: Wall, posts: Posts, rules: MessageRules, meter: Meter, bots: Bots) -> None:
        self._wall = wall
        self._posts = posts
        self._rules = rules
        self._meter = meter
        self._bots = bots

    # -- The wall

    async def post(self, request: Request, sent: dialect.SentPost) -> Response:
        """POST /original/api/comments."""
        new = self._posts.new_message(request, to_request(sent, self._rules.entities.current))
        posted = await self._posts.add(request, completed(new, sent))
        if posted.held:
            return JSON(dialect.Posted(posted.id, posted.timestamp, "held"), ACCEPTED)
        return JSON(dialect.Posted(posted.id, posted.timestamp, "duplicate" if posted.repeated else "success"))

    async def read(self, _: Request, query: dialect.WallQuery) -> Response:
        """GET /original/api/comments."""
        after = query.since or 0 if query.after is UNSET else query.after
        limit = MAX_PAGE if query.limit is UNSET else min(query.limit, MAX_PAGE)
        start = query.offset or 0
        end = start + limit
        found, more = await self._newest(end, after, query.type)
        comments = [translated(bytes(raw)) for raw in found[start:end]]
        if query.offset is UNSET and query.t is UNSET:
            return JSON(comments)
        stats = await self._wall.stats()
        return JSON(dialect.WallPage(comments, stats.messages, more))

    async def _newest(self, count: int, after: int, kind: MessageType | UnsetType) -> tuple[list[Raw], bool]:
        """Up to ``count`` messages of this type, newest first, up to ``MAX_ANSWER_BYTES``, and whether there are more.

        Those of one type cannot be counted before they are read, so they are read in pages, with other requests in between.
        """
        found: list[Raw] = []
        room = MAX_ANSWER_BYTES
        before: int | None = None
        limit = MAX_PAGE if kind is not UNSET else min(count + 1, MAX_PAGE)
        while True:
            page = await self._wall.read(after, limit, before=before)
            messages = _messages(page.body)
            for raw in messages:
                if kind in {UNSET, _head_of(raw).message_type}:
                    room -= len(bytes(raw))
                    if len(found) == count or (room < 0 and found):
                        return found, True
                    found.append(raw)
            if len(messages) < limit and page.cut_at is None:
                return found, False
            before = _head_of(messages[-1]).timestamp
            await asyncio.sleep(0)

    async def score(self, _: Request, __: None) -> NoReturn:
        """PATCH /original/api/comments/ID."""
        raise InvalidField("eqScore", dialect.REFUSED["eqScore"])

    async def stats(self, _: Request, __: NoParameters) -> Response:
        """GET /original/api/stats."""
        stats = await self._wall.stats()
        return JSON(dialect.Figures(stats.messages))

    async def health(self, _: Request, __: NoParameters) -> Response:
        """GET /original/api/comments/health."""
        return JSON({"status": "alive"})

    # -- The work

    async def pending(self, _: Request, query: dialect.WorkQuery) -> Response:
        """GET /original/api/queue/pending."""
        entity = None if query.entity is UNSET else query.entity
        self._bots.claims(POLLER, None if entity is None else [entity])
        found = await self._wall.pending(min(query.limit, MAX_PAGE), entity)
        figures = dialect.StorageFigures(self._meter.reads, self._meter.writes)
        return JSON(dialect.PendingAnswer([translated(bytes(raw)) for raw in found], figures))

    async def claim(self, _: Request, body: dialect.ClaimOne) -> Response:
        """POST /original/api/queue/claim."""
        self._bots.claims(body.worker_id)
        claimed = await self._wall.claim(body.message_id, body.worker_id, context=MEMORY_TURNS, unfenced=True)
        return JSON(dialect.Claimed(to_original(claimed.message, claimed.talks)))

    async def claim_next(self, _: Request, body: dialect.ClaimNext) -> Response:
        """POST /original/api/queue/claim-next."""
        self._bots.claims(body.worker_id)
        claimed = await self._wall.claim_next(body.worker_id, context=MEMORY_TURNS, unfenced=True)
        if not claimed.messages:
            return JSON(dialect.NothingPending())
        (encoded,) = claimed.messages
        left = (await self._wall.stats()).depth.pending
        return JSON(dialect.ClaimedNext(to_original(encoded, claimed.talks), left + 1, left))

    async def complete(self, _: Request, body: dialect.Complete) -> Response:
        """POST /original/api/queue/complete."""
        await self._wall.complete(body.message_id, body.worker_id, body.attempt)
        return JSON(CompleteResponse(success=True))
