"""``python -m benchmarks.readers``: the cost of readers on WebSockets, and how soon all of them have a message.

The readers are bare sockets in this process that count messages without decoding them. The server is a separate process on the
same cores.
"""

import argparse
import asyncio
import base64
import os
import statistics
import time
from typing import NamedTuple, Self
from urllib.parse import urlsplit

import httpx
import uvloop
from rich.console import Console

from benchmarks.contenders.product import Product
from benchmarks.failures import LoadFailed
from benchmarks.running import Running, allow_open_files, scratch

MESSAGES = 20
IDLE_SECONDS = 30.0
SETTLE_SECONDS = 1.0
PAUSE_SECONDS = 0.1
ARRIVAL_SECONDS = 10.0
MARK = b'"text":"xxx'
BODY = {"text": "x" * 300, "username": "Bench", "color": "169080199"}


class Reader(asyncio.Protocol):
    """One open WebSocket."""

    def __init__(self, readers: "Readers") -> None:
        self._readers = readers
        self._open = False

    def data_received(self, data: bytes) -> None:
        if not self._open:
            assert data.startswith(b"HTTP/1.1 101"), data
            self._open = True
        self._readers.received(data)


class Readers:
    """All readers of one server. ``complete`` is set when each has received one message since ``expect``."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)
        self._transports: list[asyncio.Transport] = []
        self._missing = 0
        self.complete = asyncio.Event()

    async def connect(self, number: int) -> Self:
        """Add readers."""
        host, port = self._address.hostname or "", self._address.port or 80
        key = base64.b64encode(os.urandom(16)).decode()
        handshake = (
            f"GET /api/ws HTTP/1.1\r\nHost: {host}:{port}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        ).encode()
        for _ in range(number):
            transport, _ = await asyncio.get_running_loop().create_connection(lambda: Reader(self), host, port)
            transport.write(handshake)
            self._transports.append(transport)
        await asyncio.sleep(SETTLE_SECONDS)
        return self

    def expect(self) -> None:
        """Expect one more message on each reader."""
        self.complete.clear()
        self._missing = len(self._transports)

    def received(self, data: bytes) -> None:
        """Count the messages in bytes that one reader received."""
        self._missing -= data.count(MARK)
        if self._missing <= 0:
            self.complete.set()


class Delivery(NamedTuple):
    """The cost of readers, and how soon all of them had each message."""

    readers: int
    megabytes: float
    idle_share_of_a_core: float
    seconds: tuple[float, ...]

    def __str__(self) -> str:
        return (
            f"{self.readers:,} readers: {self.megabytes:.1f} MB, idle {self.idle_share_of_a_core:.2%} of a core; "
            f"post to received by all: median {statistics.median(self.seconds) * 1_000:.1f} ms, "
            f"worst {max(self.seconds) * 1_000:.1f} ms"
        )


def deliver(readers: int, *, messages: int = MESSAGES, idle_seconds: float = IDLE_SECONDS) -> Delivery:
    """Start a server, connect readers, let them idle, then post to them.

    Raises ``LoadFailed`` when a message does not reach all of them.
    """
    allow_open_files()
    with scratch() as directory, Product().start(directory) as server:
        return uvloop.run(_measured(server, readers, messages, idle_seconds))


async def _measured(server: Running, number: int, messages: int, idle_seconds: float) -> Delivery:
    async with httpx.AsyncClient(base_url=server.url, timeout=30, trust_env=False) as client:
        (await client.get("/healthz")).raise_for_status()
        before = server.resident_bytes
        readers = await Readers(server.url).connect(number)
        memory = server.resident_bytes - before
        cpu, began = server.cpu_seconds, time.monotonic()
        await asyncio.sleep(idle_seconds)
        idle = (server.cpu_seconds - cpu) / (time.monotonic() - began)
        seconds = tuple([await _delivered(client, readers) for _ in range(messages)])
    return Delivery(number, memory / 1e6, idle, seconds)


async def _delivered(client: httpx.AsyncClient, readers: Readers) -> float:
    readers.expect()
    began = time.perf_counter()
    (await client.post("/api/comments", json=BODY)).raise_for_status()
    try:
        await asyncio.wait_for(readers.complete.wait(), ARRIVAL_SECONDS)
    except TimeoutError:
        raise LoadFailed(f"a message had not reached all readers after {ARRIVAL_SECONDS:g} s") from None
    took = time.perf_counter() - began
    await asyncio.sleep(PAUSE_SECONDS)
    return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readers", type=int, nargs="+", default=[100, 1_000])
    for number in parser.parse_args().readers:
        Console(highlight=False).print(str(deliver(number)))


if __name__ == "__main__":
    main()
