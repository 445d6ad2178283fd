"""The system calls of a server, traced with ``strace``."""

import re
from pathlib import Path
from typing import NamedTuple

CALLS = ("fdatasync", "fsync", "read", "recvfrom", "write", "writev", "sendto", "sendmsg")
_LINE = re.compile(r"^(?P<thread>\d+) +(?P<rest>.*)$")
_RESUMED = re.compile(r"^<\.\.\. \w+ resumed>(?P<rest>.*)$")
_UNFINISHED = " <unfinished ...>"


class Call(NamedTuple):
    """A system call: its text, and the lines of the trace where it began and ended."""

    text: str
    began: int
    ended: int

    @property
    def is_sync_of_the_log(self) -> bool:
        """Whether it synced SQLite's write-ahead log successfully."""
        return re.match(r"f(data)?sync\(\d+<[^>]*-wal>\) += 0$", self.text) is not None


def command(output: Path) -> tuple[str, ...]:
    """The prefix of a command that traces it and keeps its process id."""
    return ("strace", "-D", "-f", "-y", "-s", "400", "-e", "trace=" + ",".join(CALLS), "-o", str(output))


def parse(text: str) -> list[Call]:
    """The calls that have ended, in the order in which they did."""
    calls: list[Call] = []
    begun: dict[str, tuple[str, int]] = {}
    for number, line in enumerate(text.splitlines()):
        if not (match := _LINE.match(line)):
            continue
        thread, rest = match["thread"], match["rest"]
        if rest.endswith(_UNFINISHED):
            begun[thread] = (rest.removesuffix(_UNFINISHED), number)
        elif resumed := _RESUMED.match(rest):
            head, began = begun.pop(thread, ("", number))
            calls.append(Call(head + resumed["rest"], began, number))
        else:
            calls.append(Call(rest, number, number))
    return calls
