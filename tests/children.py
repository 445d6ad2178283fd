"""The processes that a process has started, and whether they are gone."""

from collections.abc import Iterator
from pathlib import Path

PROC = Path("/proc")


def _parents() -> Iterator[tuple[int, int]]:
    """Each running process with its parent."""
    for directory in PROC.iterdir():
        if directory.name.isdigit():
            try:
                stat = (directory / "stat").read_text()
            except (FileNotFoundError, ProcessLookupError):
                continue
            state, parent = stat.rpartition(")")[2].split()[:2]
            if state != "Z":
                yield int(directory.name), int(parent)


def descendants(pid: int) -> set[int]:
    """The children of a process, their children, and so on."""
    parents = dict(_parents())
    found: set[int] = set()
    while new := {child for child, parent in parents.items() if parent in found | {pid}} - found:
        found |= new
    return found


def alive(pids: set[int]) -> set[int]:
    """Those that have not ended."""
    return pids & dict(_parents()).keys()


def command_of(pid: int) -> str:
    """Its command line."""
    return (PROC / str(pid) / "cmdline").read_text().replace("\0", " ")
