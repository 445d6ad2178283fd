"""Real processes to start and to kill: ``with process("write", directory) as writer``."""

import asyncio
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ledger import Ledger

import durable_objects
from durable_objects import CommitFailed
from durable_objects.embedded import EmbeddedRuntime

NAMES = ("a", "b", "c")
"""The ledgers that ``write`` appends to."""
SHOWN = 40
"""How many characters of an entry ``write`` reports."""
ALARM_MS = 3_600_000
"""When the alarm is due that ``alarm`` sets."""


@contextmanager
def process(task: str, directory: Path, *, through: tuple[str, ...] = ()) -> Iterator[subprocess.Popen[str]]:
    """A process that does ``task`` on the data in ``directory``, run by the command ``through``; killed at the end."""
    source = str(Path(durable_objects.__file__).parent.parent)
    command = [*through, sys.executable, __file__, task, str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": source}) as started:
        try:
            yield started
        finally:
            started.kill()


def next_line(started: subprocess.Popen[str]) -> str:
    """The next line that the process prints."""
    assert started.stdout is not None
    return started.stdout.readline().strip()


def report(*words: object) -> None:
    """Print one line in one write, at once."""
    os.write(sys.stdout.fileno(), (" ".join(map(str, words)) + "\n").encode())


async def write(runtime: EmbeddedRuntime, appends: int = 1_000_000, padding: str = "") -> None:
    """Append, several callers to each ledger, and report each entry once it was acknowledged."""
    ledgers = runtime.namespace("Ledger", Ledger)

    async def append(name: str, caller: int) -> None:
        for count in range(appends):
            for _ in range(caller):  # so that some calls are always made while others' commit is in flight
                await asyncio.sleep(0)
            entry = await ledgers.get(name).call(Ledger.append, f"{os.getpid()}.{caller}.{count}" + padding)
            report(name, entry.seq, entry.text[:SHOWN])

    await asyncio.gather(*(append(name, caller) for name in NAMES for caller in range(3)))


async def write_some(runtime: EmbeddedRuntime) -> None:
    """The same to an end, while SQLite moves its log into the file again and again."""
    assert runtime.disk._writer is not None
    runtime.disk._writer.execute("PRAGMA wal_autocheckpoint = 40")
    await write(runtime, appends=10, padding="x" * 5_000)


async def hold(_: EmbeddedRuntime) -> None:
    """Only hold the directory."""
    report("holding")
    await asyncio.Event().wait()


async def alarm(runtime: EmbeddedRuntime) -> None:
    """Set an alarm that this process will not live to run."""
    await runtime.namespace("Ledger", Ledger).get("a").call(Ledger.set_alarm, time.time_ns() // 1_000_000 + ALARM_MS)
    report("set")
    await asyncio.Event().wait()


async def fill(runtime: EmbeddedRuntime) -> None:
    """Write until the system lets no file grow further, then go on without that limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    for _ in range(50):
        try:
            entry = await ledger.call(Ledger.append, "x" * 100_000)
            report("appended", entry.seq)
        except CommitFailed as failure:
            report("failed", failure)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    entry = await ledger.call(Ledger.append, "x" * 100_000)
    report("appended", entry.seq)


TASKS = {"write": write, "write some": write_some, "hold": hold, "alarm": alarm, "fill": fill}


async def main(task: str, directory: str) -> None:
    """Do ``task``; two minutes at most, if the test that wanted it does not end it."""
    async with asyncio.timeout(120), EmbeddedRuntime(directory) as runtime:
        await TASKS[task](runtime)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
