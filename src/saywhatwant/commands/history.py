"""``sww history``: the figures of the last minutes or hours, as lines and a table."""

import asyncio

import click
import msgspec

from saywhatwant.client import WallClient
from saywhatwant.commands import options
from saywhatwant.commands.connect import connect
from saywhatwant.commands.history_view import print_history
from saywhatwant.history.points import Points
from saywhatwant.limits import MAX_HISTORY_POINTS
from saywhatwant.settings import load

STEPS = ("minute", "hour")


@click.command()
@options.url
@click.option(
    "--step", type=click.Choice(STEPS), default="minute", show_default=True, help="Minutes of a week, or hours of a year."
)
@click.option(
    "--limit", type=click.IntRange(1, MAX_HISTORY_POINTS), default=60, show_default=True, help="How many of the latest to show."
)
@click.option("--json", "as_json", is_flag=True, help="Print all figures as one JSON object.")
def history(*, url: str | None, step: str, limit: int, as_json: bool) -> None:
    """Show the wall's figures of the last minutes or hours: posts, answers, failures, waiting, times, and what it used."""
    points = asyncio.run(_fetch(connect(url, load()), step, limit))
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(points)).decode())
    else:
        print_history(points)


async def _fetch(connection: WallClient, step: str, limit: int) -> Points:
    async with connection as client:
        return await client.history("hour" if step == "hour" else "minute", limit)
