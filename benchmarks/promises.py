"""``python -m benchmarks.promises``: time the promises and print their bounds.

Tests do not measure time, so these bounds are reported here: each with the median of several runs, and with the ratio of that
median to a reference timed in the same run (Python's start, a commit of SQLite), so that figures from different machines can be
compared. The exit status is 2 when something could not be measured; with --strict, 1 when a bound is exceeded.
"""

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from benchmarks import references, samples
from benchmarks.failures import note
from benchmarks.machine import warning
from benchmarks.references import Reference
from benchmarks.running import end_in_order_on_sigterm
from benchmarks.samples import Sample

RUNS = 7
WIDTH = 120


class Promise(NamedTuple):
    """A promise with its bound and its reference."""

    what: str
    bound_seconds: float
    run: Callable[[int], list[Sample]]
    """Measures it about as many times as the argument."""
    reference: Reference
    bounds_cpu: bool = False
    """Whether processor time has the same bound."""


class Outcome(NamedTuple):
    """The figures of a promise, or a note if it could not be measured."""

    what: str
    bound_ms: float
    median_ms: float = 0.0
    worst_ms: float = 0.0
    cpu_ms: float | None = None
    reference: str = ""
    reference_ms: float = 0.0
    kept: bool = False
    note: str = ""

    @property
    def ratio(self) -> float:
        """The median divided by the reference's median."""
        return self.median_ms / self.reference_ms


def measure(promise: Promise, runs: int) -> Outcome:
    """Measure a promise, and its reference both before and after."""
    bound_ms = promise.bound_seconds * 1_000
    try:
        plain = [promise.reference() for _ in range(runs)]
        measured = promise.run(runs)
        plain += [promise.reference() for _ in range(runs)]
    except Exception as error:  # noqa: BLE001 - the other promises can still be measured
        return Outcome(promise.what, bound_ms, note=note(error))
    seconds = [sample.seconds for sample in measured]
    cpu = [sample.cpu_seconds for sample in measured if sample.cpu_seconds is not None]
    median, median_cpu = statistics.median(seconds), statistics.median(cpu) if cpu else None
    bounded = max(median, median_cpu or 0.0) if promise.bounds_cpu else median
    return Outcome(
        promise.what,
        bound_ms,
        median * 1_000,
        max(seconds) * 1_000,
        None if median_cpu is None else median_cpu * 1_000,
        references.NAMES[promise.reference],
        statistics.median(plain) * 1_000,
        kept=bounded < promise.bound_seconds,
    )


def show(console: Console, outcomes: list[Outcome]) -> None:
    """Print one row per promise, in milliseconds."""
    table = Table(box=None)
    for heading in ("promise, ms", "bound", "median", "worst", "cpu", "ratio", "to", "kept"):
        left = heading in {"promise, ms", "to", "kept"}
        table.add_column(heading, justify="left" if left else "right", no_wrap=heading != "to")
    for outcome in outcomes:
        bound = f"{outcome.bound_ms:,.0f}"
        if outcome.note:
            table.add_row(outcome.what, bound, "not measured")
            continue
        cpu = "" if outcome.cpu_ms is None else f"{outcome.cpu_ms:,.0f}"
        figures = (f"{outcome.median_ms:,.1f}", f"{outcome.worst_ms:,.1f}", cpu, f"{outcome.ratio:,.1f}")
        reference = f"{outcome.reference} ({outcome.reference_ms:,.2f})"
        table.add_row(outcome.what, bound, *figures, reference, "yes" if outcome.kept else "NO")
    console.print(table)
    for outcome in outcomes:
        if outcome.note:
            console.print(f"{outcome.what}: {outcome.note}", markup=False)


PROMISES = (
    Promise("sww --version", 0.2, samples.command("--version"), references.python_start, bounds_cpu=True),
    Promise("sww --help", 0.2, samples.command("--help"), references.python_start, bounds_cpu=True),
    Promise("sww serve: ready line", 0.4, samples.ready_lines, references.python_start, bounds_cpu=True),
    Promise("P9 killed server answers again", 1.0, samples.restarts, references.python_start, bounds_cpu=True),
    Promise("P9 idle object wakes, 200 messages", 0.02, samples.wakes, references.sqlite_read),
    Promise("post, one after another", 0.01, samples.posts, references.fsync),
    Promise("post to reply received", 0.02, samples.replies, references.sqlite_commit),
    Promise("post to 1,000 readers", 0.1, samples.deliveries, references.socket_writes),
)


def outcomes(runs: int = RUNS) -> list[Outcome]:
    """Measure all promises."""
    return [measure(promise, runs) for promise in PROMISES]


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.promises", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=RUNS, help="of each promise and each reference")
    parser.add_argument("--strict", action="store_true", help="exit status 1 when a bound is exceeded")
    arguments = parser.parse_args(words)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    if busy := warning():
        console.print(busy)
    measured = outcomes(arguments.runs)
    show(console, measured)
    if any(outcome.note for outcome in measured):
        return 2
    return int(arguments.strict and not all(outcome.kept for outcome in measured))


if __name__ == "__main__":
    end_in_order_on_sigterm()
    sys.exit(main())
