"""A trial: a crowd posts, looks until all has settled or the time is up, and a verdict is made of what it saw."""

import asyncio
from collections.abc import Callable
from secrets import SystemRandom

from msgspec import Struct

from saywhatwant.stress.chaos import LEASE_SECONDS, Chaos, Kill
from saywhatwant.stress.crowd import Crowd, Progress
from saywhatwant.stress.verdict import Verdict

KILLS = 10
CALM_SECONDS = 1.0
"""How long to look for doubles after all has come; with kills a lease more, as a lost claim would come up again then."""
WARM_UP_SECONDS = 1.5
"""Bots take so long to start."""
MAX_FUSE_SECONDS = 0.04
"""A kill comes this soon after some posts were begun, so that it meets them on their way."""
PAUSE_SECONDS = (0.3, 1.0)
"""Between a restart and the next posts."""
DISPLAY_SECONDS = 0.1


class Plan(Struct, frozen=True, kw_only=True):
    """What to do, and how long at most."""

    entity: str
    tabs: int
    messages: int
    limit_seconds: float


class Outcome(Struct, frozen=True, kw_only=True):
    """What came of it."""

    verdict: Verdict
    in_time: bool
    """Whether all settled before the time was up."""
    kills: tuple[Kill, ...] = ()
    struck: int = 0
    """Messages that were between the first try to post and the answer at some kill."""


Watch = Callable[[Progress, int], None]
"""Hears how far it is, and the number of kills."""


async def run(url: str, plan: Plan, watch: Watch, chaos: Chaos | None = None) -> Outcome:
    """Hold the server at ``url`` to its word; with ``chaos``, that one, while it is being killed.

    Raises ``ServerUnavailable`` when nothing answers at the start, and ``ServerRefused`` when it will not have such messages.
    """
    try:
        async with Crowd(url, plan.entity, tabs=plan.tabs, messages=plan.messages) as crowd, asyncio.TaskGroup() as group:
            beside = [group.create_task(crowd.watch()), group.create_task(_display(crowd, watch, chaos))]
            in_time = await _act(crowd, plan, chaos)
            for task in beside:
                task.cancel()
    except ExceptionGroup as errors:
        raise _first(errors) from None
    watch(crowd.progress(), len(chaos.kills) if chaos else 0)
    kills = tuple(chaos.kills) if chaos else ()
    return Outcome(verdict=crowd.verdict(), in_time=in_time, kills=kills, struck=_struck(crowd, kills))


async def _act(crowd: Crowd, plan: Plan, chaos: Chaos | None) -> bool:
    """Whether it was all done in time."""
    try:
        async with asyncio.timeout(plan.limit_seconds):
            if chaos is None:
                await crowd.post(crowd.asked)
                await crowd.settle(CALM_SECONDS)
            else:
                await _post_between_kills(crowd, chaos)
                await crowd.settle(LEASE_SECONDS + CALM_SECONDS)
                await crowd.look_back()
    except TimeoutError:
        return False
    return True


async def _post_between_kills(crowd: Crowd, chaos: Chaos) -> None:
    random = SystemRandom()
    await asyncio.sleep(WARM_UP_SECONDS)
    async with asyncio.TaskGroup() as group:
        for number in range(KILLS):
            batch = [asked for asked in crowd.asked if asked.number * KILLS // len(crowd.asked) == number]
            group.create_task(crowd.post(batch))
            await asyncio.sleep(random.uniform(0, MAX_FUSE_SECONDS))
            await chaos.strike()
            await asyncio.sleep(random.uniform(*PAUSE_SECONDS))


async def _display(crowd: Crowd, watch: Watch, chaos: Chaos | None) -> None:
    while True:
        watch(crowd.progress(), len(chaos.kills) if chaos else 0)
        await asyncio.sleep(DISPLAY_SECONDS)


def _struck(crowd: Crowd, kills: tuple[Kill, ...]) -> int:
    ends = crowd.answered_at()
    return sum(
        any(asked.begun_ms <= kill.at_ms < ends[asked.id] for kill in kills)
        for asked in crowd.asked
        if asked.begun_ms is not None and asked.id in ends
    )


def _first(errors: ExceptionGroup[Exception]) -> Exception:
    first = errors.exceptions[0]
    return _first(first) if isinstance(first, ExceptionGroup) else first
