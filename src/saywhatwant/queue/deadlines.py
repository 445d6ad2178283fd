"""When leases, backoffs and waits end: a heap whose outdated entries are skipped, and removed when they are the majority."""

from heapq import heapify, heappop, heappush

MIN_COMPACTED = 64


class Deadlines:
    """At most one deadline per message, by the message's timestamp."""

    def __init__(self) -> None:
        self._at: dict[int, int] = {}
        self._heap: list[tuple[int, int]] = []

    def __len__(self) -> int:
        return len(self._at)

    def set(self, timestamp: int, at: int) -> None:
        """Set the deadline of the message with this timestamp, which must have none."""
        self._at[timestamp] = at
        heappush(self._heap, (at, timestamp))

    def clear(self, timestamp: int) -> None:
        """Forget the deadline of a message, if it has one."""
        self._at.pop(timestamp, None)
        if len(self._heap) > 2 * len(self._at) + MIN_COMPACTED:
            self._heap = [(at, timestamp) for timestamp, at in self._at.items()]
            heapify(self._heap)

    @property
    def next(self) -> int | None:
        """The first deadline; None when there is none."""
        heap = self._heap
        while heap:
            at, timestamp = heap[0]
            if self._at.get(timestamp) == at:
                return at
            heappop(heap)
        return None

    def due(self, now: int, limit: int) -> list[int]:
        """The timestamps of up to ``limit`` messages whose deadline has passed, the longest overdue first."""
        heap = self._heap
        if not heap or heap[0][0] > now:
            return []
        found: list[tuple[int, int]] = []
        while heap and heap[0][0] <= now and len(found) < limit:
            entry = heappop(heap)
            at, timestamp = entry
            if self._at.get(timestamp) == at and entry not in found[-1:]:
                found.append(entry)
        for entry in found:
            heappush(heap, entry)
        return [timestamp for _, timestamp in found]
