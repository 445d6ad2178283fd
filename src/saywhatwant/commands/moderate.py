"""``sww moderate``: hides messages, shows them again, and erases their texts for good; with the commands for rules."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime

import click

from saywhatwant.client import HiddenText, Moderated, WallClient
from saywhatwant.commands import moderate_rules, options
from saywhatwant.commands.connect import connect
from saywhatwant.commands.moderate_rules import ids, reason
from saywhatwant.commands.tail import printable
from saywhatwant.moderation.schemas import EraseRequest, HideRequest, RestoreRequest
from saywhatwant.settings import load

Act = Callable[[WallClient, str], Awaitable[Moderated]]

name = click.option("--name", is_flag=True, help="The name of who wrote it too.")


@click.group()
@options.url
@click.pass_context
def moderate(context: click.Context, *, url: str | None) -> None:
    """Hide or erase messages, make rules for posts, review what they hold, and see what was reported and done."""
    context.obj = url


for command in moderate_rules.COMMANDS:
    moderate.add_command(command)


@moderate.command()
@ids
@name
@reason
@options.url
@click.pass_obj
def hide(moderate_url: str | None, *, message_ids: tuple[str, ...], name: bool, reason: str, url: str | None) -> None:
    """Hide messages from everybody but operators, at once and on every open page."""
    _each(url or moderate_url, message_ids, "hidden", lambda client, one: client.hide(HideRequest(one, reason, name)))


@moderate.command()
@ids
@reason
@options.url
@click.pass_obj
def restore(moderate_url: str | None, *, message_ids: tuple[str, ...], reason: str, url: str | None) -> None:
    """Show hidden messages again."""
    _each(url or moderate_url, message_ids, "shown", lambda client, one: client.restore(RestoreRequest(one, reason)))


@moderate.command()
@ids
@name
@reason
@options.url
@click.pass_obj
def erase(moderate_url: str | None, *, message_ids: tuple[str, ...], name: bool, reason: str, url: str | None) -> None:
    """Erase the texts of messages for good; nobody can bring them back."""
    _each(url or moderate_url, message_ids, "erased", lambda client, one: client.erase(EraseRequest(one, reason, name)))


@moderate.command()
@click.argument("message_id", type=options.UTF8, metavar="ID")
@options.url
@click.pass_obj
def hidden(moderate_url: str | None, *, message_id: str, url: str | None) -> None:
    """Print what a hidden message says."""
    found = asyncio.run(_read(connect(url or moderate_url, load()), message_id))
    at = datetime.fromtimestamp(found.hidden_at / 1_000).astimezone()
    why = f" ({printable(found.reason)})" if found.reason else ""
    click.echo(f"{printable(found.username)}: {printable(found.text)}")
    click.echo(f"hidden {at:%Y-%m-%d %H:%M}{why}")


def _each(url: str | None, message_ids: tuple[str, ...], done: str, act: Act) -> None:
    asyncio.run(_act(connect(url, load()), message_ids, done, act))


async def _act(connection: WallClient, message_ids: tuple[str, ...], done: str, act: Act) -> None:
    async with connection as client:
        for message_id in dict.fromkeys(message_ids):
            answer = await act(client, message_id)
            click.echo(f"{done} {message_id}")
            if answer.left is not None:
                click.echo(f"sww: {answer.left}", err=True)


async def _read(connection: WallClient, message_id: str) -> HiddenText:
    async with connection as client:
        return await client.hidden(message_id)
