"""Waiting with a deadline, and commits that wait until a test lets them through."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

from durable_objects import EmbeddedRuntime
from durable_objects.commits import Change

DEADLINE_SECONDS = 15.0

ResultT = TypeVar("ResultT")


def run(scenario: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Play ``scenario`` to its end; ``TimeoutError`` when it waits for what does not come."""
    return asyncio.run(asyncio.wait_for(scenario, DEADLINE_SECONDS))


async def until(condition: Callable[[], bool]) -> None:
    """Return once ``condition`` holds."""
    while not condition():  # noqa: ASYNC110 - nobody signals what a test looks for
        await asyncio.sleep(0.002)


async def turns() -> None:
    """Let everything run that could run now."""
    for _ in range(20):
        await asyncio.sleep(0)


class HeldCommits:
    """Stands between a runtime's committer and its disk."""

    def __init__(self, runtime: EmbeddedRuntime) -> None:
        self.begun = 0
        self._commit = runtime._committer._commit
        self._permits = threading.Semaphore(0)
        self._open = False
        runtime._committer._commit = self

    def __call__(self, changes: list[Change]) -> None:
        """A commit, on the committer's thread."""
        self.begun += 1
        if not self._open:
            self._permits.acquire()
        self._commit(changes)

    def let_one_through(self) -> None:
        self._permits.release()

    def let_all_through(self) -> None:
        self._open = True
        self._permits.release()


@asynccontextmanager
async def held_runtime(directory: Path) -> AsyncIterator[tuple[EmbeddedRuntime, HeldCommits]]:
    """A real runtime whose commits wait for the test; whatever still waits at the end goes through."""
    async with EmbeddedRuntime(directory) as runtime:
        held = HeldCommits(runtime)
        try:
            yield runtime, held
        finally:
            held.let_all_through()
