"""``sww cost``: what a wall costs on Cloudflare, counted and not guessed."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from msgspec import UNSET

from saywhatwant.commands import options
from saywhatwant.commands.connect import connect
from saywhatwant.commands.cost_view import print_json, print_report
from saywhatwant.commands.log import set_level, set_up_structlog
from saywhatwant.cost.chart import chart
from saywhatwant.cost.counts import Counts
from saywhatwant.cost.prices import Prices, WrongPrices, load_prices
from saywhatwant.cost.report import Cost, Report
from saywhatwant.errors import ExpectedError
from saywhatwant.settings import load

SCENARIOS = ("quiet", "busy", "thirty-tabs", "thousand-users", "long-talk", "one-visitor")
SHOWN = ("quiet", "busy", "one-visitor")
"""What is played when nothing else is asked for."""


_HERE = "here"


class _UrlOrHere(options.HttpUrl):
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:  # noqa: ANN401 - as click's
        return _HERE if value == _HERE else super().convert(value, param, ctx)


class NoUsage(ExpectedError):
    """The server is of a version that does not count."""


@click.command()
@click.option(
    "--scenario",
    "scenarios",
    multiple=True,
    type=click.Choice(SCENARIOS),
    show_default=", ".join(SHOWN),
    help="Play this workload; repeat for more.",
)
@click.option(
    "--from-stats",
    "url",
    type=_UrlOrHere(),
    is_flag=False,
    flag_value=_HERE,
    metavar="[URL]",
    help="What a server has used since it started; by default the one where `sww up` listens.",
)
@click.option("--prices", "file", type=options.PATH, help="A TOML file with other prices.")
@click.option("--price", "given", metavar="NAME=VALUE", multiple=True, help="Another price; repeat for more.")
@click.option("--json", "as_json", is_flag=True, help="Print all counts and dollars as JSON.")
@click.option("--svg", type=options.PATH, help="Draw a chart into this file.")
def cost(
    *, scenarios: tuple[str, ...], url: str | None, file: Path | None, given: tuple[str, ...], as_json: bool, svg: Path | None
) -> None:
    """Print what a wall costs on Cloudflare: dollars for a million round trips (post, claim, reply with completion).

    Workloads are played on a virtual clock, with the code that runs there, and what they use is counted.
    """
    prices = load_prices(file, **dict(map(_named, given)))
    measured = () if url is None else (_measured(url, prices),)
    names = scenarios or (() if measured else SHOWN)
    report = Report.of(prices, *measured, *_played(names, prices))
    if as_json:
        print_json(report)
    else:
        print_report(report)
    if svg is not None:
        svg.write_text(chart(report))


def _named(price: str) -> tuple[str, str]:
    name, separator, value = price.partition("=")
    if not separator:
        raise WrongPrices(f"--price {price} has no value; write NAME=VALUE")
    return name, value


def _measured(url: str, prices: Prices) -> Cost:
    """What a running server has used."""

    async def ask() -> tuple[str, Counts]:
        async with connect(None if url == _HERE else url, load()) as client:
            usage = (await client.stats()).usage
        if usage is UNSET:
            raise NoUsage(f"{client.url} does not tell what it uses; it runs an earlier version")
        return client.url, Counts.of(usage, time.time_ns() // 1_000_000)

    found, counts = asyncio.run(ask())
    return Cost.counted("this server", f"what {found} has used since it started", counts, prices)


def silently() -> None:
    """Log no answers of the bot."""
    set_up_structlog()
    set_level("warning")


def _played(names: tuple[str, ...], prices: Prices) -> Iterator[Cost]:
    """What workloads use."""
    if not names:
        return
    from saywhatwant.cost.scenarios import SCENARIOS as WORKLOADS
    from saywhatwant.cost.scenarios import play

    silently()
    for name in names:
        yield Cost.counted(name, WORKLOADS[name].what, play(name), prices)
