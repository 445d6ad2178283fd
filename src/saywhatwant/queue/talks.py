"""Talks in memory: which messages belong to the talk of one person with one entity, in the order of their timestamps."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator


class Talks:
    """The timestamps of each talk's messages.

    Plain lists: nearly every message is the newest of its talk, and moving a few thousand numbers costs microseconds.
    """

    def __init__(self) -> None:
        self._times: dict[str, list[int]] = {}

    def __len__(self) -> int:
        return len(self._times)

    def add(self, conversation: str, timestamp: int) -> None:
        """Add a message, also one that is not the newest: a message to anyone joins its talk when it is claimed."""
        times = self._times.get(conversation)
        if times is None:
            self._times[conversation] = [timestamp]
        else:
            insort(times, timestamp)

    def remove(self, conversation: str, timestamp: int) -> None:
        """Forget a message of the talk; a talk without messages is forgotten."""
        times = self._times[conversation]
        del times[bisect_left(times, timestamp)]
        if not times:
            del self._times[conversation]

    def last(self, conversation: str) -> int:
        """The timestamp of the talk's newest message; 0 when there is no such talk."""
        times = self._times.get(conversation)
        return times[-1] if times else 0

    def between(self, conversation: str, since: int, before: int | None, *, newest_first: bool) -> Iterator[int]:
        """The timestamps after ``since`` and, if given, before ``before``."""
        times = self._times.get(conversation, [])
        start = bisect_right(times, since)
        end = len(times) if before is None else bisect_left(times, before)
        return map(times.__getitem__, range(end - 1, start - 1, -1) if newest_first else range(start, end))
