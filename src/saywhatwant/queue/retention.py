"""Which finished messages are kept: the newest of the wall, and the newest of each living talk, up to a bound of all (P6).

Everything here follows from the messages that there are, so a rebuilt object removes the same ones next. Messages finish in the
order of their last changes; those beyond the wall's newest are removed in this order:

1. what no talk keeps: a message of no talk, or one of a talk that has more than are kept of one; what finished first goes first
2. a talk that has been quiet for longer than talks live, by the wall's own time (the timestamp of its newest message, so that a
   step of the clock alone ends no talk)
3. beyond the bound of all, the talk that is quiet longest

A talk is quiet when it has nothing unfinished and nothing among the wall's newest.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Callable, Iterable

from msgspec import UNSET, UnsetType
from sortedcontainers import SortedList

from saywhatwant.message import Message
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.talks import Finish, Talk, Talks

Finishes = OrderedDict[Finish, None]
"""In order, with fast changes at both ends."""


class Kept:
    """All finished messages, in the order in which they finished."""

    def __init__(self, config: QueueConfig, talks: Talks, conversation_at: Callable[[int], str | UnsetType]) -> None:
        """``conversation_at`` returns the conversation of the message with a timestamp."""
        self._config = config
        self._wall = min(config.retention, config.max_kept)
        self._talks = talks
        self._conversation_at = conversation_at
        self._newest: Finishes = OrderedDict()
        """The newest of the wall."""
        self._beyond: Finishes = OrderedDict()
        """All others."""
        self._loose: Finishes = OrderedDict()
        """Those of them that belong to no talk."""
        self._surplus: list[Finish] = []
        """The first message beyond, of each talk that has more than are kept of one; sorted, and mostly one at a time."""
        self._quiet: SortedList[Finish] = SortedList()
        """The last message of each quiet talk."""
        self.count = 0
        """How many messages are finished."""

    def add(self, message: Message) -> None:
        """A message is finished; ``settle`` its talk then."""
        self.count += 1
        if message.conversation is not UNSET:
            self._talks[message.conversation].finished += 1
        _append(self._newest, (message.seq, message.timestamp))
        if len(self._newest) > self._wall:
            self._leave(self._newest.popitem(last=False)[0])

    def remove(self, message: Message) -> None:
        """A message is removed, or not finished any more; ``settle`` its talk then."""
        self.count -= 1
        finish = (message.seq, message.timestamp)
        talk = None if message.conversation is UNSET else self._talks[message.conversation]
        if talk is not None:
            talk.finished -= 1
        if finish in self._newest:
            del self._newest[finish]
            if self._beyond:
                self._come_back(self._beyond.popitem()[0])
            return
        del self._beyond[finish]
        if talk is None:
            del self._loose[finish]
        else:
            del talk.beyond[bisect_left(talk.beyond, finish)]

    def settle(self, talk: Talk) -> None:
        """Find the talk's places again, after its messages have changed."""
        beyond = talk.beyond
        quiet = beyond[-1] if beyond and len(beyond) == len(talk.times) else None
        if quiet != talk.quiet:
            if talk.quiet is not None:
                self._quiet.remove(talk.quiet)
            if quiet is not None:
                self._quiet.add(quiet)
            talk.quiet = quiet
        surplus = beyond[0] if beyond and talk.finished > self._config.talk_retention else None
        if surplus != talk.surplus:
            if talk.surplus is not None:
                del self._surplus[bisect_left(self._surplus, talk.surplus)]
            if surplus is not None:
                insort(self._surplus, surplus)
            talk.surplus = surplus

    def next_to_remove(self, newest: int) -> int | None:
        """The timestamp of the message to remove next, if any; ``newest`` is that of the newest message of all.

        That one always stays, because timestamps continue from it.
        """
        if not self._beyond:
            return None
        unkept = _first(self._loose, newest)
        if self._surplus:
            surplus = _first(self._surplus, newest)
            unkept = surplus if unkept is None or (surplus is not None and surplus < unkept) else unkept
        if unkept is not None:
            return unkept[1]
        is_full = self.count > self._config.max_kept
        if self._quiet:
            talk = self._talk_at(self._quiet[0][1])
            if talk is not None and (is_full or talk.times[-1] + self._config.talk_ms <= newest):
                first = _first(talk.beyond, newest)
                return None if first is None else first[1]
        first = _first(self._beyond, newest) if is_full else None
        return None if first is None else first[1]

    def _leave(self, finish: Finish) -> None:
        """A message is not among the newest of the wall any more."""
        _append(self._beyond, finish)
        talk = self._talk_at(finish[1])
        if talk is None:
            _append(self._loose, finish)
        else:
            insort(talk.beyond, finish)
            self.settle(talk)

    def _come_back(self, finish: Finish) -> None:
        """One of the newest has gone, so another one belongs to them."""
        self._newest[finish] = None
        self._newest.move_to_end(finish, last=False)
        talk = self._talk_at(finish[1])
        if talk is None:
            del self._loose[finish]
        else:
            talk.beyond.pop()
            self.settle(talk)

    def _talk_at(self, timestamp: int) -> Talk | None:
        conversation = self._conversation_at(timestamp)
        return None if conversation is UNSET else self._talks[conversation]


def _append(finishes: Finishes, finish: Finish) -> None:
    """Add at the end, or before those of the same commit that are greater."""
    later = []
    while finishes and (last := next(reversed(finishes))) > finish:
        later.append(finishes.popitem()[0])
    finishes[finish] = None
    for last in reversed(later):
        finishes[last] = None


def _first(finishes: Iterable[Finish], newest: int) -> Finish | None:
    for finish in finishes:
        if finish[1] != newest:
            return finish
    return None
