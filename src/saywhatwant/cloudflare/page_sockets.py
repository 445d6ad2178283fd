"""GET /api/ws on sockets that hibernate: what a reader missed, then every change after its commit (P2, P5).

The bytes are those of every other place (``worker.live_frames``). What a reader has got is its attachment, so that an object
that slept, or died, goes on where each reader is. While nothing happens nothing waits: no task that wakes by itself, no timer,
no heartbeat; the platform answers pings.
"""

import asyncio
from collections.abc import Callable
from itertools import count

import msgspec
from msgspec import Struct
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from durable_objects import DurableObjectError
from saywhatwant.cloudflare.sockets import HIBERNATE, TOO_BIG, Accept, OpenSockets, Socket
from saywhatwant.topology import Position, Wall
from saywhatwant.worker.admission import Admission
from saywhatwant.worker.decoders import client_of
from saywhatwant.worker.limits import MAX_SOCKET_MESSAGE_BYTES
from saywhatwant.worker.live_frames import LiveFrames
from saywhatwant.worker.queue_events import QueueEvents
from saywhatwant.worker.subscriber import POLICY_VIOLATION, TRY_AGAIN_LATER, Frame

TAG = "page"
"""The tag of these sockets."""


class Attached(Struct, frozen=True):
    """What is kept with a reader's socket."""

    reader: int
    client: str
    position: str


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Attached).decode


class Reader:
    """One socket, and what it has got."""

    __slots__ = ("_socket", "client", "is_behind", "kept", "number", "position")

    def __init__(self, socket: Socket, number: int, client: str, position: Position) -> None:
        self._socket = socket
        self.number = number
        self.client = client
        self.position = position
        self.kept: list[Frame] | None = []
        """The frames that have come before it has caught up, and since the last read of what it missed; None afterwards."""
        self.is_behind = False
        """Whether frames are missing that ``kept`` has not."""

    def offer(self, frame: Frame) -> None:
        """Send what is new to it, or keep that while it catches up. Raises ``ConnectionError``."""
        if self.kept is not None:
            self.kept.append(frame)
        elif (newer := frame.after(self.position)) is not None:
            self.send(newer)

    def send(self, frame: Frame) -> None:
        """Send a frame, and note that it has got it. Raises ``ConnectionError``."""
        self._socket.send(frame.text)
        if frame.position is not self.position:
            self.position = frame.position
            self.attach()

    def attach(self) -> None:
        """Keep with the socket what would be forgotten."""
        self._socket.attach(_encode(Attached(self.number, self.client, str(self.position))).decode())

    def close(self, code: int) -> None:
        """Close the socket."""
        self._socket.close(code)


class PageSockets:
    """The endpoint of GET /api/ws, and its readers: ``worker.app.Readers``.

    Args:
        wall: what they read.
        queue_events: its events.
        admission: who may read.
        open_sockets: the sockets that are open.
    """

    def __init__(self, wall: Wall, queue_events: QueueEvents, admission: Admission, *, open_sockets: OpenSockets) -> None:
        self._admission = admission
        self._open_sockets = open_sockets
        self._readers: dict[int, Reader] = {}
        """By their numbers, which their attachments have."""
        self._numbers = count(1)
        self._catching_up: set[asyncio.Task[None]] = set()
        self._frames = LiveFrames(
            wall,
            queue_events,
            has_readers=lambda: bool(self._readers),
            on_frame=self._offer,
            on_lost=self._on_lost,
        )

    def __len__(self) -> int:
        return len(self._readers)

    async def wake(self) -> None:
        """Take over the sockets that were open before the object was loaded.

        Each gets what it missed meanwhile, which is nothing after a sleep, and something after a crash; then what changes as
        this runs, since alarms may be due.
        """
        for socket in self._open_sockets(TAG):
            kept = _decode(socket.attachment())  # which it has since the turn in which it was accepted
            self._enter(Reader(socket, kept.reader, kept.client, Position.parse(kept.position)))
        if not self._readers:
            return
        self._numbers = count(max(self._readers) + 1)
        try:
            await self._frames.start()
        except DurableObjectError:
            for reader in [*self._readers.values()]:
                self._end(reader, TRY_AGAIN_LATER)
            return
        for reader in [*self._readers.values()]:
            if reader.kept or reader.position != self._frames.position:
                await self._catch_up(reader)
            else:
                reader.kept = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One handshake, and what the reader has missed."""
        socket = WebSocket(scope, receive, send)
        since = await self._admission.admit(socket)
        if since is None:
            return
        accept: Accept = scope["extensions"][HIBERNATE]
        reader = Reader(accept(TAG), next(self._numbers), client_of(socket), since)
        reader.attach()
        self._enter(reader)
        try:
            await self._frames.start()
        except DurableObjectError:
            self._end(reader, TRY_AGAIN_LATER)
        else:
            await self._catch_up(reader)

    def received(self, socket: Socket, size: int) -> None:
        """A reader has sent something, which it must not."""
        if (reader := self._reader_of(socket)) is not None:
            self._end(reader, TOO_BIG if size > MAX_SOCKET_MESSAGE_BYTES else POLICY_VIOLATION)

    def closed(self, socket: Socket) -> None:
        """A socket has ended."""
        if (reader := self._reader_of(socket)) is not None:
            self._leave(reader)

    def _reader_of(self, socket: Socket) -> Reader | None:
        kept = socket.attachment()
        return self._readers.get(_decode(kept).reader) if kept else None

    def _enter(self, reader: Reader) -> None:
        self._readers[reader.number] = reader
        self._admission.enter(reader.client)

    def _leave(self, reader: Reader, close_code: int | None = None) -> None:
        if self._readers.pop(reader.number, None) is not None:
            self._admission.leave(reader.client, close_code)

    def _end(self, reader: Reader, close_code: int) -> None:
        self._leave(reader, close_code)
        reader.close(close_code)

    async def _catch_up(self, reader: Reader) -> None:
        """Send the changes that it has not, page by page.

        Frames are kept from the read of the last page on; earlier ones are part of a later page.
        """
        try:
            more = True
            while more and reader.number in self._readers:
                reader.kept, reader.is_behind = [], False
                page = await self._frames.missed(reader.position)
                kept, reader.kept = reader.kept, None
                more = page.more or reader.is_behind
                self._try(reader, reader.send, page)
                for frame in kept if not more else ():
                    self._try(reader, reader.offer, frame)
        except DurableObjectError:
            self._end(reader, TRY_AGAIN_LATER)

    def _try(self, reader: Reader, act: Callable[[Frame], None], frame: Frame) -> None:
        try:
            act(frame)
        except ConnectionError:
            self._leave(reader)

    def _offer(self, frame: Frame) -> None:
        for reader in [*self._readers.values()]:
            self._try(reader, reader.offer, frame)

    def _on_lost(self) -> None:
        for reader in self._readers.values():
            if reader.kept is None:
                task = asyncio.create_task(self._catch_up(reader))
                self._catching_up.add(task)
                task.add_done_callback(self._catching_up.discard)
            else:
                reader.is_behind = True
