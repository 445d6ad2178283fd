"""The figures as a table and as a file."""

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe
from benchmarks.restate.loads import Measured, Posts, limit
from benchmarks.restate.systems import Plan


class Result(NamedTuple):
    """A load on a system in one round, or a note that explains why there is none."""

    plan: Plan
    load: Posts
    round: int
    measured: Measured | None
    note: str = ""


def show(console: Console, results: Iterable[Result]) -> None:
    """Print a row for each load and system: the medians of the rounds."""
    table = Table(box=None)
    for heading in (
        "load",
        "system",
        "posts/s",
        "p50 ms",
        "p99 ms",
        "a batch",
        "us a post: gateway",
        "objects",
        "restate",
        "limit",
    ):
        table.add_column(heading, justify="left" if heading in {"load", "system", "limit"} else "right")
    notes = []
    for load, of_load in _by_load(results).items():
        for plan, rounds in of_load.items():
            figures = [result.measured for result in rounds if result.measured]
            notes += [f"{plan.name}, {load}: {result.note}" for result in rounds if result.note]
            table.add_row(str(load), plan.name, *(_cells(middle(figures)) if figures else ("not measured",)))
        table.add_section()
    console.print(table, markup=False)
    for note in dict.fromkeys(notes):
        console.print(note, markup=False)


def _cells(figure: Measured) -> tuple[str, ...]:
    cpu = (f"{figure.cpu_us[name]:,.0f}" if name in figure.cpu_us else "" for name in ("gateway", "objects", "restate"))
    times = (f"{figure.per_second:,.0f}", f"{figure.p50_ms:,.1f}", f"{figure.p99_ms:,.1f}", f"{figure.calls_a_batch:,.1f}")
    return *times, *cpu, limit(figure)


def _by_load(results: Iterable[Result]) -> dict[Posts, dict[Plan, list[Result]]]:
    gathered: dict[Posts, dict[Plan, list[Result]]] = {}
    for result in results:
        gathered.setdefault(result.load, {}).setdefault(result.plan, []).append(result)
    return dict(sorted(gathered.items()))


def middle(figures: Sequence[Measured]) -> Measured:
    """The median of each figure."""
    values: list[Any] = []
    for of_field in zip(*figures, strict=True):
        first = of_field[0]
        if isinstance(first, dict):
            values.append({name: median(rounds[name] for rounds in of_field) for name in first})
        else:
            values.append(median(of_field))
    return Measured(*values)


def write(path: Path, results: Iterable[Result], own: dict[str, Any], warning: str | None) -> None:
    """Write every figure of every round, and ``own``: what was measured of this product alone."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rounds = [
        {
            "system": result.plan.name,
            **{name: getattr(result.plan, name) for name in ("runtime", "nodes", "gateways", "topology")},
            **result.load._asdict(),
            "round": result.round,
            "measured": result.measured and result.measured._asdict(),
            "note": result.note,
        }
        for result in results
    ]
    found = {"machine": describe() | {"warning": warning}, "rounds": rounds, **own}
    path.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
