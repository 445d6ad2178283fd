"""How ``sww history`` shows figures: a line that is drawn for each kind of them, and a table of the latest."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from saywhatwant.history.figures import STEP_MS
from saywhatwant.history.points import Point, Points

ROWS: Final = 15
"""Minutes or hours in the table: the latest that had any figures."""
WIDTH: Final = 60
"""Characters of a line, each of which is one minute or hour, or several."""
UNWRAPPED: Final = 1_000
"""Width of the output, in characters, when a program reads it."""
_BARS: Final = "▁▂▃▄▅▆▇█"

_LINES: Final[dict[str, Callable[[Point], float]]] = {
    "posts": lambda point: point.posts,
    "answers": lambda point: point.answers,
    "failures": lambda point: point.failures,
    "waiting": lambda point: point.pending,
    "p99, s": lambda point: point.p99 or 0,
    "requests": lambda point: point.requests,
    "commits": lambda point: point.commits,
    "readers": lambda point: point.readers,
}


def print_history(points: Points) -> None:
    """Print figures for people."""
    if not points.points:
        click.echo("no figures yet: they are stored at the end of each minute in which somebody comes")
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = UNWRAPPED
    console.print(_drawn(points))
    console.print()
    console.print(_table(points.points[-ROWS:], points.step))


def spark(values: Sequence[float]) -> str:
    """A line of bars; a space is 0."""
    most = max(values, default=0)
    return "".join(" " if not value else _BARS[min(int(value / most * len(_BARS)), len(_BARS) - 1)] for value in values)


def over_time(points: Points, value: Callable[[Point], float]) -> list[float]:
    """The values from the first to the last point, 0 where there is none: up to ``WIDTH``, each the most of its span."""
    step = STEP_MS[points.step]
    first, last = points.points[0].at, points.points[-1].at
    span = -(-((last - first) // step + 1) // WIDTH) * step
    values = [0.0] * ((last - first) // span + 1)
    for point in points.points:
        place = (point.at - first) // span
        values[place] = max(values[place], value(point))
    return values


def _drawn(points: Points) -> Table:
    first, last = points.points[0], points.points[-1]
    table = Table(
        "", f"{_time(first.at, points.step)} to {_time(last.at, points.step)}", "most", "now", box=None, pad_edge=False
    )
    for name, value in _LINES.items():
        values = over_time(points, value)
        table.add_row(name, Text(spark(values), style="cyan"), _number(max(values)), _number(value(last)))
    return table


def _table(points: Sequence[Point], step: str) -> Table:
    names = ("posts", "answers", "failures", "waiting", "p50", "p99", "requests", "5xx", "commits", "calls", "readers", "bots")
    table = Table(step, box=None, pad_edge=False)
    for name in names:
        table.add_column(name, justify="right")
    for point in points:
        calls = point.commit_calls / point.commits if point.commits else 0
        figures = (
            _number(point.posts),
            _number(point.answers),
            Text(_number(point.failures), style="red" if point.failures else ""),
            _number(point.pending),
            "" if point.p50 is None else f"{point.p50:.2f} s",
            "" if point.p99 is None else f"{point.p99:.2f} s",
            _number(point.requests),
            Text(_number(point.errors), style="red" if point.errors else ""),
            _number(point.commits),
            f"{calls:.1f}",
            _number(point.readers),
            _number(point.bots),
        )
        table.add_row(_time(point.at, step), *figures)
    return table


def _time(at_ms: int, step: str) -> str:
    local = datetime.fromtimestamp(at_ms / 1_000).astimezone()
    return f"{local:%a %H:%M}" if step == "minute" else f"{local:%d %b %H:00}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:,.2f}"
