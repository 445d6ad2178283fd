"""Load from wrk, and what came of it."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import httpx

from benchmarks.contenders.contract import Missing

SCRIPTS = Path(__file__).with_name("wrk")
MAX_REFUSED = 0.001
"""Of all answers. Contenders remove the oldest of more than so many messages, though a bot may be at work on it."""
MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1_000.0}


class Load(NamedTuple):
    """What one run of wrk asks for."""

    path: str
    connections: int
    script: str | None = None


class Figure(NamedTuple):
    """How a load was answered."""

    per_second: float
    p50_ms: float
    p99_ms: float
    answers: int


def wrk(url: str, load: Load, seconds: float, *arguments: str) -> tuple[Figure, str]:
    """Run one load; nearly every answer must be a success. What wrk and its script printed comes with the figure.

    ``arguments`` are the script's.
    """
    if not shutil.which("wrk"):
        raise Missing("wrk is missing: sudo apt-get install wrk")
    script = () if load.script is None else ("-s", str(SCRIPTS / load.script))
    command = [
        "wrk",
        "-t1",
        f"-c{load.connections}",
        f"-d{seconds:.0f}s",
        "--latency",
        *script,
        url + load.path,
        "--",
        *arguments,
    ]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    if "Socket errors" in said or (refused and int(refused[1]) > MAX_REFUSED * _answers(said)):
        raise RuntimeError(said)
    return Figure(_rate(said), _percentile(said, 50), _percentile(said, 99), _answers(said)), said


def round_trips(url: str, seconds: float) -> Figure:
    """Posts, claims and completions from 32 connections. The figure counts completions; its latencies are of all requests."""
    return _completions(url, seconds)


def work(url: str, seconds: float) -> Figure:
    """Claims (of 20) and completions alone, of what is pending already; counted like ``round_trips``."""
    figure = _completions(url, seconds, "work")
    if not httpx.get(f"{url}/api/stats", timeout=30).raise_for_status().json()["depth"]["pending"]:
        raise RuntimeError("the backlog did not last for all the time that was measured")
    return figure


def _completions(url: str, seconds: float, *arguments: str) -> Figure:
    figure, said = wrk(url, Load("/", 32, "round_trip.lua"), seconds, *arguments)
    done = int(_found(r"round trips: (\d+)", said)[1])
    return figure._replace(per_second=figure.per_second * done / figure.answers, answers=done)


def _rate(said: str) -> float:
    return float(_found(r"Requests/sec:\s+([\d.]+)", said)[1])


def _answers(said: str) -> int:
    return int(_found(r"(\d+) requests in", said)[1])


def _percentile(said: str, percent: int) -> float:
    found = _found(rf"{percent}%\s+([\d.]+)(us|ms|s)", said)
    return float(found[1]) * MILLISECONDS[found[2]]


def _found(pattern: str, said: str) -> re.Match[str]:
    found = re.search(pattern, said)
    assert found, said
    return found
