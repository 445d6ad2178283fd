"""One process per data directory."""

import fcntl
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from durable_objects.errors import DataLocked


class DirectoryLock:
    """Holds ``directory`` until released or until the process ends, however it ends (the kernel frees it).

    The directory itself is locked; its file ``lock`` only says by whom, and whoever removes it takes nothing from the holder.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._held: int | None = None

    def acquire(self) -> None:
        """Take the lock; raises ``DataLocked`` naming the process that has it."""
        directory = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        note = self._directory / "lock"
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
            note.write_text(f"process {os.getpid()} ({Path(sys.argv[0]).name}, since {datetime.now(UTC):%F %T} UTC)\n")
        except BlockingIOError:
            os.close(directory)
            holder = (note.read_text(errors="replace").strip() if note.exists() else "") or "another process"
            raise DataLocked(f"the data directory {self._directory} is in use by {holder}") from None
        except BaseException:
            os.close(directory)
            raise
        self._held = directory

    def release(self) -> None:
        """Give the lock back; harmless when it is not held."""
        if self._held is not None:
            os.close(self._held)
            self._held = None
