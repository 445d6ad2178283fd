"""Alarms: one per object, durable with its call, rung at least once, and not before their time."""

import itertools
import time
from pathlib import Path

import pytest
from child import child, heard
from hypothesis import given
from hypothesis import strategies as st
from ledger import Ledger

from durable_objects import DurableObject
from durable_objects.alarms import Timetable
from durable_objects.embedded import EmbeddedRuntime
from durable_objects.limits import ALARM_RETRY_MS, MAX_ALARM_RETRY_MS
from durable_objects.simulated import SimulatedRuntime
from scenario import run, until


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 9)) | st.integers(0, 9), max_size=400))
def test_the_alarms_in_memory_are_a_dictionary_that_knows_who_is_next(steps: list[tuple[str, int | None] | int]) -> None:
    """A tuple sets one; a number takes all that are due by then, the earliest first."""
    alarms, model = Timetable(), dict[str, int]()
    for step in steps:
        if isinstance(step, int):
            due = sorted((at, name) for name, at in model.items() if at <= step)
            assert list(alarms.pop_due(step)) == [name for _, name in due]
            model = {name: at for name, at in model.items() if at > step}
        else:
            name, at = step
            alarms.set(name, at)
            model = {other: its for other, its in model.items() if other != name} | ({} if at is None else {name: at})
        assert alarms.next() == min(model.values(), default=None)
        assert len(alarms._heap) <= 100


def test_an_alarm_rings_once_it_is_due_and_is_cleared_by_then(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path) as runtime:
            ledgers = runtime.namespace("Ledger", Ledger)
            due, later = ledgers.get("due"), ledgers.get("later")
            rung: list[bytes] = []
            due.subscribe(rung.append)
            await later.call(Ledger.set_alarm, now_ms() + 3_600_000)
            await due.call(Ledger.set_alarm, now_ms() + 20)
            await until(lambda: len(rung) == 2)
            assert rung == [b"1 alarm set", b"2 alarm rang"]
            assert await due.call(Ledger.alarm_at) is None
            assert await later.call(Ledger.texts) == ["alarm set"]

    run(scenario())


def test_an_alarm_set_before_the_restart_rings_after_it_though_nobody_calls_the_object(tmp_path: Path) -> None:
    at = now_ms() + 100

    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path) as runtime:
            await runtime.namespace("Ledger", Ledger).get("ash").call(Ledger.set_alarm, at)
        await until(lambda: now_ms() > at)
        runtime = EmbeddedRuntime(tmp_path)
        ledger = runtime.namespace("Ledger", Ledger).get("ash")
        rung: list[bytes] = []
        ledger.subscribe(rung.append)
        async with runtime:
            await until(lambda: rung == [b"2 alarm rang"])
        async with EmbeddedRuntime(tmp_path) as again:
            assert await again.namespace("Ledger", Ledger).get("ash").call(Ledger.alarm_at) is None

    run(scenario())


def test_an_alarm_rings_though_its_process_was_killed_after_it_was_set(tmp_path: Path) -> None:
    with child("alarm", tmp_path) as process:
        assert heard(process) == "set"
        process.kill()
        process.wait()

    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path) as runtime:
            ledger = runtime.namespace("Ledger", Ledger).get("ash")
            rung: list[bytes] = []
            ledger.subscribe(rung.append)
            await until(lambda: rung == [b"2 alarm rang"])

    run(scenario())


def test_an_alarm_that_raises_leaves_nothing_and_rings_again(tmp_path: Path) -> None:
    tries: list[int] = []

    class Stubborn(Ledger):
        def alarm(self) -> None:
            tries.append(self.ctx.now())
            self.append(f"try {len(tries)}")
            if len(tries) == 1:
                raise ZeroDivisionError

    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path) as runtime:
            stubborn = runtime.namespace("Stubborn", Stubborn).get("ash")
            await stubborn.call(Stubborn.set_alarm, now_ms())
            await until(lambda: len(tries) == 2)
            assert await stubborn.call(Stubborn.texts) == ["alarm set", "try 2"]
            assert await stubborn.call(Stubborn.alarm_at) is None

    run(scenario())


def test_an_alarm_that_keeps_failing_is_tried_ever_more_rarely_but_for_ever() -> None:
    tries: list[int] = []

    class Stubborn(Ledger):
        def alarm(self) -> None:
            tries.append(self.ctx.now())
            raise ZeroDivisionError

    runtime = SimulatedRuntime()
    runtime.run(runtime.namespace("Stubborn", Stubborn).get("ash").call(Stubborn.set_alarm, runtime.now_ms))
    runtime.advance(3_600)
    gaps = [later - earlier for earlier, later in itertools.pairwise(tries)]
    doubling = [min(ALARM_RETRY_MS << n, MAX_ALARM_RETRY_MS) for n in range(len(gaps))]
    assert gaps == doubling
    assert gaps[-1] == MAX_ALARM_RETRY_MS
    runtime.crash()
    runtime.advance(0)
    assert tries[-1] == runtime.now_ms


