"""One feed of several objects.

By time: a page has all messages that its objects will ever have up to its newest one, so that ``since`` never passes what may
still come (P5). An object whose timestamps may still be lower is asked to raise its floor first (``QueueShard.fence``). And a
page never divides messages of the same time. By change: a position has the last commit of each object.
"""

from collections.abc import Hashable, Iterable, Sequence
from itertools import groupby
from typing import NamedTuple

import msgspec
from msgspec import Raw, Struct
from msgspec.structs import replace

from saywhatwant.limits import MAX_ANSWER_BYTES, MAX_CACHED_READS
from saywhatwant.queue.read_cache import as_list
from saywhatwant.queue.shard import Part, QueueShard, Selection
from saywhatwant.topology.position import Position
from saywhatwant.topology.shards import Shard, Shards
from saywhatwant.topology.together import together
from saywhatwant.topology.wall import WallChanges


class _Stamped(Struct, frozen=True):
    timestamp: int


_stamp_of = msgspec.json.Decoder(_Stamped).decode


class MergedPage(Struct, frozen=True):
    """Messages of several objects as one JSON list, and the position that they were read at."""

    position: Position
    body: Raw
    cut_at: int | None = None

    @property
    def etag(self) -> bytes:
        """The position as a strong ETag."""
        return self.position.etag


class _Entry(NamedTuple):
    timestamp: int
    encoded: Raw


class MergedFeed:
    """Reads the feeds of all objects as one."""

    def __init__(self, shards: Shards) -> None:
        self._shards = shards
        self._pages: dict[Hashable, MergedPage] = {}
        """The last pages; one is current while its position is."""

    # -- By time

    async def read(self, selection: Selection) -> MergedPage:
        """The messages of a selection; see ``MessageQueue.read``. A page may exceed its limit by messages of the same time."""
        while True:
            shards = self._shards.all
            page = await self._read(shards, selection)
            # An object that is new now takes its first timestamp from the others, which is after this page.
            await self._shards.refresh()
            if self._shards.all == shards:
                return page

    async def _read(self, shards: Sequence[Shard], selection: Selection) -> MergedPage:
        heads = await together([shard.stub.call(QueueShard.head) for shard in shards])
        position = Position({shard.source: head.seq for shard, head in zip(shards, heads, strict=True)})
        if selection.since >= max((head.floor for head in heads), default=0):
            return MergedPage(position, as_list(()))
        page = self._pages.pop(selection, None)
        if page is None or page.position != position:
            parts = await self._complete(shards, selection)
            position = Position({shard.source: part.seq for shard, part in zip(shards, parts, strict=True)})
            entries, cut_at = merged(parts, selection)
            page = MergedPage(position, as_list(entry.encoded for entry in entries), cut_at)
            if len(self._pages) >= MAX_CACHED_READS:
                del self._pages[next(iter(self._pages))]
        self._pages[selection] = page
        return page

    async def _complete(self, shards: Sequence[Shard], selection: Selection) -> list[Part]:
        """The parts of a page, with all that there will ever be up to the newest message that it shows."""
        parts = await together([shard.stub.call(QueueShard.part, selection) for shard in shards])
        entries, _ = merged(parts, selection)
        if not entries:
            return parts
        newest = max(entry.timestamp for entry in entries)
        before = newest + 1 if selection.before is None else min(selection.before, newest + 1)
        bounded = replace(selection, before=before)
        behind = [index for index, part in enumerate(parts) if part.floor < newest]
        fences = [shards[index].stub.call(QueueShard.fence, newest, bounded) for index in behind]
        for index, part in zip(behind, await together(fences), strict=True):
            # With a floor that is higher, it has newer messages, which the page lacks: the position is that of before.
            parts[index] = part if part.floor == newest else replace(part, seq=parts[index].seq)
        return parts

    # -- By change

    async def position(self) -> Position:
        """Where the wall is now."""
        await self._shards.refresh()
        shards = self._shards.all
        heads = await together([shard.stub.call(QueueShard.head) for shard in shards])
        return Position({shard.source: head.seq for shard, head in zip(shards, heads, strict=True)})

    async def changes(self, since: Position, limit: int | None = None) -> WallChanges:
        """The messages changed after ``since``, those of one object after another; see ``MessageQueue.changes``."""
        await self._shards.refresh()
        shards = self._shards.all
        heads = await together([shard.stub.call(QueueShard.head) for shard in shards])
        # A reader who knows what one object has lost gets all again, also of the others: then it forgets what it has.
        reset = not all(head.knows(since[shard.source]) for shard, head in zip(shards, heads, strict=True))
        # What is named by ``since`` and is no object of this wall comes from other data.
        seqs = {shard.source: 0 if reset else since[shard.source] for shard in shards}
        messages: list[Raw] = []
        room = MAX_ANSWER_BYTES
        for shard, head in zip(shards, heads, strict=True):
            if head.seq == seqs[shard.source]:
                continue
            left = None if limit is None else limit - len(messages)
            if room <= 0 or (left is not None and left <= 0):
                return WallChanges(Position(seqs), messages, more=True, reset=reset)
            page = await shard.stub.call(QueueShard.changes, seqs[shard.source], left)
            seqs[shard.source] = page.seq
            messages += page.messages
            room -= sum(map(len, page.messages))
            if page.more:
                return WallChanges(Position(seqs), messages, more=True, reset=reset)
        return WallChanges(Position(seqs), messages, reset=reset)


def merged(parts: Iterable[Part], selection: Selection) -> tuple[list[_Entry], int | None]:
    """The first messages of these parts in the order of ``selection``; and where the page continues if it was cut.

    It ends with the message that reaches the limit, and those of the same time; or before what one of the parts leaves out, or
    what exceeds ``MAX_ANSWER_BYTES``.
    """
    sign = -1 if selection.newest_first else 1
    end = min((sign * part.cut_at for part in parts if part.cut_at is not None), default=None)
    entries = [_Entry(_stamp_of(encoded).timestamp, encoded) for part in parts for encoded in part.messages]
    entries.sort(key=lambda entry: sign * entry.timestamp)
    chosen: list[_Entry] = []
    room = MAX_ANSWER_BYTES
    for timestamp, group in groupby(entries, key=lambda entry: entry.timestamp):
        if selection.limit is not None and len(chosen) >= selection.limit:
            return chosen, None
        same = list(group)
        room -= sum(len(entry.encoded) for entry in same)
        if chosen and (room < 0 or (end is not None and sign * timestamp > end)):
            return chosen, chosen[-1].timestamp
        chosen += same
    is_cut = end is not None and (selection.limit is None or len(chosen) < selection.limit)
    return chosen, chosen[-1].timestamp if is_cut else None
