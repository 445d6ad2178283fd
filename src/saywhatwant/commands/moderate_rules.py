"""``sww moderate``: bans, word filters, slow mode, review, reports, and what operators did."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeVar

import click
from msgspec import Struct

from saywhatwant.client import ModerationState, WallClient
from saywhatwant.commands import moderate_view, options
from saywhatwant.commands.connect import connect
from saywhatwant.limits import MAX_AUDIT_PAGE, MAX_SLOW_SECONDS
from saywhatwant.moderation.schemas import (
    BanRequest,
    FilterRequest,
    ReviewRequest,
    SlowRequest,
    UnbanRequest,
    UnfilterRequest,
)
from saywhatwant.settings import load

T = TypeVar("T")

reason = click.option("--reason", type=options.UTF8, default="", help="Why, for the audit log.")
ids = click.argument("message_ids", nargs=-1, required=True, type=options.UTF8, metavar="ID...")
phrase = click.argument("phrase", type=options.UTF8)


@click.command()
@click.argument("who", nargs=-1, required=True, type=options.UTF8, metavar="ADDRESS | NAME COLOR")
@click.option("--for", "time", type=options.INTERVAL, default="7d", show_default=True, help="How long, such as 30m, 24h or 7d.")
@reason
@options.url
@click.pass_obj
def ban(moderate_url: str | None, *, who: tuple[str, ...], time: timedelta, reason: str, url: str | None) -> None:
    """Take no posts from an address or prefix (192.0.2.0/24), or from a person, for a time."""
    match who:
        case (address,):
            request = BanRequest(seconds=round(time.total_seconds()), address=address, reason=reason)
        case (username, color):
            request = BanRequest(seconds=round(time.total_seconds()), username=username, color=color, reason=reason)
        case _:
            raise click.UsageError("give an address, or a name and its color")
    answer = _ask(url or moderate_url, lambda client: client.ban(request))
    click.echo(f"banned as {answer.ban.id} until {moderate_view.time_of(answer.ban.until)}")


@click.command()
@click.argument("ban_id", type=options.UTF8, metavar="BAN")
@reason
@options.url
@click.pass_obj
def unban(moderate_url: str | None, *, ban_id: str, reason: str, url: str | None) -> None:
    """End a ban; `sww moderate bans` shows its id."""
    _do(url or moderate_url, "unban", UnbanRequest(ban_id=ban_id, reason=reason))
    click.echo(f"ended {ban_id}")


@click.command()
@options.url
@click.pass_obj
def bans(moderate_url: str | None, *, url: str | None) -> None:
    """Show who is banned, by whom, why, and until when."""
    moderate_view.print_bans(_state(url or moderate_url).bans)


@click.command(name="filter")
@phrase
@click.option("--hold", is_flag=True, help="Hold such posts for review instead of refusing them.")
@reason
@options.url
@click.pass_obj
def add_filter(moderate_url: str | None, *, phrase: str, hold: bool, reason: str, url: str | None) -> None:
    """Refuse posts with a word or phrase."""
    request = FilterRequest(phrase=phrase, action="hold" if hold else "refuse", reason=reason)
    _do(url or moderate_url, "filter", request)
    click.echo("such posts wait for review" if hold else "such posts are refused")


@click.command()
@phrase
@reason
@options.url
@click.pass_obj
def unfilter(moderate_url: str | None, *, phrase: str, reason: str, url: str | None) -> None:
    """Remove a filter."""
    _do(url or moderate_url, "unfilter", UnfilterRequest(phrase=phrase, reason=reason))
    click.echo("removed")


@click.command()
@options.url
@click.pass_obj
def filters(moderate_url: str | None, *, url: str | None) -> None:
    """Show the filters, and slow mode if it is on."""
    state = _state(url or moderate_url)
    moderate_view.print_filters(state.filters)
    if state.slow_seconds:
        click.echo(f"slow mode: one post in {state.slow_seconds} s from one address")


@click.command()
@click.argument("seconds", type=click.IntRange(0, MAX_SLOW_SECONDS))
@reason
@options.url
@click.pass_obj
def slow(moderate_url: str | None, *, seconds: int, reason: str, url: str | None) -> None:
    """Take one post in SECONDS from one address; 0 ends that."""
    _do(url or moderate_url, "slow", SlowRequest(seconds=seconds, reason=reason))
    click.echo(f"one post in {seconds} s from one address" if seconds else "slow mode is off")


@click.command()
@options.url
@click.pass_obj
def review(moderate_url: str | None, *, url: str | None) -> None:
    """Show the posts that wait for review, the one that has waited longest first."""
    state = _state(url or moderate_url)
    moderate_view.print_review(state.review, state.review_count)


@click.command()
@ids
@reason
@options.url
@click.pass_obj
def approve(moderate_url: str | None, *, message_ids: tuple[str, ...], reason: str, url: str | None) -> None:
    """Let posts that wait for review onto the wall."""
    _each(url or moderate_url, "approve", message_ids, reason, "approved")


@click.command()
@ids
@reason
@options.url
@click.pass_obj
def reject(moderate_url: str | None, *, message_ids: tuple[str, ...], reason: str, url: str | None) -> None:
    """Keep posts that wait for review off the wall."""
    _each(url or moderate_url, "reject", message_ids, reason, "rejected")


@click.command()
@options.url
@click.pass_obj
def reports(moderate_url: str | None, *, url: str | None) -> None:
    """Show the messages that visitors have reported."""
    state = _state(url or moderate_url)
    moderate_view.print_reports(state.reports, state.report_count)


@click.command()
@ids
@reason
@options.url
@click.pass_obj
def dismiss(moderate_url: str | None, *, message_ids: tuple[str, ...], reason: str, url: str | None) -> None:
    """Be done with the reports of messages."""
    _each(url or moderate_url, "dismiss", message_ids, reason, "dismissed the reports of")


@click.command()
@click.option("--limit", type=click.IntRange(1, MAX_AUDIT_PAGE), default=20, show_default=True, help="How many entries.")
@options.url
@click.pass_obj
def audit(moderate_url: str | None, *, limit: int, url: str | None) -> None:
    """Show what operators did, newest first."""
    moderate_view.print_audit(_ask(url or moderate_url, lambda client: client.audit(limit)).entries)


COMMANDS = (ban, unban, bans, add_filter, unfilter, filters, slow, review, approve, reject, reports, dismiss, audit)


def _ask(url: str | None, ask: Callable[[WallClient], Awaitable[T]]) -> T:
    async def connected() -> T:
        async with connect(url, load()) as client:
            return await ask(client)

    return asyncio.run(connected())


def _state(url: str | None) -> ModerationState:
    return _ask(url, WallClient.moderation_state)


def _do(url: str | None, call: str, body: Struct) -> None:
    _ask(url, lambda client: client.moderate(call, body))


def _each(url: str | None, call: str, message_ids: tuple[str, ...], reason: str, done: str) -> None:
    async def one_after_another(client: WallClient) -> None:
        for message_id in dict.fromkeys(message_ids):
            await client.moderate(call, ReviewRequest(message_id=message_id, reason=reason))
            click.echo(f"{done} {message_id}")

    _ask(url, one_after_another)
