"""The cost of more retained messages and more objects, and how long a start and a wake take then."""

import asyncio
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from benchmarks.contenders.product import Product
from benchmarks.loads import POSTS_AT_32
from benchmarks.running import Running, scratch
from benchmarks.wrk import measure
from durable_objects import Namespace, Stub
from durable_objects.embedded import EmbeddedRuntime
from saywhatwant.message import NewMessage
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.config import QueueConfig

MESSAGE = NewMessage(text="x" * 300, username="Bench", color="169080199", entity="bench")
POSTS_AT_ONCE = 500
CALLERS = 32
WAKES = 5


class Retained(NamedTuple):
    """The figures of a wall with ``messages`` on it."""

    messages: int
    posts_per_second: float
    resident_megabytes: float
    start_ms: float
    wake_ms: float

    def __str__(self) -> str:
        return (
            f"{self.messages:,} retained: {self.posts_per_second:,.0f} posts/s, {self.resident_megabytes:.0f} MB, "
            f"started in {self.start_ms:.0f} ms, object awake in {self.wake_ms:.1f} ms"
        )


def retained(messages: int, seconds: int) -> Retained:
    """Fill a wall, then measure its wake and a server on it: start, memory at rest, posts."""
    with scratch() as directory:
        wake_ms = asyncio.run(fill(directory / "data", messages))
        began = time.perf_counter()
        with Product().start(directory) as server:
            start_ms = (time.perf_counter() - began) * 1_000
            httpx.get(f"{server.url}/api/stats", timeout=60, trust_env=False).raise_for_status()
            resident = server.resident_bytes / 1e6
            figure = measure(server.url, POSTS_AT_32, seconds)
    return Retained(messages, figure.per_second, resident, start_ms, wake_ms)


async def fill(directory: Path, messages: int) -> float:
    """Store messages in an empty directory; returns the median time of the first call after a start, in milliseconds."""
    wakes = []
    for number in range(WAKES):
        async with EmbeddedRuntime(directory) as runtime:
            queue = _walls(runtime).get("global-queue")
            if number == 0:
                await _post(queue, messages)
                continue
            began = time.perf_counter()
            await queue.call(MessageQueue.stats)
            wakes.append((time.perf_counter() - began) * 1_000)
    return statistics.median(wakes)


def _walls(runtime: EmbeddedRuntime) -> Namespace[MessageQueue]:
    return runtime.namespace("MessageQueue", MessageQueue, QueueConfig(backlog_limit=1_000_000))


async def _post(queue: Stub[MessageQueue], messages: int) -> None:
    for start in range(0, messages, POSTS_AT_ONCE):
        size = min(POSTS_AT_ONCE, messages - start)
        await asyncio.gather(*(queue.call(MessageQueue.post, MESSAGE) for _ in range(size)))


def objects(number: int, posts: int) -> float:
    """Posts a second from 32 callers to ``number`` objects in one runtime, without HTTP."""
    with scratch() as directory:
        return asyncio.run(_posts_to(directory, number, posts))


async def _posts_to(directory: Path, number: int, posts: int) -> float:
    async with EmbeddedRuntime(directory) as runtime:
        walls = _walls(runtime)
        queues = [walls.get(f"wall-{index}") for index in range(number)]
        turns = iter(range(posts))

        async def caller() -> None:
            for turn in turns:
                await queues[turn % number].call(MessageQueue.post, MESSAGE)

        began = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(CALLERS)))
        return posts / (time.perf_counter() - began)


@contextmanager
def fresh() -> Iterator[Running]:
    """Run a server on fresh data until the end of the block."""
    with scratch() as directory, Product().start(directory) as server:
        yield server