@pytest.mark.parametrize("way", ["fail", "crash"])
def test_an_alarm_and_what_it_wrote_become_durable_together_or_it_rings_again(way: str) -> None:
    runtime = SimulatedRuntime(autocommit=False)
    ledger = runtime.namespace("Ledger", Ledger).get("ash")
    runtime.run(ledger.call(Ledger.set_alarm, runtime.now_ms + 1_000))
    runtime.advance(1)
    getattr(runtime, way)()
    assert runtime.run(ledger.call(Ledger.texts)) == ["alarm set"]
    runtime.advance(ALARM_RETRY_MS / 1_000)
    assert runtime.run(ledger.call(Ledger.texts)) == ["alarm set", "alarm rang"]
    runtime.crash()
    runtime.advance(3_600)
    assert runtime.run(ledger.call(Ledger.texts)) == ["alarm set", "alarm rang"]


def test_an_alarm_that_was_moved_rings_at_the_new_time_and_one_that_was_cleared_never() -> None:
    runtime = SimulatedRuntime()
    ledgers = runtime.namespace("Ledger", Ledger)
    sooner, later, never = ledgers.get("sooner"), ledgers.get("later"), ledgers.get("never")
    start = runtime.now_ms
    for ledger in (sooner, later, never):
        runtime.run(ledger.call(Ledger.set_alarm, start + 10_000))
    runtime.run(sooner.call(Ledger.set_alarm, start + 5_000, "moved"))
    runtime.run(later.call(Ledger.set_alarm, start + 20_000, "moved"))
    runtime.run(never.call(Ledger.set_alarm, None, "cleared"))

    def rung() -> list[bool]:
        return [runtime.run(ledger.call(Ledger.last)).text == "alarm rang" for ledger in (sooner, later, never)]

    runtime.advance(5)
    assert rung() == [True, False, False]
    runtime.advance(10)
    assert rung() == [True, False, False]
    runtime.crash()
    runtime.advance(5)
    assert rung() == [True, True, False]


def test_an_alarm_that_an_uncommitted_call_has_moved_does_not_ring_at_its_old_time() -> None:
    """A call that is seen by the next one has moved the alarm too; if its commit fails, the old time counts again."""
    runtime = SimulatedRuntime(autocommit=False)
    ledger = runtime.namespace("Ledger", Ledger).get("ash")
    start = runtime.now_ms
    runtime.run(ledger.call(Ledger.set_alarm, start + 10_000))
    runtime.start(ledger.call(Ledger.set_alarm, start + 100_000, "moved"))
    runtime.advance(20)
    runtime.commit()
    assert runtime.run(ledger.call(Ledger.texts)) == ["alarm set", "moved"]
    assert runtime.run(ledger.call(Ledger.alarm_at)) == start + 100_000


def test_an_alarm_that_rang_behind_a_commit_in_flight_does_not_ring_again_when_that_lands() -> None:
    """At least once, but twice only when something broke in between."""
    runtime = SimulatedRuntime(autocommit=False)
    ledger = runtime.namespace("Ledger", Ledger).get("ash")
    runtime.run(ledger.call(Ledger.set_alarm, runtime.now_ms + 1_000))
    runtime.start(ledger.call(Ledger.append, "in flight"))
    runtime.begin_commit()
    runtime.advance(1)
    runtime.commit()
    runtime.advance(0)
    runtime.commit()
    runtime.advance(0)
    assert runtime.run(ledger.call(Ledger.texts)) == ["alarm set", "in flight", "alarm rang"]


class Bell(DurableObject):
    """Rings three times, each time at once again, and writes nothing."""

    rung = 0

    def start(self) -> None:
        self.ctx.set_alarm(0)

    def alarm(self) -> None:
        self.rung += 1
        if self.rung < 3:
            self.ctx.set_alarm(0)

    def count(self) -> int:
        return self.rung


def test_an_alarm_that_sets_itself_again_and_changes_nothing_else_rings_again() -> None:
    runtime = SimulatedRuntime()
    bell = runtime.namespace("Bell", Bell).get("bell")
    runtime.run(bell.call(Bell.start))
    runtime.advance(1)
    assert runtime.run(bell.call(Bell.count)) == 3


def test_an_alarm_that_has_failed_once_is_not_lost_when_it_is_cleared_and_set_again() -> None:
    runtime = SimulatedRuntime()
    broken = True

    class Fragile(Bell):
        def alarm(self) -> None:
            if broken:
                raise ZeroDivisionError
            self.rung = 3

        def clear(self) -> None:
            self.ctx.set_alarm(None)

    bell = runtime.namespace("Bell", Fragile).get("bell")
    runtime.run(bell.call(Fragile.start))
    runtime.advance(0.1)
    runtime.run(bell.call(Fragile.clear))
    broken = False
    runtime.run(bell.call(Fragile.start))
    runtime.advance(0.1)
    assert runtime.run(bell.call(Fragile.count)) == 3
