"""``make bench``: how fast is this, beside what people would use instead, on this machine, in this run?

Each contender is started here on loopback, on fresh data, and gets the same load three times in turn. Medians and ratios are
printed; every figure goes to ``docs/benchmarks/results.json`` and a chart beside it.
"""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console

from benchmarks import report
from benchmarks.answers import post_to_reply
from benchmarks.comparison import LOADS, POSTS_AT_32, Result, compare
from benchmarks.contenders.ceiling import Ceiling
from benchmarks.contenders.contract import Contender, Missing
from benchmarks.contenders.granian import BehindGranian
from benchmarks.contenders.postgres import Postgres
from benchmarks.contenders.product import Product
from benchmarks.contenders.redis import Redis
from benchmarks.contenders.workerd import WorkerdArray, WorkerdRows
from benchmarks.growth import fresh, objects, retained
from benchmarks.load import work, wrk
from benchmarks.readers import crowd

CONTENDERS: dict[str, Callable[[], Contender]] = {
    "product": Product,
    "array": WorkerdArray,
    "rows": WorkerdRows,
    "redis": Redis,
    "postgres": Postgres,
    "ceiling": Ceiling,
    "granian": BehindGranian,
}
USUAL = [name for name in CONTENDERS if name != "granian"]
OURS = Product().name
RESULTS = Path("docs/benchmarks")
WIDTH = 120
"""Of what is printed, where that is not a terminal."""


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        prog="make bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one short round, in under two minutes; writes nothing")
    parser.add_argument("--only", choices=CONTENDERS, nargs="+", default=USUAL, help="these contenders")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4, help="of each load")
    parser.add_argument("--out", type=Path, default=RESULTS, help="directory of the results")
    arguments = parser.parse_args()
    rounds, seconds = (1, 2.0) if arguments.quick else (arguments.rounds, arguments.seconds)
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    contenders = [CONTENDERS[name]() for name in arguments.only]
    try:
        results = _compared(contenders, rounds, seconds, console)
    except Missing as missing:
        sys.exit(f"{missing}\n(or leave it out: --only {' '.join(CONTENDERS)})")
    report.show(console, report.medians(results), OURS)
    if not arguments.quick:
        report.write(arguments.out, results, _own(seconds, console), OURS)


def _compared(contenders: list[Contender], rounds: int, seconds: float, console: Console) -> list[Result]:
    results = []
    for result in compare(contenders, rounds, seconds):
        console.print(f"{result.contender}: {result.load}: {result.figure.per_second:,.0f}/s", style="dim")
        results.append(result)
    return results


def _own(seconds: float, console: Console) -> dict[str, Any]:
    """What only this product is measured for."""
    with fresh() as server:
        wait = post_to_reply(server, 500)
    console.print(f"post to reply seen: p50 {wait.p50:.1f} ms, p99 {wait.p99:.1f} ms")
    with fresh() as server:
        wrk(server.url, LOADS[POSTS_AT_32], seconds)
        worked = work(server.url, seconds)
    console.print(f"claim and complete, of a backlog: {worked.per_second:,.0f}/s, p99 {worked.p99_ms:.1f} ms")
    walls = []
    for number in (200, 10_000, 100_000):
        wall = retained(number, seconds)
        console.print(
            f"{wall.messages:,} retained: {wall.posts_per_second:,.0f} posts/s, {wall.resident_megabytes:.0f} MB, "
            f"started in {wall.start_ms:.0f} ms, object awake in {wall.wake_ms:.1f} ms"
        )
        walls.append(wall._asdict())
    many = {number: objects(number, 20_000) for number in (1, 10, 100, 1_000)}
    console.print("posts/s without HTTP to so many objects: " + ", ".join(f"{n:,}: {rate:,.0f}" for n, rate in many.items()))
    crowds = [crowd(number) for number in (100, 1_000)]
    for told in crowds:
        console.print(str(told))
    return {
        "post_to_reply_ms": wait._asdict(),
        "claim_and_complete": worked._asdict(),
        "retained": walls,
        "objects": many,
        "readers": [told._asdict() for told in crowds],
    }


if __name__ == "__main__":
    main()
