"""A real server: ``sww serve`` in its own process, which tests call over HTTP only."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

import httpx

from deployments import DEPLOYMENTS, Deployment

T = TypeVar("T")

SWW = Path(sys.executable).with_name("sww")
DEADLINE_SECONDS = 120.0
"""A test that waits longer than this hangs. It is far more than anything takes on a slow, busy machine."""
READY = "ready on "


def until(look: Callable[[], T | None], what: str, *, every: float = 0.01) -> T:
    """Return the first true result of ``look``.

    Raises:
        AssertionError: ``look`` found nothing until the deadline; the message names ``what`` was awaited.
    """
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not (found := look()):
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come within {DEADLINE_SECONDS:.0f} s")
        time.sleep(every)
    return found


def environment(**settings: object) -> dict[str, str]:
    """This environment with these settings and no others: ``lease_seconds=5`` sets ``SWW_LEASE_SECONDS=5``."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("SWW_")}
    return inherited | {f"SWW_{name.upper()}": str(value) for name, value in settings.items()}


class Server:
    """``sww serve`` with its own data directory. A context manager that kills the process when it exits."""

    def __init__(
        self, directory: Path, *, command: str = "serve", deployment: Deployment = DEPLOYMENTS[0], **settings: object
    ) -> None:
        self.directory = directory
        self.data = directory / "data"
        self.url = ""
        self.http: httpx.Client
        self._log = directory / "stderr"
        self._log_begins = 0
        self._bind = "127.0.0.1:0"
        self._arguments = [*deployment.program, *command.split(), "--data", str(self.data), "--runtime", deployment.runtime]
        self._settings = {"topology": deployment.topology} | settings
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.kill()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> str:
        """Standard error of the running process, or of the last one."""
        return self._log.read_bytes()[self._log_begins :].decode()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, *, through: tuple[str, ...] = ()) -> None:
        """Start it and wait until it is ready, on the port it had before if any; ``through`` is a wrapping command."""
        self.spawn(through=through)
        try:
            self.url = until(self._announced, "the ready line")
        except BaseException:
            self.kill()
            raise
        self._bind = self.url.removeprefix("http://")

    def spawn(self, *, through: tuple[str, ...] = ()) -> None:
        """Start it without waiting."""
        assert not self.is_running
        self._log_begins = self._log.stat().st_size if self._log.exists() else 0
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*through, *self._arguments, "--bind", self._bind],
                cwd=self.directory,
                env=environment(**self._settings),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
            )
        # No surplus of idle connections to close: https://github.com/encode/httpcore/issues/1110 closes some that threads use.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self.http = httpx.Client(base_url=f"http://{self._bind}", timeout=DEADLINE_SECONDS, limits=limits, trust_env=False)

    def kill(self) -> None:
        """Send SIGKILL and wait for the end of the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self.http.close()

    def terminate(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send SIGTERM, or another signal that ends it; return the exit status."""
        assert self._process is not None
        self._process.send_signal(number)
        status = self._process.wait(DEADLINE_SECONDS)
        self.http.close()
        return status

    def restart(self) -> None:
        """Kill it, then start it on the same data and port."""
        self.kill()
        self.start()

    def _announced(self) -> str | None:
        log = self.log
        assert self.is_running, f"the server ended before it was ready: {log}"
        lines = [line for line in log.splitlines(keepends=True) if line.startswith(READY) and line.endswith("\n")]
        if not lines:
            return None
        url = lines[0].removeprefix(READY).strip()
        self.http.base_url = httpx.URL(url)
        return url
