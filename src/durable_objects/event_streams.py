"""Streams of events: a queue for each listener, filled after commits, and the catch-up before it."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Protocol, Self

from durable_objects.contract import Events, Replay
from durable_objects.errors import DurableObjectError, EventsLost
from durable_objects.limits import MAX_BYTES_BEHIND

Catch = Callable[[int], Awaitable[Replay]]
"""Calls the object's ``replay``."""

_EVENT_BYTES = 128
"""What an event in a queue takes besides its bytes, about."""


class Listener(Protocol):
    """What a runtime gives an object's events to."""

    def offer(self, events: Events) -> None:
        """Take the events of one call, or signals."""

    def fail(self, error: DurableObjectError) -> None:
        """No more will come, because of ``error``."""


class Listeners:
    """Who gets the events of which object."""

    def __init__(self) -> None:
        self._by_object: dict[str, dict[Listener, None]] = {}
        self._ended: DurableObjectError | None = None

    def begin(self) -> None:
        """Events are published from now on; a runtime may begin again after its end."""
        self._ended = None

    def add(self, object_id: str, listener: Listener) -> None:
        """Give ``listener`` the object's events from now on."""
        if self._ended is not None:
            listener.fail(self._ended)
            return
        self._by_object.setdefault(object_id, {})[listener] = None

    def remove(self, object_id: str, listener: Listener) -> None:
        """Give it no more; harmless when it gets none."""
        listeners = self._by_object.get(object_id, {})
        listeners.pop(listener, None)
        if not listeners:
            self._by_object.pop(object_id, None)

    def has(self, object_id: str) -> bool:
        """Whether anybody listens to the object."""
        return object_id in self._by_object

    def fail(self, object_id: str, error: DurableObjectError) -> None:
        """End all that listen to the object now."""
        for listener in self._by_object.pop(object_id, {}):
            listener.fail(error)

    def publish(self, object_id: str, seq: int | None, data: Sequence[bytes]) -> None:
        """Give what one call of an object published to those who listen now, if anybody does; a signal has no ``seq``."""
        if listeners := self._by_object.get(object_id):
            events = Events(seq, tuple(data))
            for listener in listeners:
                listener.offer(events)

    def end(self, error: DurableObjectError) -> None:
        """Nothing will be published any more."""
        self._ended = error
        left, self._by_object = self._by_object, {}
        for listeners in left.values():
            for listener in listeners:
                listener.fail(error)


class QueuedEventStream:
    """A ``contract.EventStream`` over a queue that somebody else fills.

    Args:
        since: the commit after which it begins; None to begin now.
        replay: returns a page of the events after a commit.
        new_waiter: makes the future that is awaited while the queue is empty.
        on_close: called when the stream is closed.
        begins_after: the commit whose events, and those before it, are older than a stream that begins now.
    """

    def __init__(
        self,
        since: int | None,
        replay: Catch,
        *,
        new_waiter: Callable[[], "asyncio.Future[None]"],
        on_close: Callable[["QueuedEventStream"], None],
        begins_after: int = 0,
    ) -> None:
        self._replay = replay
        self._new_waiter = new_waiter
        self._on_close = on_close
        self._position = begins_after if since is None else since
        """The commit up to which the replay has gone; earlier events in the queue are repetitions."""
        self._has_all = since is None
        """Whether the replay has come to its end, or nothing is to be replayed."""
        self._missed: deque[Events] = deque()
        self._queue: deque[Events] = deque()
        self._bytes = 0
        self._reads = False
        self._waiter: asyncio.Future[None] | None = None
        self._error: DurableObjectError | None = None
        self._closed = False

    def offer(self, events: Events) -> None:
        """Add the events of one call, or signals."""
        if self._error is not None or self._closed:
            return
        self._bytes += _size(events)
        if self._bytes > MAX_BYTES_BEHIND and self._queue:
            self.fail(EventsLost(f"a listener is more than {MAX_BYTES_BEHIND} bytes behind"))
            return
        self._queue.append(events)
        self._wake()

    def fail(self, error: DurableObjectError) -> None:
        """End it with ``error``, which the listener gets in place of the live events that it has not read."""
        if self._error is None:
            self._error = error
            self._queue.clear()
            self._wake()

    def get_nowait(self) -> Events | None:
        """The next events if they are here already, else None; raises the error that the stream has ended with."""
        if self._missed:
            return self._missed.popleft()
        if self._error is not None:
            raise self._error
        while self._has_all and self._queue:
            events = self._queue.popleft()
            self._bytes -= _size(events)
            if events.seq is None or events.seq > self._position:
                return events
        return None

    async def __anext__(self) -> Events:
        if self._reads:
            raise RuntimeError("another task already waits for the next event of this stream")
        self._reads = True
        try:
            while not self._closed:
                if (events := self.get_nowait()) is not None:
                    return events
                if self._has_all:
                    self._waiter = self._new_waiter()
                    await self._waiter
                else:
                    await self._read_missed()
            raise StopAsyncIteration
        finally:
            self._reads = False

    async def _read_missed(self) -> None:
        page = await self._replay(self._position)
        if page.more and page.seq == self._position:
            raise EventsLost(f"the object's replay stopped at commit {page.seq}, though it has more")
        self._missed.extend(Events(seq, data) for seq, data in page.events)
        self._position = page.seq
        self._has_all = not page.more

    def _wake(self) -> None:
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def __aiter__(self) -> Self:
        return self

    async def aclose(self) -> None:
        """End it, also for a task that waits for the next event; harmless when it has ended."""
        self._closed = True
        self._missed.clear()
        self._queue.clear()
        self._on_close(self)
        self._wake()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()


def _size(events: Events) -> int:
    return sum(map(len, events.data), _EVENT_BYTES)
