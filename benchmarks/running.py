"""Servers that a benchmark starts, with their processor time and memory."""

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile, TemporaryDirectory
from types import MappingProxyType
from typing import NamedTuple

from benchmarks.failures import ServerFailed

RESULTS = Path("benchmarks/results")
"""Where results and scratch data go; git ignores it."""
START_SECONDS = 20.0
STOP_SECONDS = 20.0
LAST_CHARACTERS = 400
"""How much of a failed server's standard error goes into the exception."""
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Running(NamedTuple):
    """A running server of one or more processes."""

    url: str
    pids: tuple[int, ...]
    log: Path | None = None
    """Its standard error, while it runs."""

    @property
    def cpu_seconds(self) -> float:
        """Processor time used so far."""
        return sum(_cpu_ticks(pid) for pid in self.pids) / TICKS_PER_SECOND

    @property
    def resident_bytes(self) -> int:
        """Resident memory."""
        return sum(_resident_kilobytes(pid) for pid in self.pids) * 1_024


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _resident_kilobytes(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    assert found
    return int(found[1])


@contextmanager
def scratch() -> Iterator[Path]:
    """An empty directory until the end of the block. Not in ``/tmp``, which may be in memory, where an fsync costs nothing."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=RESULTS.absolute(), ignore_cleanup_errors=True) as name:
        yield Path(name)


@contextmanager
def running(
    *command: str,
    ready: str = r"ready on (\S+)",
    directory: Path | None = None,
    start_seconds: float = START_SECONDS,
    variables: Mapping[str, str] = MappingProxyType({}),
    stop_seconds: float = STOP_SECONDS,
    descriptors: Sequence[int] = (),
) -> Iterator[Running]:
    """Run a server until the end of the block, with ``PATH`` and ``variables`` as its whole environment.

    ``ready`` matches the line on standard error that announces it; its first group is the URL. ``directory`` is the working
    directory. A server that has not stopped ``stop_seconds`` after SIGTERM is killed. It inherits ``descriptors``.

    Raises ``ServerFailed`` when it does not announce itself within ``start_seconds``, and in place of an exception from the
    block when the server has ended by then.
    """
    environment = {"PATH": os.environ["PATH"], **variables}
    with NamedTemporaryFile() as log:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            pass_fds=descriptors,
        )
        output = Path(log.name)
        try:
            yield Running(_announced(process, output, ready, start_seconds), (process.pid,), output)
        except Exception as error:
            if not isinstance(error, ServerFailed) and has_ended(process):
                raise ServerFailed(f"{_name(command)} {_end(process)}: {_last(output)}") from error
            raise
        finally:
            stop(process, stop_seconds)


def stop(process: "subprocess.Popen[bytes]", seconds: float = STOP_SECONDS) -> None:
    """Send SIGTERM, then SIGKILL if the process still runs after ``seconds``."""
    process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def has_ended(process: "subprocess.Popen[bytes]") -> bool:
    """Whether a process has ended. Waits up to a second, because a process closes its sockets before it ends."""
    try:
        process.wait(1)
    except subprocess.TimeoutExpired:
        return False
    return True


def end_in_order_on_sigterm() -> None:
    """Make SIGTERM raise ``SystemExit``, so that ``finally`` blocks stop servers and remove data."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def allow_open_files() -> None:
    """Raise this process's limit of open files to the hard limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _announced(process: "subprocess.Popen[bytes]", output: Path, ready: str, seconds: float) -> str:
    deadline = time.monotonic() + seconds
    while not (found := re.search(ready + r".*\n", output.read_text(errors="replace"))):
        if process.poll() is not None:
            raise ServerFailed(f"{_name(process.args)} {_end(process)} before it was ready: {_last(output)}")
        if time.monotonic() > deadline:
            raise ServerFailed(f"{_name(process.args)} did not start within {seconds:g} s: {_last(output)}")
        time.sleep(0.002)
    return found[1]


def _name(command: object) -> str:
    words = command if isinstance(command, tuple | list) else (command,)
    return " ".join(Path(str(word)).name for word in words[:3])


def _end(process: "subprocess.Popen[bytes]") -> str:
    status = process.returncode
    return f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def _last(output: Path) -> str:
    return output.read_text(errors="replace")[-LAST_CHARACTERS:].strip() or "nothing on standard error"
