"""Timed runs of the promises, one function per promise. Each drops its first run, which warms caches."""

import asyncio
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import httpx

from benchmarks.answers import post_to_reply
from benchmarks.comparison import MESSAGE, fill
from benchmarks.contenders.product import SETTINGS, Product
from benchmarks.failures import LoadFailed, ServerFailed
from benchmarks.readers import deliver
from benchmarks.running import has_ended, scratch, stop
from durable_objects.embedded import EmbeddedRuntime
from saywhatwant.message import NewMessage, decode_list
from saywhatwant.queue import MessageQueue
from saywhatwant.topology import SingleWall

SWW = str(Path(sys.executable).with_name("sww"))
MESSAGES = 200
READERS = 1_000
ANSWER_SECONDS = 20.0
READY = b"ready on "


class Sample(NamedTuple):
    """One run."""

    seconds: float
    cpu_seconds: float | None = None
    """Processor time, where it was measured."""


def command(*arguments: str) -> Callable[[int], list[Sample]]:
    """Samples of a command of ``sww`` that ends by itself."""

    def once() -> Sample:
        before, began = _cpu_of_children(), time.perf_counter()
        subprocess.run((SWW, *arguments), check=True, stdout=subprocess.DEVNULL, timeout=ANSWER_SECONDS)
        return Sample(time.perf_counter() - began, _cpu_of_children() - before)

    return lambda runs: [once() for _ in range(runs + 1)][1:]


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def ready_lines(runs: int) -> list[Sample]:
    """From the start of ``sww serve`` on an empty directory to its ready line."""
    return [_ready_line() for _ in range(runs + 1)][1:]


def _ready_line() -> Sample:
    with scratch() as directory:
        began = time.perf_counter()
        with _serving(directory) as (process, _):
            return Sample(time.perf_counter() - began, _cpu_of(process.pid))


def restarts(runs: int) -> list[Sample]:
    """From the start of a server that was killed to its answer with all messages."""
    with scratch() as directory:
        with _serving(directory) as (_, url):
            fill(url, MESSAGES)
        return [_restart(directory) for _ in range(runs + 1)][1:]


def _restart(directory: Path) -> Sample:
    began = time.perf_counter()
    with _serving(directory, kill=True) as (process, url):
        read = httpx.get(f"{url}/api/comments", params={"limit": MESSAGES}, timeout=ANSWER_SECONDS, trust_env=False)
        took = time.perf_counter() - began
        if len(read.raise_for_status().json()) != MESSAGES:
            raise LoadFailed("a server that was killed came back without all messages")
        return Sample(took, _cpu_of(process.pid))


@contextmanager
def _serving(directory: Path, *, kill: bool = False) -> "Iterator[tuple[subprocess.Popen[bytes], str]]":
    """A server and its URL, from the moment its ready line is written; ended by SIGTERM or by SIGKILL."""
    command = (SWW, "serve", "--bind", "127.0.0.1:0", "--data", str(directory.resolve() / "data"))
    environment = {"PATH": os.environ["PATH"], **SETTINGS}
    process = subprocess.Popen(
        command, cwd=directory, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    too_late = threading.Timer(ANSWER_SECONDS, process.kill)
    too_late.start()
    assert process.stderr
    with process.stderr as output:
        try:
            line = next((line for line in output if line.startswith(READY)), b"")
            if not line:
                has_ended(process)
                raise ServerFailed(f"sww serve ended with status {process.returncode} before its ready line")
            yield process, line.removeprefix(READY).decode().strip()
        finally:
            too_late.cancel()
            if kill:
                process.kill()
            stop(process)


def _cpu_of(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wakes(runs: int) -> list[Sample]:
    """A read of an object with 200 messages that is not in memory."""
    with scratch() as directory:
        return asyncio.run(_wakes(directory, runs))


async def _wakes(directory: Path, runs: int) -> list[Sample]:
    samples = []
    async with EmbeddedRuntime(directory) as runtime:
        queue = runtime.namespace("MessageQueue", MessageQueue).get("global-queue")
        message = NewMessage(text="x" * 500, username="Human", color="169080199", entity="zen")
        await asyncio.gather(*(SingleWall(queue).post(message, f"key {number}") for number in range(MESSAGES)))
        for _ in range(runs + 1):
            runtime.evict_idle()  # the first marks what is idle, the second evicts it
            assert runtime.evict_idle() == 1
            cpu, began = time.process_time(), time.perf_counter()
            page = await queue.call(MessageQueue.read, 0)
            samples.append(Sample(time.perf_counter() - began, time.process_time() - cpu))
            assert len(decode_list(page.body)) == MESSAGES
    return samples[1:]


def posts(runs: int) -> list[Sample]:
    """One post after the other on one connection; ten for each run."""
    with (
        scratch() as directory,
        Product().start(directory) as server,
        httpx.Client(base_url=server.url, timeout=ANSWER_SECONDS, trust_env=False) as http,
    ):
        return [_post(http) for _ in range(11 * runs)][runs:]


def _post(http: httpx.Client) -> Sample:
    began = time.perf_counter()
    http.post("/api/comments", json=MESSAGE).raise_for_status()
    return Sample(time.perf_counter() - began)


def replies(runs: int) -> list[Sample]:
    """From a post to its reply on a WebSocket, with a bot that takes no time; thirty for each run."""
    with scratch() as directory, Product().start(directory) as server:
        return [Sample(seconds) for seconds in post_to_reply(server, 30 * runs)]


def deliveries(runs: int) -> list[Sample]:
    """From a post until 1,000 open readers have it; two for each run."""
    return [Sample(seconds) for seconds in deliver(READERS, messages=2 * runs, idle_seconds=0).seconds]
