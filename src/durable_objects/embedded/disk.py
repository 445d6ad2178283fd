"""The SQLite file as a disk: read on the event loop's thread, written on another."""

from collections.abc import Awaitable, Mapping, Sequence
from pathlib import Path

from durable_objects.disk import Change
from durable_objects.embedded.store import Store, Upgrade
from durable_objects.embedded.writer import WriterThread
from durable_objects.meter import Meter


class SqliteDisk(Store):
    """A ``Store`` whose commits do not block the event loop; a ``disk.Disk``."""

    def __init__(self, directory: Path, upgrades: Mapping[int, Upgrade] | None = None, meter: Meter | None = None) -> None:
        super().__init__(directory, upgrades, meter)
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

    async def scrub(self) -> str | None:
        """See ``disk.Disk``. Commits wait for it, reads do not."""
        await self._thread.run(self.vacuum)
        return None
