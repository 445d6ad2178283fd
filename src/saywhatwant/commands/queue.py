"""``sww queue``: the work and the bots; retries, fails and discards messages."""

import asyncio
from typing import Literal, get_args

import click
import msgspec

from saywhatwant.client import WallClient
from saywhatwant.commands import options
from saywhatwant.commands.connect import connect
from saywhatwant.commands.queue_view import QueueView, print_json, print_story, print_view
from saywhatwant.limits import MAX_BATCH, MAX_PAGE
from saywhatwant.overview import DecodedStory
from saywhatwant.schemas import BatchRequest, ListState
from saywhatwant.settings import load

Action = Literal["retry", "fail", "discard"]
DONE: dict[Action, str] = {"retry": "retried", "fail": "failed", "discard": "discarded"}

ids = click.argument("message_ids", nargs=-1, type=options.UTF8, metavar="[ID]...")
entity = click.option("--entity", type=options.UTF8, metavar="NAME", help="All messages to this entity.")
all_failed = click.option("--failed", "--all", "everything", is_flag=True, help="All failed messages.")
all_unfinished = click.option("--all", "everything", is_flag=True, help="All unfinished messages.")


@click.group(invoke_without_command=True)
@options.url
@click.option(
    "--limit", type=click.IntRange(1, MAX_PAGE), default=10, show_default=True, help="How many messages of each state to show."
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as one JSON object.")
@click.pass_context
def queue(context: click.Context, *, url: str | None, limit: int, as_json: bool) -> None:
    """Show what is pending, waits for a retry, is held or has failed (and why), and the bots."""
    context.obj = url
    if context.invoked_subcommand is None:
        view = asyncio.run(_fetch(connect(url, load()), limit))
        (print_json if as_json else print_view)(view)


@queue.command()
@click.argument("message_id", type=options.UTF8, metavar="ID")
@click.option("--json", "as_json", is_flag=True, help="Print it as one JSON object.")
@options.url
@click.pass_obj
def show(queue_url: str | None, *, message_id: str, as_json: bool, url: str | None) -> None:
    """Show all that is known of one message: its attempts, their reasons, its answer."""
    story = asyncio.run(_story(connect(url or queue_url, load()), message_id))
    if as_json:
        click.echo(msgspec.json.encode(story).decode())
    else:
        print_story(story)


@queue.command()
@ids
@entity
@all_failed
@options.url
@click.pass_obj
def retry(
    queue_url: str | None, *, message_ids: tuple[str, ...], entity: str | None, everything: bool, url: str | None
) -> None:
    """Make failed messages pending again, with all their attempts."""
    _change(url or queue_url, _request("retry", message_ids, entity, everything=everything))


@queue.command()
@ids
@entity
@all_unfinished
@click.option("--reason", type=options.UTF8, show_default="ended by an operator", help="The reason, shown on the wall.")
@options.url
@click.pass_obj
def fail(
    queue_url: str | None,
    *,
    message_ids: tuple[str, ...],
    entity: str | None,
    everything: bool,
    reason: str | None,
    url: str | None,
) -> None:
    """End messages as failed that are pending or held by a bot."""
    _change(url or queue_url, _request("fail", message_ids, entity, everything=everything, reason=reason))


@queue.command()
@ids
@entity
@all_failed
@options.url
@click.pass_obj
def discard(
    queue_url: str | None, *, message_ids: tuple[str, ...], entity: str | None, everything: bool, url: str | None
) -> None:
    """Remove failed messages from the data now."""
    _change(url or queue_url, _request("discard", message_ids, entity, everything=everything))


def _request(
    action: Action, message_ids: tuple[str, ...], entity: str | None, *, everything: bool, reason: str | None = None
) -> BatchRequest:
    if sum(map(bool, (message_ids, entity is not None, everything))) != 1:
        which = "--all" if action == "fail" else "--failed"
        raise click.UsageError(f"give one of these: the ids of messages, --entity NAME, or {which}")
    if len(message_ids) > MAX_BATCH:
        raise click.UsageError(f"at most {MAX_BATCH} ids at once")
    return BatchRequest(
        action=action, message_ids=list(message_ids) or None, entity=entity, all=True if everything else None, reason=reason
    )


def _change(url: str | None, request: BatchRequest) -> None:
    count = asyncio.run(_batches(connect(url, load()), request))
    done = DONE[request.action]
    click.echo(f"1 message {done}" if count == 1 else f"{count} messages {done}")


async def _batches(connection: WallClient, request: BatchRequest) -> int:
    """Change all the messages that ``request`` names, a bounded number with each call; returns how many."""
    count, more = 0, True
    async with connection as client:
        while more:
            done = await client.batch(request)
            for message_id in done.changed:
                click.echo(f"{DONE[request.action]} {message_id}")
            count += len(done.changed)
            more = done.more
    return count


async def _story(connection: WallClient, message_id: str) -> DecodedStory:
    async with connection as client:
        return await client.story(message_id)


async def _fetch(connection: WallClient, limit: int) -> QueueView:
    async with connection as client:
        return QueueView(
            stats=await client.stats(),
            bots=await client.bots(),
            messages={state: await client.listing(state, limit) for state in get_args(ListState)},
        )
