"""What more of everything costs: retained messages, objects; and how long a start and a wake take."""

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import httpx

from benchmarks.contenders.product import Product
from benchmarks.load import Load, wrk
from benchmarks.running import Running
from durable_objects import Stub
from durable_objects.embedded import EmbeddedRuntime
from saywhatwant.message import NewMessage
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.config import QueueConfig

TEXT = "x" * 300
POSTS_AT_ONCE = 500
WAKES = 5


class Retained(NamedTuple):
    """A wall with so many messages on it."""

    messages: int
    posts_per_second: float
    resident_megabytes: float
    start_ms: float
    wake_ms: float


def retained(messages: int, seconds: float) -> Retained:
    """Fill a wall, then measure its wake, and a server on it: its start, its memory at rest, its posts."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as data:
        directory = Path(data)
        wake_ms = asyncio.run(_filled(directory, messages))
        began = time.perf_counter()
        with Product("filled").start(directory) as server:
            start_ms = (time.perf_counter() - began) * 1_000
            httpx.get(f"{server.url}/api/stats", timeout=60).raise_for_status()
            resident = server.resident_bytes / 1e6
            figure, _ = wrk(server.url, Load("/api/comments", 32, "post.lua"), seconds)
    return Retained(messages, figure.per_second, resident, start_ms, wake_ms)


async def _filled(directory: Path, messages: int) -> float:
    """Put messages there; the median time of a first call, in milliseconds."""
    wakes = []
    for number in range(WAKES):
        async with EmbeddedRuntime(directory) as runtime:
            queue = _queue(runtime, "global-queue")
            if number == 0:
                await _post(queue, messages)
                continue
            began = time.perf_counter()
            await queue.call(MessageQueue.stats)
            wakes.append((time.perf_counter() - began) * 1_000)
    return statistics.median(wakes)


def _queue(runtime: EmbeddedRuntime, name: str) -> Stub[MessageQueue]:
    policy = QueueConfig(backlog_limit=1_000_000)
    return runtime.namespace("MessageQueue", partial(MessageQueue, policy=policy)).get(name)


async def _post(queue: Stub[MessageQueue], messages: int) -> None:
    new = NewMessage(text=TEXT, username="Bench", color="169080199", entity="bench")
    for start in range(0, messages, POSTS_AT_ONCE):
        size = min(POSTS_AT_ONCE, messages - start)
        await asyncio.gather(*(queue.call(MessageQueue.post, new) for _ in range(size)))


def objects(number: int, posts: int) -> float:
    """Posts a second from 32 callers to so many objects in one runtime, without HTTP."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as data:
        return asyncio.run(_posts_to(Path(data), number, posts))


async def _posts_to(directory: Path, number: int, posts: int) -> float:
    async with EmbeddedRuntime(directory) as runtime:
        namespace = runtime.namespace("MessageQueue", partial(MessageQueue, policy=QueueConfig(backlog_limit=1_000_000)))
        queues = [namespace.get(f"wall-{index}") for index in range(number)]
        new = NewMessage(text=TEXT, username="Bench", color="169080199", entity="bench")
        turns = iter(range(posts))

        async def caller() -> None:
            for turn in turns:
                await queues[turn % number].call(MessageQueue.post, new)

        began = time.perf_counter()
        await asyncio.gather(*(caller() for _ in range(32)))
        return posts / (time.perf_counter() - began)


@contextmanager
def fresh() -> Iterator[Running]:
    """A server on fresh data."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as data, Product().start(Path(data)) as server:
        yield server
