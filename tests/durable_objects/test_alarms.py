"""Alarms: one per object, durable with its call, ran at least once, and not before their time."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger import Ledger

from durable_objects import Context, DurableObject
from durable_objects.alarms import Alarms, Timetable
from durable_objects.limits import ALARM_RETRY_MS, MAX_ALARM_RETRY_MS, MAX_ALARMS_PER_TURN
from durable_objects.simulated import SimulatedRuntime


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | st.integers(0, 9)) | st.integers(0, 9), max_size=400))
def test_a_timetable_is_a_dictionary_that_knows_what_is_next(steps: list[tuple[str, int | None] | int]) -> None:
    """A tuple sets one; a number takes all that are due by then, the earliest first."""
    alarms, model = Timetable[str](), dict[str, int]()
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


def test_a_time_that_is_moved_again_and_again_takes_no_more_memory() -> None:
    timetable = Timetable[str]()
    for at in range(1_000):
        timetable.set("a", at)
        timetable.set("b", 1_000 - at)
    assert len(timetable._heap) <= 2 * 2 + 64
    assert list(timetable.pop_due(1_000)) == ["b", "a"]


def test_an_alarm_that_keeps_failing_is_retried_less_often_but_forever() -> None:
    tries: list[int] = []

    class Stubborn(Ledger):
        def alarm(self) -> None:
            tries.append(self.ctx.now())
            raise ZeroDivisionError

    runtime = SimulatedRuntime()
    runtime.run(runtime.namespace("Stubborn", Stubborn).get("a").call(Stubborn.set_alarm, runtime.now_ms))
    runtime.advance(3_600)
    gaps = [later - earlier for earlier, later in itertools.pairwise(tries)]
    doubling = [min(ALARM_RETRY_MS << n, MAX_ALARM_RETRY_MS) for n in range(len(gaps))]
    assert gaps == doubling
    assert gaps[-1] == MAX_ALARM_RETRY_MS
    runtime.crash()
    runtime.advance(0)
    assert tries[-1] == runtime.now_ms


@pytest.mark.parametrize("way", ["fail", "crash"])
def test_an_alarm_and_what_it_wrote_become_durable_together_or_it_runs_again(way: str) -> None:
    runtime = SimulatedRuntime(autocommit=False)
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    runtime.run(ledger.call(Ledger.set_alarm, runtime.now_ms + 1_000))
    runtime.advance(1)
    getattr(runtime, way)()
    assert runtime.run(ledger.call(Ledger.texts)) == ["alarm set"]
    runtime.advance(ALARM_RETRY_MS / 1_000)
    assert runtime.run(ledger.call(Ledger.texts)) == ["alarm set", "alarm ran"]
    runtime.crash()
    runtime.advance(3_600)
    assert runtime.run(ledger.call(Ledger.texts)) == ["alarm set", "alarm ran"]


def test_a_moved_alarm_runs_at_the_new_time_and_a_cleared_one_never() -> None:
    runtime = SimulatedRuntime()
    ledgers = runtime.namespace("Ledger", Ledger)
    sooner, later, never = ledgers.get("sooner"), ledgers.get("later"), ledgers.get("never")
    start = runtime.now_ms
    for ledger in (sooner, later, never):
        runtime.run(ledger.call(Ledger.set_alarm, start + 10_000))
    runtime.run(sooner.call(Ledger.set_alarm, start + 5_000, "moved"))
    runtime.run(later.call(Ledger.set_alarm, start + 20_000, "moved"))
    runtime.run(never.call(Ledger.set_alarm, None, "cleared"))

    def ran() -> list[bool]:
        return [runtime.run(ledger.call(Ledger.last)).text == "alarm ran" for ledger in (sooner, later, never)]

    runtime.advance(5)
    assert ran() == [True, False, False]
    runtime.advance(10)
    assert ran() == [True, False, False]
    runtime.crash()
    runtime.advance(5)
    assert ran() == [True, True, False]


def test_an_alarm_moved_by_an_uncommitted_call_does_not_run_at_its_old_time() -> None:
    """A call that is seen by the next one has moved the alarm too; if its commit fails, the old time counts again."""
    runtime = SimulatedRuntime(autocommit=False)
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    start = runtime.now_ms
    runtime.run(ledger.call(Ledger.set_alarm, start + 10_000))
    runtime.start(ledger.call(Ledger.set_alarm, start + 100_000, "moved"))
    runtime.advance(20)
    runtime.commit()
    assert runtime.run(ledger.call(Ledger.texts)) == ["alarm set", "moved"]
    assert runtime.run(ledger.call(Ledger.alarm_at)) == start + 100_000


def test_an_alarm_that_ran_behind_a_commit_in_flight_does_not_run_again() -> None:
    """At least once, but twice only when something broke in between."""
    runtime = SimulatedRuntime(autocommit=False)
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    runtime.run(ledger.call(Ledger.set_alarm, runtime.now_ms + 1_000))
    runtime.start(ledger.call(Ledger.append, "in flight"))
    runtime.begin_commit()
    runtime.advance(1)
    runtime.commit()
    runtime.advance(0)
    runtime.commit()
    runtime.advance(0)
    assert runtime.run(ledger.call(Ledger.texts)) == ["alarm set", "in flight", "alarm ran"]


class Repeater(DurableObject):
    """Its alarm sets itself again twice, and writes nothing."""

    ran = 0

    def start(self) -> None:
        self.ctx.set_alarm(0)

    def alarm(self) -> None:
        self.ran += 1
        if self.ran < 3:
            self.ctx.set_alarm(0)

    def count(self) -> int:
        return self.ran


def test_an_alarm_that_sets_itself_again_and_changes_nothing_else_runs_again() -> None:
    runtime = SimulatedRuntime()
    repeater = runtime.namespace("Repeater", Repeater).get("a")
    runtime.run(repeater.call(Repeater.start))
    runtime.advance(1)
    assert runtime.run(repeater.call(Repeater.count)) == 3


def test_an_alarm_that_failed_is_not_lost_when_it_is_cleared_and_set_again() -> None:
    runtime = SimulatedRuntime()
    broken = True

    class Fragile(Repeater):
        def alarm(self) -> None:
            if broken:
                raise ZeroDivisionError
            self.ran = 3

        def clear(self) -> None:
            self.ctx.set_alarm(None)

    repeater = runtime.namespace("Repeater", Fragile).get("a")
    runtime.run(repeater.call(Fragile.start))
    runtime.advance(0.1)
    runtime.run(repeater.call(Fragile.clear))
    broken = False
    runtime.run(repeater.call(Fragile.start))
    runtime.advance(0.1)
    assert runtime.run(repeater.call(Fragile.count)) == 3


class Announcer(Ledger):
    """Its alarm writes, and counts how often the object was made."""

    made = 0

    def __init__(self, ctx: Context) -> None:
        super().__init__(ctx)
        Announcer.made += 1


def advance_until_something_is_written(runtime: SimulatedRuntime) -> None:
    while runtime.commits.idle:
        runtime.advance(0.5)


def test_an_alarm_whose_commit_keeps_failing_backs_off_doubling() -> None:
    """The disk takes what finds out whether it takes anything, and not what the alarm writes."""
    runtime = SimulatedRuntime(autocommit=False)
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    runtime.run(ledger.call(Ledger.set_alarm, runtime.now_ms))
    tries: list[int] = []
    while len(tries) < 12:
        advance_until_something_is_written(runtime)
        tries.append(runtime.now_ms)
        runtime.fail()
    gaps = [(later - earlier) // 1_000 for earlier, later in itertools.pairwise(tries)]
    assert gaps == [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
    advance_until_something_is_written(runtime)
    runtime.commit()
    assert runtime.run(ledger.call(Ledger.texts)) == ["alarm set", "alarm ran"]
    runtime.run(ledger.call(Ledger.set_alarm, runtime.now_ms))
    runtime.advance(0)
    runtime.fail()
    failed_at = runtime.now_ms
    advance_until_something_is_written(runtime)
    assert runtime.now_ms - failed_at == ALARM_RETRY_MS, "and a success is the end of it"


def test_while_the_disk_fails_no_alarm_runs_and_no_object_is_loaded() -> None:
    runtime = SimulatedRuntime()
    announcer = runtime.namespace("Announcer", Announcer).get("a")
    runtime.run(announcer.call(Announcer.set_alarm, runtime.now_ms + 5_000))
    runtime.disk.error = OSError("no room")
    runtime.advance(10)
    loaded, alarms = Announcer.made, runtime.meter.alarms
    runtime.advance(3_600)
    assert (Announcer.made, runtime.meter.alarms) == (loaded, alarms) == (loaded, 1)
    runtime.disk.error = None
    runtime.advance(2)
    assert runtime.run(announcer.call(Announcer.texts)) == ["alarm set", "alarm ran"]


def test_a_commit_does_not_end_the_backoff_of_an_alarm_that_raises() -> None:
    tries: list[int] = []

    class Stubborn(Ledger):
        def alarm(self) -> None:
            tries.append(self.ctx.now())
            raise ZeroDivisionError

    runtime = SimulatedRuntime()
    stubborn = runtime.namespace("Stubborn", Stubborn).get("a")
    runtime.run(stubborn.call(Stubborn.set_alarm, runtime.now_ms))
    for _ in range(70):
        runtime.advance(0.1)
        runtime.run(stubborn.call(Stubborn.append, "a change"))
    assert [later - earlier for earlier, later in itertools.pairwise(tries)] == [1_000, 2_000, 4_000]


def test_a_step_of_the_wall_clock_delays_no_retry() -> None:
    """An alarm fails in the second in which the clock is a year ahead."""
    tries: list[int] = []

    class Stubborn(Ledger):
        def alarm(self) -> None:
            tries.append(self.ctx.now())
            if len(tries) < 3:
                raise ZeroDivisionError

    runtime = SimulatedRuntime()
    stubborn = runtime.namespace("Stubborn", Stubborn).get("a")
    runtime.run(stubborn.call(Stubborn.set_alarm, runtime.now_ms))
    year_ms = 365 * 24 * 3_600 * 1_000
    runtime.now_ms += year_ms
    runtime.advance(0)
    runtime.now_ms -= year_ms
    runtime.advance(3.5)
    assert len(tries) == 3


def test_an_alarm_that_waits_for_its_retry_is_not_run_by_a_commit() -> None:
    timetable = Alarms()
    timetable.set("a", 100)
    assert list(timetable.pop_due(100, 0)) == ["a"]
    assert timetable.failed("a", 0) == (1, ALARM_RETRY_MS)
    timetable.set("a", 100)
    assert list(timetable.pop_due(100, ALARM_RETRY_MS - 1)) == []
    assert timetable.wait_ms(100, 0) == ALARM_RETRY_MS
    assert list(timetable.pop_due(100, ALARM_RETRY_MS)) == ["a"]


def test_alarms_that_are_due_at_once_run_a_few_at_a_time() -> None:
    """So that calls get their turn in between, also after a restart with many overdue ones."""
    runtime = SimulatedRuntime()
    ledgers = runtime.namespace("Ledger", Ledger)
    for n in range(25):
        runtime.run(ledgers.get(f"{n}").call(Ledger.set_alarm, runtime.now_ms + 1_000))
    runtime.now_ms += 1_000
    ran = []
    while runtime.ms_until_due() is not None:
        runtime.run_due()
        ran.append(runtime.meter.alarms)
    assert ran == [MAX_ALARMS_PER_TURN, 2 * MAX_ALARMS_PER_TURN, 25]
