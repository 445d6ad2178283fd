"""Which backups are kept, when the next one is due, and what the options take."""

from datetime import UTC, datetime, timedelta

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from saywhatwant.commands import options
from saywhatwant.commands.backup_schedule import HOUR_MS, KEEP, TIME, Keep, is_due, to_keep

NOON = int(datetime(2026, 11, 27, 12, tzinfo=UTC).timestamp() * 1_000)


def at(*ago_hours: float) -> list[tuple[int, str]]:
    """Backups in the order in which they are given."""
    return [(NOON - round(hours * HOUR_MS), f"-{hours}") for hours in ago_hours]


def test_all_of_the_last_hours_are_kept_whole_then_the_last_of_each_day_and_of_each_week() -> None:
    hourly = at(*reversed(range(24 * 60)))
    kept = to_keep(hourly, Keep(24, 7, 4))
    assert kept.whole == {f"-{hours}" for hours in range(24)}
    ends_of_days = {f"-{13 + 24 * day}" for day in range(1, 6)}
    # 27 November 2026 is a Friday, so the weeks before end 117, 285 and 453 hours before its noon.
    assert kept.alone == {*ends_of_days, "-109", "-277", "-445"}


def test_backups_more_often_than_hourly_are_all_kept_so_that_any_moment_of_these_hours_can_be_restored() -> None:
    kept = to_keep(at(2.25, 2, 1.75, 0.5, 0.25, 0), Keep(2, 0, 0))
    assert kept.whole == {"-0", "-0.25", "-0.5", "-1.75"}


@given(
    hours=st.lists(st.integers(0, 10_000), min_size=1, unique=True),
    keep=st.builds(Keep, st.integers(0, 50), st.integers(0, 10), st.integers(0, 10)),
)
def test_p1_the_newest_is_always_kept_whatever_the_clock_said_and_pruning_again_removes_nothing(
    hours: list[int], keep: Keep
) -> None:
    backups = at(*hours)
    kept = to_keep(backups, keep)
    assert backups[-1][1] in kept.whole
    assert not kept.whole & kept.alone
    assert len(kept.alone) <= keep.days + keep.weeks
    left = [backup for backup in backups if backup[1] in kept.whole | kept.alone]
    again = to_keep(left, keep)
    assert again.whole | again.alone == kept.whole | kept.alone


def test_without_backups_none_is_kept() -> None:
    assert to_keep([], Keep(1, 1, 1)) == (set(), set())


def test_one_backup_is_due_after_the_time_however_much_was_missed_and_after_a_step_back_of_the_clock() -> None:
    hour = timedelta(hours=1)
    assert not is_due(NOON + HOUR_MS - 1, NOON, hour)
    assert is_due(NOON + HOUR_MS, NOON, hour)
    assert is_due(NOON + 100 * HOUR_MS, NOON, hour)
    assert is_due(NOON - 1, NOON, hour)
    assert not is_due(NOON, NOON, hour)


@pytest.mark.parametrize(("text", "seconds"), [("1s", 1), ("30m", 1_800), ("1h", 3_600), ("1d", 86_400), ("366d", 31_622_400)])
def test_an_interval_is_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert options.INTERVAL.convert(text, None, None) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "0s", "1", "h", "-1h", "1.5h", "1h30m", "367d", "999999999d", "1 h", "1H"])
def test_p8_any_other_interval_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="must be a number and one of s, m, h and d"):
        options.INTERVAL.convert(text, None, None)


def test_what_is_kept_is_three_numbers() -> None:
    assert KEEP.convert("24,7,4", None, None) == Keep(24, 7, 4)
    assert str(Keep(0, 1, 2)) == "0,1,2"


@pytest.mark.parametrize("text", ["", "24", "24,7", "24,7,4,1", "24,7,x", "-1,7,4", "24, 7, 4", "1.5,7,4"])
def test_p8_anything_else_to_keep_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="must be three numbers, of hours, days and weeks"):
        KEEP.convert(text, None, None)


@pytest.mark.parametrize(
    "text", ["2026-11-27T12:00:00Z", "2026-11-27T13:00+01:00", "20261127T120000Z", "2026-11-27 12:00:00.000Z"]
)
def test_a_moment_has_its_zone(text: str) -> None:
    assert TIME.convert(text, None, None) == NOON


@pytest.mark.parametrize("text", ["", "yesterday", "2026-11-27", "2026-11-27T12:00:00", "12:00Z", "2026-13-01T00:00:00Z"])
def test_p8_a_moment_without_one_is_refused(text: str) -> None:
    with pytest.raises(click.BadParameter, match="must be a time with its zone"):
        TIME.convert(text, None, None)
