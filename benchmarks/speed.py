"""``make bench``: how fast the finished server is here, everything on, as ratios within one run.

Three rounds in turn of: an answer without storage (the ceiling), a read of nothing new, a durable post at 32 connections.
``--granian`` puts the same app behind Granian as well, round by round.
"""

import argparse
import asyncio
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.contenders.product import SETTINGS
from benchmarks.running import running

ROUNDS = 3
SECONDS = 4
CONNECTIONS = 32
NOTHING_NEW = "/api/comments?since=9000000000000"
LOADS = {
    "no storage": ("/healthz", ()),
    "read nothing new": (NOTHING_NEW, ()),
    "durable post": ("/api/comments", ("-s", str(Path(__file__).with_name("post.lua")))),
}


@dataclass(frozen=True)
class Figure:
    """What wrk measured."""

    per_second: float
    p99_ms: float


def measure(url: str, load: str) -> Figure:
    """Run one load for a few seconds; every answer must be a success."""
    path, options = LOADS[load]
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{SECONDS}s", "--latency", *options, url + path]
    out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    if "Non-2xx" in out or "Socket errors" in out:
        raise RuntimeError(out)
    per_second = re.search(r"Requests/sec:\s+([\d.]+)", out)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)", out)
    assert per_second
    assert p99
    return Figure(float(per_second[1]), float(p99[1]) * {"us": 0.001, "ms": 1.0, "s": 1_000.0}[p99[2]])


def serve_with_granian() -> None:
    """Serve the same app behind Granian's embedded server; run as a process of its own."""
    import socket  # noqa: PLC0415 - only this child process needs them

    import uvloop  # noqa: PLC0415
    from granian.constants import Interfaces  # noqa: PLC0415
    from granian.server.embed import Server  # noqa: PLC0415

    from durable_objects import EmbeddedRuntime  # noqa: PLC0415
    from saywhatwant.settings import load  # noqa: PLC0415
    from saywhatwant.worker import create_worker  # noqa: PLC0415
    from saywhatwant.worker.server import SWITCH_INTERVAL_SECONDS  # noqa: PLC0415

    async def run() -> None:
        settings = load()
        runtime = EmbeddedRuntime(settings.data)
        app = create_worker(runtime, settings, meter=runtime.meter).app
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        sys.setswitchinterval(SWITCH_INTERVAL_SECONDS)
        async with runtime:
            granian = Server(app, port=port, interface=Interfaces.ASGINL, log_enabled=False, backlog=1_024)
            asyncio.get_running_loop().call_later(0.5, partial(print, f"ready on http://127.0.0.1:{port}", file=sys.stderr))
            await granian.serve()

    uvloop.run(run())


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--granian", action="store_true", help="measure the same app behind Granian too")
    parser.add_argument("--serve-with-granian", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve_with_granian:
        serve_with_granian()
        return
    if not shutil.which("wrk"):
        sys.exit("wrk is missing: apt-get install wrk")
    servers = {"uvicorn": (str(Path(sys.executable).with_name("sww")), "serve", "--bind", "127.0.0.1:0")}
    if arguments.granian:
        servers["Granian"] = (sys.executable, "-m", "benchmarks.speed", "--serve-with-granian")
    figures: dict[tuple[str, str], list[Figure]] = {}
    console = Console()
    for number in range(ROUNDS):
        for name, command in servers.items():
            console.print(f"round {number + 1} of {ROUNDS}: {name}", style="dim")
            with tempfile.TemporaryDirectory(dir=Path.cwd()) as data, running(*command, SWW_DATA=data, **SETTINGS) as server:
                for load in LOADS:
                    figures.setdefault((name, load), []).append(measure(server.url, load))
    console.print(table(figures))


def table(figures: dict[tuple[str, str], list[Figure]]) -> Table:
    """Medians, and their ratio to the answers without storage of the same server."""
    shown = Table("server", "load", "per second", "of no storage", "p99 ms", box=None)
    for (name, load), measured in figures.items():
        rate = statistics.median(figure.per_second for figure in measured)
        ceiling = statistics.median(figure.per_second for figure in figures[name, "no storage"])
        p99 = statistics.median(figure.p99_ms for figure in measured)
        shown.add_row(name, load, f"{rate:,.0f}", f"{rate / ceiling:.2f}", f"{p99:.1f}")
    return shown


if __name__ == "__main__":
    main()
