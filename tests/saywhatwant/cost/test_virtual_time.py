"""The clock that jumps, and whose timers keep an object awake."""

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

import pytest

from saywhatwant.cost.virtual_time import Resident, VirtualLoop, run


class Watch:
    """The seconds in which a resident was active."""

    def __init__(self, resident: Resident) -> None:
        self.seconds = 0.0
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        loop.on_advance.append(lambda seconds: self._add(seconds * resident.is_active))

    def _add(self, seconds: float) -> None:
        self.seconds += seconds


def now() -> float:
    return asyncio.get_running_loop().time()


def test_a_month_passes_at_once_and_timers_come_in_their_order() -> None:
    came: list[tuple[str, float]] = []

    async def later(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        came.append((name, now()))

    async def scenario() -> None:
        await asyncio.gather(later("month", 2_592_000), later("day", 86_400), later("second", 1))

    run(scenario())
    assert came == [("second", 1), ("day", 86_400), ("month", 2_592_000)]


def test_what_a_resident_waits_for_is_active_time_and_what_others_wait_for_is_not() -> None:
    async def scenario() -> None:
        resident = Resident()
        watch = Watch(resident)

        async def job() -> None:
            await asyncio.sleep(3)
            asyncio.get_running_loop().call_later(5, lambda: None)

        await resident.run(job())
        assert watch.seconds == 3
        await asyncio.sleep(100)
        assert watch.seconds == 3 + 5, "the timer that it has left behind"

    run(scenario())


def test_a_task_that_waits_for_no_timer_keeps_nothing_awake() -> None:
    async def scenario() -> None:
        resident, background = Resident(), set()
        watch = Watch(resident)

        async def job() -> None:
            background.add(asyncio.create_task(asyncio.Event().wait()))

        await resident.run(job())
        await asyncio.sleep(100)
        assert watch.seconds == 0
        resident.drop()
        await asyncio.sleep(0)
        assert all(task.cancelled() for task in background)

    run(scenario())


def test_a_timer_that_is_cancelled_keeps_awake_until_then() -> None:
    async def scenario() -> None:
        resident = Resident()
        watch = Watch(resident)
        timers: list[asyncio.TimerHandle] = []

        async def job() -> None:
            timers.append(asyncio.get_running_loop().call_later(50, lambda: None))

        await resident.run(job())
        await asyncio.sleep(2)
        timers[0].cancel()
        await asyncio.sleep(100)
        assert watch.seconds == 2

    run(scenario())


def test_what_would_run_in_a_thread_is_done_before_the_clock_moves() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    async def scenario() -> tuple[int, float]:
        timer = asyncio.create_task(asyncio.sleep(600))
        thread = await asyncio.to_thread(threading.get_ident)
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(fail)
        timer.cancel()
        return thread, now()

    assert run(scenario()) == (threading.get_ident(), 0)


def test_a_deadlock_is_an_error_and_no_hang() -> None:
    async def scenario() -> None:
        await asyncio.Event().wait()

    job: Coroutine[Any, Any, None] = scenario()
    with pytest.raises(RuntimeError, match="never comes"):
        run(job)
    job.close()
