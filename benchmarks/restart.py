"""Restarts under a load of posts: ``python -m benchmarks.restart``.

People post at a fixed rate, whatever the answers take: each post is begun when it is due, on a connection that was kept or on
a new one, with an ``Idempotency-Key`` or an id of its own. Readers poll or have sockets, a bot answers. No request is ever
repeated, so each that fails counts. The wall is restarted again and again; at the end all that was accepted is looked for.
Waits are counted from when a post was due. Exit status 1 when anything failed, was lost, or came twice.
"""

import argparse
import asyncio
import sys
import time
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

import httpx
import uvloop
from rich.console import Console
from rich.table import Table

from benchmarks.crowd import FEED, PAGE, Crowd, Post, Seen, decode_page
from benchmarks.failures import LoadFailed, note
from benchmarks.machine import warning
from benchmarks.restart_ways import WAYS, Wall
from benchmarks.running import allow_open_files, end_in_order_on_sigterm, scratch

RATE = 200.0
RESTARTS = 5
BETWEEN_SECONDS = 3.0
"""How long posts go on before the first restart, between two, and after the last one."""
END_SECONDS = 60.0
"""How long the bot and the readers may take to have everything, once nobody posts any more."""
LOOK_SECONDS = 0.2
WIDTH = 128
"""Characters per line of output that does not go to a terminal."""
SHOWN = 5
"""How many failures are shown."""


class Outcome(NamedTuple):
    """Of one way to restart."""

    posts: int
    per_second: float
    """Posts that were answered, for each second in which some were due."""
    failures: list[str]
    lost: int
    """Accepted posts that the wall does not have."""
    doubled: int
    """Posts that it has more than once."""
    answers_lost: int
    """Questions without an answer."""
    answers_doubled: int
    missed: int
    """Messages that a reader did not get, of all readers."""
    read_twice: int
    """States of messages that a reader got twice, of all readers."""
    waits_ms: list[float]
    """For each restart, the longest wait of a post."""
    gaps_ms: list[float]
    """For each restart, the longest time in which no post was answered."""
    p50_ms: float
    p99_ms: float
    """Waits of the posts that met no restart."""
    own_ms: float
    """The most that this program began a post too late, which is part of these waits."""

    @property
    def is_good(self) -> bool:
        """Whether nothing failed, was lost, or came twice."""
        counts = (self.lost, self.doubled, self.answers_lost, self.answers_doubled, self.missed, self.read_twice)
        return not (self.failures or any(counts))


class Restart(NamedTuple):
    """When it began, and when the next server was ready."""

    began: float
    ready: float


async def measure(wall: Wall, restarts: int = RESTARTS, rate: float = RATE, between: float = BETWEEN_SECONDS) -> Outcome:
    """Restart a wall so many times under the load; raises ``NotMeasured``."""
    times = []
    async with Crowd(wall.url, rate, wall.token) as crowd:
        await asyncio.sleep(between)
        for _ in range(restarts):
            began = time.perf_counter()
            await asyncio.to_thread(wall.restart)
            times.append(Restart(began, time.perf_counter()))
            await asyncio.sleep(between)
            crowd.check()
        await crowd.stop_posting()
        stored = await _stored(wall, crowd)
    return outcome_of(crowd, times, stored)


async def _stored(wall: Wall, crowd: Crowd) -> list[Seen]:
    """All messages, once the bot has answered and the readers have got them, or do not any more."""
    deadline = time.monotonic() + END_SECONDS
    async with httpx.AsyncClient(base_url=wall.url, timeout=END_SECONDS, trust_env=False) as http:
        while True:
            stored = await _all(http)
            asked = {post.id for post in crowd.posts if post.asks and post.answered}
            ids = {message.id for message in stored}
            if asked <= {message.reply_to for message in stored} and all(reader.ids >= ids for reader in crowd.readers):
                return stored
            if time.monotonic() > deadline:
                return stored
            crowd.check()
            await asyncio.sleep(LOOK_SECONDS)


async def _all(http: httpx.AsyncClient) -> list[Seen]:
    found: list[Seen] = []
    while True:
        since = found[-1].timestamp if found else 0
        answer = await http.get(FEED, params={"since": since, "order": "asc", "limit": PAGE})
        page = decode_page(answer.raise_for_status().content)
        if not page:
            return found
        found += page


