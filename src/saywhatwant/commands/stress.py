"""``sww stress``: check the wall's promises from many tabs, or an entity's memory in many talks."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Display

from saywhatwant.commands import options
from saywhatwant.commands.connect import default_url, silence_retries
from saywhatwant.commands.stress_report import print_tabs, print_talks
from saywhatwant.entities import Entities
from saywhatwant.settings import load
from saywhatwant.stress import Chaos, Plan, TalkPlan, run, run_talks
from saywhatwant.stress.cluster import SiegeResult
from saywhatwant.stress.runner import KILLS
from saywhatwant.stress.tabs import Progress

ENTITY = "eliza"
TABS = 30
VISITORS = 12
"""Tabs that post to a cluster, one message after the other."""
BETWEEN = 5
LIMIT_SECONDS = 60.0
LIMIT_WITH_KILLS_SECONDS = 120.0
LIMIT_OF_TALKS_SECONDS = 600.0
TERMINATED = 128 + signal.SIGTERM

COLUMNS = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())

ResultT = TypeVar("ResultT")


@click.command()
@options.url
@click.option("--tabs", type=click.IntRange(1, 1_000), show_default=str(TABS), help="How many tabs post and read.")
@click.option(
    "--messages", type=click.IntRange(1, 10_000), show_default="one a tab", help="How many messages they post in total."
)
@click.option(
    "--talks",
    type=click.IntRange(1, 1_000),
    help="Instead of tabs, hold this many talks at once; each tells the entity a fact and later asks for it.",
)
@click.option(
    "--between",
    type=click.IntRange(0, 1_000),
    show_default=str(BETWEEN),
    help="With --talks: messages between the one that tells the fact and the one that asks for it.",
)
@click.option(
    "--entity",
    type=options.UTF8,
    show_default=f"{ENTITY}; all with --runtime",
    help="The entity they ask.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(1, 3_600),
    show_default=f"{LIMIT_SECONDS:.0f}; twice with --chaos; {LIMIT_OF_TALKS_SECONDS:.0f} with --talks",
    help="Time limit in seconds; with --runtime from the last kill on.",
)
@click.option("--chaos", is_flag=True, help="Start a server and bots for the test; kill and restart them while it runs.")
@click.option(
    "--runtime",
    type=click.Choice(["restate"]),
    help="With --chaos: start a cluster of three nodes, with two gateways, and kill each process in turn.",
)
@click.option(
    "--kills", type=click.IntRange(1, 10_000), show_default="each once", help="With --runtime: how many processes are killed."
)
@click.option(
    "--stall", type=click.FloatRange(0.1, 3_600), help="With --runtime: fail if anybody waits longer after a kill, in seconds."
)
@options.entities
def stress(  # noqa: PLR0913 - one for each option
    *,
    url: str | None,
    tabs: int | None,
    messages: int | None,
    talks: int | None,
    between: int | None,
    entity: str | None,
    timeout: float | None,
    chaos: bool,
    runtime: str | None,
    kills: int | None,
    stall: float | None,
    entities: Path | None,
) -> None:
    """Check that every message is seen and answered exactly once, or with --talks that every fact is remembered.

    The exit status is 1 when anything was missed, doubled or forgotten, or told to a stranger.
    """
    _check_options(url, tabs, messages, talks, between, entities, chaos=chaos)
    _check_cluster_options(runtime, messages, talks, kills, stall, chaos=chaos)
    silence_retries()
    try:
        if runtime is not None:
            is_well = _besiege(entity, entities, tabs or VISITORS, kills, timeout or LIMIT_WITH_KILLS_SECONDS, stall)
            sys.exit(not is_well)
        entity = entity or ENTITY
        wall = _Wall(url or default_url(load()), entity, entities, chaos=chaos)
        if talks is None:
            limit = timeout or (LIMIT_WITH_KILLS_SECONDS if chaos else LIMIT_SECONDS)
            number = tabs or TABS
            is_well = _post(wall, Plan(entity=entity, tabs=number, messages=messages or number, limit_seconds=limit))
        else:
            limit = timeout or LIMIT_OF_TALKS_SECONDS
            number = BETWEEN if between is None else between
            is_well = _talk(wall, TalkPlan(entity=entity, talks=talks, between=number, limit_seconds=limit))
    except asyncio.CancelledError:
        sys.exit(TERMINATED)
    if not is_well:
        sys.exit(1)


def _check_options(
    url: str | None,
    tabs: int | None,
    messages: int | None,
    talks: int | None,
    between: int | None,
    entities: Path | None,
    *,
    chaos: bool,
) -> None:
    """Refuse options that have no effect together."""
    if chaos and url is not None:
        raise click.UsageError("--chaos starts a server of its own; remove --url")
    if entities is not None and not chaos:
        raise click.UsageError("--entities is for the server and the bots of --chaos; add it, or remove --entities")
    if talks is not None and (tabs is not None or messages is not None):
        raise click.UsageError("--talks cannot be combined with --tabs or --messages; remove them")
    if talks is None and between is not None:
        raise click.UsageError("--between is for --talks; add it, or remove --between")


def _check_cluster_options(
    runtime: str | None, messages: int | None, talks: int | None, kills: int | None, stall: float | None, *, chaos: bool
) -> None:
    """As ``_check_options``, for those of a cluster."""
    if runtime is None:
        if kills is not None or stall is not None:
            raise click.UsageError("--kills and --stall are for --runtime; add it, or remove them")
        return
    if not chaos:
        raise click.UsageError("--runtime is for the cluster of --chaos; add it, or name the gateway of a cluster by --url")
    if messages is not None or talks is not None:
        raise click.UsageError("--runtime cannot be combined with --messages or --talks: tabs post until the last kill")


class _Wall:
    """The server under test: the one at ``url``, or with ``chaos`` one that is started for the test."""

    def __init__(self, url: str, entity: str, entities: Path | None, *, chaos: bool) -> None:
        self.chaos = chaos
        self._url = url
        self._entity = entity
        self._entities = entities

    def has_chatbot(self) -> bool:
        """Whether the entities file that is known here gives the entity a chatbot, which remembers nothing."""
        known = Entities(self._entities if self.chaos else load().entities).current.get(self._entity)
        return known is not None and known.chatbot is not None

    async def test(self, act: Callable[[str, Chaos | None], Awaitable[ResultT]]) -> ResultT:
        """The result of ``act``, which gets the URL, and the chaos if there is any."""
        if not self.chaos:
            return await act(self._url, None)
        _end_with_signals()
        async with Chaos(self._entity, self._entities) as chaos:
            return await act(chaos.url, chaos)


def _end_with_signals() -> None:
    """Cancel this task by the signals that would end the process, since the processes started here must end with it."""
    task = asyncio.current_task()
    if task is not None:
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)


def _besiege(
    entity: str | None, file: Path | None, visitors: int, kills: int | None, settle_seconds: float, max_stall: float | None
) -> bool:
    """Besiege a cluster and print the verdict; returns whether all is well."""
    from saywhatwant.commands.stress_cluster import ClusterSite
    from saywhatwant.commands.stress_siege import print_siege, run_siege

    names = [entity] if entity else list(Entities(file or load().entities).current)
    site = ClusterSite(load().topology, file)

    async def act() -> SiegeResult:
        _end_with_signals()
        return await run_siege(
            site, entities=names, visitors=visitors, kills=kills, settle_seconds=settle_seconds, on_progress=show
        )

    with _siege_display() as show:
        result = asyncio.run(act())
    return print_siege(result, max_stall)


def _post(wall: _Wall, plan: Plan) -> bool:
    """Post from tabs and print the report; returns whether all is well."""
    bars = {"accepted": plan.messages, "seen by every tab": plan.messages, "answered for every tab": plan.messages}
    with _display(bars, chaos=wall.chaos) as show:

        def on_progress(progress: Progress, kills: int) -> None:
            show(progress.accepted, progress.delivered, progress.answered, kills)

        result = asyncio.run(wall.test(lambda url, chaos: run(url, plan, on_progress, chaos)))
    return print_tabs(result, plan, chaos=wall.chaos)


def _talk(wall: _Wall, plan: TalkPlan) -> bool:
    """Hold talks and print the report; returns whether all is well."""
    if wall.has_chatbot():
        click.echo(
            f"{plan.entity} is a chatbot of NLTK in the entities file that this command reads, and those have no memory: unless"
            " its bot runs with --model or another file, every fact will be forgotten",
            err=True,
        )
    with _display({"answered": plan.talks * (plan.between + 2)}, chaos=wall.chaos) as show:
        result = asyncio.run(wall.test(lambda url, chaos: run_talks(url, plan, show, chaos)))
    return print_talks(result, plan, chaos=wall.chaos)


@contextmanager
def _display(bars: Mapping[str, int], *, chaos: bool) -> Iterator[Callable[..., None]]:
    """Show a bar for each of ``bars`` and one for the kills; the function that it yields sets all of them, in that order."""
    with Display(*COLUMNS, console=Console(stderr=True), transient=True) as display:
        tasks = [display.add_task(what, total=total) for what, total in bars.items()]
        tasks.append(display.add_task("kills", total=KILLS, visible=chaos))

        def show(*completed: int) -> None:
            for task, number in zip(tasks, completed, strict=True):
                display.update(task, completed=number)

        yield show


@contextmanager
def _siege_display() -> Iterator[Callable[[int, int, int], None]]:
    """Show a bar for the kills, and how many messages were accepted."""
    with Display(*COLUMNS, console=Console(stderr=True), transient=True) as display:
        task = display.add_task("a cluster starts", total=None)

        def show(accepted: int, kills: int, planned: int) -> None:
            display.update(task, description=f"{accepted} messages accepted, kills", completed=kills, total=planned)

        yield show
