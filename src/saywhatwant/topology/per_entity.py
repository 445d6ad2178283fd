"""The topology ``per-entity``: one object for each entity, and one for the messages that name none.

A message stays in its object, with its answer. ``shards`` finds it, ``merged`` makes one feed of all, ``claims`` and ``work``
take work from all.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from durable_objects import ObjectId, Refusal, Runtime
from saywhatwant.errors import BacklogFull, IdTaken, UnknownMessage
from saywhatwant.limits import ID_LENGTH
from saywhatwant.message import NewMessage, Posted
from saywhatwant.moderation.held import HeldPost
from saywhatwant.moderation.schemas import ModerationResponse
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.directory import DIRECTORY, Directory
from saywhatwant.queue.shard import QueueShard, Selection, route_of
from saywhatwant.queue.waiting import Wait
from saywhatwant.schemas import CircuitReport, ClaimNextResponse, ClaimResponse, Stats
from saywhatwant.topology.backlogs import Backlogs
from saywhatwant.topology.claims import Claim, MergedClaims
from saywhatwant.topology.erasing import erase
from saywhatwant.topology.keyed_posts import post_once
from saywhatwant.topology.merged import MergedFeed, MergedPage
from saywhatwant.topology.merged_events import MergedEvents
from saywhatwant.topology.position import Position
from saywhatwant.topology.shards import Shard, Shards
from saywhatwant.topology.single import NAMESPACE
from saywhatwant.topology.wall import by_id
from saywhatwant.topology.work import MergedWork

P = ParamSpec("P")
R = TypeVar("R")


def open_per_entity(runtime: Runtime, config: QueueConfig) -> "PerEntityWall":
    """The wall of ``runtime``, which must not have started yet."""
    directory = runtime.namespace(DIRECTORY.namespace, Directory).get(DIRECTORY.name)
    queues = runtime.namespace(NAMESPACE, QueueShard, config)
    return PerEntityWall(Shards(directory, queues, config.entities), config)


class PerEntityWall:
    """See ``Wall``."""

    def __init__(self, shards: Shards, config: QueueConfig) -> None:
        self._shards = shards
        self.standing = None
        self._backlogs = Backlogs(shards, config.backlog_limit)
        self._feed = MergedFeed(shards)
        self._claims = MergedClaims(shards)
        self._work = MergedWork(shards, config.aging_ms)
        self.changes = self._feed.changes
        self.pending = self._work.pending
        self.listing = self._work.listing
        self.tally = self._work.tally
        self.batch = self._work.batch
        self.extend = by_id(self._ask, QueueShard.extend)
        self.complete = by_id(self._ask, QueueShard.complete)
        self.fail = by_id(self._ask, QueueShard.fail)
        self.release = by_id(self._ask, QueueShard.release)
        self.progress = by_id(self._ask, QueueShard.progress)
        self.retry = by_id(self._ask, QueueShard.retry)
        self.message = by_id(self._ask, QueueShard.message)
        self.hide = by_id(self._ask, QueueShard.hide)
        self.restore = by_id(self._ask, QueueShard.restore)
        self.hidden = by_id(self._ask, QueueShard.hidden)
        self.overview = self._work.overview
        self.story = by_id(self._ask, QueueShard.story)

    # -- The wall

    async def post(self, new: NewMessage, key: str | None = None) -> Posted:
        """See ``MessageQueue.post``."""
        if new.message_type == "AI" and new.reply_to is not None:
            return await self._post_answer(new, new.reply_to, key)
        return await self._post_at(await self._shards.of(new.entity), new, key)

    async def read(
        self,
        since: int = 0,
        limit: int | None = None,
        *,
        newest_first: bool = True,
        before: int | None = None,
        conversation: str | None = None,
    ) -> MergedPage:
        """See ``MessageQueue.read``."""
        return await self._feed.read(Selection(since, limit, newest_first, before, conversation))

    def events(self, since: Position | None = None) -> MergedEvents:
        """See ``Wall``."""
        return MergedEvents(self._shards, since)

    async def position(self) -> Position:
        """See ``Wall``."""
        return await self._feed.position()

    async def _post_answer(self, new: NewMessage, reply_to: str, key: str | None) -> Posted:
        if key is not None:
            # A key is bound to the first object that is asked, so that must be the one with the question.
            with suppress(UnknownMessage):
                return await self._post_at(await self._shards.holder(reply_to, "replyTo"), new, key)
        return await self._shards.ask(reply_to, lambda shard: self._post_at(shard, new, key), "replyTo")

    async def _post_at(self, shard: Shard, new: NewMessage, key: str | None) -> Posted:
        if new.id is not None:
            return await self._post_with_id(shard, new, new.id)
        if key is not None:
            keyed = self._shards.directory.options(idempotency_key=key, fingerprint=b"")
            first = await keyed.call(Directory.bind, shard.source)
            if first != shard.source:
                return await self._first_answer(first, new, key)
        return await self._post_within_limit(shard, new, key)

    async def _post_within_limit(self, shard: Shard, new: NewMessage, key: str | None) -> Posted:
        """Post to this object; what is refused because too much work waits is tried again with new figures."""
        if new.message_type != "human" or not new.answer:
            return await self._post_beside(shard, new, key, 0)
        if not self._backlogs.is_old:
            with suppress(BacklogFull):
                return await self._post_beside(shard, new, key, self._backlogs.elsewhere(shard))
        await self._backlogs.ask()
        return await self._post_beside(shard, new, key, self._backlogs.elsewhere(shard))

    async def _post_beside(self, shard: Shard, new: NewMessage, key: str | None, elsewhere: int) -> Posted:
        if key is None and new.id is None:
            return await shard.stub.call(QueueShard.post, new, elsewhere)
        return await post_once(shard.stub, new, key, elsewhere)

    async def _post_with_id(self, shard: Shard, new: NewMessage, message_id: str) -> Posted:
        directory = self._shards.directory
        reserved = await directory.call(Directory.reserve, message_id, shard.source)
        try:
            if reserved.source != shard.source:
                return await self._first_answer(reserved.source, new, None)
            if reserved.is_new and await self._shards.has_made(message_id, but=shard):
                raise IdTaken(message_id)
            return await self._post_within_limit(shard, new, None)
        except Refusal:
            if reserved.is_new:
                await directory.call(Directory.release, message_id)
            raise
        finally:
            if reserved.was_gone:
                await self._forget_if_gone(reserved.source, message_id)

    async def _forget_if_gone(self, source: int, message_id: str) -> None:
        shard = await self._shards.numbered(source)
        try:
            await shard.stub.call(QueueShard.work, message_id)
        except UnknownMessage:
            await self._shards.directory.call(Directory.forget, message_id)

    async def _first_answer(self, source: int, new: NewMessage, key: str | None) -> Posted:
        """The answer to the first post with this key or id, at another object, which refuses any other post."""
        shard = await self._shards.numbered(source)
        return await post_once(shard.stub, new, key)

    async def place_of(self, held: HeldPost) -> ObjectId:
        """See ``Wall``. An id that does not show its object is registered, if its post has not done that."""
        shard = await self._shards.of(held.new.entity)
        if len(held.id) != ID_LENGTH or not held.id.startswith(route_of(shard.name)):
            reserved = await self._shards.directory.call(Directory.reserve, held.id, shard.source)
            shard = await self._shards.numbered(reserved.source)
        return ObjectId(NAMESPACE, shard.name)

    # -- Work

    async def claim(
        self,
        message_id: str,
        worker_id: str,
        *,
        entities: tuple[str, ...] | None = None,
        also: tuple[str, ...] = (),
        context: int = 0,
        unfenced: bool = False,
    ) -> ClaimResponse:
        """See ``MessageQueue.claim``."""
        claim = Claim(worker_id, entities, also, context, unfenced)
        return await self._shards.ask(message_id, lambda shard: self._claims.claim_at(shard, message_id, claim))

    async def claim_next(
        self,
        worker_id: str,
        entities: tuple[str, ...] | None = None,
        limit: int = 1,
        *,
        also: tuple[str, ...] = (),
        context: int = 0,
        unfenced: bool = False,
        wait: Wait | None = None,
    ) -> ClaimNextResponse:
        """See ``MessageQueue.claim_next``."""
        return await self._claims.claim_next(Claim(worker_id, entities, also, context, unfenced), limit, wait)

    async def cancel(self, ticket: str, woken_for: tuple[str, ...] = ()) -> None:
        """See ``MessageQueue.cancel``."""
        await self._claims.cancel(self._shards.all, ticket, woken_for)

    async def _ask(
        self,
        method: Callable[Concatenate[QueueShard, str, P], R],
        message_id: str,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> R:
        return await self._shards.ask(message_id, lambda shard: shard.stub.call(method, message_id, *args, **kwargs))

    # -- Moderation

    async def erase(
        self, message_id: str, reason: str = "", *, name: bool = False, by: str | None = None
    ) -> ModerationResponse:
        """See ``Wall``."""
        await self._shards.refresh()
        stubs = [shard.stub for shard in self._shards.all]
        erase_it = partial(self._ask, QueueShard.erase, message_id, reason, name=name, by=by)
        return await erase(self, message_id, erase_it, stubs)

    # -- Figures

    async def report_circuit(self, report: CircuitReport) -> None:
        """See ``MessageQueue.report_circuit``."""
        shard = await self._shards.of(None)
        await shard.stub.call(QueueShard.report_circuit, report)

    async def stats(self, entities: tuple[str, ...] = ()) -> Stats:
        """See ``MessageQueue.stats``."""
        return await self._work.stats(entities)
