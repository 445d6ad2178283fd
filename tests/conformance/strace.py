"""What ``strace`` saw a server do, as a list of system calls in the order in which they began and ended."""

import re
from pathlib import Path
from typing import NamedTuple

CALLS = ("fdatasync", "fsync", "read", "recvfrom", "write", "writev", "sendto", "sendmsg")
_LINE = re.compile(r"^(?P<thread>\d+) +(?P<rest>.*)$")
_RESUMED = re.compile(r"^<\.\.\. \w+ resumed>(?P<rest>.*)$")
_UNFINISHED = " <unfinished ...>"


class Call(NamedTuple):
    """A system call: its whole text, and the lines where it began and ended."""

    text: str
    began: int
    ended: int

    @property
    def is_sync_of_the_log(self) -> bool:
        """Whether it made SQLite's write-ahead log durable, and could."""
        return re.match(r"f(data)?sync\(\d+<[^>]*-wal>\) += 0$", self.text) is not None


def command(output: Path) -> tuple[str, ...]:
    """The command that traces another one, and lets that keep its process id."""
    return ("strace", "-D", "-f", "-y", "-s", "400", "-e", "trace=" + ",".join(CALLS), "-o", str(output))


def parse(text: str) -> list[Call]:
    """The calls that have ended, in the order of their ends."""
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
