"""``make bench``: the speed on this machine, compared with the alternatives in the same run.

Each contender starts on loopback with fresh data, and gets the same loads as the others, interleaved. Medians and ratios are
printed. A contender that is not installed, breaks or takes too long gets a row with a note. With --against, only the product is
measured, interleaved with the product of another commit or directory. A run without --quick, --only and --loads also measures
promises and growth.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from benchmarks import against, alone, report
from benchmarks.checkout import other_product
from benchmarks.comparison import Result, compare
from benchmarks.contenders.ceiling import Ceiling
from benchmarks.contenders.contract import Contender
from benchmarks.contenders.granian import OnGranian
from benchmarks.contenders.plain_uvicorn import OnPlainUvicorn
from benchmarks.contenders.postgres import Postgres
from benchmarks.contenders.product import NAME, Product
from benchmarks.contenders.redis import Redis
from benchmarks.contenders.workerd import WorkerdArray, WorkerdRows
from benchmarks.failures import Missing
from benchmarks.loads import LOADS
from benchmarks.machine import warning
from benchmarks.running import RESULTS, end_in_order_on_sigterm

CONTENDERS: dict[str, Callable[[], Contender]] = {
    "product": Product,
    "array": WorkerdArray,
    "rows": WorkerdRows,
    "redis": Redis,
    "postgres": Postgres,
    "ceiling": Ceiling,
    "uvicorn": OnPlainUvicorn,
    "granian": OnGranian,
}
USUAL = [name for name in CONTENDERS if name not in {"uvicorn", "granian"}]
GROUPS = (
    ("post-1", "post-32", "post-128", "read-200", "read-none"),
    ("keyed-1", "keyed-32", "keyed-128"),
    ("round-trip",),
)
"""Loads that run one after another on the same data."""
WIDTH = 120
"""Characters per line of output that does not go to a terminal."""


def main() -> None:
    """Measure, print and write. The exit status is 2 when this product was not measured under every load."""
    arguments = _arguments()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    busy = warning()
    if busy:
        console.print(busy)
    if arguments.against:
        sys.exit(_against(arguments, console))
    results = []
    groups = [[name for name in group if name in arguments.loads] for group in GROUPS]
    contenders = [CONTENDERS[name]() for name in arguments.only]
    for result in compare(contenders, groups, arguments.rounds, arguments.seconds):
        _print_result(console, result)
        results.append(result)
    measured = report.rows(results)
    report.show(console, measured)
    if arguments.out:
        own = alone.measured(arguments.seconds, console) if arguments.whole else {}
        report.write(arguments.out, results, own, busy)
        console.print(f"every figure: {arguments.out / 'results.json'}")
    ours = [of_load[NAME] for of_load in measured.values() if NAME in of_load]
    sys.exit(0 if all(row.figure for row in ours) else 2)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one short round, in a few minutes; writes nothing")
    parser.add_argument("--only", choices=CONTENDERS, nargs="+", help="these contenders")
    parser.add_argument("--loads", choices=LOADS, nargs="+", help="these loads")
    parser.add_argument("--rounds", type=int, help="3; 8 with --against")
    parser.add_argument("--seconds", type=int, help="duration of each load: 4; 2 with --against")
    parser.add_argument(
        "--out", type=Path, help=f"directory for results.json and speed.svg; {RESULTS} after a run of everything, else none"
    )
    parser.add_argument("--against", metavar="COMMIT|DIRECTORY", help="compare with another checkout of this product")
    parser.add_argument(
        "--strict", action="store_true", help="with --against: exit status 1 when this is slower than 90 percent"
    )
    arguments = parser.parse_args()
    if arguments.against and arguments.only not in (None, ["product"]):
        parser.error("--against measures the product only")
    short = bool(arguments.against or arguments.quick)
    arguments.whole = not (short or arguments.only or arguments.loads)
    arguments.only = arguments.only or USUAL
    arguments.loads = arguments.loads or list(LOADS)
    arguments.out = arguments.out or (RESULTS if arguments.whole else None)
    arguments.rounds = arguments.rounds or (1 if arguments.quick else 8 if short else 3)
    arguments.seconds = arguments.seconds or (2 if short else 4)
    return arguments


def _against(arguments: argparse.Namespace, console: Console) -> int:
    """Compare with another checkout; returns the exit status."""
    try:
        other = other_product(arguments.against)
    except Missing as missing:
        sys.exit(str(missing))
    ours = Product()
    pythons = (ours.sww.with_name("python"), other.sww.with_name("python"))
    against.show_costs(console, arguments.against, *pythons)
    results = []
    for result in against.take_turns([ours, other], arguments.loads, arguments.rounds, arguments.seconds):
        _print_result(console, result)
        results.append(result)
    pairs = against.pairs(results, other.name)
    fast_enough = against.show(console, pairs, arguments.against)
    if not all(pair.ratios for pair in pairs):
        return 2
    return int(arguments.strict and not fast_enough)


def _print_result(console: Console, result: Result) -> None:
    outcome = f"{result.figure.per_second:,.0f}/s" if result.figure else result.note
    console.print(f"{result.contender}: {result.load}: {outcome}", style="dim", markup=False)


if __name__ == "__main__":
    end_in_order_on_sigterm()
    main()
