"""A server in a process of its own that ends when this process does: what starts, watches and stops ``guard``."""

import os
import signal
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any, ClassVar, Self

from durable_objects.restate import guard

# Isolated and without site packages: the guard needs nothing of them, and starts in 10 ms.
GUARD = (sys.executable, "-I", "-S", guard.__file__)
"""A command that is written behind this ends with the process that has the other end of its standard input."""
STOP_SECONDS = 30
"""How long a server that is asked to stop may take, before it is killed."""


class GuardedServer(ABC):
    """A server that ends when this process does, however this process ends.

    Its methods wait, so asyncio calls them in a thread. As a context manager it starts, waits until it is ready, and stops.
    """

    stop_seconds: ClassVar[float] = STOP_SECONDS
    """As ``STOP_SECONDS``, for this kind of server."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait_until_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process group of the server, which is its guard's process id; 0 before the first start."""
        return 0 if self._process is None else self._process.pid

    @abstractmethod
    def start(self) -> None:
        """Start it without waiting until it is ready."""

    @abstractmethod
    def wait_until_ready(self) -> None:
        """Wait until it is ready."""

    def stop(self, seconds: float | None = None) -> None:
        """Ask it to stop, and kill it after so many seconds, by default ``stop_seconds``. Harmless when it does not run."""
        self._signal(signal.SIGTERM)
        if self._process is not None:
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(self.stop_seconds if seconds is None else seconds)
        self.kill()

    def kill(self) -> None:
        """Send SIGKILL to it and its guard, and wait for their end. Harmless when it does not run."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()

    def wait(self) -> int:
        """Wait until it ends, and return its exit status."""
        return 0 if self._process is None else self._process.wait()

    def _launch(
        self,
        command: Sequence[str | Path],
        *,
        output: IO[Any],
        error_output: IO[Any] | None = None,
        directory: Path | None = None,
        environment: Mapping[str, str],
        descriptors: Collection[int] = (),
    ) -> None:
        """Run ``command`` in a process group of its own, which gets no Ctrl-C of this terminal."""
        self._process = subprocess.Popen(  # noqa: S603 - the program that the subclass has found
            [*GUARD, *command],
            stdin=subprocess.PIPE,  # the guard's leash
            stdout=output,
            stderr=error_output,
            cwd=directory,
            env=environment,
            pass_fds=descriptors,
            start_new_session=True,
        )

    def _signal(self, number: int) -> None:
        if self._process is not None and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
