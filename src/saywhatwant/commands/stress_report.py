"""How ``sww stress`` prints its reports: a table, each miss, and a summary in one line."""

from collections import Counter
from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from saywhatwant.commands.tail import printable
from saywhatwant.stress import Plan, Result, TalkPlan, TalkResult
from saywhatwant.stress.chaos import Kill
from saywhatwant.stress.memory import MemoryReport
from saywhatwant.stress.report import Miss, Report
from saywhatwant.stress.runner import KILLS

MAX_MISSES = 10
"""Misses that are listed one by one."""


def print_tabs(result: Result, plan: Plan, *, chaos: bool) -> bool:
    """Print the report of the tabs; returns whether all is well."""
    report = result.report
    table = _table()
    table.add_row("delivered", f"{report.delivered}/{report.posted}", "every tab saw the message, once")
    table.add_row("answered once", f"{report.answered_once}/{report.posted}", "every tab saw one answer, and the same")
    table.add_row("doubled", str(report.doubled), "a message or its answer was seen twice")
    table.add_row("missed", str(report.missed), "some tab did not see a message or its answer")
    _add_latencies(table, report)
    _add_kills(table, result.kills)
    if result.kills:
        table.add_row("in flight", str(result.in_flight), "messages between post and answer at a kill")
    summary = (
        f"{report.delivered}/{report.posted} delivered, {report.answered_once}/{report.posted} answered once, "
        f"{report.doubled} doubled, {report.missed} missed by any tab"
    )
    misses = [_sentence(miss, report.tabs) for miss in report.misses]
    faults = list(_faults(misses, plan.limit_seconds, result.kills, in_time=result.in_time, chaos=chaos))
    return _print(table, faults, summary)


def print_talks(result: TalkResult, plan: TalkPlan, *, chaos: bool) -> bool:
    """Print the report of the talks; returns whether all is well."""
    report = result.report
    table = _table()
    table.add_row("remembered", f"{report.remembered}/{report.talks}", "the last answer has the fact of the first message")
    table.add_row("forgotten", str(report.forgotten), "the last answer does not have it")
    table.add_row("strangers", str(report.strangers), "answers with the fact of another talk")
    table.add_row("unanswered", f"{report.unanswered}/{report.messages}", "messages without an answer")
    table.add_row("doubled", str(report.doubled), "messages with more than one answer")
    _add_latencies(table, report)
    _add_kills(table, result.kills)
    summary = (
        f"{report.remembered}/{report.talks} talks remembered, {report.forgotten} forgotten, "
        f"{report.strangers} answers with a stranger's fact, {report.unanswered} messages unanswered, {report.doubled} doubled"
    )
    misses = [
        f"talk {miss.talk + 1}" + (f" (message {miss.message_id})" if miss.message_id else "") + f": {miss.what}"
        for miss in report.misses
    ]
    faults = list(_faults(misses, plan.limit_seconds, result.kills, in_time=result.in_time, chaos=chaos))
    return _print(table, faults, summary)


def _table() -> Table:
    return Table(box=None, pad_edge=False, show_header=False)


def _add_latencies(table: Table, report: Report | MemoryReport) -> None:
    for name, share in (("p50", 0.50), ("p99", 0.99)):
        seconds = report.latency(share)
        table.add_row(name, "-" if seconds is None else f"{seconds:.2f} s", "from the first attempt to post to the answer")


def _add_kills(table: Table, kills: Sequence[Kill]) -> None:
    if kills:
        by_name = ", ".join(f"{name} {count}" for name, count in sorted(Counter(kill.name for kill in kills).items()))
        table.add_row("kills", str(len(kills)), f"SIGKILL: {by_name}")


def _print(table: Table, faults: Sequence[str], summary: str) -> bool:
    console = Console(highlight=False)
    console.print(table)
    for fault in faults:
        console.print(Text(f"miss: {printable(fault)}", style="red"), soft_wrap=True)
    console.print(summary, soft_wrap=True)
    return not faults


def _faults(misses: Sequence[str], limit_seconds: float, kills: Sequence[Kill], *, in_time: bool, chaos: bool) -> Iterator[str]:
    if not in_time:
        yield f"not settled after {limit_seconds:g} s"
    if chaos and len(kills) < KILLS:
        yield f"there was only time for {len(kills)} of {KILLS} kills"
    yield from misses[:MAX_MISSES]
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
