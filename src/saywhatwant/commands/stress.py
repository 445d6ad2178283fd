"""``sww stress``: check the wall's promises from many tabs."""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Display
from rich.table import Table
from rich.text import Text

from saywhatwant.commands import options
from saywhatwant.commands.connect import default_url, silence_retries
from saywhatwant.commands.tail import printable
from saywhatwant.settings import load
from saywhatwant.stress import Chaos, Plan, Result, run
from saywhatwant.stress.report import Miss, Report
from saywhatwant.stress.runner import KILLS, OnProgress
from saywhatwant.stress.tabs import Progress

LIMIT_SECONDS = 60.0
LIMIT_WITH_KILLS_SECONDS = 120.0
MAX_MISSES = 10
"""Misses that are listed one by one."""
TERMINATED = 128 + signal.SIGTERM


@click.command()
@options.url
@click.option("--tabs", type=click.IntRange(1, 1_000), default=30, show_default=True, help="How many tabs post and read.")
@click.option(
    "--messages", type=click.IntRange(1, 10_000), show_default="one a tab", help="How many messages they post in total."
)
@click.option("--entity", type=options.UTF8, default="eliza", show_default=True, help="The entity they ask.")
@click.option(
    "--timeout",
    type=click.FloatRange(1, 3_600),
    show_default=f"{LIMIT_SECONDS:.0f}; twice with --chaos",
    help="Time limit in seconds.",
)
@click.option("--chaos", is_flag=True, help="Start a server and bots for the test; kill and restart them while it runs.")
def stress(*, url: str | None, tabs: int, messages: int | None, entity: str, timeout: float | None, chaos: bool) -> None:
    """Post from many tabs and check that every message is seen and answered exactly once.

    The exit status is 1 when anything was missed or doubled.
    """
    if chaos and url is not None:
        raise click.UsageError("--chaos starts a server of its own; remove --url")
    silence_retries()
    plan = Plan(
        entity=entity,
        tabs=tabs,
        messages=messages or tabs,
        limit_seconds=timeout or (LIMIT_WITH_KILLS_SECONDS if chaos else LIMIT_SECONDS),
    )
    try:
        with _display(plan, chaos=chaos) as on_progress:
            if chaos:
                result = asyncio.run(_run_with_kills(plan, on_progress))
            else:
                result = asyncio.run(run(url or default_url(load()), plan, on_progress))
    except asyncio.CancelledError:
        sys.exit(TERMINATED)
    console = Console(highlight=False)
    console.print(_table(result))
    faults = list(_faults(result, plan, chaos=chaos))
    for fault in faults:
        console.print(Text(f"miss: {printable(fault)}", style="red"), soft_wrap=True)
    console.print(_summary(result.report), soft_wrap=True)
    if faults:
        sys.exit(1)


async def _run_with_kills(plan: Plan, on_progress: OnProgress) -> Result:
    task = asyncio.current_task()
    if task is not None:
        # The processes started here must end with this one.
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    async with Chaos(plan.entity) as chaos:
        return await run(chaos.url, plan, on_progress, chaos)


@contextmanager
def _display(plan: Plan, *, chaos: bool) -> Iterator[OnProgress]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Display(*columns, console=Console(stderr=True), transient=True) as display:
        accepted, delivered, answered = (
            display.add_task(what, total=plan.messages) for what in ("accepted", "seen by every tab", "answered for every tab")
        )
        killed = display.add_task("kills", total=KILLS, visible=chaos)

        def on_progress(progress: Progress, kills: int) -> None:
            display.update(accepted, completed=progress.accepted)
            display.update(delivered, completed=progress.delivered)
            display.update(answered, completed=progress.answered)
            display.update(killed, completed=kills)

        yield on_progress


def _table(result: Result) -> Table:
    report = result.report
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("delivered", f"{report.delivered}/{report.posted}", "every tab saw the message, once")
    table.add_row("answered once", f"{report.answered_once}/{report.posted}", "every tab saw one answer, and the same")
    table.add_row("doubled", str(report.doubled), "a message or its answer was seen twice")
    table.add_row("missed", str(report.missed), "some tab did not see a message or its answer")
    for name, share in (("p50", 0.50), ("p99", 0.99)):
        seconds = report.latency(share)
        table.add_row(name, "-" if seconds is None else f"{seconds:.2f} s", "from the first attempt to post to the answer")
    if result.kills:
        by_name = ", ".join(f"{name} {count}" for name, count in sorted(Counter(kill.name for kill in result.kills).items()))
        table.add_row("kills", str(len(result.kills)), f"SIGKILL: {by_name}")
        table.add_row("in flight", str(result.in_flight), "messages between post and answer at a kill")
    return table


def _summary(report: Report) -> str:
    return (
        f"{report.delivered}/{report.posted} delivered, {report.answered_once}/{report.posted} answered once, "
        f"{report.doubled} doubled, {report.missed} missed by any tab"
    )


def _faults(result: Result, plan: Plan, *, chaos: bool) -> Iterator[str]:
    if not result.in_time:
        yield f"not settled after {plan.limit_seconds:g} s"
    if chaos and len(result.kills) < KILLS:
        yield f"there was only time for {len(result.kills)} of {KILLS} kills"
    misses = result.report.misses
    for miss in misses[:MAX_MISSES]:
        yield _sentence(miss, result.report.tabs)
    if len(misses) > MAX_MISSES:
        yield f"and {len(misses) - MAX_MISSES} more"


def _sentence(miss: Miss, tabs: int) -> str:
    probe = miss.probe
    name = f"message {probe.number + 1}" + (f" ({probe.id})" if probe.id else "")
    if not miss.tabs:
        return f"{name} {miss.what}"
    if len(miss.tabs) == tabs:
        return f"{name} {miss.what} in any tab"
    return f"{name} {miss.what} in tab {', '.join(str(tab + 1) for tab in miss.tabs)}"
