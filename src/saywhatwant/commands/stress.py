"""``sww stress``: many tabs at once hold the wall to its word."""

import asyncio
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Display
from rich.table import Table
from rich.text import Text

from saywhatwant.commands.connect import default_url, silence_retries
from saywhatwant.commands.options import Url
from saywhatwant.commands.tail import printable
from saywhatwant.settings import load
from saywhatwant.stress import Chaos, Outcome, Plan, run
from saywhatwant.stress.crowd import Progress
from saywhatwant.stress.trial import KILLS, Watch
from saywhatwant.stress.verdict import Miss, Verdict

LIMIT_SECONDS = 60.0
LIMIT_WITH_KILLS_SECONDS = 120.0
MAX_MISSES = 10
"""Misses told one by one."""
TERMINATED = 128 + signal.SIGTERM


def stress(
    url: Url = None,
    tabs: Annotated[int, typer.Option(min=1, max=1_000, help="How many tabs look at the wall.")] = 30,
    messages: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, help="How many messages they post in all.", show_default="one a tab"),
    ] = None,
    entity: Annotated[str, typer.Option(help="Whom they ask.")] = "eliza",
    timeout: Annotated[
        float | None,
        typer.Option(min=1, max=3_600, help="Seconds for it all.", show_default=f"{LIMIT_SECONDS:.0f}, or twice with --chaos"),
    ] = None,
    chaos: Annotated[
        bool,
        typer.Option("--chaos", help="On a server and bots of its own, which are killed and restarted in between."),
    ] = False,
) -> None:
    """Post from many tabs, wait for the answers, and tell from what every tab saw whether all came, and came once.

    The exit status is 1 when anything was missed or doubled.
    """
    if chaos and url is not None:
        raise typer.BadParameter("--chaos starts and kills a server of its own; leave --url away")
    silence_retries()
    plan = Plan(
        entity=entity,
        tabs=tabs,
        messages=messages or tabs,
        limit_seconds=timeout or (LIMIT_WITH_KILLS_SECONDS if chaos else LIMIT_SECONDS),
    )
    try:
        with _display(plan, chaos=chaos) as watch:
            if chaos:
                outcome = asyncio.run(_run_with_kills(plan, watch))
            else:
                outcome = asyncio.run(run(url or default_url(load()), plan, watch))
    except asyncio.CancelledError:
        raise typer.Exit(TERMINATED) from None
    console = Console(highlight=False)
    console.print(_table(outcome))
    faults = list(_faults(outcome, plan, chaos=chaos))
    for fault in faults:
        console.print(Text(f"miss: {printable(fault)}", style="red"), soft_wrap=True)
    console.print(_summary(outcome.verdict), soft_wrap=True)
    if faults:
        raise typer.Exit(1)


async def _run_with_kills(plan: Plan, watch: Watch) -> Outcome:
    task = asyncio.current_task()
    if task is not None:
        # What this starts must end with it.
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    async with Chaos(plan.entity) as chaos:
        return await run(chaos.url, plan, watch, chaos)


@contextmanager
def _display(plan: Plan, *, chaos: bool) -> Iterator[Watch]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Display(*columns, console=Console(stderr=True), transient=True) as display:
        accepted, delivered, answered = (
            display.add_task(what, total=plan.messages) for what in ("accepted", "seen by every tab", "answered for every tab")
        )
        killed = display.add_task("kills", total=KILLS, visible=chaos)

        def watch(progress: Progress, kills: int) -> None:
            display.update(accepted, completed=progress.accepted)
            display.update(delivered, completed=progress.delivered)
            display.update(answered, completed=progress.answered)
            display.update(killed, completed=kills)

        yield watch


def _table(outcome: Outcome) -> Table:
    verdict = outcome.verdict
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("delivered", f"{verdict.delivered}/{verdict.asked}", "every tab saw the message, once")
    table.add_row("answered once", f"{verdict.answered_once}/{verdict.asked}", "every tab saw one answer, and the same")
    table.add_row("doubled", str(verdict.doubled), "a message or its answer was there twice")
    table.add_row("missed", str(verdict.missed), "some tab did not see a message or its answer")
    for name, share in (("p50", 0.50), ("p99", 0.99)):
        seconds = verdict.latency(share)
        table.add_row(name, "-" if seconds is None else f"{seconds:.2f} s", "from the first try to post to the answer seen")
    if outcome.kills:
        by_name = ", ".join(f"{name} {count}" for name, count in sorted(Counter(kill.name for kill in outcome.kills).items()))
        table.add_row("kills", str(len(outcome.kills)), f"SIGKILL: {by_name}")
        table.add_row("struck", str(outcome.struck), "messages between post and answer at a kill")
    return table


def _summary(verdict: Verdict) -> str:
    return (
        f"{verdict.delivered}/{verdict.asked} delivered, {verdict.answered_once}/{verdict.asked} answered once, "
        f"{verdict.doubled} doubled, {verdict.missed} missed by any tab"
    )


def _faults(outcome: Outcome, plan: Plan, *, chaos: bool) -> Iterator[str]:
    if not outcome.in_time:
        yield f"it had not settled after {plan.limit_seconds:g} s"
    if chaos and len(outcome.kills) < KILLS:
        yield f"there was time for {len(outcome.kills)} of {KILLS} kills only"
    misses = outcome.verdict.misses
    for miss in misses[:MAX_MISSES]:
        yield _sentence(miss, outcome.verdict.tabs)
    if len(misses) > MAX_MISSES:
        yield f"and {len(misses) - MAX_MISSES} more"


def _sentence(miss: Miss, tabs: int) -> str:
    asked = miss.asked
    name = f"message {asked.number + 1}" + (f" ({asked.id})" if asked.id else "")
    if not miss.tabs:
        return f"{name} {miss.what}"
    if len(miss.tabs) == tabs:
        return f"{name} {miss.what} in any tab"
    return f"{name} {miss.what} in tab {', '.join(str(tab + 1) for tab in miss.tabs)}"
