"""The system calls of a process, traced with ``strace``."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple, Self

import pytest

_LINE = re.compile(r"^(?P<thread>\d+) +(?P<rest>.*)$")
_RESUMED = re.compile(r"^<\.\.\. \w+ resumed>(?P<rest>.*)$")
_UNFINISHED = " <unfinished ...>"


CHANGES = ("write", "pwrite64", "ftruncate", "fsync", "fdatasync", "rename", "unlink", "mkdir")
"""The system calls after which the disk is another one."""


class Call(NamedTuple):
    """A system call: its text, and the lines of the trace where it began and ended."""

    text: str
    began: int
    ended: int

    @property
    def name(self) -> str:
        return self.text.partition("(")[0]

    @property
    def is_sync_of_the_log(self) -> bool:
        """Whether it synced SQLite's write-ahead log successfully."""
        return re.match(r"f(data)?sync\(\d+<[^>]*-wal>\) += 0$", self.text) is not None


def command(output: Path, *calls: str, characters: int = 400, hexadecimal: bool = False) -> tuple[str, ...]:
    """The prefix of a command that traces its ``calls`` and keeps its process id."""
    shown = ("-s", str(characters), *(["-xx"] if hexadecimal else []))
    return (*_program(), "-D", "-f", "-y", *shown, "-e", "trace=" + ",".join(calls), "-o", str(output))


class Moments(NamedTuple):
    """When a command that ended by itself has changed the disk: the names of its system calls, in order.

    A thread of its own is traced like the first one; the numbers count the calls of all.
    """

    calls: list[Call]

    @classmethod
    def of(cls, trace: Path) -> Self:
        """Those in a trace of ``CHANGES``."""
        return cls([call for call in parse(trace.read_text()) if call.name in CHANGES])

    def some(self, number: int, begin: int = 0, end: int | None = None) -> list[int]:
        """About this many of them, the last one included, and each that makes something durable or gives it its name."""
        last = len(self.calls) if end is None else end
        names = {at for at in range(begin, last) if self.calls[at].name in {"fsync", "fdatasync", "rename", "unlink"}}
        evenly = range(begin, last, max(1, (last - begin) // number))
        step = max(1, len(names) // number)
        return sorted({*evenly, *sorted(names)[::step], last - 1})

    def killed_at(self, moment: int) -> tuple[str, ...]:
        """The prefix of a command that dies by SIGKILL when it begins the call of this moment."""
        name = self.calls[moment].name
        number = sum(call.name == name for call in self.calls[: moment + 1])
        return (*command(Path(os.devnull), *CHANGES), "-e", f"inject={name}:signal=KILL:when={number}")


@contextmanager
def killing(pid: int, call: str, number: int) -> Iterator[None]:
    """Within the block, a process dies by SIGKILL when a thread begins this system call for the ``number``-th time."""
    strace = subprocess.Popen(
        [
            *_program(),
            "-f",
            "-p",
            str(pid),
            "-o",
            os.devnull,
            "-e",
            f"trace={call}",
            "-e",
            f"inject={call}:signal=KILL:when={number}",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    with strace:
        assert strace.stderr is not None
        assert b"attached" in strace.stderr.readline()
        try:
            yield
        finally:
            strace.kill()


def _program() -> list[str]:
    if shutil.which("strace") is None:
        pytest.fail("strace is needed to see when the disk is synced: apt-get install strace")
    return ["strace"]


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
