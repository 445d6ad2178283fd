"""The wall as it happens, over WebSocket: what a reader missed, then every change after its commit (P2, P5).

A frame is ``{"seq": 7, "events": [...]}``: the events of one or more commits, put together once for all readers. Its ``seq``
is the token to come back with. The first frames carry what was missed, all but the last of them with ``"more": true``.
"""

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Self

from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from durable_objects import DurableObjectError, Stub
from saywhatwant.errors import RequestRefused, TooManyReaders
from saywhatwant.queue import MessageQueue, events
from saywhatwant.worker.auth import check_origin
from saywhatwant.worker.connection import ABORT
from saywhatwant.worker.endpoint import QueryReader
from saywhatwant.worker.operations import Live
from saywhatwant.worker.problems import problem

MAX_BEHIND_CHARS = 1024 * 1024
"""Of frames that wait for one reader. One that falls behind further is cut, and catches up with its token."""
MAX_MISSED = 100
"""Missed messages in one frame."""
CLOSE_SECONDS = 2.0
"""How long a reader that is cut may take to read so."""
HEARTBEAT_SECONDS = 25.0
"""How often a frame without events comes: a browser shows pings to nobody."""

POLICY_VIOLATION = 1_008
TRY_AGAIN_LATER = 1_013
TOO_SLOW = 4_008
"""Of the range for private use, after HTTP's 408."""


class Frame:
    """Some events, with the commits they tell of (None for those that are not stored)."""

    __slots__ = ("_changes", "seq", "text")

    def __init__(self, seq: int, changes: Sequence[tuple[int | None, bytes]], *, more: bool = False) -> None:
        self._changes = changes
        self.seq = seq
        told = b",".join([event for _, event in changes])
        self.text = (b'{"seq":%d,"events":[%b]%b}' % (seq, told, b',"more":true' if more else b"")).decode()

    def after(self, seq: int) -> Self | None:
        """What this frame has that is younger than ``seq``; None when that is nothing."""
        first = next((of for of, _ in self._changes if of is not None), None)
        if first is None or first > seq:
            return self
        younger = [change for change in self._changes if change[0] is None or change[0] > seq]
        return type(self)(self.seq, younger) if younger else None


class Reader:
    """One socket's place: the frames that wait for it, and whether it is over."""

    def __init__(self, abort: Callable[[], None] = lambda: None) -> None:
        self._abort = abort
        self._frames: deque[Frame] = deque()
        self._behind = 0
        self._stirred = asyncio.Event()
        self._over = False
        self.close_code: int | None = None
        """What to close it with; None when it went by itself."""

    def offer(self, frame: Frame) -> None:
        """One more frame; too many end it."""
        self._behind += len(frame.text)
        if self._behind > MAX_BEHIND_CHARS and self._behind > len(frame.text):
            self.end(TOO_SLOW)
        elif not self._over:
            self._frames.append(frame)
            self._stirred.set()

    def end(self, close_code: int | None = None) -> None:
        """Give it no more. Only the first end counts."""
        if not self._over:
            self._over = True
            self.close_code = close_code
            self._frames.clear()
            self._stirred.set()
            if close_code is not None:
                asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._abort)

    async def frames(self) -> AsyncIterator[Frame]:
        """The frames as they come, until it is over."""
        while not self._over:
            await self._stirred.wait()
            self._stirred.clear()
            while self._frames:
                frame = self._frames.popleft()
                yield frame
                self._behind -= len(frame.text)


