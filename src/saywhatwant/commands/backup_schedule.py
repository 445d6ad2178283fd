"""When backups are made, and which are kept."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple, TypeVar

import click

T = TypeVar("T")

HOUR_MS = 3_600_000


class Keep(NamedTuple):
    """How many backups are kept: all of the last hours, then one for each day, then one for each week."""

    hours: int
    days: int
    weeks: int

    def __str__(self) -> str:
        return f"{self.hours},{self.days},{self.weeks}"


class Kept(NamedTuple):
    """Which of some backups stay."""

    whole: set[str]
    """Those of the last hours, which keep what was committed after them, so that any moment can be restored."""
    alone: set[str]
    """The last one of each day or week, without that."""


def to_keep(backups: Iterable[tuple[int, str]], keep: Keep) -> Kept:
    """Which of these backups (times in milliseconds since 1970, and names), oldest first, stay; the last is always one of them.

    Their order is that in which they were made: a clock that stepped back makes the newest no older. Hours are counted back
    from the newest, not from now: when no new ones come, none is removed. Days and weeks are those of UTC and ISO 8601.
    """
    newest_first = list(backups)[::-1]
    if not newest_first:
        return Kept(set(), set())
    since = newest_first[0][0] - keep.hours * HOUR_MS
    whole = {newest_first[0][1]} | {name for time, name in newest_first if time > since}
    dated = [(datetime.fromtimestamp(time / 1_000, UTC), name) for time, name in newest_first]
    days = _first_of_each([(at.date(), name) for at, name in dated], keep.days)
    weeks = _first_of_each([(at.isocalendar()[:2], name) for at, name in dated], keep.weeks)
    return Kept(whole, (days | weeks) - whole)


def _first_of_each(named: list[tuple[T, str]], groups: int) -> set[str]:
    first: dict[T, str] = {}
    for group, name in named:
        first.setdefault(group, name)
    return set(list(first.values())[:groups])


def is_due(now: int, last: int, every: timedelta) -> bool:
    """Whether a backup is due (milliseconds since 1970): one only, however many were missed while the machine slept.

    Also when the clock has stepped back to before the last one.
    """
    return now < last or now - last >= every / timedelta(milliseconds=1)


class KeepType(click.ParamType[Keep]):
    """How many backups are kept."""

    name = "hours,days,weeks"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Keep:  # noqa: ANN401 - as click's
        """See ``click.ParamType``."""
        if not re.fullmatch(r"[0-9]{1,6},[0-9]{1,6},[0-9]{1,6}", str(value)):
            self.fail(f"{value!r} must be three numbers, of hours, days and weeks, such as 24,7,4", param, ctx)
        return Keep(*map(int, str(value).split(",")))


class TimeType(click.ParamType[int]):
    """A moment in ISO 8601, as milliseconds since 1970."""

    name = "time"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:  # noqa: ANN401 - as click's
        """See ``click.ParamType``."""
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            moment = None
        if moment is None or moment.tzinfo is None:
            self.fail(f"{value!r} must be a time with its zone in ISO 8601, such as 2026-11-27T18:30:00Z", param, ctx)
        return int(moment.timestamp() * 1_000)


KEEP = KeepType()
TIME = TimeType()
