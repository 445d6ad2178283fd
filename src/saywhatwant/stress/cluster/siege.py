"""A siege: visitors post and readers read while every process of a cluster is killed in turn and started again."""

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import cycle, islice
from random import SystemRandom

from msgspec import Struct

from saywhatwant.stress.cluster.crowd import Crowd
from saywhatwant.stress.cluster.target import Kill, Target
from saywhatwant.stress.cluster.verdict import Verdict, judge
from saywhatwant.stress.runner import CALM_SECONDS, first_error

WARM_UP_SECONDS = 2.0
"""How long all is well before the first kill."""
PAUSE_SECONDS = 1.0
"""At least, between two kills."""
MAX_FUSE_SECONDS = 0.05
"""The longest time between the start of a post and a kill, so that some calls are in flight."""
LOOK_SECONDS = 0.002


class SiegePlan(Struct, frozen=True, kw_only=True):
    """The load of a run, and its time limit."""

    entities: Sequence[str]
    """Who is asked."""
    visitors: int
    kills: int
    """How many processes are killed."""
    calm_seconds: float
    """How long to wait for duplicates at the end: more than a lease, after which a lost claim would be repeated."""
    settle_seconds: float
    """How long it may take at the end until all is answered and read."""


class SiegeResult(Struct, frozen=True, kw_only=True):
    """The outcome of a run."""

    verdict: Verdict
    seconds: float
    """How long visitors posted."""


OnProgress = Callable[[int, int], None]
"""Called with the number of accepted messages, and of kills."""


async def besiege(urls: Sequence[str], targets: Sequence[Target], plan: SiegePlan, on_progress: OnProgress) -> SiegeResult:
    """Kill the ``targets`` in turn, under load at ``urls``, the gateways of an empty wall.

    Raises ``ServerUnavailable`` when a process does not come back.
    """
    kills: list[Kill] = []
    try:
        async with Crowd(urls, plan.entities, plan.visitors) as crowd:
            begun = time.monotonic()
            over = asyncio.Event()
            async with asyncio.TaskGroup() as group:
                group.create_task(crowd.post_until(over))
                await asyncio.sleep(WARM_UP_SECONDS)
                rests: dict[str, float] = {}
                for target in islice(cycle(targets), plan.kills):
                    await asyncio.sleep(max(PAUSE_SECONDS, rests.get(target.kind, 0.0) - time.monotonic()))
                    kills.append(await _kill(target, crowd, plan.settle_seconds))
                    rests[target.kind] = kills[-1].ready_at + target.rest_seconds
                    on_progress(sum(posted.id is not None for posted in crowd.posted), len(kills))
                over.set()
            seconds = time.monotonic() - begun
            in_time = True
            try:
                async with asyncio.timeout(plan.settle_seconds):
                    await crowd.wait_until_settled()
                    await asyncio.sleep(plan.calm_seconds + CALM_SECONDS)
                    await crowd.wait_until_settled()
            except TimeoutError:
                in_time = False
            walls = [await crowd.wall(url) for url in urls]
    except ExceptionGroup as errors:
        raise first_error(errors) from None
    return SiegeResult(verdict=judge(crowd, kills, walls, in_time=in_time), seconds=seconds)


async def _kill(target: Target, crowd: Crowd, limit_seconds: float) -> Kill:
    """Kill it while somebody waits, start it again, and return once all those who waited have been answered."""
    while not crowd.under_way():  # noqa: ASYNC110 - the visitors go on
        await asyncio.sleep(LOOK_SECONDS)
    await asyncio.sleep(SystemRandom().uniform(0, MAX_FUSE_SECONDS))
    at, posts, unanswered = time.monotonic(), crowd.under_way(), crowd.unanswered()
    await target.kill()
    await target.start()
    ready_at = time.monotonic()
    with suppress(TimeoutError):
        async with asyncio.timeout(limit_seconds):
            while not crowd.is_answered(ready_at):  # noqa: ASYNC110 - as above
                await asyncio.sleep(LOOK_SECONDS)
    return Kill(name=target.name, at=at, ready_at=ready_at, posts=posts, unanswered=unanswered)
