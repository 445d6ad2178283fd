"""The workloads. Their numbers are those of the first wall's operation, as its operators wrote them down."""

from asyncio import sleep
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from msgspec.structs import replace

from saywhatwant.cost.counts import Counts
from saywhatwant.cost.stage import Stage, stage
from saywhatwant.cost.virtual_time import run

HOUR = 3_600.0
DAY = 24 * HOUR
ENTITIES = 32
AFTERWARDS_SECONDS = 600.0
"""What comes so long after the last answer (alarms) still counts."""
RECONNECT_SECONDS = 6 * HOUR
"""How often networks end the sockets of a tab that stays open."""


class Scenario(NamedTuple):
    """A workload."""

    what: str
    play: Callable[[Stage], Awaitable[Counts]]
    """Plays it; returns what was used."""
    entities: int = ENTITIES
    concurrency: int = 1
    retention: int = 200


async def _arrive(it: Stage, number: int, per_second: float) -> None:
    """So many visitors ask something, at random times."""
    for _ in range(number):
        await sleep(it.random.expovariate(per_second))
        it.ask(it.random.choice(it.tabs), it.any_entity())


async def _evening(it: Stage, *, tabs: int, messages: int, per_second: float, cold_share: float = 0.2) -> Counts:
    await it.fill(talks=it.retention // 5, messages=5)
    await it.open_tabs(tabs)
    async with it.bot(cold_share):
        await sleep(AFTERWARDS_SECONDS)
        it.begin()
        await _arrive(it, messages, per_second)
        seconds = it.used.seconds
        await it.settle(AFTERWARDS_SECONDS)
        return replace(it.used, seconds=seconds)  # of this, a month is so many


async def quiet(it: Stage) -> Counts:
    """A quiet evening."""
    return await _evening(it, tabs=3, messages=120, per_second=80 / HOUR)


async def busy(it: Stage) -> Counts:
    """A wall with ten messages a second."""
    return await _evening(it, tabs=20, messages=400, per_second=10)


async def thousand_users(it: Stage) -> Counts:
    """Ten minutes of a wall with a thousand users."""
    return await _evening(it, tabs=1_000, messages=139, per_second=20_000 / DAY)


async def thirty_tabs(it: Stage) -> Counts:
    """Thirty tabs ask thirty entities, then one asks 160 times in a second."""
    await it.fill(talks=it.retention // 5, messages=5)
    await it.open_tabs(30)
    async with it.bot(cold_share=0):
        it.begin()
        for tab, entity in zip(it.tabs, it.entities.current, strict=True):
            it.ask(tab, entity)
            await sleep(10 / 30)
        await it.settle()
        for _ in range(160):
            it.ask(it.tabs[0], "entity-00")
            await sleep(1 / 160)
        await it.settle(AFTERWARDS_SECONDS)
        return it.used


async def long_talk(it: Stage) -> Counts:
    """One talk of 170 turns, on a wall that keeps 1,800 others."""
    await it.fill(talks=1_800, messages=5)
    await it.open_tabs(1)
    async with it.bot():
        it.begin()
        for _ in range(170):
            await it.ask(it.tabs[0], "entity-00")
            await sleep(it.random.expovariate(1 / 20))
        await it.settle(AFTERWARDS_SECONDS)
        return it.used


async def one_visitor(it: Stage) -> Counts:
    """Six days of a visitor with one tab, which is always open, and 80 messages a month."""
    it.begin()
    await it.open_tabs(1)
    async with it.bot():
        for n in range(24):
            await sleep(RECONNECT_SECONDS)
            await it.tabs[0].disconnect()
            await it.tabs[0].connect()
            if n % 3:
                it.ask(it.tabs[0], it.any_entity())
        await it.settle()
        return it.used


SCENARIOS = {
    "quiet": Scenario("3 tabs, 80 messages an hour, a model that takes 1.2 s or 13 s", quiet),
    "busy": Scenario("20 tabs, 10 messages a second", busy, concurrency=64),
    "thirty-tabs": Scenario("30 tabs ask 30 entities in 10 s, then one asks 160 times in a second", thirty_tabs, entities=30),
    "thousand-users": Scenario("1,000 open tabs, 40,000 messages a day with their answers", thousand_users, concurrency=8),
    "long-talk": Scenario("a talk of 170 turns on a wall that keeps 1,800 others", long_talk, retention=10_000),
    "one-visitor": Scenario("one tab that is always open, 80 messages a month", one_visitor, entities=4),
}


def play(name: str) -> Counts:
    """What the scenario of this name uses."""
    return run(_play(SCENARIOS[name]))


async def _play(scenario: Scenario) -> Counts:
    async with stage(scenario.entities, scenario.concurrency, scenario.retention) as it:
        return await scenario.play(it)
