"""A real server on loopback, in this process and on the event loop of ``sww serve``, and raw connections to it.

A connection's time is a clock of its own that the test moves. A test can hold a commit back. Nothing may leave a warning in
the server's log, except what it reports of a disk that the test has fail.
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
from saywhatwant.settings import load
from saywhatwant.worker import create_worker
from saywhatwant.worker.claim_waiters import ClaimWaiters
from saywhatwant.worker.handover import Handover
from saywhatwant.worker.http_protocol import LimitedProtocol
from saywhatwant.worker.server import Server, listen
from scenario import until
from servers import DEADLINE_SECONDS

DISK_ERRORS = ("the data can ", "the data cannot ")
ALIVE = b'{"status":"alive"}'
"""The body of a probe's response."""
CLOSE = "Connection: close"
BUFFER_BYTES = 16 * 1024
"""Socket buffers on both sides where a test is about a slow reader: the system would take megabytes by itself."""
FULL = OSError("the disk is full")
LONG_TEXTS = [f"{number:04}{'ä' * 4_996}" for number in range(200)]
"""About 2 MB."""
TWO_BYTES_OF_LENGTH = 126
"""What a WebSocket frame has in place of its length."""
WALL = "/api/comments"

# -- Requests


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


class Response(NamedTuple):
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def texts(self) -> list[str]:
        """Those of a list of messages, oldest first."""
        assert self.status == 200
        return [message["text"] for message in reversed(json.loads(self.body))]


# -- A connection


@dataclass
class Timer:
    when: float
    callback: Callable[[], None]
    cancel: Callable[[], None] = field(init=False)


class Clock:
    """A connection's event loop, with a time that a test moves."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._now = 0.0
        self.timers: list[Timer] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def time(self) -> float:
        return self._now

    def call_later(self, delay: float, callback: Callable[[], None]) -> Timer:
        timer = Timer(self._now + delay, callback)
        timer.cancel = lambda: self.timers.remove(timer) if timer in self.timers else None
        self.timers.append(timer)
        return timer

    def advance(self, seconds: float) -> None:
        until = self._now + seconds
        while due := [timer for timer in self.timers if timer.when <= until]:
            timer = min(due, key=lambda timer: timer.when)
            self.timers.remove(timer)
            self._now = timer.when
            timer.callback()
        self._now = until


class TestedProtocol(LimitedProtocol):
    """The server's end of a connection, on a clock of its own."""

    __test__ = False
    loop: Any

    def __init__(self, *args: Any, _loop: object = None, **kwargs: Any) -> None:
        super().__init__(*args, _loop=Clock(asyncio.get_running_loop()), **kwargs)
        self.received_bytes = 0

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self.received_bytes += len(data)

    @property
    def clock(self) -> Clock:
        clock = self.loop
        assert isinstance(clock, Clock)
        return clock

    @property
    def is_open(self) -> bool:
        return self in self.connections


class _Reader(asyncio.StreamReader):
    received_bytes = 0

    def feed_data(self, data: Any) -> None:
        self.received_bytes += len(data)
        super().feed_data(data)


