"""What it takes to follow a wall with a backup: ``python -m benchmarks.backups``.

A wall is filled with messages and backed up; then a message is posted before each look at what has changed. The processor time
of a look is printed, and the size of the data file.
"""

import argparse
import asyncio
import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

from msgspec.structs import replace

from benchmarks.running import end_in_order_on_sigterm, scratch
from durable_objects.embedded import EmbeddedRuntime
from durable_objects.embedded.backup import write_backup
from durable_objects.embedded.change_log import Following
from durable_objects.embedded.snapshot import SnapshotSource
from saywhatwant.message import NewMessage
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.config import QueueConfig

MESSAGES = 50_000
LOOKS = 11
AT_ONCE = 500
QUESTION = NewMessage(text="x" * 70, username="Bench", color="169080199", answer=False)
ANSWER = replace(QUESTION, text="y" * 250)
"""Texts as long as those of the wall that docs/operate.md counts."""


class Look(NamedTuple):
    """At a wall."""

    bytes: int
    """Of its file."""
    seconds: list[float]
    """Processor time, for each look."""


def look(directory: Path, messages: int = MESSAGES, looks: int = LOOKS) -> Look:
    """Fill a wall below ``directory``, back it up, and follow it."""
    return asyncio.run(_look(directory, messages, looks))


async def _look(directory: Path, messages: int, looks: int) -> Look:
    data, backup = directory / "data", directory / "backup"
    async with EmbeddedRuntime(data) as runtime:
        config = QueueConfig(retention=1_000_000, max_kept=1_000_000)
        wall = runtime.namespace("MessageQueue", MessageQueue, config).get("global-queue")
        for start in range(0, messages, AT_ONCE):
            posts = (ANSWER if number % 2 else QUESTION for number in range(start, min(start + AT_ONCE, messages)))
            await asyncio.gather(*(wall.call(MessageQueue.post, post) for post in posts))
        with SnapshotSource(data) as source:
            snapshot = source.read()
            following = Following(
                backup, write_backup(snapshot, backup, made_by="a benchmark", describe=lambda _: {}, readme=lambda _: "")
            )
            seconds = []
            for _ in range(looks):
                await wall.call(MessageQueue.post, QUESTION)
                began = time.process_time()
                assert source.is_changed()
                assert following.append(source.read()) is not None
                seconds.append(time.process_time() - began)
    return Look(len(snapshot.content), seconds)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.backups", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--messages", type=int, default=MESSAGES)
    messages = parser.parse_args().messages
    with scratch() as directory:
        found = look(directory, messages)
    times = [seconds * 1_000 for seconds in found.seconds]
    print(f"{messages:,} messages: {found.bytes / 1e6:.1f} MB")
    print(f"a look when something has changed: {median(times):.0f} ms of processor time ({min(times):.0f} to {max(times):.0f})")


if __name__ == "__main__":
    end_in_order_on_sigterm()
    main()
