"""A real server on loopback, in this process and on the event loop of ``sww serve``, and raw connections to it.

A test can hold a commit back, or move the hands of a connection's clock, instead of waiting. Nothing that is played here may
leave a warning in the server's log, but of a disk that a test has fail.
"""

import asyncio
import json
import logging
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvloop

from durable_objects.embedded import EmbeddedRuntime
from held import HeldCommits
from saywhatwant.message import NewMessage
from saywhatwant.queue import MessageQueue
from saywhatwant.settings import load
from saywhatwant.worker import create_worker
from saywhatwant.worker.claim_waiters import ClaimWaiters
from saywhatwant.worker.exchange import ExchangeProtocol
from saywhatwant.worker.server import KEEP_ALIVE_SECONDS, Server, listen
from scenario import until

DEADLINE_SECONDS = 5
OF_THE_DISK = ("the data can ", "the data cannot ")
ALIVE = b'{"status":"alive"}'
"""The body of a probe's answer."""
CLOSE = "Connection: close"
BUFFER_BYTES = 16 * 1024
"""Of the sockets on both sides where a test is about a slow reader: the system would take megabytes by itself."""
FULL = OSError("the disk is full")
LONG_TEXTS = [f"{number:04}{'ä' * 4_996}" for number in range(200)]
"""About 2 MB."""
TWO_BYTES_OF_LENGTH = 126
"""What a WebSocket has in place of a length."""
WALL = "/api/comments"
LITTLE = KEEP_ALIVE_SECONDS / 100

# -- What is said


def request(path: str = WALL, *headers: str, method: str = "GET", version: str = "1.1", body: bytes | None = None) -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: 127.0.0.1", *headers]
    if body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


def post(text: str, *headers: str, path: str = WALL, **more: object) -> bytes:
    body = {"text": text, "username": "Human", "color": "169080199"} if path == WALL else {}
    return request(path, *headers, method="POST", body=json.dumps(body | more).encode())


CHUNKED = request(WALL, "Transfer-Encoding: chunked", method="POST")
"""A post up to where its body begins."""


def claim(wait: float) -> bytes:
    return post("", path="/api/queue/claim", workerId="worker-1", wait=wait)


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def texts(self) -> list[str]:
        """Those of a wall, oldest first."""
        assert self.status == 200
        return [message["text"] for message in reversed(json.loads(self.body))]


class Client:
    """One raw connection. It takes no more from its socket than it was asked for, and some KiB."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self._writer = reader, writer
        self.address = writer.get_extra_info("sockname")

    def send(self, *requests: bytes) -> None:
        self._writer.write(b"".join(requests))

    async def head(self) -> Answer:
        """An answer's status and headers."""
        status, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        assert status.startswith("HTTP/1.1 "), "nothing stands between two answers"
        pairs = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines)]
        assert len(dict(pairs)) == len(pairs), "no header comes twice"
        return Answer(int(status.split()[1]), dict(pairs), b"")

    async def answer(self) -> Answer:
        head = await self.head()
        return head._replace(body=await self.reader.readexactly(int(head.headers.get("content-length", 0))))

    async def ask(self, *requests: bytes) -> Answer:
        self.send(*requests)
        return await self.answer()

    async def frame(self) -> str:
        """One frame of a WebSocket, of less than 64 KiB."""
        length = (await self.reader.readexactly(2))[1]
        if length == TWO_BYTES_OF_LENGTH:
            length = int.from_bytes(await self.reader.readexactly(2))
        return (await self.reader.readexactly(length)).decode()

    @property
    def heard(self) -> bytes:
        """What has come and was not asked for yet."""
        return bytes(self.reader._buffer)  # type: ignore[attr-defined]

    async def assert_closed(self) -> None:
        assert await self.reader.read() == b""

    async def leave(self, *, by_reset: bool = False) -> None:
        if by_reset:
            self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.close()


# -- Where it is said


@dataclass
class Timer:
    when: float
    ring: Callable[[], None]
    cancel: Callable[[], None] = field(init=False)


