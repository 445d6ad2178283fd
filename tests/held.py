"""Commits that wait until a test lets them through."""

import math
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from durable_objects.commits import Change
from durable_objects.embedded import EmbeddedRuntime


class HeldCommits:
    """Stands between a runtime's committer and its disk. All commits go through until ``hold``."""

    def __init__(self, runtime: EmbeddedRuntime) -> None:
        self.begun = 0
        self._commit = runtime._committer._commit
        self._change = threading.Condition()
        self._allow(math.inf)
        runtime._committer._commit = self

    def __call__(self, changes: list[Change]) -> None:
        """A commit, on the committer's thread."""
        self.begun += 1
        with self._change:
            self._change.wait_for(lambda: self._allowed > 0)
            self._allowed -= 1
            error = self._error
        if error is not None:
            raise error
        self._commit(changes)

    def hold(self) -> None:
        self._allow(0)

    def let_one_through(self) -> None:
        self._allow(1)

    def go_on(self, error: OSError | None = None) -> None:
        """Let all through; with an error, to fail with it."""
        self._allow(math.inf, error)

    def _allow(self, commits: float, error: OSError | None = None) -> None:
        with self._change:
            self._allowed, self._error = commits, error
            self._change.notify()


@asynccontextmanager
async def held_runtime(directory: Path) -> AsyncIterator[tuple[EmbeddedRuntime, HeldCommits]]:
    """A real runtime whose commits wait for the test; whatever still waits at the end goes through."""
    async with EmbeddedRuntime(directory) as runtime:
        held = HeldCommits(runtime)
        held.hold()
        try:
            yield runtime, held
        finally:
            held.go_on()