class Client:
    """One raw connection. It takes no more from its socket than it was asked for, and some KiB."""

    def __init__(self, reader: _Reader, writer: asyncio.StreamWriter, protocol: TestedProtocol) -> None:
        self.reader, self._writer = reader, writer
        self.protocol, self.clock = protocol, protocol.clock
        self._sent_bytes = 0

    def send(self, *requests: bytes) -> None:
        data = b"".join(requests)
        self._sent_bytes += len(data)
        self._writer.write(data)

    async def delivered(self) -> None:
        """Return once the server has read all that was sent."""
        await until(lambda: self.protocol.received_bytes == self._sent_bytes)

    async def head(self) -> Response:
        """A response's status and headers."""
        status, *lines = (await self.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
        assert status.startswith("HTTP/1.1 "), "nothing stands between two responses"
        pairs = [(name.lower(), value) for name, _, value in (line.partition(": ") for line in lines)]
        assert len(dict(pairs)) == len(pairs), "no header comes twice"
        return Response(int(status.split()[1]), dict(pairs), b"")

    async def response(self) -> Response:
        head = await self.head()
        return head._replace(body=await self.reader.readexactly(int(head.headers.get("content-length", 0))))

    async def fetch(self, *requests: bytes) -> Response:
        self.send(*requests)
        return await self.response()

    async def frame(self) -> str:
        """One frame of a WebSocket, of less than 64 KiB."""
        length = (await self.reader.readexactly(2))[1]
        if length == TWO_BYTES_OF_LENGTH:
            length = int.from_bytes(await self.reader.readexactly(2))
        return (await self.reader.readexactly(length)).decode()

    @property
    def received_bytes(self) -> int:
        """What has come, read by the test or not."""
        return self.reader.received_bytes

    async def assert_closed(self) -> None:
        assert await self.reader.read() == b""

    async def closed_by_server(self) -> None:
        """Return once the server has let go of the connection."""
        await until(lambda: not self.protocol.is_open)

    async def close(self, *, by_reset: bool = False) -> None:
        if by_reset:
            self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._writer.close()


# -- The server


@dataclass
class Harness:
    server: Server
    commits: HeldCommits
    waiters: ClaimWaiters
    address: tuple[str, int]
    clients: AsyncExitStack
    serving: asyncio.Task[None]
    refused: list[int]
    """The status of each refusal that no route has made."""

    async def client(self, *, buffer_bytes: int = 0) -> Client:
        loop = asyncio.get_running_loop()
        sock = socket.socket()
        if buffer_bytes:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        sock.setblocking(False)  # noqa: FBT003 - so is its signature
        await loop.sock_connect(sock, self.address)
        reader = _Reader(limit=BUFFER_BYTES, loop=loop)
        transport, protocol = await loop.create_connection(lambda: asyncio.StreamReaderProtocol(reader), sock=sock)
        writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        client = Client(reader, writer, await self._server_end(sock.getsockname()))
        self.clients.push_async_callback(client.close)
        if buffer_bytes:
            sending: socket.socket = client.protocol.transport.get_extra_info("socket")
            sending.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
        return client

    async def _server_end(self, address: tuple[str, int]) -> TestedProtocol:
        found: list[TestedProtocol] = []

        def is_there() -> bool:
            connections: Any = self.server.server_state.connections
            found[:] = [protocol for protocol in connections if protocol.client == address]
            return bool(found)

        await until(is_there)
        return found[0]

    async def stopped(self) -> None:
        """Return once the server has stopped."""
        await self.serving

    async def until_tasks(self, count: int) -> None:
        """Return once this number of requests wait for something."""
        await until(lambda: len(self.server.server_state.tasks) == count)

    async def start_claim(self, client: Client) -> None:
        """Have a client claim what is not there yet; return once it waits."""
        client.send(claim(wait=60))
        await until(lambda: len(self.waiters) == 1)

    async def add_messages(self, *texts: str) -> None:
        """Add messages, in one commit."""
        new = [NewMessage(text=text, username="Human", color="169080199") for text in texts]
        await asyncio.gather(*[self.waiters._wall.post(message) for message in new])


@asynccontextmanager
async def running_server(data: Path, handover: Handover | None = None, **given: Any) -> AsyncIterator[Harness]:
    """Use it inside a running event loop; ``given`` are settings."""
    settings = load(bind="127.0.0.1:0", data=data, **given)
    runtime = EmbeddedRuntime(settings.data)
    refused: list[int] = []
    worker = create_worker(runtime, settings)._replace(on_refused=refused.append)
    ready = asyncio.Event()
    server = Server(worker, settings, on_ready=lambda _: ready.set(), protocol=TestedProtocol, handover=handover)
    sock = listen(settings)
    async with runtime, AsyncExitStack() as clients:
        commits = HeldCommits(runtime)
        address = sock.getsockname()
        serving = asyncio.create_task(server.serve([sock]))
        await ready.wait()
        try:
            yield Harness(server, commits, worker.waiters, address, clients, serving, refused)
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
            await until(lambda: not server.server_state.connections and not server.server_state.tasks)


class Run:
    """Runs a scenario to its end, with a server of its own."""

    def __init__(self, directory: Path, caplog: pytest.LogCaptureFixture) -> None:
        self._data = directory / "data"
        self._caplog = caplog

    def __call__(
        self, scenario: Callable[[Harness], Awaitable[None]], *, handover: Handover | None = None, **given: object
    ) -> None:
        """``given`` are settings."""

        async def whole() -> None:
            async with asyncio.timeout(DEADLINE_SECONDS), running_server(self._data, handover, **given) as harness:
                await scenario(harness)

        uvloop.run(whole())
        warnings = [record.getMessage() for record in self._caplog.records if record.levelno >= logging.WARNING]
        assert [warning for warning in warnings if not warning.startswith(DISK_ERRORS)] == []
