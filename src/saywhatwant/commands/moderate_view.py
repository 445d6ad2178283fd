"""How ``sww moderate`` shows rules, posts that wait for review, reports, and what operators did."""

from collections.abc import Iterable, Sequence
from datetime import datetime

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from saywhatwant.client import Reported
from saywhatwant.commands.queue_view import MAX_SHOWN, UNWRAPPED
from saywhatwant.commands.tail import printable
from saywhatwant.moderation.audit import AuditEntry
from saywhatwant.moderation.object import who
from saywhatwant.moderation.rules import Ban, Filter
from saywhatwant.moderation.schemas import HeldSummary

MAX_REASONS = 3
"""Reasons shown of a message's reports."""


def time_of(at_ms: int) -> str:
    """A time in milliseconds since 1970, for people here."""
    return f"{datetime.fromtimestamp(at_ms / 1_000).astimezone():%Y-%m-%d %H:%M}"


def print_bans(bans: Sequence[Ban]) -> None:
    """Print who is banned, those whose ban ends next first."""
    by_end = sorted(bans, key=lambda ban: ban.until)
    rows = [(ban.id, who(ban.subject), time_of(ban.until), ban.by, ban.reason) for ban in by_end]
    _print(("ban", "who", "until", "by", "reason"), rows, "nobody is banned")


def print_filters(filters: Sequence[Filter]) -> None:
    """Print the filters by their phrases."""
    rows = [(found.phrase, found.action, found.by, found.reason) for found in sorted(filters, key=lambda found: found.phrase)]
    _print(("phrase", "action", "by", "reason"), rows, "there are no filters")


def print_review(posts: Sequence[HeldSummary], count: int) -> None:
    """Print posts that wait for review."""
    rows = [
        (post.id, time_of(post.at), post.phrase, post.entity or "(any)", f"{post.username} {post.color}", post.text[:MAX_SHOWN])
        for post in posts
    ]
    _print(("id", "since", "held for", "to", "by", "text"), rows, "no post waits for review")
    _print_rest(count - len(posts))


def print_reports(reports: Sequence[Reported], count: int) -> None:
    """Print reported messages."""
    rows = []
    for report in reports:
        reasons = "; ".join([*report.reasons[:MAX_REASONS], *(["…"] if len(report.reasons) > MAX_REASONS else [])])
        message = report.message
        by, text = ("", "(removed)") if message is None else (message.username, message.text[:MAX_SHOWN])
        rows.append((report.message_id, str(report.count), time_of(report.last_at), reasons, by, text))
    _print(("id", "reports", "last", "reasons", "by", "text"), rows, "no message is reported")
    _print_rest(count - len(reports))


def print_audit(entries: Sequence[AuditEntry]) -> None:
    """Print entries of the audit log."""
    rows = [(time_of(entry.at), entry.by, entry.action, entry.about, entry.reason) for entry in entries]
    _print(("when", "who", "what", "about what", "reason"), rows, "nothing is in the audit log")


def _print_rest(count: int) -> None:
    if count > 0:
        click.echo(f"and {count} more, once some of these are done")


def _print(titles: Iterable[str], rows: Sequence[Sequence[str]], nothing: str) -> None:
    if not rows:
        click.echo(nothing)
        return
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = UNWRAPPED
    table = Table(*titles, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console.print(table)
