"""Talks in memory: which messages belong to the talk of one person with one entity."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator

Finish = tuple[int, int]
"""(seq of the last change, timestamp): the order in which messages finished."""


class Talk:
    """The messages of one talk.

    Plain lists: nearly every message is the newest of its talk, and moving a few thousand numbers costs microseconds.
    """

    __slots__ = ("beyond", "finished", "times")

    def __init__(self) -> None:
        self.times: list[int] = []
        """The timestamps of its messages, in order."""
        self.finished = 0
        """How many of its messages are finished."""
        self.beyond: list[Finish] = []
        """Its finished messages that are not among the newest of the wall."""


class Talks(dict[str, Talk]):
    """All talks, by conversation."""

    def add(self, conversation: str, timestamp: int) -> Talk:
        """Add a message, also one that is not the newest: a message to anyone joins its talk when it is claimed."""
        talk = self.get(conversation)
        if talk is None:
            talk = self[conversation] = Talk()
        if talk.times and talk.times[-1] > timestamp:
            insort(talk.times, timestamp)
        else:
            talk.times.append(timestamp)
        return talk

    def remove(self, conversation: str, timestamp: int) -> Talk:
        """Forget a message of the talk; a talk without messages is forgotten."""
        talk = self[conversation]
        del talk.times[bisect_left(talk.times, timestamp)]
        if not talk.times:
            del self[conversation]
        return talk

    def last(self, conversation: str) -> int:
        """The timestamp of the talk's newest message; 0 when there is no such talk."""
        talk = self.get(conversation)
        return talk.times[-1] if talk else 0

    def between(self, conversation: str, since: int, before: int | None, *, newest_first: bool) -> Iterator[int]:
        """The timestamps after ``since`` and, if given, before ``before``."""
        talk = self.get(conversation)
        times = talk.times if talk else []
        start = bisect_right(times, since)
        end = len(times) if before is None else bisect_left(times, before)
        return map(times.__getitem__, range(end - 1, start - 1, -1) if newest_first else range(start, end))
