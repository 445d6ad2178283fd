"""The same load against each contender, in turn, round by round; and whether each really has what it acknowledged."""

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from benchmarks.contenders.ceiling import Ceiling
from benchmarks.contenders.contract import RETENTION, Contender
from benchmarks.load import Figure, Load, round_trips, wrk
from benchmarks.running import Running

POST = "/api/comments"
POSTS_AT_32 = "post, 32 connections"
LOADS = {
    "post, 1 connection": Load(POST, 1, "post.lua"),
    POSTS_AT_32: Load(POST, 32, "post.lua"),
    "post, 128 connections": Load(POST, 128, "post.lua"),
    f"read {RETENTION} messages": Load(f"/api/comments?limit={RETENTION}", 32),
    "read nothing new": Load("/api/comments?since=9000000000000", 32),
}
ROUND_TRIP = "round trip: post, claim, complete"


class Result(NamedTuple):
    """One load on one contender in one round."""

    contender: str
    load: str
    figure: Figure


class NotStored(Exception):
    """A contender acknowledged what it does not have."""


def compare(contenders: Sequence[Contender], rounds: int, seconds: float) -> Iterator[Result]:
    """Results as they come. Raises ``NotStored``, ``contract.Missing``."""
    for _ in range(rounds):
        for contender in contenders:
            yield from _one_round(contender, seconds)


def _one_round(contender: Contender, seconds: float) -> Iterator[Result]:
    if isinstance(contender, Ceiling):
        with _on_fresh_data(contender) as server:
            figure, _ = wrk(server.url, LOADS[POSTS_AT_32], seconds)
            yield Result(contender.name, POSTS_AT_32, figure)
        return
    with _on_fresh_data(contender) as server:
        for name, load in LOADS.items():
            yield Result(contender.name, name, _measured(contender, server, load, seconds))
    with _on_fresh_data(contender) as server:
        yield Result(contender.name, ROUND_TRIP, round_trips(server.url, seconds))


@contextmanager
def _on_fresh_data(contender: Contender) -> Iterator[Running]:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as directory, contender.start(Path(directory)) as server:
        yield server


def _measured(contender: Contender, server: Running, load: Load, seconds: float) -> Figure:
    before = _seq(server)
    figure, _ = wrk(server.url, load, seconds)
    if load.path == POST and (stored := _seq(server) - before) < figure.answers:
        raise NotStored(f"{contender.name} acknowledged {figure.answers} posts and has {stored} of them")
    return figure


def _seq(server: Running) -> int:
    return int(httpx.get(f"{server.url}/api/stats", timeout=30).raise_for_status().json()["seq"])
