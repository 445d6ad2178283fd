"""The SQLite file as a disk: read on the event loop's thread, written on another."""

from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path

from durable_objects.disk import Change
from durable_objects.embedded.store import Store, Upgrade
from durable_objects.embedded.writer import WriterThread


class SqliteDisk(Store):
    """A ``Store`` whose commits do not block the event loop; a ``disk.Disk``."""

    def __init__(self, directory: Path, upgrades: Mapping[int, Upgrade] | None = None) -> None:
        super().__init__(directory, upgrades)
        self._thread = WriterThread(self)

    def __str__(self) -> str:
        return str(self.path.parent)

    def open(self) -> None:
        """Open the data and start the thread; raises ``DataUnreadable``."""
        super().open()
        self._thread.start()

    def close(self) -> None:
        """Wait for the current write, then close the data."""
        self._thread.stop()
        super().close()

    def commit(self, changes: Sequence[Change]) -> Awaitable[None]:
        """See ``disk.Disk``."""
        return self._thread.write(changes)
