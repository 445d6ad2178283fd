"""A run: tabs post and poll until everything has settled or the time is up. The report is made from what they read."""

import asyncio
from collections.abc import Callable
from secrets import SystemRandom

from msgspec import Struct

from saywhatwant.stress.chaos import LEASE_SECONDS, Chaos, Kill
from saywhatwant.stress.report import Report
from saywhatwant.stress.tabs import Progress, Tabs

KILLS = 10
CALM_SECONDS = 1.0
"""How long to wait for duplicates at the end; with kills one lease longer, after which a lost claim would be repeated."""
WARM_UP_SECONDS = 1.5
"""How long bots take to start."""
MAX_FUSE_SECONDS = 0.04
"""The longest time between the start of posts and a kill, so that some of them are in flight."""
PAUSE_SECONDS = (0.3, 1.0)
"""Between a restart and the next posts."""
DISPLAY_SECONDS = 0.1


class Plan(Struct, frozen=True, kw_only=True):
    """The load of a run, and its time limit."""

    entity: str
    tabs: int
    messages: int
    limit_seconds: float


class Result(Struct, frozen=True, kw_only=True):
    """The outcome of a run."""

    report: Report
    in_time: bool
    """Whether everything settled before the time was up."""
    kills: tuple[Kill, ...] = ()
    in_flight: int = 0
    """Messages that were between first attempt to post and answer when a kill happened."""


OnProgress = Callable[[Progress, int], None]
"""Called with the progress and the number of kills."""


async def run(url: str, plan: Plan, on_progress: OnProgress, chaos: Chaos | None = None) -> Result:
    """Test the server at ``url``. With ``chaos``, ``url`` is its server, which is killed during the test.

    Raises ``ServerUnavailable`` when nothing answers at the start, and ``ServerRefused`` when the server refuses the messages.
    """
    try:
        async with Tabs(url, plan.entity, tabs=plan.tabs, messages=plan.messages) as tabs, asyncio.TaskGroup() as group:
            background = [group.create_task(tabs.poll()), group.create_task(_display(tabs, on_progress, chaos))]
            in_time = await _act(tabs, plan, chaos)
            for task in background:
                task.cancel()
    except ExceptionGroup as errors:
        raise first_error(errors) from None
    on_progress(tabs.progress(), len(chaos.kills) if chaos else 0)
    kills = tuple(chaos.kills) if chaos else ()
    return Result(report=tabs.report(), in_time=in_time, kills=kills, in_flight=_in_flight(tabs, kills))


async def _act(tabs: Tabs, plan: Plan, chaos: Chaos | None) -> bool:
    """Post, kill and wait; returns whether all was done in time."""
    try:
        async with asyncio.timeout(plan.limit_seconds):
            if chaos is None:
                await tabs.post(tabs.probes)
                await tabs.wait_until_settled(CALM_SECONDS)
            else:
                await _post_between_kills(tabs, chaos)
                await tabs.wait_until_settled(LEASE_SECONDS + CALM_SECONDS)
                await tabs.read_again()
    except TimeoutError:
        return False
    return True


async def _post_between_kills(tabs: Tabs, chaos: Chaos) -> None:
    random = SystemRandom()
    await asyncio.sleep(WARM_UP_SECONDS)
    async with asyncio.TaskGroup() as group:
        for number in range(KILLS):
            batch = [probe for probe in tabs.probes if probe.number * KILLS // len(tabs.probes) == number]
            group.create_task(tabs.post(batch))
            await asyncio.sleep(random.uniform(0, MAX_FUSE_SECONDS))
            await chaos.kill_next()
            await asyncio.sleep(random.uniform(*PAUSE_SECONDS))


async def _display(tabs: Tabs, on_progress: OnProgress, chaos: Chaos | None) -> None:
    while True:
        on_progress(tabs.progress(), len(chaos.kills) if chaos else 0)
        await asyncio.sleep(DISPLAY_SECONDS)


def _in_flight(tabs: Tabs, kills: tuple[Kill, ...]) -> int:
    ends = tabs.answered_at()
    return sum(
        any(probe.begun_ms <= kill.at_ms < ends[probe.id] for kill in kills)
        for probe in tabs.probes
        if probe.begun_ms is not None and probe.id in ends
    )


def first_error(errors: ExceptionGroup[Exception]) -> Exception:
    """The first error of a group, however deep it is."""
    first = errors.exceptions[0]
    return first_error(first) if isinstance(first, ExceptionGroup) else first
