"""Talks in memory: which messages belong to the talk of one person with one entity."""

from bisect import bisect_left, bisect_right, insort
from collections import defaultdict
from collections.abc import Iterable, Iterator

Finish = tuple[int, int, str]
"""A finished message: the seq of its last change, its timestamp, and its talk ("" for none). Its order is that of finishing."""


class Talk:
    """The messages of one talk.

    Plain lists: nearly every message is the newest of its talk, and moving a few thousand numbers costs microseconds.
    """

    __slots__ = ("finishes", "times")

    def __init__(self) -> None:
        self.times: list[int] = []
        """The timestamps of its messages, in order."""
        self.finishes: list[Finish] = []
        """Its finished messages, in the order of finishing."""


class Talks(dict[str, Talk]):
    """All talks, by conversation. Those of archived messages are made when they are first asked for."""

    def __init__(self) -> None:
        super().__init__()
        self._archived: dict[str, list[Finish]] = {}

    def load(self, archived: Iterable[Finish]) -> None:
        """Start again, with archived messages in the order of finishing."""
        self.clear()
        groups = defaultdict[str, list[Finish]](list)
        for finish in archived:
            groups[finish[2]].append(finish)
        groups.pop("", None)
        self._archived = groups
        groups.default_factory = None

    @property
    def count(self) -> int:
        """How many talks there are."""
        return len(self) + len(self._archived)

    def is_archived(self, conversation: str) -> bool:
        """Whether the talk has not been asked for yet."""
        return conversation in self._archived

    def of(self, conversation: str) -> Talk | None:
        """The talk, or None."""
        talk = self.get(conversation)
        if talk is None and conversation in self._archived:
            talk = self[conversation] = Talk()
            talk.finishes = self._archived.pop(conversation)
            talk.times = sorted(timestamp for _, timestamp, _ in talk.finishes)
        return talk

    def add(self, conversation: str, timestamp: int) -> Talk:
        """Add a message, also one that is not the newest: a message to anyone joins its talk when it is claimed."""
        talk = self.get(conversation) or self.of(conversation)
        if talk is None:
            talk = self[conversation] = Talk()
        if talk.times and talk.times[-1] > timestamp:
            insort(talk.times, timestamp)
        else:
            talk.times.append(timestamp)
        return talk

    def remove(self, conversation: str, timestamp: int) -> Talk:
        """Forget a message of the talk; a talk without messages is forgotten."""
        talk = self.get(conversation) or self.of(conversation)
        assert talk is not None  # noqa: S101 - it has this message
        del talk.times[bisect_left(talk.times, timestamp)]
        if not talk.times:
            del self[conversation]
        return talk

    def last(self, conversation: str) -> int:
        """The timestamp of the talk's newest message; 0 when there is no such talk."""
        talk = self.of(conversation)
        return talk.times[-1] if talk else 0

    def between(self, conversation: str, since: int, before: int | None, *, newest_first: bool) -> Iterator[int]:
        """The timestamps after ``since`` and, if given, before ``before``."""
        talk = self.of(conversation)
        times = talk.times if talk else []
        start = bisect_right(times, since)
        end = len(times) if before is None else bisect_left(times, before)
        return map(times.__getitem__, range(end - 1, start - 1, -1) if newest_first else range(start, end))
