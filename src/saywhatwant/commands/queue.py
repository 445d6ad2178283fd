"""``sww queue``: what is pending, held and failed."""

import asyncio
from datetime import UTC, datetime
from typing import get_args

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from saywhatwant.client import WallClient
from saywhatwant.commands import options
from saywhatwant.commands.connect import connect
from saywhatwant.commands.tail import printable
from saywhatwant.limits import MAX_PAGE
from saywhatwant.message import Message
from saywhatwant.schemas import ListedMessage, ListState, Stats
from saywhatwant.settings import load

MAX_SHOWN = 60
"""Characters shown of a message's text."""
UNWRAPPED = 100_000
"""Width of the output, in characters, when a program reads it."""
STATES = get_args(ListState)


@click.command()
@options.url
@click.option(
    "--limit", type=click.IntRange(1, MAX_PAGE), default=10, show_default=True, help="How many messages of each state to show."
)
def queue(*, url: str | None, limit: int) -> None:
    """Show what is pending, what waits for a retry, what bots are working on, and what failed and why."""
    stats, listings = asyncio.run(_fetch(connect(url, load()), limit))
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = UNWRAPPED
    depth = stats.depth
    console.print(
        f"{depth.pending} pending ({stats.backing_off} of them wait for a retry), {depth.processing} held, "
        f"{depth.failed} failed, {depth.complete} complete; backlog {stats.backlog} of {stats.backlog_limit}"
    )
    for circuit in stats.circuits or ():
        names = ", ".join(circuit.entities)
        left = _span(circuit.open_until)
        line = f"circuit open: {circuit.worker_id} does not call {circuit.provider} ({names}) for {left}: {circuit.reason}"
        console.print(Text(printable(line), style="red"))
    if any(listings.values()):
        console.print(_table(listings))


async def _fetch(connection: WallClient, limit: int) -> tuple[Stats, dict[ListState, list[ListedMessage]]]:
    async with connection as client:
        return await client.stats(), {state: await client.listing(state, limit) for state in STATES}


def _table(listings: dict[ListState, list[ListedMessage]]) -> Table:
    table = Table("state", "id", "age", "entity", "prio", "attempt", "by", "note", "text", box=None, pad_edge=False)
    for state, messages in listings.items():
        for message in messages:
            params = message.bot_params
            cells = (
                state,
                message.id,
                _span(message.timestamp),
                params.entity or "(any)",
                str(params.priority),
                str(params.attempt),
                params.claimed_by or "",
                _note(state, message),
                message.text[:MAX_SHOWN],
            )
            table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def _note(state: str, message: Message) -> str:
    params = message.bot_params
    if state == "held":
        return f"lease ends in {_span(params.lease_expires_at)}"
    if state == "waiting":
        return f"retry in {_span(params.retry_at)}: {params.error}"
    return params.error or ""


def _span(at_ms: int | None) -> str:
    """The time between now and ``at_ms``, in one unit."""
    seconds = abs(datetime.now(UTC).timestamp() - (at_ms or 0) / 1_000)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
