"""The alarms of a runtime: which one is due next, and when a failed one is retried."""

from collections.abc import Hashable, Iterator
from heapq import heappop, heappush
from typing import Generic, TypeVar

from durable_objects.limits import ALARM_RETRY_MS, MAX_ALARM_RETRY_MS

KeyT = TypeVar("KeyT", bound=Hashable)

_SLACK = 64
"""The heap is rebuilt when it has this many more outdated entries than current ones."""


class Timetable(Generic[KeyT]):
    """At most one time per object, with access to the earliest. ``KeyT`` names the object, and can be ordered."""

    def __init__(self) -> None:
        self._at: dict[KeyT, int] = {}
        self._heap: list[tuple[int, KeyT]] = []

    def __contains__(self, key: KeyT) -> bool:
        return key in self._at

    def set(self, key: KeyT, at: int | None) -> bool:
        """Set, move or clear an object's time; returns whether it was another one before."""
        if self._at.get(key) == at:
            return False
        if at is None:
            del self._at[key]
        else:
            self._at[key] = at
            heappush(self._heap, (at, key))
            if len(self._heap) > 2 * len(self._at) + _SLACK:
                self._heap = sorted((at, key) for key, at in self._at.items())
        return True

    def next(self) -> int | None:
        """The earliest time."""
        while self._heap and self._at.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def pop_due(self, now: int) -> Iterator[KeyT]:
        """Remove and yield the objects whose time has come, the earliest first."""
        while (at := self.next()) is not None and at <= now:
            _, key = heappop(self._heap)
            del self._at[key]
            yield key


class Alarms:
    """One alarm per object, in memory; the durable record is the object's head.

    An alarm is due by the wall clock. A failed alarm is retried by the steady clock, so that no step of the wall clock can
    delay it.
    """

    def __init__(self) -> None:
        self._alarms: Timetable[str] = Timetable()
        self._retries: Timetable[str] = Timetable()
        self._failures: dict[str, int] = {}

    def set(self, object_id: str, at: int | None) -> bool:
        """Set, move or clear an object's alarm, and return whether it was another one before.

        An alarm that waits for a retry is not due earlier.
        """
        if self._failures:
            if at is None:
                self.succeeded(object_id)
            elif object_id in self._retries:
                at = None
        return self._alarms.set(object_id, at)

    def failed(self, object_id: str, steady_ms: int) -> tuple[int, int]:
        """Retry an alarm later, and later each time; returns its failures in a row and the delay in milliseconds."""
        failures = self._failures.get(object_id, 0) + 1
        delay = retry_ms(failures)
        self._failures[object_id] = failures
        self._alarms.set(object_id, None)
        self._retries.set(object_id, steady_ms + delay)
        return failures, delay

    def succeeded(self, object_id: str) -> None:
        """Forget the alarm's failures."""
        self._failures.pop(object_id, None)
        self._retries.set(object_id, None)

    def pop_due(self, now_ms: int, steady_ms: int) -> Iterator[str]:
        """Remove and yield the objects whose alarm is due, or due again."""
        yield from self._alarms.pop_due(now_ms)
        yield from self._retries.pop_due(steady_ms)

    def wait_ms(self, now_ms: int, steady_ms: int) -> int | None:
        """Milliseconds until the next alarm is due, negative when one is overdue; None when there is none."""
        waits = [at - now for at, now in ((self._alarms.next(), now_ms), (self._retries.next(), steady_ms)) if at is not None]
        return min(waits, default=None)


def retry_ms(failures: int) -> int:
    """Milliseconds until the next attempt, after this many failures in a row."""
    return min(ALARM_RETRY_MS << min(failures - 1, 16), MAX_ALARM_RETRY_MS)
