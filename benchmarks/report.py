"""The results as tables, as JSON and as a chart."""

import json
import statistics
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.comparison import Result
from benchmarks.contenders.ceiling import Ceiling
from benchmarks.contenders.product import NAME
from benchmarks.loads import POSTS_AT_32, ROUND_TRIP
from benchmarks.machine import describe
from benchmarks.wrk import Figure

CHARTED = (POSTS_AT_32.name, ROUND_TRIP.name)
OURS = "#ae3416"
THEIRS = "#b9b0a2"
TEXT = "#6b6459"


class Row(NamedTuple):
    """A contender under a load: the median of its measured rounds, and why others are missing."""

    figure: Figure | None
    note: str


Rows = dict[str, dict[str, Row]]
"""By load, then by contender."""


def rows(results: Iterable[Result]) -> Rows:
    """Merge the rounds of each contender and load."""
    gathered: dict[str, dict[str, list[Result]]] = {}
    for result in results:
        gathered.setdefault(result.load, {}).setdefault(result.contender, []).append(result)
    return {load: {name: _row(rounds) for name, rounds in of_load.items()} for load, of_load in gathered.items()}


def _row(rounds: Sequence[Result]) -> Row:
    figures = [result.figure for result in rounds if result.figure]
    notes = list(dict.fromkeys(result.note for result in rounds if result.note))
    if notes and figures:
        notes.insert(0, f"{len(figures)} of {len(rounds)} rounds")
    return Row(_median(figures) if figures else None, "; ".join(notes))


def _median(figures: Sequence[Figure]) -> Figure:
    per_second, p50, p99, answers, cpu_us = (statistics.median(values) for values in zip(*figures, strict=True))
    return Figure(per_second, p50, p99, int(answers), cpu_us)


def show(console: Console, measured: Rows, ours: str = NAME) -> None:
    """Print a row for each load and contender, with the ratio of ours to theirs, and notes below the table."""
    table = Table(box=None)
    for heading in ("load", "contender", "per second", "ours is", "p50 ms", "p99 ms", "cpu us"):
        table.add_column(heading, no_wrap=True, justify="left" if heading in {"load", "contender"} else "right")
    numbers: dict[str, int] = {}
    for load, of_load in measured.items():
        mine = of_load[ours].figure if ours in of_load else None
        for contender, (figure, note) in of_load.items():
            mark = f" [{numbers.setdefault(note, len(numbers) + 1)}]" if note else ""
            if figure is None:
                table.add_row(load, contender, f"not measured{mark}")
                continue
            ratio = f"{mine.per_second / figure.per_second:.2f} x" if mine and contender != ours else ""
            cells = (
                f"{figure.per_second:,.0f}{mark}",
                ratio,
                f"{figure.p50_ms:.1f}",
                f"{figure.p99_ms:.1f}",
                f"{figure.cpu_us:.0f}",
            )
            table.add_row(load, contender, *cells)
        table.add_section()
    console.print(table, markup=False)
    for note, number in numbers.items():
        console.print(f"[{number}] {note}", markup=False)


def write(directory: Path, results: Sequence[Result], own: dict[str, Any], warning: str | None = None) -> None:
    """Write ``results.json`` with every figure of every round, and ``speed.svg``; ``warning`` is kept with the figures."""
    directory.mkdir(parents=True, exist_ok=True)
    machine = describe() | {"warning": warning}
    rounds = [result._asdict() | {"figure": result.figure and result.figure._asdict()} for result in results]
    (directory / "results.json").write_text(json.dumps({"machine": machine, "rounds": rounds, "own": own}, indent=1) + "\n")
    draw(directory / "speed.svg", rows(results))


def draw(path: Path, measured: Rows, ours: str = NAME) -> None:
    """Draw bars for the loads that matter most to visitors and bots; nothing without results or matplotlib."""
    figures = {load: _charted(measured.get(load, {})) for load in CHARTED}
    charted = [load for load in CHARTED if figures[load]]
    if not charted or not find_spec("matplotlib"):
        return
    import matplotlib as mpl  # noqa: PLC0415 - half a second that only this needs

    mpl.use("svg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    mpl.rcParams |= {"svg.fonttype": "none", "font.family": "sans-serif", "svg.hashsalt": "speed"}
    drawing, axes = plt.subplots(1, len(charted), figsize=(10, 2.8), squeeze=False, layout="constrained")
    for plot, load in zip(axes[0], charted, strict=True):
        names = [*reversed(figures[load])]
        values = [figures[load][name] for name in names]
        bars = plot.barh(names, values, color=[OURS if name == ours else THEIRS for name in names])
        plot.bar_label(bars, labels=[f"{value:,.0f}" for value in values], padding=4, color=TEXT)
        plot.set_title(load, loc="left", fontsize=10, color=TEXT)
        plot.set_xlim(0, max(values) * 1.2)
        plot.xaxis.set_visible(False)
        plot.tick_params(length=0, colors=TEXT)
        for side in plot.spines.values():
            side.set_visible(False)
    drawing.savefig(path, transparent=True, metadata={"Date": None})


def _charted(of_load: dict[str, Row]) -> dict[str, float]:
    return {name: row.figure.per_second for name, row in of_load.items() if row.figure and name != Ceiling.name}
