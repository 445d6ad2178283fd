"""What readers cost: WebSockets at a gateway that gets none of the posts, so that it must follow each commit."""

import asyncio
import time
from typing import NamedTuple

from benchmarks.readers import Readers
from benchmarks.restate.loads import Measured, Posts, put
from benchmarks.restate.systems import System
from benchmarks.running import Running, allow_open_files

MANY = 100
IDLE = 1_000
IDLE_SECONDS = 10.0
SETTLE_SECONDS = 5.0
"""After a thousand connections at once."""
ONE_AFTER_ANOTHER = Posts(1, 1)
"""So that each post is a commit of its own, which is followed by itself."""


class Costs(NamedTuple):
    """See ``model.demands.Readers``; times are seconds."""

    frame: float
    idle: float
    socket_bytes: float
    follow: dict[str, float]


def costs(system: System, seconds: int) -> Costs:
    """Measure on a system with two gateways: the first one gets the posts, the second one has the readers."""
    allow_open_files()
    return asyncio.run(_costs(system, seconds))


async def _costs(system: System, seconds: int) -> Costs:
    first, second = system.urls
    gateway = system.processes["gateway 2"]
    readers = Readers(second)

    async def posts() -> Measured:
        return await asyncio.to_thread(put, ONE_AFTER_ANOTHER, system._replace(urls=(first,)), seconds)

    nobody = await posts()
    await readers.connect(1)
    one = await posts()
    await readers.connect(MANY - 1)
    many = await posts()
    memory, few = gateway.resident_bytes, await _idle(gateway)
    await readers.connect(IDLE)
    await asyncio.sleep(SETTLE_SECONDS)
    idle = max(await _idle(gateway) - few, 0.0) / IDLE
    return Costs(
        frame=max(many.cpu_us["gateway"] - one.cpu_us["gateway"], 0.0) / (MANY - 1) / 1e6,
        idle=idle,
        socket_bytes=(gateway.resident_bytes - memory) / IDLE,
        follow={name: max(one.cpu_us[name] - nobody.cpu_us[name], 0.0) / 1e6 for name in ("gateway", "objects", "restate")},
    )


async def _idle(gateway: Running) -> float:
    """The share of a core that it uses while nothing happens."""
    before, began = gateway.cpu_seconds, time.monotonic()
    await asyncio.sleep(IDLE_SECONDS)
    return (gateway.cpu_seconds - before) / (time.monotonic() - began)
