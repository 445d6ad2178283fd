"""One process per data directory."""

import fcntl
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

from durable_objects.errors import DataLocked


class DirectoryLock:
    """Holds ``directory`` until released or until the process ends, however it ends (the kernel frees it).

    Its file ``lock`` names the process. Removing the file does not release the lock, which is on the directory.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._held: list[int] = []

    def acquire(self) -> None:
        """Take the lock; raises ``DataLocked``, which names the process that holds it."""
        try:
            self._lock(os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
            note = self._lock(os.open(self._directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644))
            os.ftruncate(note, 0)
            holder = f"process {os.getpid()} ({Path(sys.argv[0]).name}, since {datetime.now(UTC):%F %T} UTC)\n"
            os.pwrite(note, holder.encode(), 0)
        except BlockingIOError:
            self.release()
            raise DataLocked(f"the data directory {self._directory} is in use by {self._holder()}") from None
        except BaseException:
            self.release()
            raise

    def release(self) -> None:
        """Release the lock; harmless when it is not held."""
        while self._held:
            os.close(self._held.pop())

    def _lock(self, file: int) -> int:
        self._held.append(file)
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return file

    def _holder(self) -> str:
        note = self._directory / "lock"
        return (note.read_text(errors="replace").strip() if note.exists() else "") or "another process"