class Broadcaster:
    """The endpoint, and all its readers. It listens to the queue while there are any, which keeps no object in memory."""

    def __init__(self, queue: Stub[MessageQueue], *, allowed_origins: frozenset[str], per_address: int) -> None:
        self._queue = queue
        self._allowed_origins = allowed_origins
        self._per_address = per_address
        self._query = QueryReader(Live)
        self._readers: dict[Reader, None] = {}
        self._addresses: Counter[str] = Counter()
        self._unsubscribe: Callable[[], None] | None = None
        self._heartbeat: asyncio.TimerHandle | None = None
        self._changes: list[tuple[int | None, bytes]] = []
        self._seq = 0
        self.too_slow = 0
        """How many readers were cut."""

    def __len__(self) -> int:
        return len(self._readers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One socket, from its handshake to its end."""
        socket = WebSocket(scope, receive, send)
        try:
            if "*" not in self._allowed_origins:
                check_origin(socket, self._allowed_origins)
            since = self._query.read(socket).since
            self._check_room(_address(socket))
        except RequestRefused as error:
            await socket.send_denial_response(problem(error))
            return
        with self._seat(socket) as reader, suppress(WebSocketDisconnect):
            await socket.accept()
            await self._serve(socket, reader, since)

    def _check_room(self, address: str) -> None:
        if self._per_address and self._addresses[address] >= self._per_address:
            raise TooManyReaders(f"{self._per_address} sockets of one address are open already; poll instead")

    @contextmanager
    def _seat(self, socket: WebSocket) -> Iterator[Reader]:
        address = _address(socket)
        reader = Reader(socket.scope.get("extensions", {}).get(ABORT, lambda: None))
        self._addresses[address] += 1
        self._readers[reader] = None
        if self._unsubscribe is None:
            self._unsubscribe = self._queue.subscribe(self._on_event)
            self._beat_later()
        try:
            yield reader
        finally:
            del self._readers[reader]
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]
            self.too_slow += reader.close_code == TOO_SLOW
            if not self._readers:
                self._leave()

    async def _serve(self, socket: WebSocket, reader: Reader, since: int) -> None:
        listening = asyncio.create_task(_listen(socket, reader))
        try:
            seq = await self._catch_up(socket, since)
            async for frame in reader.frames():
                if frame.seq >= seq and (younger := frame.after(seq)):
                    await socket.send_text(younger.text)
        except DurableObjectError:
            reader.end(TRY_AGAIN_LATER)
        finally:
            listening.cancel()
        if reader.close_code is not None:
            await socket.close(reader.close_code)

    async def _catch_up(self, socket: WebSocket, since: int) -> int:
        """Send what changed after the commit ``since``; the commit up to which that is everything."""
        page = await self._queue.call(MessageQueue.changes, since)
        self._seq = max(self._seq, page.seq)
        for start in range(0, max(len(page.messages), 1), MAX_MISSED):
            end = start + MAX_MISSED
            more = end < len(page.messages)
            missed = [(None, events.changed(bytes(wire))) for wire in page.messages[start:end]]
            await socket.send_text(Frame(since if more else page.seq, missed, more=more).text)
        return page.seq

    def _on_event(self, event: bytes) -> None:
        if not self._changes:
            # All events of a commit, and of the calls that it carried, arrive before this runs: they make one frame.
            asyncio.get_running_loop().call_soon(self._tell)
        seq = events.seq_of(event)
        self._changes.append((seq, event))
        self._seq = max(self._seq, seq or 0)

    def _tell(self) -> None:
        changes, self._changes = self._changes, []
        frame = Frame(self._seq, changes)
        for reader in self._readers:
            reader.offer(frame)

    def _beat(self) -> None:
        if not self._changes:
            frame = Frame(self._seq, [])
            for reader in self._readers:
                reader.offer(frame)
        self._beat_later()

    def _beat_later(self) -> None:
        self._heartbeat = asyncio.get_running_loop().call_later(HEARTBEAT_SECONDS, self._beat)

    def _leave(self) -> None:
        assert self._unsubscribe is not None  # noqa: S101 - since there was a reader
        assert self._heartbeat is not None  # noqa: S101 - since there was a reader
        self._unsubscribe()
        self._heartbeat.cancel()
        self._unsubscribe = self._heartbeat = None


def _address(socket: WebSocket) -> str:
    return socket.client.host if socket.client else "unknown"


async def _listen(socket: WebSocket, reader: Reader) -> None:
    """End the reader when it goes, or says something: readers say nothing."""
    message = await socket.receive()
    reader.end(POLICY_VIOLATION if message["type"] == "websocket.receive" else None)