class Clock:
    """A connection's event loop, but with hands that a test moves."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._now = 0.0
        self.timers: list[Timer] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def time(self) -> float:
        return self._now

    def call_later(self, delay: float, ring: Callable[[], None]) -> Timer:
        timer = Timer(self._now + delay, ring)
        timer.cancel = lambda: self.timers.remove(timer) if timer in self.timers else None
        self.timers.append(timer)
        return timer

    def advance(self, seconds: float) -> None:
        until = self._now + seconds
        while due := [timer for timer in self.timers if timer.when <= until]:
            timer = min(due, key=lambda timer: timer.when)
            self.timers.remove(timer)
            self._now = timer.when
            timer.ring()
        self._now = until


@dataclass
class Stage:
    server: Server
    commits: HeldCommits
    room: ClaimWaiters
    address: tuple[str, int]
    clients: AsyncExitStack

    async def client(self, *, buffer_bytes: int = 0) -> Client:
        sock = socket.socket()
        if buffer_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        sock.setblocking(False)  # noqa: FBT003 - so is its signature
        await asyncio.get_running_loop().sock_connect(sock, self.address)
        client = Client(*await asyncio.open_connection(sock=sock, limit=BUFFER_BYTES))
        self.clients.push_async_callback(client.leave)
        if buffer_bytes:
            sending: socket.socket = (await self.protocol(client)).transport.get_extra_info("socket")
            sending.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
        return client

    async def protocol(self, client: Client) -> ExchangeProtocol:
        """The server's end of a connection."""
        found: list[ExchangeProtocol] = []

        def look() -> bool:
            connections: Any = self.server.server_state.connections
            found[:] = [protocol for protocol in connections if protocol.client == client.address]
            return bool(found)

        await until(look)
        return found[0]

    async def clocked(self, *, buffer_bytes: int = 0) -> tuple[Client, Clock]:
        """A client and the clock of the server's end."""
        client = await self.client(buffer_bytes=buffer_bytes)
        protocol = await self.protocol(client)
        clock = Clock(protocol.loop)
        protocol.loop = clock  # type: ignore[assignment] # as much of one as the protocol uses
        return client, clock

    async def under_way(self, tasks: int) -> None:
        """Return once so many requests wait for something."""
        await until(lambda: len(self.server.server_state.tasks) == tasks)

    async def waiting_claim(self, client: Client) -> None:
        """Have a client claim what is not there yet; return once it waits."""
        client.send(claim(wait=60))
        await until(lambda: len(self.room) == 1)

    async def hang(self, *texts: str) -> None:
        """Put messages on the wall, in one commit."""
        new = [NewMessage(text=text, username="Human", color="169080199") for text in texts]
        await asyncio.gather(*[self.room._queue.call(MessageQueue.post, message) for message in new])


@asynccontextmanager
async def stage(data: Path, **given: Any) -> AsyncIterator[Stage]:
    """Hold it inside a running event loop."""
    settings = load(bind="127.0.0.1:0", data=data, **given)
    runtime = EmbeddedRuntime(settings.data)
    worker = create_worker(runtime, settings)
    ready = asyncio.Event()
    server = Server(worker, settings, on_ready=lambda _: ready.set())
    sock = listen(settings)
    async with runtime, AsyncExitStack() as clients:
        commits = HeldCommits(runtime)
        address = sock.getsockname()
        serving = asyncio.create_task(server.serve([sock]))
        await ready.wait()
        try:
            yield Stage(server, commits, worker.waiters, address, clients)
        finally:
            commits.go_on()
            await clients.aclose()
            if not server.should_exit:
                # A stop in order takes a fifth of a second.
                serving.cancel()
                sock.close()
            with suppress(asyncio.CancelledError):
                await serving
            for listening in server.servers:
                listening.close()
            async with asyncio.timeout(DEADLINE_SECONDS):
                await until(lambda: not server.server_state.connections and not server.server_state.tasks)


class Play:
    """Plays a scenario to its end, on a stage of its own."""

    def __init__(self, directory: Path, caplog: pytest.LogCaptureFixture) -> None:
        self._data = directory / "data"
        self._caplog = caplog

    def __call__(self, scenario: Callable[[Stage], Awaitable[None]], **given: object) -> None:
        """``given`` are settings."""

        async def in_time() -> None:
            async with stage(self._data, **given) as it, asyncio.timeout(DEADLINE_SECONDS):
                await scenario(it)

        uvloop.run(in_time())
        troubles = [record.getMessage() for record in self._caplog.records if record.levelno >= logging.WARNING]
        assert [trouble for trouble in troubles if not trouble.startswith(OF_THE_DISK)] == []