def outcome_of(crowd: Crowd, restarts: Sequence[Restart], stored: Sequence[Seen]) -> Outcome:
    """Compare what the crowd was promised with what the wall has stored; raises ``LoadFailed`` when no post was accepted."""
    accepted = [post for post in crowd.posts if post.answered is not None]
    if not accepted:
        raise LoadFailed(f"no post was accepted: {crowd.failures[0]}")
    texts = Counter(message.text for message in stored if message.message_type == "human")
    replies = Counter(message.reply_to for message in stored if message.reply_to is not None)
    ids = {message.id for message in stored}
    asked = [post for post in accepted if post.asks]
    waits = sorted(_wait_ms(post) for post in accepted if not any(_met(post, restart) for restart in restarts))
    seconds = crowd.posts[-1].due - crowd.posts[0].due + 1 / crowd.rate
    return Outcome(
        posts=len(crowd.posts),
        per_second=len(accepted) / seconds,
        failures=crowd.failures,
        lost=sum(post.id not in ids for post in accepted),
        doubled=sum(count > 1 for count in texts.values()),
        answers_lost=sum(post.id not in replies for post in asked),
        answers_doubled=sum(count > 1 for count in replies.values()),
        missed=sum(len(ids - reader.ids) for reader in crowd.readers),
        read_twice=sum(reader.doubled for reader in crowd.readers),
        waits_ms=[max((_wait_ms(post) for post in accepted if _met(post, restart)), default=0.0) for restart in restarts],
        gaps_ms=_gaps_ms(accepted, restarts),
        p50_ms=waits[len(waits) // 2] if waits else 0.0,
        p99_ms=waits[len(waits) * 99 // 100] if waits else 0.0,
        own_ms=crowd.latest_begin * 1_000,
    )


def _met(post: Post, restart: Restart) -> bool:
    """Whether a post waited while the wall was restarted."""
    return post.answered is not None and post.due <= restart.ready and post.answered >= restart.began


def _wait_ms(post: Post) -> float:
    assert post.answered is not None
    return (post.answered - post.due) * 1_000


def _gaps_ms(accepted: Sequence[Post], restarts: Sequence[Restart]) -> list[float]:
    pairs = list(pairwise(sorted(post.answered for post in accepted if post.answered is not None)))

    def gap(restart: Restart) -> float:
        met = (after - before for before, after in pairs if before <= restart.ready and after >= restart.began)
        return max(met, default=0.0) * 1_000

    return [gap(restart) for restart in restarts]


def show(console: Console, outcomes: dict[str, Outcome | str], rate: float) -> None:
    """Print what was found, or why there is nothing, and the first failures."""
    table = Table(box=None)
    rows: dict[str, list[str]] = {}

    def row(name: str, *cells: str) -> None:
        rows.setdefault(name, []).extend(cells)

    found = {way: outcome for way, outcome in outcomes.items() if isinstance(outcome, Outcome)}
    for outcome in found.values():
        row("restarts", str(len(outcome.waits_ms)))
        row(f"posts, {rate:g}/s asked for", f"{outcome.posts:,}")
        row("answered a second", f"{outcome.per_second:.1f}")
        row("failed requests", str(len(outcome.failures)))
        row("posts lost, doubled", f"{outcome.lost}, {outcome.doubled}")
        row("answers lost, doubled", f"{outcome.answers_lost}, {outcome.answers_doubled}")
        row("read: missed, twice", f"{outcome.missed}, {outcome.read_twice}")
        row("longest wait in a restart, ms: median, worst", _two(outcome.waits_ms))
        row("nobody answered in a restart, ms: median, worst", _two(outcome.gaps_ms))
        row("waits outside of restarts, ms: p50, p99", f"{outcome.p50_ms:.1f}, {outcome.p99_ms:.1f}")
        row("begun too late by this program, ms", f"{outcome.own_ms:.0f}")
    table.add_column("restarted by")
    for way in found:
        table.add_column(way, justify="right")
    for name, cells in rows.items():
        table.add_row(name, *cells)
    if found:
        console.print(table)
    for way, result in outcomes.items():
        lines = result.failures[:SHOWN] if isinstance(result, Outcome) else [f"not measured: {result}"]
        for line in lines:
            console.print(f"{way}: {line}", markup=False)


def _two(values: Sequence[float]) -> str:
    return f"{median(values):,.0f}, {max(values):,.0f}" if values else ""


def _measured(way: str, restarts: int, rate: float) -> Outcome | str:
    try:
        with scratch() as directory, WAYS[way](directory) as wall:
            return uvloop.run(measure(wall, restarts, rate))
    except Exception as error:  # noqa: BLE001 - the other ways can still be measured
        return note(error)


def main() -> None:
    """Measure and print; exits with 1 if anything failed, and with 2 if a way was not measured."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.restart", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--ways", nargs="+", choices=list(WAYS), default=list(WAYS), help="how to restart: all")
    parser.add_argument("--restarts", type=int, default=RESTARTS, help=f"of each: {RESTARTS}")
    parser.add_argument("--rate", type=float, default=RATE, help=f"posts a second: {RATE:g}")
    arguments = parser.parse_args()
    allow_open_files()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else WIDTH)
    if busy := warning():
        console.print(busy)
    outcomes: dict[str, Outcome | str] = {}
    for way in arguments.ways:
        outcomes[way] = _measured(way, arguments.restarts, arguments.rate)
        console.print(f"{way}: measured", style="dim")
    show(console, outcomes, arguments.rate)
    if any(isinstance(outcome, Outcome) and not outcome.is_good for outcome in outcomes.values()):
        sys.exit(1)
    if any(isinstance(outcome, str) for outcome in outcomes.values()):
        sys.exit(2)


if __name__ == "__main__":
    end_in_order_on_sigterm()
    main()
