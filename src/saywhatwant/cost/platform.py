"""Cloudflare as far as a bill needs it: one Durable Object with its storage, its sockets and its alarm, which sleeps when idle.

It runs the object's own code on a virtual clock, and counts what the platform would bill. It has no limits and never fails.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextvars import Context
from typing import Generic, Protocol, TypeVar

from durable_objects import Meter
from saywhatwant.cost.counts import Counts
from saywhatwant.cost.storage import Life, SqliteStorage
from saywhatwant.cost.virtual_time import Resident, VirtualLoop

SLEEPS_AFTER_SECONDS = 10.0
"""Idle for so long, an object is dropped from memory; documented for one whose sockets hibernate."""
START_MS = 1_764_000_000_000
"""The wall clock when the virtual clock starts, in milliseconds since 1970."""
PING, PONG = "ping", "pong"
"""The message that the platform answers by itself, and its answer."""

ResultT = TypeVar("ResultT")


class PlatformObject(Protocol):
    """What the platform calls, besides what ``Platform.call`` does."""

    async def socket_message(self, socket: "ServerSocket", text: str) -> None:
        """A client has sent a message."""

    async def socket_closed(self, socket: "ServerSocket") -> None:
        """A client has closed its socket."""

    async def alarm(self) -> None:
        """The alarm has come."""


ObjectT = TypeVar("ObjectT", bound=PlatformObject)


class ServerSocket:
    """The object's end of a socket, which outlives the object's sleep; ``cloudflare.sockets.Socket``."""

    def __init__(self, tag: str, receive: Callable[[str | None], None]) -> None:
        self.tag = tag
        self.is_open = True
        self._receive = receive
        self._kept = ""

    def send(self, text: str) -> None:
        """Send a frame, which costs nothing."""
        if not self.is_open:
            raise ConnectionError("the socket has ended")
        _outside(asyncio.get_running_loop().call_soon, self._receive, text)

    def close(self, code: int) -> None:  # noqa: ARG002 - the client does not look
        """Close it; its client gets None."""
        if self.is_open:
            self.is_open = False
            _outside(asyncio.get_running_loop().call_soon, self._receive, None)

    def attach(self, text: str) -> None:
        """Keep ``text``."""
        self._kept = text

    def attachment(self) -> str:
        """What is kept."""
        return self._kept


class _InMemory(Generic[ObjectT]):
    """The object while it is in memory."""

    def __init__(self, storage: SqliteStorage) -> None:
        self.storage = Life(storage)
        self.resident = Resident()
        self.waking: asyncio.Task[ObjectT] | None = None

    def end(self) -> None:
        self.storage.end()
        self.resident.drop()


class Platform(Generic[ObjectT]):
    """One object, and what it is billed for.

    Args:
        wake: makes the object from its storage.

    Attributes:
        meter: what the object itself counts, through all of its lives.
    """

    def __init__(self, wake: "Callable[[Life, Platform[ObjectT]], Awaitable[ObjectT]]") -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)  # noqa: S101 - ``virtual_time.run`` runs all this
        self._loop = loop
        self._loop.on_advance.append(self._on_advance)
        self.meter = Meter(clock=loop.time)
        self._wake = wake
        self._storage = SqliteStorage(self._set_alarm)
        self._object: _InMemory[ObjectT] | None = None
        self._idle_since = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._alarms: set[asyncio.Task[None]] = set()
        self._sockets: dict[ServerSocket, None] = {}
        self._requests: Counter[str] = Counter()
        self._socket_messages = self._alarm_calls = self._wakes = 0
        self._active_seconds = 0.0

    def now_ms(self) -> int:
        """The wall clock, in milliseconds since 1970."""
        return START_MS + round(self._loop.time() * 1_000)

    def counts(self) -> Counts:
        """What has been used until now."""
        meter = self.meter
        return Counts(
            seconds=self._loop.time(),
            round_trips=meter.served,
            requests=dict(self._requests),
            socket_messages=self._socket_messages,
            alarm_calls=self._alarm_calls,
            rows_read=meter.rows_read,
            rows_written=meter.rows_written,
            alarms_set=meter.alarms_set,
            active_seconds=self._active_seconds,
            wakes=self._wakes,
        )

    def stop(self) -> None:
        """No alarm comes any more."""
        if self._timer is not None:
            self._timer.cancel()

    async def request(self, cause: str, act: Callable[[ObjectT], Awaitable[ResultT]]) -> ResultT:
        """A request for which ``act`` calls the object."""
        self._requests[cause] += 1
        return await self._call(act)

    async def message(self, socket: ServerSocket, text: str) -> None:
        """A client's message; the platform alone answers a ping."""
        if text == PING:
            socket.send(PONG)
            return
        self._socket_messages += 1
        await self._call(lambda it: it.socket_message(socket, text))

    async def close(self, socket: ServerSocket) -> None:
        """A client closes its socket."""
        if socket.is_open:
            socket.is_open = False
            self._sockets.pop(socket, None)
            await self._call(lambda it: it.socket_closed(socket))

    def accept(self, tag: str, receive: Callable[[str | None], None]) -> ServerSocket:
        """A new socket; ``receive`` gets each frame, and None at the end."""
        socket = ServerSocket(tag, receive)
        self._sockets[socket] = None
        return socket

    def sockets(self, tag: str) -> Iterator[ServerSocket]:
        """The open sockets with this tag."""
        return iter([socket for socket in self._sockets if socket.tag == tag and socket.is_open])

    async def _call(self, act: Callable[[ObjectT], Awaitable[ResultT]]) -> ResultT:
        """Call the object, which is made first if it sleeps."""
        held = self._object
        if held is not None and not held.resident.is_active and self._idle_since + SLEEPS_AFTER_SECONDS <= self._loop.time():
            held.end()
            held = None
        if held is None:
            held = self._object = _InMemory(self._storage)
            self._wakes += 1
        try:
            return await held.resident.run(self._act(held, act))
        finally:
            self._idle_since = self._loop.time()

    async def _act(self, held: _InMemory[ObjectT], act: Callable[[ObjectT], Awaitable[ResultT]]) -> ResultT:
        if held.waking is None:
            held.waking = asyncio.ensure_future(self._make(held))
        return await act(await asyncio.shield(held.waking))

    async def _make(self, held: _InMemory[ObjectT]) -> ObjectT:
        return await self._wake(held.storage, self)

    def _on_advance(self, seconds: float) -> None:
        if self._object is not None and self._object.resident.is_active:
            self._active_seconds += seconds
            self._idle_since = self._loop.time() + seconds

    def _set_alarm(self, at: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = _outside(self._loop.call_later, max(at - self.now_ms(), 0) / 1_000, self._alarm_comes)

    def _alarm_comes(self) -> None:
        self._storage.alarm_at = self._timer = None
        self._alarm_calls += 1
        task = self._loop.create_task(self._call(lambda it: it.alarm()))
        self._alarms.add(task)
        task.add_done_callback(self._alarms.discard)


def _outside(act: Callable[..., ResultT], *arguments: object) -> ResultT:
    """Call ``act`` as the platform, so that what it starts is not the object's."""
    return Context().run(act, *arguments)
