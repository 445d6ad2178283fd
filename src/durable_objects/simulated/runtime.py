"""A runtime for tests: no threads, no disk, a virtual clock, one seed, and crashes on demand.

    runtime = SimulatedRuntime(seed=7)
    counter = runtime.namespace("Counter", Counter).get("visits")
    assert runtime.run(counter.call(Counter.add, 2)) == 2

By default each call commits at once, so that stubs also work under any event loop. With ``autocommit=False`` nothing becomes
durable before ``commit()``: ``start`` calls, check which of them wait, then ``commit()``, ``fail()`` or ``crash()``.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from random import Random
from typing import Any, TypeVar, cast

from msgspec import Struct

from durable_objects.local import LocalRuntime
from durable_objects.meter import Meter
from durable_objects.simulated.disk import SimulatedDisk
from durable_objects.simulated.task import Crashed, Task

ResultT = TypeVar("ResultT")


class ManualLoop:
    """An event loop that runs nothing by itself: ``commits.Loop``, driven by the runtime."""

    def __init__(self, start: Callable[[Callable[[], Coroutine[Any, Any, None]]], None]) -> None:
        self.now_ms = 0
        self.start = start

    def steady_ms(self) -> int:
        """Milliseconds that the clock was moved forward in total."""
        return self.now_ms

    def create_future(self) -> "asyncio.Future[None]":
        """A future whose callbacks never run: tasks check whether it is done."""
        return asyncio.Future(loop=cast("asyncio.AbstractEventLoop", self))

    def get_debug(self) -> bool:
        """For ``asyncio.Future``."""
        return False

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """For ``asyncio.Future``: ignore errors that no caller retrieved."""


class SimulatedRuntime(LocalRuntime):
    """Objects without threads or disk. The same seed and the same steps give the same history.

    Args:
        seed: the seed of all randomness that objects see.
        now_ms: the wall clock at the start, in milliseconds since 1970.
        autocommit: whether each call commits at once.
    """

    def __init__(self, *, seed: int = 0, now_ms: int = 1_700_000_000_000, autocommit: bool = True) -> None:
        self._manual_loop = ManualLoop(self._start_flush)
        meter = Meter(clock=lambda: self._manual_loop.now_ms / 1_000)
        self.disk = SimulatedDisk(lambda: None if self.autocommit else self._manual_loop.create_future(), meter)
        self.autocommit = autocommit
        self.now_ms = now_ms
        self._randomness = Random(seed)  # noqa: S311 - repeatable on purpose
        self._tasks: list[Task[Any]] = []
        self._soon: list[Callable[[], object]] = []
        self._settling = False
        self._next_flush: Callable[[], Coroutine[Any, Any, None]] | None = None
        self._flush: Task[None] | None = None
        self._committing = False
        super().__init__(
            self.disk,
            clock=lambda: self.now_ms,
            new_seed=partial(self._randomness.getrandbits, 64),
            meter=meter,
        )
        self._start(self._manual_loop)

    def start(self, call: Coroutine[Any, Any, ResultT]) -> Task[ResultT]:
        """Start a call and run it until it has its answer or waits for a commit."""
        task = Task(call)
        if not task.done:
            self._tasks.append(task)
        self._settle()
        return task

    def run(self, call: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Start a call, commit as often as it needs, and return its answer."""
        task = self.start(call)
        while not task.done:
            if self.commits.idle:
                raise RuntimeError("the call waits for something other than a commit")
            self.commit()
        return task.result()

    def begin_commit(self) -> None:
        """Start writing the pending changes; they are not durable yet, and later changes go into the next commit."""
        if self._committing:
            return  # the loop below goes on with what is pending
        self._committing = True
        try:
            while self._next_flush is not None and self._flush is None:
                flush, self._next_flush = self._next_flush, None
                self._flush = Task(flush())
                self._settle_flush()
        finally:
            self._committing = False

    def commit(self) -> None:
        """Make the commit in flight durable; if there is none, the pending changes."""
        self.begin_commit()
        self._answer(None)

    def fail(self, error: Exception | None = None) -> None:
        """Make the commit in flight (or the pending changes) fail, like a full disk; needs ``autocommit=False``."""
        if self.autocommit:
            raise RuntimeError("with autocommit no commit is left to fail; use SimulatedRuntime(autocommit=False)")
        self.begin_commit()
        self._answer(error or OSError("the simulated disk is full"))

    def crash(self, *, after_commit: bool = False, configs: Mapping[str, Struct] | None = None) -> None:
        """Lose everything that is not durable, and restart; objects are loaded by their next call.

        With ``after_commit`` the process dies a moment later: the commit in flight is durable, but no caller has its answer.
        With ``configs`` some namespaces have other configurations from then on.
        """
        for name, config in (configs or {}).items():
            self._namespaces[name].config = config
        if after_commit:
            self.disk.apply(self.disk.in_flight)
        for task in [*self._tasks, *filter(None, [self._flush])]:
            task.abandon()
        self._tasks = []
        self._next_flush = self._flush = None
        self.listeners.end(Crashed("the process died"))
        self._start(self._manual_loop)

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass; alarms and other due work run in order and at their times.

        A negative number makes the wall clock step back; for a step forward set ``now_ms``.
        """
        left = round(seconds * 1_000)
        while (wait := self.ms_until_due()) is not None and wait <= left:
            self._move(wait)
            left -= wait
            self.meter.alarm_calls += self.run_due()
            self._settle()
        if left >= 0:
            self._move(left)
        else:
            self.now_ms += left

    def _rearm(self, at: int) -> None:  # noqa: ARG002 - ``advance`` looks for what is due by itself
        self.meter.alarms_set += 1

    def _spawn(self, job: Coroutine[Any, Any, None]) -> None:
        task = Task(job)
        if not task.done:
            self._tasks.append(task)

    def create_waiter(self) -> "asyncio.Future[None]":
        """See ``LocalRuntime``. A coroutine of a real event loop can wait for that loop's futures only."""
        loop = _running_loop()
        return super().create_waiter() if loop is None else loop.create_future()

    def call_soon(self, callback: Callable[[], object]) -> None:
        """See ``LocalRuntime``. Without a real event loop, a turn is one step of each started call."""
        loop = _running_loop()
        if loop is None:
            self._soon.append(callback)
        else:
            loop.call_soon(callback)

    def _move(self, milliseconds: int) -> None:
        self.now_ms += milliseconds
        self._manual_loop.now_ms += milliseconds

    def _start_flush(self, flush: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._next_flush = flush
        if self.autocommit or self.commits.idle:  # idle: it only probes the disk
            self.begin_commit()

    def _answer(self, error: Exception | None) -> None:
        if self._flush is not None:
            self.disk.answer(error)
            self._flush.step()
            self._settle_flush()

    def _settle_flush(self) -> None:
        if self._flush is not None and self._flush.done:
            flush, self._flush = self._flush, None
            flush.result()
        self._settle()

    def _settle(self) -> None:
        """Resume every call that can continue, turn by turn, until none can."""
        if self._settling or not (self._soon or self._tasks):
            return
        self._settling = True
        try:
            while self._turn():
                pass
        finally:
            self._settling = False

    def _turn(self) -> bool:
        callbacks, self._soon = self._soon, []
        for callback in callbacks:
            callback()
        moved = [task.step() for task in self._tasks]
        self._tasks = [task for task in self._tasks if not task.done]
        return any(moved) or bool(self._soon)


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
