"""The simulated disk: the data that survives a simulated crash."""

import asyncio
from collections.abc import Callable, Sequence

from durable_objects.disk import Change, Head
from durable_objects.meter import Meter
from durable_objects.storage import OUTBOX


class SimulatedDisk:
    """Entries and heads in memory; a ``disk.Disk``.

    Args:
        hold: returns a future that a commit waits for before it is durable, or None if it need not wait.
        meter: counts the rows.
    """

    def __init__(self, hold: Callable[[], "asyncio.Future[None] | None"] = lambda: None, meter: Meter | None = None) -> None:
        self._hold = hold
        self._meter = Meter() if meter is None else meter
        self._heads: dict[str, Head] = {}
        self._entries: dict[str, dict[str, bytes]] = {}
        self._held: asyncio.Future[None] | None = None
        self.in_flight: Sequence[Change] = ()
        """The changes that wait to become durable."""
        self.error: Exception | None = None
        """If set, every commit fails with it."""

    def __str__(self) -> str:
        return "the simulated disk"

    def head(self, object_id: str) -> Head:
        """See ``disk.Snapshot``."""
        self._meter.rows_read += object_id in self._heads
        return self._heads.get(object_id, Head())

    def get(self, object_id: str, key: str) -> bytes | None:
        """See ``disk.Snapshot``."""
        value = self._entries.get(object_id, {}).get(key)
        self._meter.rows_read += value is not None
        return value

    def list(self, object_id: str, prefix: str, after: str, limit: int) -> Sequence[tuple[str, bytes]]:
        """See ``disk.Snapshot``."""
        entries = self._entries.get(object_id, {})
        found = [(key, entries[key]) for key in sorted(entries) if key > after and key.startswith(prefix)][:limit]
        self._meter.rows_read += len(found)
        return found

    def alarms(self) -> Sequence[tuple[str, int]]:
        """See ``disk.Disk``."""
        return [(object_id, head.alarm_at) for object_id, head in self._heads.items() if head.alarm_at is not None]

    def senders(self) -> Sequence[tuple[str, int]]:
        """See ``disk.Disk``."""
        rows = {name: sum(key.startswith(OUTBOX) for key in entries) for name, entries in self._entries.items()}
        return [(object_id, count) for object_id, count in rows.items() if count]

    async def commit(self, changes: Sequence[Change]) -> None:
        """See ``disk.Disk``. A commit without changes never waits."""
        if self.error is not None:
            raise self.error
        held = self._hold() if changes else None
        if held is not None:
            self.in_flight, self._held = changes, held
            try:
                await held
            finally:
                self.in_flight, self._held = (), None
        self.apply(changes)

    async def scrub(self) -> str | None:
        """See ``disk.Disk``: a dictionary keeps no traces."""
        return None

    def answer(self, error: Exception | None) -> None:
        """Let the commit in flight become durable, or fail."""
        if self._held is None:
            return
        if error is None:
            self._held.set_result(None)
        else:
            self._held.set_exception(error)

    def apply(self, changes: Sequence[Change]) -> None:
        """Make ``changes`` durable now."""
        for change in changes:
            entries = self._entries.setdefault(change.object_id, {})
            for key, value in change.writes.items():
                if value is None:
                    entries.pop(key, None)
                else:
                    entries[key] = value
            self._heads[change.object_id] = change.head
            self._meter.rows_written += len(change.writes) + 1
