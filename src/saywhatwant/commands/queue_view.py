"""How ``sww queue`` shows the queue: figures, open circuits, bots, conflicts between them, and messages by state."""

from collections.abc import Iterator
from datetime import UTC, datetime
from hashlib import blake2b

import click
import msgspec
from msgspec import Struct
from rich.console import Console
from rich.table import Table
from rich.text import Text

from saywhatwant.commands.tail import printable
from saywhatwant.overview import DecodedStory
from saywhatwant.schemas import BotSummary, ListedMessage, ListState, Stats

MAX_SHOWN = 60
"""Characters shown of a message's text."""
UNWRAPPED = 100_000
"""Width of the output, in characters, when a program reads it."""


class QueueView(Struct, frozen=True):
    """What there is to show."""

    stats: Stats
    bots: list[BotSummary]
    messages: dict[ListState, list[ListedMessage]]


def print_json(view: QueueView) -> None:
    """Print all of it as one JSON object."""
    click.echo(msgspec.json.format(msgspec.json.encode(view)).decode())


def print_view(view: QueueView) -> None:
    """Print it for people."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = UNWRAPPED
    for line in _lines(view):
        console.print(line)
    if any(view.messages.values()):
        console.print(_table(view.messages))


def print_story(story: DecodedStory) -> None:
    """Print all that is known of one message, a line for each thing that happened."""
    for line in _story(story):
        click.echo(printable(line))


def _story(story: DecodedStory) -> Iterator[str]:
    message, params = story.message, story.message.bot_params
    entity = params.entity or params.assigned_entity or "anyone"
    yield f"{message.id}  {message.username} to {entity}: {message.text}"
    yield f"{_moment(message.timestamp)}  posted, with priority {params.priority}"
    for attempt in story.attempts:
        reason = "gave it back" if attempt.reason is None else attempt.reason
        yield f"{_moment(attempt.ended_at)}  attempt {attempt.attempt} of {attempt.worker_id} ended: {reason}"
    if params.status == "processing":
        yield f"{_moment(params.claimed_at)}  attempt {params.attempt}: {params.claimed_by} has it"
    elif params.status == "pending":
        yield f"it is pending; attempts so far: {params.attempt}"
    else:
        by = f" by {params.claimed_by}, attempt {params.attempt}" if params.claimed_by else ""
        reason = _note("failed", message)
        yield f"{_moment(params.completed_at)}  {params.status}{by}" + (f": {reason}" if reason else "")
    if story.answer is not None:
        yield f"{_moment(story.answer.timestamp)}  {story.answer.username}: {story.answer.text}"


def _moment(at_ms: int | None) -> str:
    return datetime.fromtimestamp((at_ms or 0) / 1_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _lines(view: QueueView) -> Iterator[Text]:
    stats, depth = view.stats, view.stats.depth
    yield Text(
        f"{depth.pending} pending ({stats.backing_off} of them wait for a retry), {depth.processing} held, "
        f"{depth.failed} failed, {depth.complete} complete; backlog {stats.backlog} of {stats.backlog_limit}"
    )
    for circuit in stats.circuits or ():
        names = ", ".join(circuit.entities)
        left = _span(circuit.open_until)
        line = f"circuit open: {circuit.worker_id} does not call {circuit.provider} ({names}) for {left}: {circuit.reason}"
        yield Text(printable(line), style="red")
    for bot in view.bots:
        yield Text(printable(_bot(bot)), style="" if bot.here else "dim")
    pairs = {(conflict.entity, *sorted((bot.worker_id, conflict.worker_id))) for bot in view.bots for conflict in bot.conflicts}
    for entity, one, other in sorted(pairs):
        line = f"conflict: {one} and {other} answer for {entity} with different personas; their entities files differ"
        yield Text(printable(line), style="red")
    if not any(bot.here for bot in view.bots):
        yield Text("no bot is connected", style="red" if stats.backlog else "dim")


def _bot(bot: BotSummary) -> str:
    name = f"bot {bot.worker_id}" + (f" {bot.version}" if bot.version else "")
    seen = f"seen {_span(bot.last_seen)} ago" if bot.here else f"gone, seen {_span(bot.last_seen)} ago"
    personas = f", personas {_digest(bot.personas)}" if bot.personas else ""
    entities = "any entity" if bot.entities is None else ", ".join(bot.entities) or "messages by their ids"
    return f"{name}, {seen}{personas}: {entities}"


def _digest(personas: dict[str, str]) -> str:
    """One digest of all personas of a bot, so that two bots can be compared at a glance."""
    return blake2b(repr(sorted(personas.items())).encode(), digest_size=4).hexdigest()


def _table(listings: dict[ListState, list[ListedMessage]]) -> Table:
    table = Table("state", "id", "age", "entity", "prio", "attempt", "by", "note", "text", box=None, pad_edge=False)
    for state, messages in listings.items():
        for message in messages:
            params = message.bot_params
            cells = (
                state,
                message.id,
                _span(message.timestamp),
                params.entity or params.assigned_entity or "(any)",
                str(params.priority),
                str(params.attempt),
                params.claimed_by or "",
                _note(state, message),
                message.text[:MAX_SHOWN],
            )
            table.add_row(*(Text(printable(cell)) for cell in cells))
    return table


def _note(state: ListState, message: ListedMessage) -> str:
    params = message.bot_params
    public, detail = params.error or "", message.detail or ""
    # The bot's own detail contains the public reason.
    failure = detail if public in detail else ": ".join(filter(None, (public, detail)))
    now = None
    if state == "held":
        now = f"lease ends in {_span(params.lease_expires_at)}"
    if state == "waiting":
        now = f"retry in {_span(params.retry_at)}"
    return "; ".join(part for part in (now, failure) if part)


def _span(at_ms: int | None) -> str:
    """The time between now and ``at_ms``, in one unit."""
    seconds = abs(datetime.now(UTC).timestamp() - (at_ms or 0) / 1_000)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
