"""The same loads on each contender, interleaved, and a check that each has stored what it acknowledged."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple, Protocol

import httpx

from benchmarks.contenders.contract import Contender
from benchmarks.failures import NotStored, ServerFailed, note
from benchmarks.loads import LOADS, RETENTION, Load
from benchmarks.running import Running, scratch
from benchmarks.wrk import Figure, measure

STATS_SECONDS = 20
MESSAGE = {"text": "x" * 300, "username": "Bench", "color": "169080199"}


class Result(NamedTuple):
    """One load on one contender in one round: a figure, or a note that explains why there is none."""

    contender: str
    load: str
    round: int
    figure: Figure | None
    note: str = ""


class Measure(Protocol):
    """Measures one load; ``wrk.measure`` is one."""

    def __call__(self, url: str, load: Load, seconds: int) -> Figure: ...


def compare(
    contenders: Sequence[Contender],
    groups: Sequence[Sequence[str]],
    rounds: int,
    seconds: int,
    *,
    measure: Measure = measure,
) -> Iterator[Result]:
    """Yield results as they come.

    A group lists the short names of loads that a server gets without a restart; each group starts on fresh data.
    Contenders alternate after each group, in the opposite order every other round. A contender that fails under a load gets a
    note for it and restarts for its next load; one that does not start gets a note for all loads of that group.
    """
    for number in range(rounds):
        for group in groups:
            for contender in contenders if number % 2 == 0 else reversed(contenders):
                names = [name for name in group if name in contender.loads]
                yield from _group(contender, [LOADS[name] for name in names], number, seconds, measure)


def _group(contender: Contender, loads: list[Load], number: int, seconds: int, measure: Measure) -> Iterator[Result]:
    left = list(loads)
    while left:
        started = False
        try:
            with on_fresh_data(contender) as server:
                started = True
                while left:
                    figure = measured_on(contender, server, left[0], seconds, measure)
                    yield Result(contender.name, left.pop(0).name, number, figure)
        except Exception as error:  # noqa: BLE001 - the other contenders can still be measured
            failed = left[:1] if started else left
            for load in failed:
                yield Result(contender.name, load.name, number, None, note(error))
            del left[: len(failed)]


@contextmanager
def on_fresh_data(contender: Contender) -> Iterator[Running]:
    """Run a contender's server on fresh data until the end of the block."""
    with scratch() as directory, contender.start(directory) as server:
        yield server


def measured_on(contender: Contender, server: Running, load: Load, seconds: int, measure: Measure) -> Figure:
    """Measure a load on a running server.

    Raises ``NotStored`` when the server has fewer messages than it acknowledged, and what ``measure`` raises.
    """
    if load.reads:
        fill(server.url, RETENTION)
    checks = contender.stores and load.stores
    before = _seq(server) if checks else 0
    cpu = server.cpu_seconds
    figure = measure(server.url, load, seconds)
    figure = figure._replace(cpu_us=(server.cpu_seconds - cpu) * 1e6 / figure.answers)
    if checks and (stored := _seq(server) - before) < figure.answers:
        raise NotStored(f"{contender.name} acknowledged {figure.answers} posts and has {stored} of them")
    return figure


def fill(url: str, messages: int) -> None:
    """Post until ``messages`` of them can be read."""
    with httpx.Client(base_url=url, timeout=30, trust_env=False) as http:
        there = len(http.get("/api/comments", params={"since": 0, "limit": messages}).raise_for_status().json())
        for _ in range(there, messages):
            http.post("/api/comments", json=MESSAGE).raise_for_status()


def _seq(server: Running) -> int:
    try:
        stats = httpx.get(f"{server.url}/api/stats", timeout=STATS_SECONDS, trust_env=False)
    except httpx.TimeoutException:
        raise ServerFailed(f"GET /api/stats was not answered within {STATS_SECONDS} s") from None
    return int(stats.raise_for_status().json()["seq"])
