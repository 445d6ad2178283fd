"""The events of an object, for WebSockets that may sleep: what a socket has got is kept with it, not in memory.

A frame is a ``SentEvents``, and the last one may be an ``EndOfEvents``, as MessagePack.
"""

from collections.abc import Callable, Coroutine
from typing import Any, Final

from msgspec import Struct

from durable_objects.cloudflare.platform import Socket
from durable_objects.codec import Codec
from durable_objects.contract import DurableObject, Events, ObjectId, Stub
from durable_objects.errors import DurableObjectError
from durable_objects.exchange import EVENTS, EndOfEvents, SentEvents

_FAILED: Final = 1011
"""The code of a WebSocket that ends because of an error of the server."""


class Listen(Struct, frozen=True):
    """Who wants to hear which object's events: those after commit ``since``, then live ones; by default live ones only."""

    to: ObjectId
    since: int | None = None


LISTEN = Codec(Listen, json=True)


class Attachment(Struct, frozen=True, array_like=True):
    """What is kept with a socket: whose events it gets, and the commit up to which it has them."""

    to: ObjectId
    position: int


ATTACHMENT = Codec(Attachment)


class _Follower:
    """One socket. What comes while it catches up waits in ``held``."""

    def __init__(self, socket: Socket, to: ObjectId, position: int) -> None:
        self.socket = socket
        self.to = to
        self.position = position
        self.held: list[tuple[int | None, bytes]] | None = None

    def attach(self) -> None:
        self.socket.attach(ATTACHMENT.encode(Attachment(self.to, self.position)))

    def offer(self, seq: int | None, frame: bytes) -> None:
        if self.held is not None:
            self.held.append((seq, frame))
        elif seq is None:
            self.socket.send(frame)
        elif seq > self.position:
            self.socket.send(frame)
            self.position = seq
            self.attach()

    async def catch_up(self, stub: Stub[Any]) -> None:
        more = True
        while more:
            page = await stub.call(DurableObject.replay, self.position)
            for seq, data in page.events:
                self.socket.send(_frame(Events(seq, data)))
            self.position, more = page.seq, page.more
            self.attach()
        held, self.held = self.held or [], None
        for number, frame in held:
            self.offer(number, frame)


class EventSockets:
    """The sockets that follow one object; a listener (see ``event_streams``) that gives its events to them.

    Args:
        to: the object.
        stub: of it.
        seq: returns the number of its last commit that is durable.
        spawn: runs a coroutine beside the running one.
    """

    def __init__(
        self, to: ObjectId, stub: Stub[Any], *, seq: Callable[[], int], spawn: Callable[[Coroutine[Any, Any, None]], object]
    ) -> None:
        self._to = to
        self._stub = stub
        self._seq = seq
        self._spawn = spawn
        self._followers: list[_Follower] = []

    def resume(self, socket: Socket, position: int) -> None:
        """Go on with a socket that was open when the object fell asleep."""
        self._begin(_Follower(socket, self._to, position))

    def add(self, socket: Socket, since: int | None) -> None:
        """Begin with a socket that was accepted just now."""
        follower = _Follower(socket, self._to, self._seq() if since is None else since)
        follower.attach()
        self._begin(follower)

    def offer(self, events: Events) -> None:
        """Send the events of one call, or signals."""
        frame = _frame(events)
        for follower in list(self._followers):
            try:
                follower.offer(events.seq, frame)
            except ConnectionError:
                self._followers.remove(follower)

    def fail(self, error: DurableObjectError) -> None:
        """No more events will come, because of ``error``."""
        followers, self._followers = self._followers, []
        for follower in followers:
            _end(follower.socket, error)

    def _begin(self, follower: _Follower) -> None:
        self._followers.append(follower)
        if follower.position != self._seq():
            follower.held = []
            self._spawn(self._catch_up(follower))

    async def _catch_up(self, follower: _Follower) -> None:
        try:
            await follower.catch_up(self._stub)
        except ConnectionError:
            self._remove(follower)
        except DurableObjectError as error:
            self._remove(follower)
            _end(follower.socket, error)

    def _remove(self, follower: _Follower) -> None:
        if follower in self._followers:
            self._followers.remove(follower)


def _frame(events: Events) -> bytes:
    return EVENTS.encode(SentEvents(events))


def _end(socket: Socket, error: DurableObjectError) -> None:
    try:
        socket.send(EVENTS.encode(EndOfEvents(error.record())))
    except ConnectionError:
        return
    socket.close(_FAILED)
