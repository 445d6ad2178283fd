"""Lists and figures of the work of several objects, and changes of many messages at once."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from operator import itemgetter
from typing import TypeVar

import msgspec
from msgspec import UNSET, Raw, Struct

from saywhatwant.limits import MAX_BATCH, MAX_SHOWN_ATTEMPTS, MAX_STATS_ENTITIES
from saywhatwant.overview import Overview
from saywhatwant.queue.directory import ANYONE
from saywhatwant.queue.shard import QueueShard
from saywhatwant.schemas import BatchRequest, BatchResponse, Depth, ListState, Stats
from saywhatwant.tally import Tally, sum_of
from saywhatwant.topology.shards import Shard, Shards
from saywhatwant.topology.together import together

FiguresT = TypeVar("FiguresT", bound=Struct)

_SETTINGS = {"backlog_limit", "retention"}


class _Params(Struct, frozen=True, rename="camel"):
    priority: int
    retry_at: int | None = None
    lease_expires_at: int | None = None


class _Listed(Struct, frozen=True, rename="camel"):
    timestamp: int
    bot_params: _Params


_listed = msgspec.json.Decoder(_Listed).decode


class MergedWork:
    """The work of all objects."""

    def __init__(self, shards: Shards, aging_ms: int) -> None:
        self._shards = shards
        self._orders: dict[ListState, Callable[[_Listed], tuple[int, int]]] = {
            "pending": lambda one: (one.bot_params.priority * aging_ms + one.timestamp, one.timestamp),
            "waiting": lambda one: (one.bot_params.retry_at or 0, one.timestamp),
            "held": lambda one: (one.bot_params.lease_expires_at or 0, one.timestamp),
            "failed": lambda one: (-one.timestamp, 0),
        }

    async def pending(self, limit: int, entity: str | None = None) -> list[Raw]:
        """See ``MessageQueue.pending``."""
        shards = await self._holding(entity)
        lists = await together([shard.stub.call(QueueShard.pending, limit, entity) for shard in shards])
        return self._merged(lists, "pending", limit)

    async def listing(self, state: ListState, limit: int) -> list[Raw]:
        """See ``MessageQueue.listing``."""
        shards = await self._holding(None)
        lists = await together([shard.stub.call(QueueShard.listing, state, limit) for shard in shards])
        return self._merged(lists, state, limit)

    def _merged(self, lists: list[list[Raw]], state: ListState, limit: int) -> list[Raw]:
        order = self._orders[state]
        return sorted([one for found in lists for one in found], key=lambda encoded: order(_listed(encoded)))[:limit]

    async def _holding(self, entity: str | None) -> list[Shard]:
        """The objects that may have messages to this entity; with None, all."""
        await self._shards.refresh()
        return [shard for shard in self._shards.all if entity is None or shard.name in {ANYONE, ANYONE + entity}]

    # -- Figures

    async def stats(self, entities: tuple[str, ...]) -> Stats:
        """The figures of all objects: sums, and ``seq`` is the number of their commits."""
        shards = await self._holding(None)
        if not shards:
            shards = [await self._shards.of(None)]
        return _sum(await together([shard.stub.call(QueueShard.stats, entities) for shard in shards]), entities)

    async def tally(self) -> Tally:
        """The sum of the figures of all objects."""
        total = Tally()
        for one in await together([shard.stub.call(QueueShard.tally) for shard in await self._holding(None)]):
            total = Tally(sum_of(total.outcomes, one.outcomes), sum_of(total.waiting, one.waiting))
        return total

    async def overview(self, entities: tuple[str, ...] = ()) -> Overview:
        """See ``MessageQueue.overview``."""
        shards = await self._holding(None)
        if not shards:
            shards = [await self._shards.of(None)]
        found = await together([shard.stub.call(QueueShard.overview, entities) for shard in shards])
        oldest: dict[str, int] = {}
        for one in found:
            for name, timestamp in one.oldest.items():
                oldest[name] = min(oldest.get(name, timestamp), timestamp)
        latest = sorted((attempt for one in found for attempt in one.latest), key=lambda attempt: -attempt.ended_at)
        return Overview(
            stats=_sum([one.stats for one in found], entities),
            oldest=dict(sorted(oldest.items(), key=itemgetter(1))[:MAX_STATS_ENTITIES]),
            ended=sum(one.ended for one in found),
            latest=latest[:MAX_SHOWN_ATTEMPTS],
        )

    # -- Many messages

    async def batch(self, request: BatchRequest, by: str | None = None) -> BatchResponse:
        """See ``MessageQueue.batch``. Named messages are checked before any of them is changed."""
        if request.message_ids is not None:
            return await self._batch_named(request, list(dict.fromkeys(request.message_ids)), by)
        changed: list[str] = []
        more = False
        for shard in await self._holding(request.entity):
            answer = await shard.stub.call(QueueShard.batch_some, request, MAX_BATCH - len(changed), by)
            changed += answer.changed
            more |= answer.more
        return BatchResponse(changed, more)

    async def _batch_named(self, request: BatchRequest, message_ids: list[str], by: str | None) -> BatchResponse:
        names: dict[Shard, list[str]] = {}
        for message_id in message_ids:
            shard = await self._shards.holder(message_id, "messageIds")
            names.setdefault(shard, []).append(message_id)
        parts = [(shard, msgspec.structs.replace(request, message_ids=of_shard)) for shard, of_shard in names.items()]
        await together([shard.stub.call(QueueShard.check_batch, part) for shard, part in parts])
        await together([shard.stub.call(QueueShard.batch, part, by) for shard, part in parts])
        return BatchResponse(message_ids, more=False)


def _sum(all_stats: list[Stats], entities: Iterable[str]) -> Stats:
    """Sums, but for what is a setting; ``entities`` first."""
    depths: dict[str, Depth] = {}
    for stats in all_stats:
        for name, depth in stats.entities.items():
            depths[name] = _added([depths[name], depth]) if name in depths else depth
    names = dict.fromkeys([name for name in ("", *entities) if name in depths] + sorted(depths))
    total = _added(all_stats)
    return msgspec.structs.replace(
        total,
        depth=_added([stats.depth for stats in all_stats]),
        entities={name: depths[name] for name in islice(names, MAX_STATS_ENTITIES)},
        waited_for=sorted({name for stats in all_stats for name in stats.waited_for}),
        answer_times=[sum(counts) for counts in zip(*(stats.answer_times for stats in all_stats), strict=True)],
        next_since=_earliest([stats.next_since for stats in all_stats]),
        circuits=[circuit for stats in all_stats if stats.circuits is not UNSET for circuit in stats.circuits],
    )


def _earliest(parts: list[dict[str, int]]) -> dict[str, int]:
    """For each name the lowest number that it has."""
    found: dict[str, int] = {}
    for part in parts:
        for name, at in part.items():
            found[name] = min(at, found.get(name, at))
    return found


def _added(figures: Sequence[FiguresT]) -> FiguresT:
    """The first one with the sums of the whole numbers of all; settings are the same in all."""
    first = figures[0]
    numbers = [name for name in first.__struct_fields__ if isinstance(getattr(first, name), int) and name not in _SETTINGS]
    return msgspec.structs.replace(first, **{name: sum(getattr(one, name) for one in figures) for name in numbers})
