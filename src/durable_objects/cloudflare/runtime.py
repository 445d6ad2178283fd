"""One life of a Durable Object of Cloudflare, as a runtime: from its first call until it hibernates, or is gone.

Nothing here ends a life, and nothing is left waiting while there is nothing to do: no timer, no task. So Cloudflare can drop
the object from memory between two events, and it costs nothing until the next one.
"""

import asyncio
import os
import time
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from random import Random
from types import TracebackType
from typing import Any, Final, Self

from durable_objects.cloudflare.disk import LogDisk
from durable_objects.cloudflare.loop import PacedLoop
from durable_objects.cloudflare.platform import Storage
from durable_objects.errors import RuntimeClosed
from durable_objects.limits import MAX_ALARMS_PER_TURN
from durable_objects.live import LiveObject
from durable_objects.local import LocalRuntime
from durable_objects.meter import Meter
from durable_objects.outbox import SentCall

COMMIT_INTERVAL_MS: Final = 200
"""Milliseconds between two commits of a busy object, by default."""
_NEAR_MS: Final = 10_000
"""What is due so soon and is no alarm waits for a timer, which keeps the object awake."""
_GUARD_MS: Final = 60_000
"""After this long an object that has sent calls is woken, in case it died before they were taken."""


class CloudflareRuntime(LocalRuntime):
    """All objects of one Durable Object, in its event loop and its SQLite.

    An asynchronous context manager, which a test leaves and Cloudflare never does. Declare the namespaces before it is entered,
    since overdue alarms run then. Call ``alarm`` when Cloudflare calls the object's.

    Args:
        storage: ``ctx.storage``; see ``platform.Storage``.
        commit_interval_ms: a commit waits until the last one is as old as this. So a busy object writes so many rows in a
            second at most, and a quiet one answers at once.
        clock: milliseconds since 1970.
        meter: what counts; by default a new one.
    """

    def __init__(
        self,
        storage: Storage,
        *,
        commit_interval_ms: int = COMMIT_INTERVAL_MS,
        clock: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        meter: Meter | None = None,
    ) -> None:
        meter = Meter() if meter is None else meter
        self.disk = LogDisk(storage, meter)
        self._storage = storage
        self._interval_ms = commit_interval_ms
        self.before_commit: Callable[[], object] = lambda: None
        """Called when a commit is due soon: a call in a task that this starts shares its row. Set it before this is entered."""
        self._armed: int | None = None
        """When Cloudflare will call ``alarm``, as far as is known."""
        self._timer: asyncio.TimerHandle | None = None
        self._will_plan = False
        self._paced: PacedLoop
        new_seed = partial(Random(os.urandom(16)).getrandbits, 64)  # noqa: S311 - ids and jitter, no secrets
        super().__init__(self.disk, clock=clock, new_seed=new_seed, meter=meter)

    async def __aenter__(self) -> Self:
        self._armed = await self._storage.get_alarm()
        self._paced = PacedLoop(self._interval_ms, on_start=self.before_commit, on_end=self._plan)
        self._start(self._paced)
        self._plan_soon(self.run_due)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._running = False
        self.listeners.end(RuntimeClosed("the runtime has stopped"))
        self._outboxes.close()
        await self.commits.drain()
        self._paced.cancel_all()
        if self._timer is not None:
            self._timer.cancel()
        self._live.clear()

    async def alarm(self) -> None:
        """Run the alarms that are due, and return when what they did is durable; the next one is set by then.

        An object's alarm that fails is tried again later. Raises what the storage raises; Cloudflare calls again then, as it
        does when the object dies before this returns.
        """
        self._armed = None
        self.meter.alarm_calls += 1
        self.meter.begin()
        try:
            while self.run_due() >= MAX_ALARMS_PER_TURN:  # noqa: ASYNC110 - calls may run between two of them
                await asyncio.sleep(0)
            waiters = [self.commits.wait_durable(live) for live in self._live.values() if live.batch is not None]
            await asyncio.gather(*waiters, return_exceptions=True)
            self._plan()
            if self.commits.error is not None:
                raise self.commits.error
        finally:
            self.meter.end()

    def _spawn(self, job: Coroutine[Any, Any, None]) -> None:
        self._paced.spawn(job)

    def _rearm(self, at: int) -> None:
        # In the same turn as its commit, so that Cloudflare writes both or neither.
        if self._armed is None or at < self._armed:
            self.meter.alarms_set += 1
            self._armed = at
            self._storage.set_alarm(at)

    def _on_committed(self, live: LiveObject[Any], alarm: bool) -> None:  # noqa: FBT001 - CommitLoop's
        super()._on_committed(live, alarm)
        if live.unsent:
            self._rearm(self._clock() + _GUARD_MS)

    async def _deliver(self, sender: str, receiver: str, calls: Sequence[SentCall]) -> int:
        try:
            return await super()._deliver(sender, receiver, calls)
        finally:
            self._plan_soon()

    def _plan_soon(self, before: Callable[[], object] = lambda: None) -> None:
        """Call ``before`` and then ``_plan`` in the next turn."""
        if not self._will_plan:
            self._will_plan = True
            asyncio.get_running_loop().call_soon(self._run_plan, before)

    def _run_plan(self, before: Callable[[], object]) -> None:
        self._will_plan = False
        if self._running:
            before()
            self._plan()

    def _plan(self) -> None:
        """Be called again when something is due: by Cloudflare's alarm, or by a timer for what need not survive the object."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        alarm_ms = self._alarms.wait_ms(self._clock(), self._loop.steady_ms())
        if alarm_ms is not None and self.commits.error is None:
            self._rearm(self._clock() + max(alarm_ms, 0))
        others = [at - self._loop.steady_ms() for at in (self._outboxes.due_at(), self.commits.due_at()) if at is not None]
        if not others:
            return
        wait_ms = max(min(others), 0)
        if wait_ms <= _NEAR_MS:
            self._timer = asyncio.get_running_loop().call_later(wait_ms / 1_000, self._plan_soon, self.run_due)
        else:
            self._rearm(self._clock() + wait_ms)
