"""Readers of a wall with several gateways, who go on at another one when theirs fails: by poll and by socket.

Each checks that what it gets goes forward: P5 for a reader that changes gateways.
"""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Protocol

import msgspec
from msgspec import Struct
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from saywhatwant.client import ServerUnavailable, WallClient
from saywhatwant.limits import MAX_PAGE
from saywhatwant.message import Message
from saywhatwant.topology import START, Position

POLL_SECONDS = 0.3
"""Pause between two reads."""
RETRY_SECONDS = 0.1
"""Pause before the next gateway is tried."""
OPEN_SECONDS = 5.0
"""How long the handshake of a socket may take."""
MAX_FAULTS = 20
"""Faults that one reader describes."""


class Wait(Struct, frozen=True):
    """A read, from its first attempt to its answer, by the monotonic clock in seconds."""

    begun: float
    ended: float


class Reader(Protocol):
    """Somebody who reads.

    Attributes:
        name: for people.
        first_seen: when each message was first read, by its id.
        last_seen: each message as it was last read, by its id.
        faults: what was read twice, or in the wrong order.
    """

    name: str
    first_seen: dict[str, float]
    last_seen: dict[str, Message]
    faults: list[str]

    async def read(self) -> None:
        """Read for ever, from the beginning of the wall."""

    def lacks(self, wall: Sequence[Message]) -> list[str]:
        """The ids of the messages of which it has not got what is on the wall."""


class PollReader:
    """Reads page after page by ``since``. It gets each message once, as it was then."""

    def __init__(self, name: str, urls: Sequence[str], first: int) -> None:
        self.name = name
        self.first_seen: dict[str, float] = {}
        self.last_seen: dict[str, Message] = {}
        self.faults: list[str] = []
        self.waits: list[Wait] = []
        self.begun = 0.0
        """When the read began that is under way, or the last one."""
        self._urls = urls
        self._gateway = first
        self._since = 0

    async def read(self) -> None:
        """See ``Reader``."""
        async with AsyncExitStack() as opened:
            clients = [await opened.enter_async_context(WallClient(url, patience_seconds=0.001)) for url in self._urls]
            while True:
                self.begun = begun = time.monotonic()
                while (page := await self._page(clients[self._gateway % len(clients)])) is None:
                    self._gateway += 1
                    await asyncio.sleep(RETRY_SECONDS)
                self.waits.append(Wait(begun, time.monotonic()))
                self.take(page)
                if len(page) < MAX_PAGE:
                    await asyncio.sleep(POLL_SECONDS)

    def lacks(self, wall: Sequence[Message]) -> list[str]:
        """See ``Reader``."""
        return [message.id for message in wall if message.id not in self.last_seen]

    async def _page(self, client: WallClient) -> list[Message] | None:
        try:
            return await client.read(self._since, MAX_PAGE)
        except ServerUnavailable:
            return None

    def take(self, page: Sequence[Message]) -> None:
        """Note a page. Messages of several objects may have one timestamp; then they are on one page."""
        since = self._since
        for message in page:
            if message.id in self.last_seen:
                _note(self.faults, f"{message.id} came again")
            if message.timestamp <= since or message.timestamp < self._since:
                _note(self.faults, f"{message.id} with {message.timestamp} came after {self._since}")
            self._since = message.timestamp
            self.last_seen[message.id] = message
            self.first_seen[message.id] = time.monotonic()


class _Event(Struct):
    type: str
    message: Message | None = None


class _Frame(Struct):
    seq: int | str
    events: list[_Event]


_decode = msgspec.json.Decoder(_Frame).decode


class SocketReader:
    """Reads by WebSocket, and resumes from its token. It gets each message whenever that changes."""

    def __init__(self, name: str, urls: Sequence[str], first: int) -> None:
        self.name = name
        self.first_seen: dict[str, float] = {}
        self.last_seen: dict[str, Message] = {}
        self.faults: list[str] = []
        self._urls = urls
        self._gateway = first
        self._position = START

    async def read(self) -> None:
        """See ``Reader``."""
        while True:
            url = self._urls[self._gateway % len(self._urls)].replace("http", "ws", 1)
            try:
                async with connect(
                    f"{url}/api/ws?since={self._position}",
                    compression=None,
                    max_size=None,
                    open_timeout=OPEN_SECONDS,
                    close_timeout=1,
                    proxy=None,
                ) as socket:
                    async for text in socket:
                        self.take(text)
            except (OSError, WebSocketException):
                pass  # as when it is closed
            self._gateway += 1
            await asyncio.sleep(RETRY_SECONDS)

    def lacks(self, wall: Sequence[Message]) -> list[str]:
        """See ``Reader``."""
        return [message.id for message in wall if self.last_seen.get(message.id) != message]

    def take(self, text: str | bytes) -> None:
        """Note a frame."""
        frame = _decode(text)
        now = time.monotonic()
        position = Position.parse(str(frame.seq))
        if self._position.joined(position) != position:
            _note(self.faults, f"the token {position} came after {self._position}")
        # A frame holds whole commits. The token of a wall of several objects has one of each, and a message says not which.
        before = self._position[0] if isinstance(frame.seq, int) else 0
        for event in frame.events:
            message = event.message
            if message is None:
                continue
            known = self.last_seen.get(message.id)
            if message.seq <= before or (known is not None and (message.seq < known.seq or message == known)):
                was = "" if known is None else f", and of commit {known.seq}"
                _note(self.faults, f"{message.id} of commit {message.seq} came after the token {self._position}{was}")
            self.last_seen[message.id] = message
            self.first_seen.setdefault(message.id, now)
        self._position = position


def _note(faults: list[str], fault: str) -> None:
    if len(faults) < MAX_FAULTS:
        faults.append(fault)
