"""The events of several objects as one stream."""

import asyncio
from collections import deque
from typing import Self

import msgspec

from durable_objects import Events, EventStream
from saywhatwant.queue.directory import Place
from saywhatwant.topology.position import START, Position, WallEvents
from saywhatwant.topology.shards import Shards

_decode_place = msgspec.json.Decoder(Place).decode

DIRECTORY = 0
"""In place of an object's number, which is 1 or more."""


class MergedEvents:
    """Those of each object in order, none skipped or repeated; also of objects that are registered later.

    Without ``since`` it begins when the first event is asked for.
    """

    def __init__(self, shards: Shards, since: Position | None) -> None:
        self._shards = shards
        self._since = since
        self._streams: dict[int, EventStream] = {}
        self._reads: dict[asyncio.Task[Events], int] = {}
        """The tasks that await the next events of each stream, with the number of its object."""
        self._done: deque[asyncio.Task[Events]] = deque()
        self._woken = asyncio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WallEvents:
        if not self._streams:
            await self._begin()
        while self._streams:
            if (events := self.get_nowait()) is not None:
                return events
            self._woken.clear()
            await self._woken.wait()
        raise StopAsyncIteration

    def get_nowait(self) -> WallEvents | None:
        """See ``WallEventStream``."""
        while self._done:
            task = self._done.popleft()
            source = self._reads.pop(task, None)
            if source is None:
                continue
            events = task.result()
            self._read_next(source)
            if source != DIRECTORY:
                return WallEvents(source, events.seq, events.data)
            self._shards.add([_decode_place(encoded) for encoded in events.data])
            self._listen(START if self._since is None else self._since)
        return None

    async def aclose(self) -> None:
        """End it."""
        streams, self._streams = self._streams, {}
        reads, self._reads = self._reads, {}
        for task in reads:
            task.cancel()
        for stream in streams.values():
            await stream.aclose()
        self._woken.set()

    async def _begin(self) -> None:
        self._streams[DIRECTORY] = self._shards.events()
        self._read_next(DIRECTORY)
        await self._shards.refresh()
        self._listen(self._since)

    def _listen(self, since: Position | None) -> None:
        """Begin to listen to the objects that are new."""
        for shard in self._shards.all:
            if shard.source not in self._streams:
                self._streams[shard.source] = shard.stub.events(None if since is None else since[shard.source])
                self._read_next(shard.source)

    def _read_next(self, source: int) -> None:
        task = asyncio.ensure_future(anext(self._streams[source]))
        self._reads[task] = source
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[Events]) -> None:
        if not task.cancelled():
            task.exception()  # so that asyncio logs none that nobody asks for after the end
            self._done.append(task)
            self._woken.set()
