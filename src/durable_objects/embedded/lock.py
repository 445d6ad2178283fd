"""One process per data directory."""

import fcntl
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from durable_objects.errors import DataLocked


class DirectoryLock:
    """Holds ``DIRECTORY/lock`` until released or until the process ends, however it ends (the kernel frees it)."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "lock"
        self._file: int | None = None

    def acquire(self) -> None:
        """Take the lock; raises ``DataLocked`` naming the process that has it."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(file, 1_000).decode(errors="replace").strip() or "another process"
            os.close(file)
            raise DataLocked(f"the data directory {self._path.parent} is in use by {holder}") from None
        os.ftruncate(file, 0)
        os.pwrite(file, f"process {os.getpid()} ({Path(sys.argv[0]).name}, since {datetime.now(UTC):%F %T} UTC)\n".encode(), 0)
        self._file = file

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
