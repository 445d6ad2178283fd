"""Which object's alarm is due next."""

from heapq import heappop, heappush

_SLACK = 64
"""Outdated entries that the heap may carry beyond as many as there are alarms, before it is made anew."""


class Alarms:
    """One alarm per object, in memory; the durable record is the object's head."""

    def __init__(self) -> None:
        self._at: dict[str, int] = {}
        self._heap: list[tuple[int, str]] = []

    def set(self, object_id: str, at: int | None) -> None:
        """Set, move or clear an object's alarm."""
        if self._at.get(object_id) == at:
            return
        if at is None:
            del self._at[object_id]
        else:
            self._at[object_id] = at
            heappush(self._heap, (at, object_id))
            if len(self._heap) > 2 * len(self._at) + _SLACK:
                self._heap = sorted((at, object_id) for object_id, at in self._at.items())

    def next(self) -> int | None:
        """When the earliest alarm is due."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: int) -> list[str]:
        """The objects whose alarm is due, each once; they are no longer set."""
        due = []
        while (at := self.next()) is not None and at <= now:
            _, object_id = heappop(self._heap)
            del self._at[object_id]
            due.append(object_id)
        return due
