"""What processes there are."""

import subprocess


def children(pid: int) -> list[int]:
    """The processes that this one has started and that are there."""
    return [int(child) for child in _ps("pid=", "--ppid", pid)]


def is_running(pid: int) -> bool:
    """Whether a process is there; one that has ended is not, though nobody may have asked how it ended."""
    return any(not state.startswith("Z") for state in _ps("stat=", "--pid", pid))


def _ps(column: str, option: str, pid: int) -> list[str]:
    done = subprocess.run(["ps", "-o", column, option, str(pid)], capture_output=True, text=True, check=False)
    return done.stdout.split()
