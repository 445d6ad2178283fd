"""The default runtime: this process, one SQLite file."""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Self

from durable_objects.embedded.disk import SqliteDisk
from durable_objects.embedded.lock import DirectoryLock
from durable_objects.embedded.loop import AsyncioLoop
from durable_objects.embedded.store import Upgrade
from durable_objects.errors import RuntimeClosed
from durable_objects.files import make_directory
from durable_objects.limits import IDLE_SECONDS, MAX_COMMIT_WAIT_SECONDS
from durable_objects.local import LocalRuntime, log
from durable_objects.meter import Meter

_TICK_MS = 1_000
"""The longest time between two calls of ``run_due``: a step of the wall clock delays no alarm by more than this."""


class EmbeddedRuntime(LocalRuntime):
    """Objects in this process's event loop, durable in ``directory``.

    An asynchronous context manager: entering it locks the directory, opens the data and runs overdue alarms; leaving it waits
    for unfinished writes, for ``MAX_COMMIT_WAIT_SECONDS`` at most. Raises ``DataLocked`` or ``DataUnreadable`` on entering.

    Args:
        directory: the directory of the data; made if it is missing.
        idle_seconds: an object without a call for this long is dropped from memory; it stays at most twice as long.
        clock: milliseconds since 1970.
        upgrades: for each earlier version of the data, what converts the objects' entries to the next one. All run in one
            transaction. Data of a version without one is refused with ``DataUnreadable``.
    """

    def __init__(
        self,
        directory: Path | str,
        *,
        idle_seconds: float = IDLE_SECONDS,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        upgrades: Mapping[int, Upgrade] | None = None,
    ) -> None:
        self.directory = Path(directory)
        meter = Meter()
        self.disk = SqliteDisk(self.directory, upgrades, meter)
        self._lock = DirectoryLock(self.directory)
        self._idle_seconds = idle_seconds
        self._timer: asyncio.TimerHandle
        self._tick_at = 0
        """When the timer is due, by the wall clock at the time it was set."""
        self._eviction: asyncio.TimerHandle
        self._jobs: set[asyncio.Task[None]] = set()
        new_seed = partial(Random(os.urandom(16)).getrandbits, 64)  # noqa: S311 - ids and jitter, no secrets
        super().__init__(self.disk, clock=clock, new_seed=new_seed, meter=meter)

    async def __aenter__(self) -> Self:
        make_directory(self.directory)
        self._lock.acquire()
        try:
            self.disk.open()
            self._start(AsyncioLoop())
        except BaseException:
            self.disk.close()
            self._lock.release()
            raise
        self._set_timer()
        self._eviction = asyncio.get_running_loop().call_later(self._idle_seconds, self._evict)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._running = False
        self.listeners.end(RuntimeClosed("the runtime has stopped"))
        self._eviction.cancel()
        self._outboxes.close()
        for job in self._jobs:
            job.cancel()
        try:
            async with asyncio.timeout(MAX_COMMIT_WAIT_SECONDS):
                await self.commits.drain()
        except TimeoutError:
            # The directory stays locked, since the thread's write may still reach the disk.
            log.error("changes were not written to %s before the end: %s", self.directory, self.commits.error)
        else:
            self.disk.close()
            self._lock.release()
        finally:
            self._live.clear()
            self._timer.cancel()

    def _spawn(self, job: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(job)
        self._jobs.add(task)
        task.add_done_callback(self._jobs.discard)

    def _rearm(self, at: int) -> None:
        self.meter.alarms_set += 1
        # If the disk hung, a commit may end after the runtime has stopped.
        if self._running and at < self._tick_at:
            self._timer.cancel()
            self._set_timer()

    def _set_timer(self) -> None:
        now = self._clock()
        wait_ms = self._ms_until_work()
        delay_ms = _TICK_MS if wait_ms is None else min(max(wait_ms, 0), _TICK_MS)
        self._tick_at = now + delay_ms
        self._timer = asyncio.get_running_loop().call_later(delay_ms / 1_000, self._tick)

    def _tick(self) -> None:
        try:
            self.meter.alarm_calls += self.run_due()
        finally:
            self._set_timer()

    def _evict(self) -> None:
        self.evict_idle()
        self._eviction = asyncio.get_running_loop().call_later(self._idle_seconds, self._evict)
