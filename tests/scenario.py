"""Run a coroutine of a test in an event loop, and wait inside it."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from servers import DEADLINE_SECONDS

ResultT = TypeVar("ResultT")


def run(scenario: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run ``scenario`` to its end; ``TimeoutError`` when it hangs."""
    return asyncio.run(asyncio.wait_for(scenario, DEADLINE_SECONDS))


async def until(condition: Callable[[], bool]) -> None:
    """Return once ``condition`` holds."""
    while not condition():  # noqa: ASYNC110 - there is no event to wait for
        await asyncio.sleep(0.001)


async def turns() -> None:
    """Let the tasks that are ready run."""
    for _ in range(20):
        await asyncio.sleep(0)
