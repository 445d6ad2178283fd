"""``sww`` as a process that can be killed and restarted."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from saywhatwant.client import ServerUnavailable
from saywhatwant.settings import PREFIX

START_SECONDS = 20.0
"""How long a server may take to start."""
READY = "ready on "
LOOK_SECONDS = 0.01


def sww() -> Path:
    """The ``sww`` next to this interpreter, else the one that is running."""
    beside = Path(sys.executable).with_name("sww")
    return beside if beside.exists() else Path(sys.argv[0]).resolve()


class Program:
    """``sww`` with arguments, in a directory, with these settings and no others.

    ``guard`` is a command that runs the one that follows it, and kills it when its own standard input ends: so nothing is left
    behind, however this process ends.
    """

    def __init__(
        self,
        name: str,
        directory: Path,
        arguments: Sequence[str],
        settings: Mapping[str, object],
        *,
        guard: Sequence[str] = (),
    ) -> None:
        self.name = name
        self._guard = list(guard)
        self._directory = directory
        self._arguments = list(arguments)
        inherited = {key: value for key, value in os.environ.items() if not key.startswith(PREFIX)}
        self._environment = inherited | {f"{PREFIX}{key.upper()}": str(value) for key, value in settings.items()}
        self._log = directory / f"{name.replace(' ', '-')}.log"
        self._log_begins = 0
        self._process: asyncio.subprocess.Process | None = None

    @property
    def is_running(self) -> bool:
        """Whether it is running."""
        return self._process is not None and self._process.returncode is None

    @property
    def stderr(self) -> str:
        """The text on its standard error since the last start."""
        return self._log.read_bytes()[self._log_begins :].decode(errors="replace")

    async def start(self, *more: str) -> None:
        """Start it with ``more`` arguments, without waiting."""
        with self._log.open("ab") as log:
            self._log_begins = log.tell()
            self._process = await asyncio.create_subprocess_exec(
                *self._guard,
                sww(),
                *self._arguments,
                *more,
                cwd=self._directory,
                env=self._environment,
                stdin=asyncio.subprocess.PIPE if self._guard else asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=log,
                start_new_session=bool(self._guard),  # the guard and what it runs are killed as a group
            )

    async def ready(self, seconds: float = START_SECONDS, line: str = READY) -> str:
        """What comes after ``line`` in the first line on its standard error that begins so, once it is there.

        Raises ``ServerUnavailable`` when it has ended, and ``TimeoutError``.
        """
        async with asyncio.timeout(seconds):
            while self.is_running:
                if url := _announced(self.stderr, line):
                    return url
                await asyncio.sleep(LOOK_SECONDS)
        raise ServerUnavailable(f"{self.name} ended by itself: {self.stderr.strip()}")

    def kill(self) -> None:
        """Send SIGKILL; ``ended`` waits for the end."""
        if self._process is None or self._process.returncode is not None:
            return
        if self._guard:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        else:
            self._process.kill()

    async def ended(self) -> None:
        """Wait until it has ended."""
        if self._process is not None:
            await self._process.wait()


def _announced(stderr: str, begin: str) -> str | None:
    for line in stderr.splitlines(keepends=True):
        if line.startswith(begin) and line.endswith("\n"):
            return line.removeprefix(begin).strip()
    return None
