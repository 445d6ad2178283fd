"""How ``sww cost`` prints a report: a bar for each cause, and what the same would cost elsewhere."""

import click
import msgspec
from rich.console import Console
from rich.table import Table
from rich.text import Text

from saywhatwant.cost.prices import Prices
from saywhatwant.cost.report import Cost, Report

BAR = 24
"""Characters of the longest bar."""
EIGHTHS = " ▏▎▍▌▋▊▉"
NOTHING = 0.0005
"""Causes that cost less are not shown, in dollars for a million round trips."""


def print_json(report: Report) -> None:
    """Print all of it as one JSON object."""
    click.echo(msgspec.json.format(msgspec.json.encode(report)).decode())


def print_report(report: Report) -> None:
    """Print it for people."""
    console = Console(highlight=False)
    for cost in report.counted:
        _print_bars(console, cost)
    console.print(_comparison(report))
    console.print(Text(_basis(report.prices), style="dim"))


def _print_bars(console: Console, cost: Cost) -> None:
    bill, counts = cost.bill, cost.counts
    assert counts is not None  # noqa: S101 - it was counted
    console.print(Text.assemble((cost.name, "bold"), f": {cost.what}"))
    if not bill.round_trips:
        console.print(Text("nobody has asked anything, so there is no round trip to divide by\n", style="dim"))
        return
    console.print(Text(f"{bill.round_trips:,} round trips in {_span(bill.seconds)}, {counts.wakes:,} wakes", style="dim"))
    table = Table(box=None, pad_edge=False)
    table.add_column("cause")
    table.add_column("each", justify="right")
    table.add_column("")
    table.add_column("$ per million", justify="right")
    table.add_column("")
    shown = [(line, bill.per_million(line.dollars) or 0.0) for line in bill.lines]
    most = max(dollars for _, dollars in shown)
    for line, dollars in shown:
        if dollars >= NOTHING:
            style = "" if line.part == "round trips" else "dim"
            row = (line.cause, _number(line.count / bill.round_trips), line.unit, f"{dollars:.3f}", _bar(dollars / most))
            table.add_row(*(Text(cell, style=style) for cell in row))
    console.print(table)
    console.print()


def _comparison(report: Report) -> Table:
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for heading in ("a million", "with pages and Worker", "a month"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("")
    for cost in report.costs:
        figures = (dollars(cost.per_million_objects), dollars(cost.per_million), dollars(cost.per_month))
        table.add_row(*map(Text, (cost.name, *figures, cost.what)))
    return table


def _basis(prices: Prices) -> str:
    return (
        "Dollars for a million round trips (objects only; then with what pages ask for, and the Worker's requests) and for a "
        f"month at Cloudflare's prices of {prices.as_of}, none of it included in a plan. That a request, frame or alarm keeps "
        f"the object awake for {prices.event_ms:g} ms, and a wake for {prices.wake_ms:g} ms, is assumed; all else was counted."
    )


def dollars(amount: float | None) -> str:
    """As people read it."""
    if amount is None:
        return "-"
    return f"${amount:.4f}" if 0 < amount < 0.01 else f"${amount:,.2f}"  # noqa: PLR2004 - else it would be no cents


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1_000 or value == int(value) else f"{value:.3g}"  # noqa: PLR2004 - enough digits


def _bar(share: float) -> str:
    eighths = round(share * BAR * 8)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()


def _span(seconds: float) -> str:
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
