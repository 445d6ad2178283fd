"""The history of figures: what reports add up to, and how much of it is kept, in how many bytes."""

from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from durable_objects.simulated import SimulatedRuntime
from saywhatwant.history import Counted, Figures, History, Present, Report, Step, open_history
from saywhatwant.limits import HISTORY_DAYS, HISTORY_HOURS, MAX_REPORTING_GATEWAYS
from saywhatwant.tally import Outcomes, Waiting

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
START = 1_700_000_000_000 // DAY * DAY
OBJECT = "History/history"


class Wall:
    """A history, and the gateways that report to it."""

    def __init__(self) -> None:
        self.runtime = SimulatedRuntime(now_ms=START)
        self.stub = open_history(self.runtime)
        self.numbers: dict[str, int] = {}
        self.outcomes = Outcomes()

    def report(self, gateway: str = "one", *, again: bool = False, **counted: Any) -> None:
        """``readers`` and ``pending`` are what there is now; the rest has been counted since the last report."""
        present = Present(counted.pop("readers", 0))
        covers_ms = counted.pop("covers_ms", 59_000)
        waiting = Waiting(counted.pop("pending", 0))
        number = self.numbers[gateway] = self.numbers.get(gateway, 0) + (not again)
        report = Report(gateway, number, Counted(**counted), present, self.outcomes, waiting, covers_ms)
        self.runtime.run(self.stub.call(History.add, report))

    def answer(self, count: int, bucket: int = 0) -> None:
        """The wall counts answers."""
        times = list(self.outcomes.answer_times)
        times[bucket] += count
        self.outcomes = Outcomes(answers=self.outcomes.answers + count, answer_times=times)

    def figures(self, step: Step = "minute", since: int | None = None, limit: int = 1_500, every: int = 1) -> list[Figures]:
        return self.runtime.run(self.stub.call(History.figures, step, since, limit, every))

    def only(self, step: Step = "minute") -> Figures:
        (figures,) = self.figures(step)
        return figures

    @property
    def stored_bytes(self) -> int:
        total, after = 0, ""
        while rows := self.runtime.disk.list(OBJECT, "", after, 1_000):
            total += sum(len(key.encode()) + len(value) for key, value in rows)
            after = rows[-1][0]
        return total


def test_reports_of_one_minute_are_one_and_each_goes_into_its_hour_too() -> None:
    wall = Wall()
    wall.report(posts=1)
    wall.runtime.now_ms += 59_999
    wall.report(posts=2)
    wall.runtime.now_ms += 1
    wall.report(posts=4)
    assert [(figures.at, figures.counted.posts) for figures in wall.figures()] == [(START, 3), (START + MINUTE, 4)]
    assert (wall.only("hour").at, wall.only("hour").counted.posts) == (START, 7)


def test_what_gateways_count_adds_up_and_who_is_present_too() -> None:
    wall = Wall()
    wall.report("one", posts=3, readers=5)
    wall.report("two", posts=4, readers=7)
    assert (wall.only().counted.posts, wall.only().present.readers) == (7, 12)


def test_a_gateway_that_reports_twice_in_a_minute_has_its_readers_once() -> None:
    wall = Wall()
    wall.report(readers=5)
    wall.report(readers=3)
    assert wall.only().present.readers == 5


def test_an_hour_has_the_most_that_were_present_or_waited_at_one_time() -> None:
    wall = Wall()
    for readers, pending in ((5, 1), (9, 30), (2, 2)):
        wall.report("one", readers=readers, pending=pending)
        wall.report("two", readers=1, pending=pending)
        wall.runtime.now_ms += MINUTE
    assert (wall.only("hour").present.readers, wall.only("hour").waiting.pending) == (10, 30)


def test_a_report_that_comes_again_counts_once() -> None:
    """Its first answer was lost."""
    wall = Wall()
    wall.report(posts=3)
    wall.runtime.crash()
    wall.report(posts=3, again=True)
    assert wall.only().counted.posts == 3


