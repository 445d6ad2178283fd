"""``sww tail``: follow the wall in the terminal."""

import asyncio
from datetime import datetime

import click
from msgspec import UNSET
from rich.console import Console
from rich.text import Text

from saywhatwant.client import ServerUnavailable, WallClient
from saywhatwant.commands import options
from saywhatwant.commands.connect import connect
from saywhatwant.message import Message
from saywhatwant.settings import load

POLL_SECONDS = 0.5
PAGE = 200


@click.command()
@options.url
@click.option(
    "--lines",
    "-n",
    type=click.IntRange(0, PAGE),
    default=10,
    show_default=True,
    help="How many older messages to show first.",
)
@click.option("--follow/--no-follow", default=True, show_default=True, help="Keep showing new messages.")
def tail(*, url: str | None, lines: int, follow: bool) -> None:
    """Follow the wall."""
    asyncio.run(_tail(connect(url, load()), lines, follow=follow))


async def _tail(connection: WallClient, lines: int, *, follow: bool) -> None:
    console = Console(highlight=False, soft_wrap=True)
    async with connection as client:
        newest = await client.read(limit=max(lines, 1), order="desc")
        since = newest[0].timestamp if newest else 0
        for message in reversed(newest[:lines]):
            console.print(_line(message))
        while follow:
            try:
                messages = await client.read(since, PAGE)
            except ServerUnavailable as error:
                console.print(Text(f"{error}; still trying", style="dim"))
                continue
            for message in messages:
                console.print(_line(message))
                since = message.timestamp
            if len(messages) < PAGE:
                await asyncio.sleep(POLL_SECONDS)


def _line(message: Message) -> Text:
    red, green, blue = (int(message.color[at : at + 3]) for at in (0, 3, 6))
    at = datetime.fromtimestamp(message.timestamp / 1_000).astimezone()
    line = Text(f"{at:%H:%M:%S} ", style="dim")
    line.append(printable(message.username), style=f"bold rgb({red},{green},{blue})")
    if message.reply_to is None and message.bot_params.entity:
        line.append(f" to {message.bot_params.entity}", style="dim")
    elif message.bot_params.answer is False:
        line.append(" to everyone", style="dim")
    if message.hidden is UNSET:
        line.append(f" {printable(message.text)}", style="default")
    else:
        line.append(" (hidden)" if message.erased is UNSET else " (erased)", style="dim")
    line.append(f"  {message.id}", style="dim")
    if message.reply_to is not None:
        line.append(f" answers {message.reply_to}", style="dim")
    if message.bot_params.status == "failed":
        line.append(f" failed: {printable(message.bot_params.error or '')}", style="red")
    return line


def printable(text: str) -> str:
    """``text`` without characters that control a terminal or the writing direction; line breaks become visible."""
    return "".join(
        "⏎" if char == "\n" else char if char.isprintable() else "" if char == "\r" else " " if char == "\t" else "�"
        for char in text
    )
