"""A scenario in an event loop: played to its end, within a deadline, and how it waits."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

DEADLINE_SECONDS = 15.0

ResultT = TypeVar("ResultT")


def run(scenario: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Play ``scenario`` to its end; ``TimeoutError`` when it waits for what does not come."""
    return asyncio.run(asyncio.wait_for(scenario, DEADLINE_SECONDS))


async def until(condition: Callable[[], bool]) -> None:
    """Return once ``condition`` holds."""
    while not condition():  # noqa: ASYNC110 - nobody signals what a test looks for
        await asyncio.sleep(0.001)


async def turns() -> None:
    """Let everything run that could run now."""
    for _ in range(20):
        await asyncio.sleep(0)
