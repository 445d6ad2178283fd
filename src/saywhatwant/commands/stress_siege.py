"""``sww stress --chaos --runtime restate``: runs the siege of a cluster, and prints the verdict."""

from collections.abc import Callable, Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from saywhatwant.commands.stress_cluster import ClusterSite
from saywhatwant.commands.tail import printable
from saywhatwant.stress.chaos import LEASE_SECONDS
from saywhatwant.stress.cluster import SiegePlan, SiegeResult, Verdict, besiege
from saywhatwant.stress.report import share_of

MAX_FAULTS = 20
"""Faults that are listed one by one."""

OnProgress = Callable[[int, int, int], None]
"""Called with the number of accepted messages, of kills, and of all kills that are planned."""


async def run_siege(
    site: ClusterSite,
    *,
    entities: Sequence[str],
    visitors: int,
    kills: int | None,
    settle_seconds: float,
    on_progress: OnProgress,
) -> SiegeResult:
    """Start the cluster, besiege it, and stop it; ``kills`` None kills each process once.

    Raises what ``ClusterSite`` and ``besiege`` raise.
    """
    async with site:
        targets = site.targets
        plan = SiegePlan(
            entities=entities,
            visitors=visitors,
            kills=kills or len(targets),
            calm_seconds=LEASE_SECONDS,
            settle_seconds=settle_seconds,
        )
        on_progress(0, 0, plan.kills)
        return await besiege(site.urls, targets, plan, lambda accepted, kills: on_progress(accepted, kills, plan.kills))


def print_siege(result: SiegeResult, max_stall: float | None) -> bool:
    """Print the verdict; returns whether all is well.

    Args:
        result: what came out.
        max_stall: the longest that anybody may wait after a kill, in seconds, if that counts.
    """
    verdict = result.verdict
    console = Console(highlight=False)
    console.print(_kills(verdict))
    console.print(_figures(result))
    faults = [*verdict.faults, *_stalls(verdict, max_stall)]
    for fault in faults[:MAX_FAULTS]:
        console.print(Text(f"miss: {printable(fault)}", style="red"), soft_wrap=True)
    if len(faults) > MAX_FAULTS:
        console.print(Text(f"miss: and {len(faults) - MAX_FAULTS} more", style="red"))
    slowest = max(outage.stall for outage in verdict.outages)
    console.print(
        f"{verdict.answered_once}/{verdict.accepted} answered once, {verdict.lost} lost, {verdict.doubled} doubled, "
        f"{verdict.stuck} stuck, {len(verdict.faults)} faults; {len(verdict.outages)} kills, "
        f"answering again within {slowest:.2f} s",
        soft_wrap=True,
    )
    return not faults


def _kills(verdict: Verdict) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("killed")
    for name in ("posts waited", "polls waited", "pushes waited", "back after"):
        table.add_column(name, justify="right")
    table.add_column("under way")
    for outage in verdict.outages:
        kill = outage.kill
        waited = (outage.posts, outage.reads, outage.pushes, kill.ready_at - kill.at)
        under_way = f"{kill.posts} posts, {kill.unanswered} to be answered"
        table.add_row(kill.name, *(f"{seconds:.2f} s" for seconds in waited), under_way)
    return table


def _figures(result: SiegeResult) -> Table:
    verdict = result.verdict
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_row("accepted", str(verdict.accepted), f"in {result.seconds:.0f} s; {verdict.repeated} of them were sent again")
    for name, times, what in (
        ("post", verdict.post_seconds, "from the first attempt until it was accepted"),
        ("answer", verdict.answer_seconds, "from the first attempt until a reader had the answer"),
    ):
        for label, share in (("p50", 0.50), ("p99", 0.99), ("max", 1.0)):
            seconds = share_of(times, share)
            table.add_row(f"{name} {label}", "-" if seconds is None else f"{seconds:.2f} s", what)
    return table


def _stalls(verdict: Verdict, max_stall: float | None) -> Iterator[str]:
    for outage in verdict.outages:
        if max_stall is not None and outage.stall > max_stall:
            yield f"after {outage.kill.name} was killed somebody waited {outage.stall:.2f} s"
