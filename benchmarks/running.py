"""A server that a benchmark starts for itself, and what it costs."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import NamedTuple

START_SECONDS = 20.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


class Running(NamedTuple):
    """A server at work, in one process or more."""

    url: str
    pids: tuple[int, ...]

    @property
    def cpu_seconds(self) -> float:
        """Processor time that it has used."""
        return sum(_cpu_ticks(pid) for pid in self.pids) / TICKS_PER_SECOND

    @property
    def resident_bytes(self) -> int:
        """Memory that it holds."""
        return sum(_resident_kilobytes(pid) for pid in self.pids) * 1_024


def _cpu_ticks(pid: int) -> int:
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])


def _resident_kilobytes(pid: int) -> int:
    found = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text(encoding="ascii"))
    assert found
    return int(found[1])


@contextmanager
def running(*command: str, ready: str = r"ready on (\S+)", **variables: str) -> Iterator[Running]:
    """A server started by ``command``, with a clean environment and these variables, until the end of the block.

    It says on standard error that it is ready; ``ready`` is the pattern of that line, with its URL as the first group.
    """
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(Path.cwd()), **variables}
    with NamedTemporaryFile() as said:
        process = subprocess.Popen([*command], env=environment, stdout=subprocess.DEVNULL, stderr=said)
        try:
            yield Running(_url(process, Path(said.name), ready), (process.pid,))
        finally:
            process.terminate()
            process.wait(START_SECONDS)


def _url(process: "subprocess.Popen[bytes]", said: Path, ready: str) -> str:
    until = time.monotonic() + START_SECONDS
    while not (found := re.search(ready + r".*\n", said.read_text())):
        if process.poll() is not None or time.monotonic() > until:
            raise RuntimeError(f"{process.args!r} did not start: {said.read_text()}")
        time.sleep(0.005)
    return found[1]