def test_answers_are_the_walls_so_it_does_not_matter_how_many_gateways_report_them() -> None:
    wall = Wall()
    wall.answer(10)
    wall.report("one")
    wall.report("two")
    wall.answer(5, bucket=3)
    wall.report("two")
    assert wall.only().outcomes.answers == 15
    assert wall.only().outcomes.answer_times[:4] == [10, 0, 0, 5]


def test_counts_that_were_read_before_those_of_another_gateway_take_nothing_back() -> None:
    wall = Wall()
    earlier = wall.outcomes
    wall.answer(10)
    later = wall.outcomes
    wall.report("one")
    wall.outcomes = earlier
    wall.report("two")
    wall.outcomes = later
    wall.report("two")
    assert wall.only().outcomes.answers == 10


def test_another_wall_begins_at_nothing() -> None:
    wall = Wall()
    wall.answer(100)
    wall.report()
    wall.runtime.now_ms += HOUR
    wall.outcomes = Outcomes()
    wall.answer(3)
    wall.report()
    wall.answer(4)
    wall.report()
    assert [figures.outcomes.answers for figures in wall.figures()] == [100, 7]


def test_p1_a_crash_loses_nothing_that_was_reported() -> None:
    wall = Wall()
    for _ in range(100):
        wall.answer(1)
        wall.report(posts=1, readers=2)
        wall.runtime.now_ms += MINUTE
    before = wall.figures(), wall.figures("hour")
    wall.runtime.crash()
    assert (wall.figures(), wall.figures("hour")) == before
    assert len(before[0]) == 100


def test_it_is_read_page_by_page_and_the_latest_without_a_time() -> None:
    wall = Wall()
    for _ in range(200):
        wall.report(posts=1)
        wall.runtime.now_ms += MINUTE
    everything = wall.figures()
    read: list[Figures] = []
    while page := wall.figures(since=read[-1].at if read else 0, limit=7):
        read += page
    assert read == everything
    assert wall.figures(limit=7) == everything[-7:]
    assert wall.figures(since=everything[-1].at) == []


@pytest.mark.parametrize("every", [1, 2, 5, 7, 60])
def test_several_minutes_are_read_as_one_page_by_page_too(every: int) -> None:
    wall = Wall()
    for minute in range(200):
        if minute % 9 < 6:
            wall.answer(2)
            wall.report(posts=1, readers=minute)
        wall.runtime.now_ms += MINUTE
    minutes = wall.figures()
    everything = wall.figures(every=every)
    expected: dict[int, list[Figures]] = {}
    for figures in minutes:
        expected.setdefault(figures.at - figures.at % (every * MINUTE), []).append(figures)
    assert [figures.at for figures in everything] == [*expected]
    for figures, own in zip(everything, expected.values(), strict=True):
        assert figures.counted.posts == len(own)
        assert sum(figures.outcomes.answer_times) == figures.outcomes.answers == 2 * len(own)
        assert figures.present.readers == max(minute.present.readers for minute in own)
        assert figures.since == own[0].since
    read: list[Figures] = []
    while page := wall.figures(since=read[-1].at if read else 0, limit=3, every=every):
        read += page
    assert read == everything
    assert wall.figures(limit=3, every=every) == everything[-3:]


def test_a_quiet_time_and_one_without_a_server_are_told_apart() -> None:
    wall = Wall()
    wall.runtime.now_ms += MINUTE - 1_000
    wall.report(posts=1)
    wall.runtime.now_ms += 10 * MINUTE
    wall.report(posts=1, covers_ms=10 * MINUTE)
    wall.runtime.now_ms += 10 * MINUTE
    wall.report("the next life", posts=1, covers_ms=2 * MINUTE)
    first, after_quiet, after_absence = wall.figures()
    assert after_quiet.since == first.at + MINUTE - 1_000
    assert after_absence.since == after_absence.at + MINUTE - 1_000 - 2 * MINUTE > after_quiet.at + MINUTE
    assert wall.only("hour").since == first.since


