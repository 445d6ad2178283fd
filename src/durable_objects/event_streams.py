"""Streams of events: a queue for each listener, filled after commits, and the catch-up before it."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

from durable_objects.contract import Events, Replay
from durable_objects.errors import DurableObjectError, EventsLost
from durable_objects.limits import MAX_BYTES_BEHIND

Catch = Callable[[int], Awaitable[Replay]]
"""Calls the object's ``replay``."""


class QueuedEventStream:
    """A ``contract.EventStream`` over a queue that somebody else fills.

    Args:
        since: the commit after which it begins; None to begin now.
        replay: returns a page of the events after a commit.
        new_waiter: makes the future that is awaited while the queue is empty.
        on_close: called when the stream is closed.
    """

    def __init__(
        self,
        since: int | None,
        replay: Catch,
        *,
        new_waiter: Callable[[], "asyncio.Future[None]"],
        on_close: Callable[["QueuedEventStream"], None],
    ) -> None:
        self._position = since
        self._replay = replay
        self._new_waiter = new_waiter
        self._on_close = on_close
        self._caught_up_to: int | None = None
        """The end of the page that is being read from ``_missed``."""
        self._has_all = since is None
        self._missed: deque[Events] = deque()
        self._queue: deque[Events] = deque()
        self._bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._error: DurableObjectError | None = None
        self._closed = False

    def offer(self, events: Events) -> None:
        """Add the events of one call, or signals."""
        if self._error is not None or self._closed:
            return
        self._bytes += sum(map(len, events.data))
        if self._bytes > MAX_BYTES_BEHIND and self._queue:
            self.fail(EventsLost(f"a listener is more than {MAX_BYTES_BEHIND} bytes behind"))
            return
        self._queue.append(events)
        self._wake()

    def fail(self, error: DurableObjectError) -> None:
        """End it with ``error``, which the listener gets in place of the events that it has not read."""
        self._error = error
        self._queue.clear()
        self._wake()

    async def __anext__(self) -> Events:
        while not self._closed:
            if self._missed:
                return self._missed.popleft()
            if self._caught_up_to is not None:
                self._position, self._caught_up_to = self._caught_up_to, None
            if self._error is not None:
                raise self._error
            if not self._has_all:
                await self._read_missed()
            elif self._queue:
                events = self._queue.popleft()
                self._bytes -= sum(map(len, events.data))
                if events.seq is None or self._position is None or events.seq > self._position:
                    return events
            else:
                self._waiter = self._new_waiter()
                await self._waiter
        raise StopAsyncIteration

    async def _read_missed(self) -> None:
        page = await self._replay(self._position or 0)
        self._missed.extend(Events(seq, data) for seq, data in page.events)
        self._caught_up_to = page.seq
        self._has_all = not page.more

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def __aiter__(self) -> Self:
        return self

    async def aclose(self) -> None:
        """End it; harmless when it has ended."""
        self._closed = True
        self._queue.clear()
        self._on_close(self)
        self._wake()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
