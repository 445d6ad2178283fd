"""What the operators' page costs the posts of a wall: ``python -m benchmarks.dashboard``.

The same load of posts goes to servers in turn, in the opposite order every other round: one on which nobody has ever looked,
and others on which operators look while it lasts, each with a socket that gets the figures once a second, as ``/ops`` has.
With ``--against COMMIT`` one more server is that of an earlier commit, such as one without the page. Ratios are taken within
each round; the processor time for a post depends least on other work on the machine.
"""

import argparse
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from statistics import median
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from websockets.sync.client import connect

from benchmarks.checkout import other_product
from benchmarks.comparison import Measure, measured_on, on_fresh_data
from benchmarks.contenders.product import Product
from benchmarks.failures import LoadFailed, NotMeasured
from benchmarks.loads import POSTS_AT_32
from benchmarks.machine import warning
from benchmarks.running import Running, end_in_order_on_sigterm
from benchmarks.wrk import Figure, measure

LOOKING = (0, 1, 5)
"""How many operators look, on a server each."""
FIGURES = "/api/ops/ws"
FRAME_SECONDS = 30.0
WIDTH = 128
"""Characters per line of output that does not go to a terminal."""


class Case(NamedTuple):
    """One of the servers that take turns."""

    name: str
    product: Product
    looking: int = 0


def cases(against: str | None = None) -> list[Case]:
    """The first one is what others are compared with. Raises ``Missing``."""
    found = [Case(_name(number), Product(), number) for number in LOOKING]
    if against is not None:
        found.append(Case(against, other_product(against)))
    return found


def _name(number: int) -> str:
    return f"{number or 'nobody'} look{'' if number > 1 else 's'}"


def take_turns(all_cases: Sequence[Case], rounds: int, seconds: int, *, measure: Measure = measure) -> dict[str, list[Figure]]:
    """The figures of each case, round by round; raises ``NotMeasured``."""
    figures: dict[str, list[Figure]] = {case.name: [] for case in all_cases}
    with ExitStack() as stack:
        servers = [(case, stack.enter_context(on_fresh_data(case.product))) for case in all_cases]
        for number in range(rounds + 1):
            for case, server in servers if number % 2 == 0 else reversed(servers):
                with _operators(server, case.looking):
                    figure = measured_on(case.product, server, POSTS_AT_32, seconds, measure)
                if number > 0:  # the first round fills the walls
                    figures[case.name].append(figure)
    return figures


@contextmanager
def _operators(server: Running, number: int) -> Iterator[None]:
    """So many look until the end of the block; it begins once each has had figures, and each must still get some after it."""
    with ExitStack() as stack:
        waits = [stack.enter_context(_operator(server)) for _ in range(number)]
        yield
        for wait in waits:
            wait()


@contextmanager
def _operator(server: Running) -> Iterator[Callable[[], None]]:
    """Looks; what is yielded returns when more figures have come, and raises ``LoadFailed`` if none do."""
    came = threading.Event()

    def read() -> None:
        for _ in socket:  # until it is closed
            came.set()

    def wait() -> None:
        came.clear()
        if not came.wait(FRAME_SECONDS):
            raise LoadFailed("an operator gets no figures any more")

    with connect(server.url.replace("http", "ws", 1) + FIGURES, proxy=None, compression=None) as socket:
        socket.recv(FRAME_SECONDS)
        reading = threading.Thread(target=read, daemon=True)
        reading.start()
        yield wait
    reading.join()


def show(console: Console, figures: dict[str, list[Figure]]) -> None:
    """Print the medians, and the ratios to the first case."""
    table = Table(box=None)
    for heading in ("", "posts a second", "ratio", "rounds", "p99 ms", "processor time, us", "ratio", "rounds"):
        table.add_column(heading, justify="right" if heading else "left", no_wrap=True)
    base = next(iter(figures.values()))
    for name, found in figures.items():
        rates = [figure.per_second / other.per_second for figure, other in zip(found, base, strict=True)]
        times = [figure.cpu_us / max(other.cpu_us, 1.0) for figure, other in zip(found, base, strict=True)]
        speed, p99, cpu = (median(values) for values in zip(*((f.per_second, f.p99_ms, f.cpu_us) for f in found), strict=True))
        compared = found is not base
        table.add_row(
            name, f"{speed:,.0f}", *_ratio(rates, shown=compared), f"{p99:.1f}", f"{cpu:.1f}", *_ratio(times, shown=compared)
        )
    console.print(table)


def _ratio(ratios: Sequence[float], *, shown: bool) -> tuple[str, str]:
    return (f"{median(ratios):.3f}", f"{min(ratios):.2f} to {max(ratios):.2f}") if shown else ("", "")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.dashboard", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seconds", type=int, default=2, help="of each turn: 2")
    parser.add_argument("--against", metavar="COMMIT|DIRECTORY", help="another checkout of this product")
    arguments = parser.parse_args()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    if busy := warning():
        console.print(busy)
    try:
        figures = take_turns(cases(arguments.against), arguments.rounds, arguments.seconds)
    except NotMeasured as error:
        sys.exit(str(error))
    show(console, figures)


if __name__ == "__main__":
    end_in_order_on_sigterm()
    main()
