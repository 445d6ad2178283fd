"""What is measured of this product alone: round trips, and how long visitors at another gateway wait."""

from collections.abc import Callable
from statistics import median
from typing import Any, NamedTuple

from rich.console import Console

from benchmarks.answers import replies
from benchmarks.failures import note
from benchmarks.loads import ROUND_TRIP
from benchmarks.restate import latency, readers
from benchmarks.restate.systems import Plan, System, cluster
from benchmarks.running import scratch
from benchmarks.wrk import measure

TWO_GATEWAYS = Plan("two gateways", cluster, gateways=2)
QUESTIONS = 100


class Waits(NamedTuple):
    """Milliseconds from a question at one gateway to its reply there, when the bot is at the other one."""

    milliseconds: list[float]

    def __str__(self) -> str:
        return f"median {median(self.milliseconds):.1f} ms, worst {max(self.milliseconds):.1f} ms"


def measured(seconds: int, console: Console) -> dict[str, Any]:
    """Measure and print; what fails becomes a note."""
    with scratch() as directory, cluster(directory, TWO_GATEWAYS) as system:
        resident = {name.partition(" ")[0]: process.resident_bytes for name, process in system.processes.items()}
        found: dict[str, Any] = {"resident": resident}
        for name, (what, take) in _measures(system, seconds).items():
            try:
                figure = take()
            except Exception as error:  # noqa: BLE001 - the rest can still be measured
                console.print(f"{what}: not measured: {note(error)}", markup=False)
                continue
            console.print(f"{what}: {figure}", markup=False)
            found[name] = figure._asdict()
    return found


def _measures(system: System, seconds: int) -> dict[str, tuple[str, Callable[[], Any]]]:
    visitor, bot = system.urls
    return {
        "readers": ("what readers cost, in seconds", lambda: readers.costs(system, seconds)),
        "seen": ("a post at one gateway", lambda: latency.seen(system)),
        "replies": (
            "question to reply, the bot at the other gateway",
            lambda: Waits([wait * 1_000 for wait in replies(visitor, bot, QUESTIONS)]),
        ),
        "round_trips": ("round trips, 32 connections", lambda: measure(bot, ROUND_TRIP, seconds)),
    }
