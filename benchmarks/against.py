"""The product of two checkouts under the same loads, interleaved."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from subprocess import SubprocessError
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks.comparison import Measure, Result, measured_on, on_fresh_data
from benchmarks.contenders.contract import Contender
from benchmarks.contenders.product import NAME
from benchmarks.failures import note
from benchmarks.inprocess import Costs, costs
from benchmarks.loads import LOADS, Load
from benchmarks.running import Running, scratch
from benchmarks.wrk import Figure, measure

AT_LEAST = 0.9
"""The share of the other checkout's figures that this one should reach."""
COST_RUNS = 2
ROUNDS_A_START = 4
"""Rounds after which both restart on fresh data, since the one that has stored more would get slower."""


def take_turns(
    both: Sequence[Contender], loads: Sequence[str], rounds: int, seconds: int, *, measure: Measure = measure
) -> Iterator[Result]:
    """Yield results as they come, load by load.

    Both servers run at the same time and are measured one after the other, in the opposite order every other round, so that
    other work on the machine affects both. A failure gets a note, and ends the rounds until the next start.
    """
    for name in loads:
        for first in range(0, rounds, ROUNDS_A_START):
            numbers = range(first, min(first + ROUNDS_A_START, rounds))
            yield from _one_start(both, LOADS[name], numbers, seconds, measure)


def _one_start(
    both: Sequence[Contender], load: Load, numbers: Sequence[int], seconds: int, measure: Measure
) -> Iterator[Result]:
    servers: list[tuple[Contender, Running]] = []
    number, contender = numbers[0], both[0]
    try:
        with ExitStack() as stack:
            for contender in both:
                server = stack.enter_context(on_fresh_data(contender))
                servers.append((contender, server))
            for number in numbers:
                for contender, server in servers if number % 2 == 0 else reversed(servers):
                    figure = measured_on(contender, server, load, seconds, measure)
                    yield Result(contender.name, load.name, number, figure)
    except Exception as error:  # noqa: BLE001 - the other loads can still be measured
        yield Result(contender.name, load.name, number, None, note(error))


class Pair(NamedTuple):
    """The results of one load on both checkouts."""

    load: str
    ours: tuple[Figure, ...]
    theirs: tuple[Figure, ...]
    """Figures of the rounds in which both were measured."""
    notes: tuple[str, ...]

    @property
    def ratios(self) -> list[float]:
        """Our answers a second divided by theirs, for each round."""
        return [ours.per_second / theirs.per_second for ours, theirs in zip(self.ours, self.theirs, strict=True)]

    @property
    def cpu_ratio(self) -> float:
        """Our processor time per answer divided by theirs: the median."""
        return median(ours.cpu_us / max(theirs.cpu_us, 1.0) for ours, theirs in zip(self.ours, self.theirs, strict=True))


def pairs(results: Sequence[Result], other: str) -> list[Pair]:
    """The results paired by load."""
    found = []
    for load in dict.fromkeys(result.load for result in results):
        of_load = [result for result in results if result.load == load]
        ours, theirs = ({r.round: r.figure for r in of_load if r.contender == name and r.figure} for name in (NAME, other))
        both = sorted(ours.keys() & theirs.keys())
        notes = tuple(f"{result.contender}: {result.note}" for result in of_load if result.note)
        found.append(Pair(load, tuple(ours[number] for number in both), tuple(theirs[number] for number in both), notes))
    return found


def show_costs(console: Console, other: str, ours: Path, theirs: Path) -> None:
    """Measure what a request costs in one process, with the Python of each checkout in turn, and print it."""
    best: dict[Path, Costs] = {}
    with scratch() as directory:
        for python in (ours, theirs) * COST_RUNS:
            try:
                found = costs(python, directory)
            except SubprocessError as error:
                console.print(f"costs in one process: not measured: {note(error)}", markup=False)
                return
            known = best.setdefault(python, found)
            best[python] = {load: min(known[load], cost) for load, cost in found.items()}
    table = Table(box=None)
    for heading in ("in one process", "this, us", f"{other}, us", "ratio", "this, calls", f"{other}, calls"):
        table.add_column(heading, justify="left" if heading == "in one process" else "right")
    for load, (our_us, our_calls) in best[ours].items():
        their_us, their_calls = best[theirs][load]
        calls = (f"{our_calls:,.0f}", f"{their_calls:,.0f}")
        table.add_row(load, f"{our_us:.1f}", f"{their_us:.1f}", f"{our_us / their_us:.2f}", *calls)
    console.print(table)


def show(console: Console, measured: Sequence[Pair], other: str) -> bool:
    """Print the pairs; returns whether every load was measured on both and none is below ``AT_LEAST``."""
    table = Table(box=None)
    for heading in ("load", "this, per second", f"{other}, per second", "ratio", "rounds", "processor time, ratio"):
        table.add_column(heading, justify="left" if heading == "load" else "right")
    for pair in measured:
        if not pair.ratios:
            table.add_row(pair.load, "not measured")
            continue
        rates = (f"{median(figure.per_second for figure in figures):,.0f}" for figures in (pair.ours, pair.theirs))
        spread = f"{min(pair.ratios):.2f} to {max(pair.ratios):.2f}"
        table.add_row(pair.load, *rates, f"{median(pair.ratios):.2f}", spread, f"{pair.cpu_ratio:.2f}")
    console.print(table)
    for pair in measured:
        for text in pair.notes:
            console.print(f"{pair.load}: {text}", markup=False)
    slower = [pair.load for pair in measured if pair.ratios and median(pair.ratios) < AT_LEAST]
    console.print(f"below {AT_LEAST:.0%} of {other}: {', '.join(slower) or 'none'}")
    return not slower and all(pair.ratios for pair in measured)
