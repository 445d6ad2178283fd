"""Commits that wait until a test releases them."""

import math
import threading
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

from durable_objects.disk import Change
from durable_objects.embedded import EmbeddedRuntime


class HeldCommits:
    """Stands between a runtime's writer thread and its disk. All commits go through until ``hold`` or ``hold_after``."""

    def __init__(self, runtime: EmbeddedRuntime) -> None:
        self.begun = 0
        self.written = 0
        """How many are on the disk, whether or not the event loop knows it."""
        self._disk_write = runtime.disk.write
        self._changed = threading.Condition()
        self._allowed_before = self._allowed_after = math.inf
        self._error: Exception | None = None
        runtime.disk.write = self._write  # type: ignore[method-assign]

    def _write(self, changes: Iterable[Change]) -> None:
        """A commit, on the writer's thread."""
        self.begun += 1
        with self._changed:
            self._changed.wait_for(lambda: self._allowed_before > 0)
            self._allowed_before -= 1
            error = self._error
        if error is not None:
            raise error
        self._disk_write(changes)
        self.written += 1
        with self._changed:
            self._changed.wait_for(lambda: self._allowed_after > 0)
            self._allowed_after -= 1

    def hold(self) -> None:
        """Hold each commit before any of it is on the disk."""
        self._allow(0, math.inf)

    def hold_after(self) -> None:
        """Hold each commit when it is on the disk, and before the event loop learns that."""
        self._allow(math.inf, 0)

    def let_one_through(self) -> None:
        self._allow(1, math.inf)

    def go_on(self, error: Exception | None = None) -> None:
        """Let all through; with an error, to fail with it."""
        self._allow(math.inf, math.inf, error)

    def _allow(self, before: float, after: float, error: Exception | None = None) -> None:
        with self._changed:
            self._allowed_before, self._allowed_after, self._error = before, after, error
            self._changed.notify()


@asynccontextmanager
async def held_runtime(directory: Path) -> AsyncIterator[tuple[EmbeddedRuntime, HeldCommits]]:
    """A real runtime whose commits wait for the test; what still waits at the end goes through."""
    async with EmbeddedRuntime(directory) as runtime:
        held = HeldCommits(runtime)
        held.hold()
        try:
            yield runtime, held
        finally:
            held.go_on()
