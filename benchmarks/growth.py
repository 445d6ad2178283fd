"""The cost of more retained messages and more objects, and how long a start and a wake take then.

``python -m benchmarks.growth`` prints each figure as soon as it is there; ``python -m benchmarks`` has them too.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
from msgspec.structs import replace

from benchmarks.contenders.product import Product
from benchmarks.failures import NotMeasured, note
from benchmarks.loads import POSTS_AT_32
from benchmarks.running import Running, end_in_order_on_sigterm, scratch
from benchmarks.wrk import measure
from durable_objects import Namespace, Stub
from durable_objects.embedded import EmbeddedRuntime
from saywhatwant.message import NewMessage
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.config import QueueConfig

MESSAGE = NewMessage(text="x" * 300, username="Bench", color="169080199", entity="bench")
FINISHED = replace(MESSAGE, answer=False)
"""Retained messages are finished; unfinished ones are the backlog, which is in memory whole."""
POSTS_AT_ONCE = 500
CALLERS = 32
WAKES = 5
RETAINED = (200, 10_000, 100_000)
OBJECTS = (1, 10, 100, 1_000)
POSTS = 20_000
SECONDS = 4


class Retained(NamedTuple):
    """The figures of a wall with ``messages`` on it."""

    messages: int
    posts_per_second: float
    resident_megabytes: float
    resident_after_posts: float
    start_ms: float
    wakes: "Wakes"

    def __str__(self) -> str:
        return (
            f"{self.messages:,} retained: {self.posts_per_second:,.0f} posts/s, {self.resident_megabytes:.0f} MB, "
            f"{self.resident_after_posts:.0f} MB after the posts, started in {self.start_ms:.0f} ms, {self.wakes}"
        )


class Wakes(NamedTuple):
    """How long the first calls after a start take: a read, then a post, which is compared with all that is retained."""

    read_ms: float
    rows: int
    post_ms: float
    post_rows: int

    def __str__(self) -> str:
        return (
            f"object awake in {self.read_ms:.1f} ms ({self.rows:,} rows), "
            f"its first post in {self.post_ms:.1f} ms ({self.post_rows:,} rows)"
        )


def retained(messages: int, seconds: int) -> Retained:
    """Fill a wall, then measure its wake and a server on it: start, memory at rest, posts."""
    with scratch() as directory:
        wakes = asyncio.run(fill(directory / "data", messages))
        began = time.perf_counter()
        with Product(SWW_RETENTION=str(messages)).start(directory) as server:
            start_ms = (time.perf_counter() - began) * 1_000
            httpx.get(f"{server.url}/api/stats", timeout=60, trust_env=False).raise_for_status()
            resident = server.resident_bytes / 1e6
            figure = measure(server.url, POSTS_AT_32, seconds)
            after_posts = server.resident_bytes / 1e6
    return Retained(messages, figure.per_second, resident, after_posts, start_ms, wakes)


async def fill(directory: Path, messages: int) -> Wakes:
    """Store messages in an empty directory; returns the medians of the first calls after a start."""
    wakes = []
    for number in range(WAKES):
        async with EmbeddedRuntime(directory) as runtime:
            queue = _walls(runtime, messages).get("global-queue")
            if number == 0:
                await _post(queue, messages)
                continue
            times, rows = [time.perf_counter()], [runtime.meter.reads]
            for call in (queue.call(MessageQueue.stats), queue.call(MessageQueue.post, FINISHED)):
                await call
                times.append(time.perf_counter())
                rows.append(runtime.meter.reads)
            wakes.append(
                Wakes((times[1] - times[0]) * 1_000, rows[1] - rows[0], (times[2] - times[1]) * 1_000, rows[2] - rows[1])
            )
    return Wakes(*(statistics.median_low(figures) for figures in zip(*wakes, strict=True)))


def _walls(runtime: EmbeddedRuntime, retention: int = 200) -> Namespace[MessageQueue]:
    config = QueueConfig(retention=retention, max_kept=1_000_000, backlog_limit=1_000_000)
    return runtime.namespace("MessageQueue", MessageQueue, config)


async def _post(queue: Stub[MessageQueue], messages: int) -> None:
    """Many talks of ten messages each."""
    for start in range(0, messages, POSTS_AT_ONCE):
        numbers = range(start, min(start + POSTS_AT_ONCE, messages))
        posts = (replace(FINISHED, username=f"Visitor {number // 10}") for number in numbers)
        await asyncio.gather(*(queue.call(MessageQueue.post, post) for post in posts))


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


def steps(retentions: Sequence[int], numbers: Sequence[int], seconds: int, posts: int = POSTS) -> Iterator[str]:
    """Measure one after another; what could not be measured says so. Each figure is preceded by what is being measured."""
    for messages in retentions:
        yield f"a wall with {messages:,} messages ..."
        try:
            yield str(retained(messages, seconds))
        except NotMeasured as error:
            yield f"not measured: {note(error)}"
    for number in numbers:
        yield f"{posts:,} posts to {number:,} objects ..."
        yield f"{number:,} objects: {objects(number, posts):,.0f} posts/s without HTTP"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.growth", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--retained", type=int, nargs="*", default=RETAINED, help="messages of a wall")
    parser.add_argument("--objects", type=int, nargs="*", default=OBJECTS, help="objects in one runtime")
    parser.add_argument("--seconds", type=int, default=SECONDS, help=f"of the posts to each wall: {SECONDS}")
    arguments = parser.parse_args()
    for line in steps(arguments.retained, arguments.objects, arguments.seconds):
        print(line, flush=True)


if __name__ == "__main__":
    end_in_order_on_sigterm()
    main()
