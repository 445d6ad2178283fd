"""The default runtime: this process, one SQLite file."""

import asyncio
import os
import time
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Self

from durable_objects.commits import Change, Gate
from durable_objects.embedded.committer import Committer
from durable_objects.embedded.lock import DirectoryLock
from durable_objects.embedded.store import Store
from durable_objects.local import LocalRuntime, log

IDLE_SECONDS = 10.0
"""How long an object may be idle before it leaves memory; it stays at most twice as long."""

_MAX_TIMER_SECONDS = 1.0
"""The longest sleep until an alarm, so that a step of the wall clock delays none by more than this."""

_PROBE_SECONDS = 1.0


def _make_directory(directory: Path) -> None:
    """Make a directory that is still there after a loss of power: its name is in its parent, which is synced for that."""
    if directory.is_dir():
        return
    _make_directory(directory.absolute().parent)
    directory.mkdir(exist_ok=True)
    parent = os.open(directory.absolute().parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(parent)
    finally:
        os.close(parent)


class EmbeddedRuntime(LocalRuntime):
    """Objects in this process's event loop, durable in ``directory``.

    An asynchronous context manager: entering it locks the directory, opens the data and fires overdue alarms; leaving it
    waits for what is being written. Raises ``DataLocked`` or ``DataUnreadable`` on entering.
    """

    def __init__(self, directory: Path | str, *, idle_seconds: float = IDLE_SECONDS) -> None:
        self.directory = Path(directory)
        self.store = Store(self.directory)
        self._lock = DirectoryLock(self.directory)
        self._idle_seconds = idle_seconds
        self._loop: asyncio.AbstractEventLoop
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0
        self._probe_timer: asyncio.TimerHandle | None = None
        self._sweep: asyncio.TimerHandle
        self._settled = asyncio.Event()
        self.last_error: Exception | None = None
        """Why the last commit failed; None when it did not. Tried again every second, also when nobody writes."""
        self._committer = Committer(self.store.commit, self._done)
        super().__init__(self.store)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        _make_directory(self.directory)
        self._lock.acquire()
        try:
            alarms = self.store.open()
        except BaseException:
            self._lock.release()
            raise
        self._committer.start()
        self._running = True
        self._set_alarms(alarms)
        self._sweep = self._loop.call_later(self._idle_seconds, self._evict)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._running = False
        self._sweep.cancel()
        if self._timer is not None:
            self._timer.cancel()
        while not self.commits.idle:
            self._settled.clear()
            await self._settled.wait()
        self._committer.stop()
        self._live.clear()
        self.store.close()
        self._lock.release()

    def _clock(self) -> int:
        return time.time_ns() // 1_000_000

    def _seed(self) -> Random:
        return Random(os.urandom(16))  # noqa: S311 - ids and jitter, no secrets

    def _new_gate(self) -> Gate:
        return self._loop.create_future()

    def _depart(self) -> None:
        self._loop.call_soon(self.commits.start)

    def _write(self, changes: list[Change]) -> None:
        self._committer.submit(changes)

    def _done(self, error: Exception | None) -> None:
        self._loop.call_soon_threadsafe(self._finish, error)

    def _finish(self, error: Exception | None) -> None:
        if error is not None and self.last_error is None:
            log.error("the data can not be written to %s; tried again every second: %s", self.directory, error)
        elif error is None and self.last_error is not None:
            log.warning("the data can be written to %s again", self.directory)
        self.last_error = error
        self.commits.finish(error)
        self._settled.set()
        if error is not None and self._probe_timer is None:
            self._probe_timer = self._loop.call_later(_PROBE_SECONDS, self._probe)

    def _probe(self) -> None:
        self._probe_timer = None
        if self._running and self.last_error is not None and self.commits.idle:
            self.commits.probe()

    def _rearm(self) -> None:
        at = self._alarms.next()
        if not self._running or at is None or (self._timer is not None and self._timer_at <= at):
            return
        if self._timer is not None:
            self._timer.cancel()
        delay = min(max(at - self._clock(), 0) / 1_000, _MAX_TIMER_SECONDS)
        self._timer_at = at
        self._timer = self._loop.call_later(delay, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self.fire_due()

    def _evict(self) -> None:
        self.evict_idle()
        self._sweep = self._loop.call_later(self._idle_seconds, self._evict)
