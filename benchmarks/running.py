"""A server that a benchmark starts for itself."""

import re
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

START_SECONDS = 10.0
TICKS_PER_SECOND = 100
SETTINGS = {"SWW_RATE_LIMIT": "1000000", "SWW_BACKLOG_LIMIT": "1000000"}


class Running(NamedTuple):
    """A server at work."""

    url: str
    pid: int

    @property
    def cpu_seconds(self) -> float:
        """Processor time that it has used."""
        fields = Path(f"/proc/{self.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_PER_SECOND

    @property
    def resident_bytes(self) -> int:
        """Memory that it holds."""
        kilobytes = re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{self.pid}/status").read_text(encoding="ascii"))
        assert kilobytes
        return int(kilobytes[1]) * 1_024


@contextmanager
def running(*command: str) -> Iterator[Running]:
    """A server started by ``command`` on fresh data, until the end of the block."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as data:
        environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path.cwd()), "SWW_DATA": data, **SETTINGS}
        process = subprocess.Popen([*command], env=environment, stderr=subprocess.PIPE, text=True)
        try:
            assert process.stderr
            for line in process.stderr:
                if found := re.match(r"ready on (\S+)", line):
                    yield Running(found[1], process.pid)
                    break
            else:
                raise RuntimeError(f"{command} did not start")
        finally:
            process.terminate()
            process.wait(START_SECONDS)
