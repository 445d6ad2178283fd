"""Load from wrk, and its figures."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

import httpx

from benchmarks.failures import LoadFailed, Missing
from benchmarks.loads import WORK, Load

SCRIPTS = Path(__file__).with_name("scripts")
MAX_REFUSED = 0.001
"""Share of refused answers. Some contenders remove the oldest message even while a bot holds it."""
ANSWER_SECONDS = 10
"""Time after which wrk counts a missing answer as a timeout."""
GRACE_SECONDS = 20.0
"""How much longer than its load wrk may run."""
MILLISECONDS = {"us": 0.001, "ms": 1.0, "s": 1_000.0, "m": 60_000.0}


class Figure(NamedTuple):
    """The figures of one load on one server."""

    per_second: float
    p50_ms: float
    p99_ms: float
    answers: int
    cpu_us: float = 0.0
    """The server's processor time per answer, which depends least on other programs on the machine."""

    def __str__(self) -> str:
        return f"{self.per_second:,.0f}/s, p50 {self.p50_ms:.1f} ms, p99 {self.p99_ms:.1f} ms"


def measure(url: str, load: Load, seconds: int, *, grace_seconds: float = GRACE_SECONDS) -> Figure:
    """Put ``load`` on a server for ``seconds`` (an integer, at least 1).

    Raises ``LoadFailed`` when requests fail, when more than ``MAX_REFUSED`` of the answers are unsuccessful, and when wrk has
    not ended ``grace_seconds`` after its time; ``Missing`` without wrk.
    """
    output = _run(url, load, seconds, grace_seconds)
    answers = int(_found(r"(\d+) requests in", output)[1])
    errors = re.search(r"Socket errors: (.*)", output)
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    if errors:
        raise LoadFailed(f"{load.name}: requests failed: {errors[1]}")
    if not answers:
        raise LoadFailed(f"{load.name}: no answer in {seconds} s")
    if refused and int(refused[1]) > MAX_REFUSED * answers:
        raise LoadFailed(f"{load.name}: {refused[1]} of {answers} answers were unsuccessful")
    rate = float(_found(r"Requests/sec:\s+([\d.]+)", output)[1])
    figure = Figure(rate, _percentile(output, 50), _percentile(output, 99), answers)
    if load.counts is None:
        return figure
    done = int(_found(rf"{load.counts}: (\d+)", output)[1])
    return figure._replace(per_second=rate * done / answers, answers=done)


def measure_work(url: str, seconds: int) -> Figure:
    """Measure claims (of 20) and completions of messages that are already pending, without posts.

    Raises ``LoadFailed`` when the backlog was used up before the end.
    """
    figure = measure(url, WORK, seconds)
    if not httpx.get(f"{url}/api/stats", timeout=30).raise_for_status().json()["depth"]["pending"]:
        raise LoadFailed("the backlog was used up before the end")
    return figure


def _run(url: str, load: Load, seconds: int, grace_seconds: float) -> str:
    program = shutil.which("wrk")
    if not program:
        raise Missing("wrk is missing: sudo apt-get install wrk")
    script = () if load.script is None else ("-s", str(SCRIPTS / load.script))
    options = ("-t1", f"-c{load.connections}", f"-d{seconds}s", "--timeout", f"{ANSWER_SECONDS}s", "--latency")
    command = (program, *options, *script, url + load.path, "--", *load.arguments)
    try:
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=seconds + grace_seconds)
    except subprocess.TimeoutExpired as error:
        raise LoadFailed(f"{load.name}: still running {grace_seconds:g} s after its {seconds} s") from error
    if done.returncode:
        raise LoadFailed(f"{load.name}: wrk: {done.stderr or done.stdout}")
    return done.stdout


def _percentile(output: str, percent: int) -> float:
    found = _found(rf"{percent}%\s+([\d.]+)(us|ms|s|m)\b", output)
    return float(found[1]) * MILLISECONDS[found[2]]


def _found(pattern: str, output: str) -> re.Match[str]:
    found = re.search(pattern, output)
    if not found:
        raise LoadFailed(f"wrk printed no {pattern!r}: {output}")
    return found
