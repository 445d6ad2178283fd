"""What was measured, as tables, as JSON, and as a chart."""

import json
import os
import platform
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.comparison import POSTS_AT_32, ROUND_TRIP, Result
from benchmarks.contenders.ceiling import Ceiling
from benchmarks.load import Figure

CHARTED = (POSTS_AT_32, ROUND_TRIP)
OURS = "#ae3416"
THEIRS = "#b9b0a2"


def medians(results: Iterable[Result]) -> dict[str, dict[str, Figure]]:
    """For each load, each contender's median over the rounds."""
    gathered: dict[str, dict[str, list[Figure]]] = {}
    for result in results:
        gathered.setdefault(result.load, {}).setdefault(result.contender, []).append(result.figure)
    return {load: {contender: _median(figures) for contender, figures in of_load.items()} for load, of_load in gathered.items()}


def _median(figures: Sequence[Figure]) -> Figure:
    per_second, p50, p99, answers = (statistics.median(values) for values in zip(*figures, strict=True))
    return Figure(per_second, p50, p99, int(answers))


def show(console: Console, figures: dict[str, dict[str, Figure]], ours: str) -> None:
    """A row for each load and contender; the ratio is ours to theirs."""
    table = Table(box=None)
    for heading in ("load", "contender", "per second", "ours is", "p50 ms", "p99 ms"):
        table.add_column(heading, no_wrap=True, justify="left" if heading in {"load", "contender"} else "right")
    for load, of_load in figures.items():
        mine = of_load.get(ours)
        for contender, figure in of_load.items():
            ratio = f"{mine.per_second / figure.per_second:.2f} x" if mine and contender != ours else ""
            cells = (f"{figure.per_second:,.0f}", ratio, f"{figure.p50_ms:.1f}", f"{figure.p99_ms:.1f}")
            table.add_row(load, contender, *cells)
        table.add_section()
    console.print(table)


def write(directory: Path, results: Sequence[Result], own: dict[str, Any], ours: str) -> None:
    """``results.json`` with every figure of every round, and ``speed.svg``."""
    directory.mkdir(parents=True, exist_ok=True)
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "system": platform.platform()}
    rounds = [result._asdict() | {"figure": result.figure._asdict()} for result in results]
    (directory / "results.json").write_text(json.dumps({"machine": machine, "rounds": rounds, "own": own}, indent=1) + "\n")
    draw(directory / "speed.svg", medians(results), ours)


def draw(path: Path, figures: dict[str, dict[str, Figure]], ours: str) -> None:
    """Bars of what visitors and bots feel most."""
    import matplotlib as mpl  # noqa: PLC0415 - half a second that only this needs

    mpl.use("svg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    charted = [load for load in CHARTED if figures.get(load, {}).keys() - {Ceiling.name}]
    mpl.rcParams |= {"svg.fonttype": "none", "font.family": "sans-serif", "svg.hashsalt": "speed"}
    drawing, axes = plt.subplots(1, len(charted), figsize=(10, 2.8), squeeze=False, layout="constrained")
    for plot, load in zip(axes[0], charted, strict=True):
        names = [name for name in reversed(figures[load]) if name != Ceiling.name]
        values = [figures[load][name].per_second for name in names]
        bars = plot.barh(names, values, color=[OURS if name == ours else THEIRS for name in names])
        plot.bar_label(bars, labels=[f"{value:,.0f}" for value in values], padding=4, color="#6b6459")
        plot.set_title(load, loc="left", fontsize=10, color="#6b6459")
        plot.set_xlim(0, max(values) * 1.2)
        plot.xaxis.set_visible(False)
        plot.tick_params(length=0, colors="#6b6459")
        for side in plot.spines.values():
            side.set_visible(False)
    drawing.savefig(path, transparent=True, metadata={"Date": None})
