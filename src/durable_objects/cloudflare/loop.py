"""The running event loop as a ``commits.Loop`` that commits at a pace."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any


class PacedLoop:
    """Starts a job at once when the last one is ``interval_ms`` old, else when it is.

    So a call on a quiet object is answered at once, and many calls on a busy one share a commit. ``on_start`` is called when a
    job is ordered: what it starts runs before the job. ``on_end`` is called when a job has ended, in the same turn.
    """

    def __init__(self, interval_ms: int, *, on_start: Callable[[], object], on_end: Callable[[], object]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_start = on_start
        self._on_end = on_end
        self._interval = interval_ms / 1_000
        self._last = -self._interval
        self._jobs: set[asyncio.Task[None]] = set()
        self.create_future = self._loop.create_future

    def steady_ms(self) -> int:
        """Milliseconds of the loop's own clock."""
        return int(self._loop.time() * 1_000)

    def start(self, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run ``job`` after everything that is ready to run now, when its time has come."""
        self._on_start()
        wait = self._last + self._interval - self._loop.time()
        if wait > 0:
            self._loop.call_later(wait, self._run, job)
        else:
            self._loop.call_soon(self._run, job)

    def spawn(self, job: Coroutine[Any, Any, None]) -> None:
        """Run ``job`` beside everything else."""
        task = self._loop.create_task(job)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    def cancel_all(self) -> None:
        """Run no job any further."""
        for job in self._jobs:
            job.cancel()

    def _run(self, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._last = self._loop.time()
        self.spawn(self._to_its_end(job))

    async def _to_its_end(self, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        await job()
        self._on_end()
