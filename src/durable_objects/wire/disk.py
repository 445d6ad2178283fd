"""A disk of which objects see only what has been bytes."""

from collections.abc import Awaitable, Iterable, Sequence

from durable_objects.disk import Change, Disk, Head
from durable_objects.wire.encoding import ALARMS, CHANGES, ENTRIES, ENTRY, HEAD


class EncodedDisk:
    """Encodes and decodes all that goes to ``disk`` and comes from it."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def __str__(self) -> str:
        return str(self._disk)

    def head(self, object_id: str) -> Head:
        """See ``disk.Snapshot``."""
        return HEAD.through(self._disk.head(object_id))

    def get(self, object_id: str, key: str) -> bytes | None:
        """See ``disk.Snapshot``."""
        return ENTRY.through(self._disk.get(object_id, key))

    def list(self, object_id: str, prefix: str, after: str, limit: int) -> Sequence[tuple[str, bytes]]:
        """See ``disk.Snapshot``."""
        return ENTRIES.through(self._disk.list(object_id, prefix, after, limit))

    def alarms(self) -> Iterable[tuple[str, int]]:
        """See ``disk.Disk``."""
        return ALARMS.through(list(self._disk.alarms()))

    def senders(self) -> Iterable[tuple[str, int]]:
        """See ``disk.Disk``."""
        return ALARMS.through(list(self._disk.senders()))

    def commit(self, changes: Sequence[Change]) -> Awaitable[None]:
        """See ``disk.Disk``."""
        return self._disk.commit(CHANGES.through(changes))

    async def scrub(self) -> str | None:
        """See ``disk.Disk``."""
        return await self._disk.scrub()
