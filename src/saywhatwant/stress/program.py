"""``sww`` as a process that can be killed and restarted."""

import asyncio
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from saywhatwant.settings import PREFIX


def sww() -> Path:
    """The ``sww`` next to this interpreter, else the one that is running."""
    beside = Path(sys.executable).with_name("sww")
    return beside if beside.exists() else Path(sys.argv[0]).resolve()


class Program:
    """``sww`` with arguments, in a directory, with these settings and no others."""

    def __init__(self, name: str, directory: Path, arguments: Sequence[str], settings: Mapping[str, object]) -> None:
        self.name = name
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
                sww(),
                *self._arguments,
                *more,
                cwd=self._directory,
                env=self._environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=log,
            )

    def kill(self) -> None:
        """Send SIGKILL; ``ended`` waits for the end."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def ended(self) -> None:
        """Wait until it has ended."""
        if self._process is not None:
            await self._process.wait()
