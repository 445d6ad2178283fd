"""``python -m benchmarks.readers``: what readers on WebSockets cost, and how soon one message is with all of them.

The readers are bare sockets in this process, which note when something came and look at nothing; the server is a process of its
own on the same cores.
"""

import argparse
import asyncio
import base64
import os
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple, Self
from urllib.parse import urlsplit

import httpx
import uvloop
from rich.console import Console

from benchmarks.contenders.product import Product
from benchmarks.running import Running

MESSAGES = 20
IDLE_SECONDS = 30
SETTLE_SECONDS = 1.0
PAUSE_SECONDS = 0.1
MAX_MS = 100
MAX_MEGABYTES = 60
MAX_IDLE = 0.02
BODY = {"text": "x" * 300, "username": "Bench", "color": "169080199"}


class Reader(asyncio.Protocol):
    """One open WebSocket."""

    def __init__(self, crowd: "Crowd") -> None:
        self._crowd = crowd
        self._begun = False

    def data_received(self, data: bytes) -> None:
        if not self._begun:
            assert data.startswith(b"HTTP/1.1 101"), data
            self._begun = True
        self._crowd.heard(data)


class Crowd:
    """Readers of one server. ``told`` is set when as many as there are have got a message."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url)
        self._transports: list[asyncio.Transport] = []
        self._waiting = 0
        self.told = asyncio.Event()

    async def grow(self, number: int) -> Self:
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
        """Have ``told`` set when every reader has got one more message."""
        self.told.clear()
        self._waiting = len(self._transports)

    def heard(self, data: bytes) -> None:
        """A reader got something."""
        self._waiting -= data.count(b'"text":"xxx')
        if self._waiting <= 0:
            self.told.set()


class Told(NamedTuple):
    """What so many readers cost, and how soon all of them had a message, in milliseconds."""

    readers: int
    megabytes: float
    idle_share_of_a_core: float
    median_ms: float
    worst_ms: float

    def __str__(self) -> str:
        return (
            f"{self.readers:,} readers: {self.megabytes:.1f} MB, idle {self.idle_share_of_a_core:.2%} of a core; "
            f"post to seen by all: median {self.median_ms:.1f} ms, worst {self.worst_ms:.1f} ms"
        )


def crowd(readers: int) -> Told:
    """Start a server, add readers, let them idle, then post to them."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as directory, Product().start(Path(directory)) as server:
        return uvloop.run(_measured(server, readers))


async def _measured(server: Running, readers: int) -> Told:
    async with httpx.AsyncClient(base_url=server.url, timeout=30) as client:
        (await client.get("/healthz")).raise_for_status()
        before = server.resident_bytes
        crowd = await Crowd(server.url).grow(readers)
        memory = server.resident_bytes - before
        cpu, began = server.cpu_seconds, time.monotonic()
        await asyncio.sleep(IDLE_SECONDS)
        idle = (server.cpu_seconds - cpu) / (time.monotonic() - began)
        times = [await _told(client, crowd) for _ in range(MESSAGES)]
    return Told(readers, memory / 1e6, idle, statistics.median(times), max(times))


async def _told(client: httpx.AsyncClient, crowd: Crowd) -> float:
    crowd.expect()
    began = time.perf_counter()
    (await client.post("/api/comments", json=BODY)).raise_for_status()
    await asyncio.wait_for(crowd.told.wait(), 10)
    took = (time.perf_counter() - began) * 1_000
    await asyncio.sleep(PAUSE_SECONDS)
    return took


def main() -> None:
    """Measure and print; exit status 1 when it is beyond what 1,000 readers may cost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--readers", type=int, nargs="+", default=[100, 1_000])
    held = True
    for readers in parser.parse_args().readers:
        told = crowd(readers)
        Console(highlight=False).print(str(told))
        held &= told.median_ms <= MAX_MS and told.megabytes <= MAX_MEGABYTES and told.idle_share_of_a_core <= MAX_IDLE
    sys.exit(not held)


if __name__ == "__main__":
    main()