def test_figures_of_earlier_versions_say_nothing_of_their_gateways() -> None:
    wall = Wall()
    wall.report(posts=1, covers_ms=0)
    assert wall.only().since == 0
    wall.report(posts=1, covers_ms=1_000)
    assert wall.only().since == START - 1_000


def test_a_year_of_hours_and_a_week_of_minutes_take_less_than_five_megabytes() -> None:
    """Of a wall that is as busy as one machine can make it, in bytes that are stored; the oldest are dropped."""
    wall = Wall()
    random = Random(1)

    def some(most: int) -> int:
        return random.randint(most // 2, most)

    def report(minutes: int) -> None:
        most = (290_000, 290_000, 2_900_000, 1_234, 290_000, 280_000, 870_000, 12, 1_234_567, 1_450_000, 59_999, 9_999, 9_999)
        counted: dict[str, Any] = dict(zip(Counted.__struct_fields__, (some(number * minutes) for number in most), strict=True))
        known = wall.outcomes
        wall.outcomes = Outcomes(
            known.answers + some(290_000 * minutes),
            known.failures + some(1_234 * minutes),
            known.lease_expiries + some(123 * minutes),
            known.answer_ms + some(1_234_567_890 * minutes),
            [before + some(24_123 * minutes) for before in known.answer_times],
        )
        wall.report(**counted, readers=some(1_000), pending=some(10_000))

    for _ in range(HISTORY_DAYS * 24 + 30):
        wall.runtime.now_ms += HOUR
        report(60)
    assert len(wall.figures("hour", since=0, limit=20_000)) >= HISTORY_DAYS * 24
    for _ in range(HISTORY_HOURS * 60 + 90):
        wall.runtime.now_ms += MINUTE
        report(1)
    week = wall.figures(since=0, limit=20_000)
    assert HISTORY_HOURS * 60 <= len(week) <= (HISTORY_HOURS + 1) * 60
    assert wall.stored_bytes < 5_000_000


def test_gateways_without_end_are_forgotten_one_after_another() -> None:
    wall = Wall()
    for n in range(MAX_REPORTING_GATEWAYS + 50):
        wall.report(f"gateway {n}", posts=1)
    assert wall.only().counted.posts == MAX_REPORTING_GATEWAYS + 50
    assert wall.stored_bytes < MAX_REPORTING_GATEWAYS * 100 + 2_000


def test_a_clock_that_steps_ahead_and_back_drops_nothing() -> None:
    wall = Wall()
    for _ in range(10):
        wall.report(posts=1)
        wall.runtime.now_ms += MINUTE
    before = wall.figures()
    wall.runtime.now_ms += 3_650 * DAY
    wall.report(posts=1)
    wall.runtime.now_ms -= 3_650 * DAY
    wall.report(posts=1)
    assert wall.figures()[:10] == before
    assert sum(figures.counted.posts for figures in wall.figures()) == 12


@given(st.lists(st.tuples(st.integers(-20, 100), st.integers(1, 9), st.booleans()), max_size=60))
def test_however_the_clock_steps_and_whenever_it_crashes_nothing_is_counted_twice_or_lost(
    steps: list[tuple[int, int, bool]],
) -> None:
    wall = Wall()
    for minutes, posts, crashes in steps:
        wall.runtime.now_ms += minutes * MINUTE
        wall.answer(posts)
        wall.report(posts=posts)
        if crashes:
            wall.runtime.crash()
    total = sum(posts for _, posts, _ in steps)
    for step in ("minute", "hour"):
        figures = wall.figures(step)
        assert [one.at for one in figures] == sorted({one.at for one in figures})
        assert sum(one.counted.posts for one in figures) == total
        assert sum(one.outcomes.answers for one in figures) == total
