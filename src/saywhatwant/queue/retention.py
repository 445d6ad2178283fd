"""Which finished messages are kept: the newest of the wall, and the newest of each living talk, up to a bound of all (P6).

Everything here follows from the messages that there are, so a rebuilt object removes the same ones next. Messages finish in the
order of their last changes; those beyond the wall's newest are removed in this order:

1. what no talk keeps: a message of no talk, or one of a talk that has more than are kept of one; what finished first goes first
2. a talk that has been quiet for longer than talks live, by the wall's own time (the timestamp of its newest message, so that a
   step of the clock alone ends no talk)
3. beyond the bound of all, the talk that is quiet longest; a long message counts as several, so this bounds memory

A talk is quiet when it has nothing unfinished and nothing among the wall's newest.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from collections.abc import Iterable

from msgspec import UNSET
from sortedcontainers import SortedList

from saywhatwant.limits import KEPT_BYTES
from saywhatwant.message import Message
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.talks import Finish, Talk, Talks

Finishes = OrderedDict[Finish, Talk | None]
"""Messages in the order in which they finished, with their talks. Fast at both ends."""


class Kept:
    """All finished messages, in the order in which they finished."""

    def __init__(self, config: QueueConfig, talks: Talks) -> None:
        self._config = config
        self._all = max(config.max_kept, config.retention)
        self._talks = talks
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
        self._counted = 0
        """The same, but each long one counts as several."""

    def add(self, message: Message, size: int) -> None:
        """A message of ``size`` bytes is finished; its talk knows it already."""
        self.count += 1
        self._counted += 1 + size // KEPT_BYTES
        talk = None if message.conversation is UNSET else self._talks[message.conversation]
        if talk is not None:
            talk.finished += 1
        newest, finish = self._newest, (message.seq, message.timestamp)
        if newest and next(reversed(newest)) > finish:
            _insert(newest, finish, talk)
        else:
            newest[finish] = talk
        left = self._leave() if len(newest) > self._config.retention else None
        if talk is not None and talk is not left and (talk.beyond or talk.quiet or talk.surplus):
            self.settle(talk)

    def remove(self, message: Message, size: int) -> None:
        """A message of ``size`` bytes is removed, or not finished any more; ``settle`` its talk then."""
        self.count -= 1
        self._counted -= 1 + size // KEPT_BYTES
        finish = (message.seq, message.timestamp)
        if finish in self._newest:
            talk = self._newest.pop(finish)
            if self._beyond:
                self._come_back()
        else:
            talk = self._beyond.pop(finish)
            if talk is None:
                del self._loose[finish]
            else:
                del talk.beyond[bisect_left(talk.beyond, finish)]
        if talk is not None:
            talk.finished -= 1

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
        if self._loose or self._surplus:
            firsts = (_first(self._loose, newest), _first(self._surplus, newest))
            if unkept := [first for first in firsts if first is not None]:
                return min(unkept)[1]
        is_full = self._counted > self._all
        if self._quiet:
            talk = self._beyond[self._quiet[0]]
            if talk is not None and (is_full or talk.times[-1] + self._config.talk_ms <= newest):
                first = _first(talk.beyond, newest)
                return None if first is None else first[1]
        first = _first(self._beyond, newest) if is_full else None
        return None if first is None else first[1]

    def _leave(self) -> Talk | None:
        """The first of the newest of the wall is not among them any more; returns its talk."""
        finish, talk = self._newest.popitem(last=False)
        if self._beyond and next(reversed(self._beyond)) > finish:
            _insert(self._beyond, finish, talk)
        else:
            self._beyond[finish] = talk
        if talk is None:
            if self._loose:
                _insert(self._loose, finish, None)
            else:
                self._loose[finish] = None
        else:
            beyond = talk.beyond
            insort(beyond, finish)
            is_crowded = talk.finished > self._config.talk_retention
            if len(beyond) == len(talk.times) or (is_crowded and talk.surplus != beyond[0]):
                self.settle(talk)
        return talk

    def _come_back(self) -> None:
        """One of the newest has gone, so another one belongs to them."""
        finish, talk = self._beyond.popitem()
        self._newest[finish] = talk
        self._newest.move_to_end(finish, last=False)
        if talk is None:
            del self._loose[finish]
        else:
            talk.beyond.pop()
            self.settle(talk)


def _insert(finishes: Finishes, finish: Finish, talk: Talk | None) -> None:
    """Add before those that are greater; they are few, because they are of the same commit."""
    later = []
    while finishes and next(reversed(finishes)) > finish:
        later.append(finishes.popitem())
    finishes[finish] = talk
    for other, its_talk in reversed(later):
        finishes[other] = its_talk


def _first(finishes: Iterable[Finish], newest: int) -> Finish | None:
    for finish in finishes:
        if finish[1] != newest:
            return finish
    return None
