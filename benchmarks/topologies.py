"""What a round trip costs in each topology: ``python -m benchmarks.topologies``.

A post, a claim and an answer, without HTTP, on the embedded runtime with its fsyncs: rows written and removed, commits of
objects, and milliseconds. Topologies are interleaved; the medians of the rounds are printed.
"""

import asyncio
import time
from collections.abc import Coroutine
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, get_args

from rich.console import Console
from rich.table import Table

from benchmarks.running import scratch
from durable_objects.embedded import EmbeddedRuntime
from saywhatwant.message import NewMessage, decode
from saywhatwant.queue.config import QueueConfig
from saywhatwant.schemas import Reply
from saywhatwant.topology import Topology, Wall, open_wall

ROUNDS = 5
TRIPS = 200
CALLERS = (1, 32)
ENTITIES = tuple(f"entity-{number}" for number in range(4))


class Cost(NamedTuple):
    """Per round trip."""

    milliseconds: float
    rows: float
    """Entries put and deleted."""
    commits: float
    """Commits of objects; those that come together cost one fsync."""
    syncs: float


async def _trip(wall: Wall, number: int) -> None:
    entity = ENTITIES[number % len(ENTITIES)]
    await wall.post(NewMessage(text="x" * 300, username=f"Bench {number % 8}", color="169080199", entity=entity))
    while True:
        claimed = await wall.claim_next("bot", (entity,), context=20)
        if claimed.messages:
            break
    message = decode(claimed.messages[0])
    await wall.complete(message.id, "bot", message.bot_params.attempt, Reply("y" * 300))


async def _measure(directory: Path, topology: Topology, callers: int) -> Cost:
    runtime = EmbeddedRuntime(directory)
    wall = open_wall(runtime, QueueConfig(entities=ENTITIES), topology)
    async with runtime:
        await _together(wall, callers, callers)
        meter = runtime.meter
        before = (meter.writes + meter.deletes, meter.commit_calls, meter.commits)
        start = time.perf_counter()
        await _together(wall, callers, TRIPS)
        seconds = time.perf_counter() - start
        after = (meter.writes + meter.deletes, meter.commit_calls, meter.commits)
    return Cost(seconds * 1_000 / TRIPS, *((later - earlier) / TRIPS for earlier, later in zip(before, after, strict=True)))


async def _together(wall: Wall, callers: int, trips: int) -> None:
    async def call(first: int) -> None:
        for number in range(first, trips, callers):
            await _trip(wall, number)

    calls: list[Coroutine[Any, Any, None]] = [call(first) for first in range(callers)]
    await asyncio.gather(*calls)


def main() -> None:
    """Measure and print."""
    table = Table("topology", "callers", "ms", "rows", "commits", "fsyncs")
    topologies: tuple[Topology, ...] = get_args(Topology)
    costs: dict[tuple[Topology, int], list[Cost]] = {}
    for _ in range(ROUNDS):
        for callers in CALLERS:
            for topology in topologies:
                with scratch() as directory:
                    costs.setdefault((topology, callers), []).append(asyncio.run(_measure(directory, topology, callers)))
    for (topology, callers), found in costs.items():
        figures = [median(figures) for figures in zip(*found, strict=True)]
        table.add_row(topology, str(callers), f"{figures[0]:.2f}", *(f"{figure:.1f}" for figure in figures[1:]))
    Console().print(table)


if __name__ == "__main__":
    main()
