"""An event loop whose clock jumps to the next timer, so that a month takes seconds, and that knows whose timers run."""

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Generator
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

ResultT = TypeVar("ResultT")


class Resident:
    """Code whose timers are told apart from all others: those that it starts, and those of the tasks that it starts."""

    def __init__(self) -> None:
        self._timers: set[asyncio.TimerHandle] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.running = 0
        """How many of its ``run`` have not ended."""

    @property
    def is_active(self) -> bool:
        """Whether something is under way or a timer runs."""
        self._timers = {timer for timer in self._timers if not timer.cancelled()}
        return bool(self.running or self._timers)

    async def run(self, job: Coroutine[Any, Any, ResultT]) -> ResultT:
        """Run ``job`` as its code; if it was dropped by then, this is cancelled."""
        context = copy_context()
        context.run(_resident.set, self)
        self.running += 1
        try:
            return await asyncio.get_running_loop().create_task(job, context=context)
        finally:
            self.running -= 1

    def drop(self) -> None:
        """End all of its timers and tasks."""
        for timer in self._timers:
            timer.cancel()
        for task in self._tasks:
            task.cancel()

    def started(self, task: asyncio.Task[Any]) -> None:
        """One of its tasks has started."""
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def starts(self, timer: asyncio.TimerHandle) -> None:
        """One of its timers has started."""
        self._timers.add(timer)

    def ends(self, timer: asyncio.TimerHandle) -> None:
        """One of its timers has come."""
        self._timers.discard(timer)


_resident: ContextVar[Resident | None] = ContextVar("_resident", default=None)


class _Selector(selectors.DefaultSelector):
    """Instead of waiting for a timer, it moves the clock."""

    def __init__(self, advance: Callable[[float], None]) -> None:
        super().__init__()
        self._advance = advance

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if found or timeout == 0:
            return found
        if timeout is None:
            raise RuntimeError("everybody waits for something that never comes")
        self._advance(timeout)
        return found


class VirtualLoop(asyncio.SelectorEventLoop):
    """The event loop.

    Attributes:
        on_advance: called with the seconds by which the clock moves, before it does.
    """

    def __init__(self) -> None:
        self._now = 0.0
        self.on_advance: list[Callable[[float], None]] = []
        super().__init__(_Selector(self._advance))
        self.set_task_factory(_task)

    def time(self) -> float:
        """Seconds since the loop was made."""
        return self._now

    def call_at(
        self, when: float, callback: Callable[..., object], *args: object, context: Context | None = None
    ) -> asyncio.TimerHandle:
        """See ``asyncio.AbstractEventLoop``."""
        resident = _resident.get()
        if resident is None:
            return super().call_at(when, callback, *args, context=context)

        def come() -> None:
            resident.ends(timer)
            callback(*args)

        timer = super().call_at(when, come, context=context)
        resident.starts(timer)
        return timer

    def run_in_executor(
        self,
        executor: object,  # noqa: ARG002 - as asyncio's
        func: Callable[..., ResultT],
        *args: object,
    ) -> "asyncio.Future[ResultT]":
        """Run ``func`` now, in this thread: the clock would not wait for another one."""
        future: asyncio.Future[ResultT] = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:  # noqa: BLE001 - it is the caller's
            future.set_exception(error)
        return future

    def _advance(self, seconds: float) -> None:
        for moves in self.on_advance:
            moves(seconds)
        self._now += seconds


def _task(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, Any] | Generator[Any, None, Any],
    /,
    **more: Any,  # noqa: ANN401 - asyncio's own
) -> asyncio.Task[Any]:
    task = asyncio.Task(coroutine, loop=loop, **more)
    context: Context | None = more.get("context")
    resident = _resident.get() if context is None else context.get(_resident)
    if resident is not None:
        resident.started(task)
    return task


def run(job: Coroutine[Any, Any, ResultT]) -> ResultT:
    """Run ``job`` on a loop of this kind."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(job)
