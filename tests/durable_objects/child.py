"""Real processes to kill, and to start: ``with child("write", directory) as process``."""

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

LEDGERS = ("ash", "birch", "cedar")


@contextmanager
def child(task: str, directory: Path) -> Iterator[subprocess.Popen[str]]:
    """A process that does ``task`` on the data in ``directory``; killed at the end at the latest."""
    source = str(Path(durable_objects.__file__).parent.parent)
    command = [sys.executable, __file__, task, str(directory)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": source}) as process:
        try:
            yield process
        finally:
            process.kill()


def heard(process: subprocess.Popen[str]) -> str:
    """The next line that the process says."""
    assert process.stdout is not None
    return process.stdout.readline().strip()


def tell(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def write(runtime: EmbeddedRuntime) -> None:
    """Append without end, several callers to each ledger, and tell each entry once it was acknowledged."""
    ledgers = runtime.namespace("Ledger", Ledger)

    async def append(name: str, caller: int) -> None:
        for count in range(1_000_000):
            entry = await ledgers.get(name).call(Ledger.append, f"{os.getpid()}.{caller}.{count}")
            tell(name, entry.seq, entry.text)

    await asyncio.gather(*(append(name, caller) for name in LEDGERS for caller in range(3)))


async def hold(_: EmbeddedRuntime) -> None:
    """Only hold the directory."""
    tell("holding")
    await asyncio.Event().wait()


async def alarm(runtime: EmbeddedRuntime) -> None:
    """Set an alarm that this process will not live to hear."""
    await runtime.namespace("Ledger", Ledger).get("ash").call(Ledger.set_alarm, time.time_ns() // 1_000_000 + 500)
    tell("set")
    await asyncio.Event().wait()


async def fill(runtime: EmbeddedRuntime) -> None:
    """Write until the system refuses to let a file grow further, then go on with that limit lifted."""
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))
    ledger = runtime.namespace("Ledger", Ledger).get("ash")
    for _ in range(50):
        try:
            entry = await ledger.call(Ledger.append, "x" * 100_000)
            tell("appended", entry.seq)
        except CommitFailed as failure:
            tell("failed", failure)
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    entry = await ledger.call(Ledger.append, "x" * 100_000)
    tell("appended", entry.seq)


async def main(task: str, directory: str) -> None:
    """Do ``task``; a minute at most, whatever becomes of the test that wanted it."""
    async with asyncio.timeout(60), EmbeddedRuntime(directory) as runtime:
        await {"write": write, "hold": hold, "alarm": alarm, "fill": fill}[task](runtime)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
