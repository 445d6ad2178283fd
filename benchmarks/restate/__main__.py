"""``python -m benchmarks.restate``: posts to a wall on Restate, beside a plain Restate service, and where the limit is.

Each system has processes of its own on loopback, and starts on fresh data in every round. Those of one group run at the same
time and take turns under each load. Medians are printed: posts a second, and the processor time of each process for a post. A
system that does not start or breaks gets a note.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from rich.console import Console

from benchmarks.failures import note
from benchmarks.machine import warning
from benchmarks.restate import alone, report
from benchmarks.restate.loads import Posts, put
from benchmarks.restate.report import Result
from benchmarks.restate.systems import Plan, System, cluster, embedded, plain
from benchmarks.running import end_in_order_on_sigterm, scratch

ONE_KEY = (Posts(1, 1), Posts(1, 32), Posts(1, 128))
KEYS = (Posts(1, 256), Posts(4, 256), Posts(16, 256))
MANY_KEYS = (Posts(64, 128), Posts(64, 256), Posts(64, 512), Posts(64, 1_024))
ONE = Plan("one object", cluster)
MANY = Plan("an object for each entity", cluster, topology="per-entity")
PLAIN = Plan("plain Restate service", plain, runtime="plain")
GROUPS: dict[str, tuple[tuple[Plan, ...], tuple[Posts, ...]]] = {
    "one": ((ONE, PLAIN, Plan("one process, SQLite", embedded, runtime="embedded")), ONE_KEY),
    "many": ((MANY, PLAIN), MANY_KEYS),
    "keys": ((MANY,), KEYS),
    "gateways": ((MANY._replace(name=f"{MANY.name}, 2 gateways", gateways=2),), MANY_KEYS[1:]),
    "nodes": ((ONE._replace(name=f"{ONE.name}, 3 nodes", nodes=3),), ONE_KEY),
    "nodes-many": ((MANY._replace(name=f"{MANY.name}, 3 nodes, 2 gateways", nodes=3, gateways=2),), MANY_KEYS),
}
"""By short name: systems that run at the same time and take turns under each of these loads."""
WIDTH = 160
"""Characters per line of output that does not go to a terminal."""
FILE = "restate.json"


def measure(names: Sequence[str], rounds: int, seconds: int) -> Iterator[Result]:
    """Yield results as they come; systems take turns in the opposite order every other round."""
    for number in range(rounds):
        for name in names:
            yield from _group(*GROUPS[name], number, seconds)


def _group(plans: Sequence[Plan], loads: Sequence[Posts], number: int, seconds: int) -> Iterator[Result]:
    with ExitStack() as stack:
        systems: list[tuple[Plan, System]] = []
        for plan in plans:
            try:
                systems.append((plan, stack.enter_context(_started(plan))))
            except Exception as error:  # noqa: BLE001 - the others can still be measured
                yield from (Result(plan, load, number, None, note(error)) for load in loads)
        for load in loads:
            for plan, system in systems if number % 2 == 0 else reversed(systems):
                try:
                    yield Result(plan, load, number, put(load, system, seconds))
                except Exception as error:  # noqa: BLE001 - as above
                    yield Result(plan, load, number, None, note(error))


@contextmanager
def _started(plan: Plan) -> Iterator[System]:
    with scratch() as directory, plan.start(directory, plan) as system:
        yield system


def main() -> None:
    """Measure, print and write."""
    arguments = _arguments()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    busy = warning()
    if busy:
        console.print(busy)
    results = []
    for result in measure(arguments.only, arguments.rounds, arguments.seconds):
        results.append(result)
        figure = result.measured
        outcome = f"{figure.per_second:,.0f}/s" if figure else result.note
        console.print(f"{result.plan.name}: {result.load}: {outcome}", style="dim", markup=False)
    report.show(console, results)
    own = {}
    if arguments.alone:
        try:
            own = alone.measured(arguments.seconds, console)
        except Exception as error:  # noqa: BLE001 - the rest is measured
            console.print(f"not measured: {note(error)}", markup=False)
    if arguments.out:
        report.write(arguments.out / FILE, results, own, busy)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.restate", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", choices=GROUPS, nargs="+", default=list(GROUPS), help="these groups")
    parser.add_argument("--alone", action="store_true", help="also round trips, and how long readers at another gateway wait")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=4, help="duration of each load")
    parser.add_argument("--out", type=Path, help=f"directory for {FILE}")
    return parser.parse_args()


if __name__ == "__main__":
    end_in_order_on_sigterm()
    main()
