"""Which finished messages are kept: the newest of the wall, and the newest of each living talk, up to a bound of all (P6).

Everything here follows from the stored messages, so a rebuilt object removes the same ones next. Messages finish in the
order of their last changes; those beyond the wall's newest are removed in this order:

1. what no talk keeps: a message of no talk, or one of a talk that has more than are kept of one; what finished first goes first
2. a talk that has been quiet for longer than talks live, by the wall's own time (the timestamp of its newest message, so that a
   step of the clock alone ends no talk)
3. beyond the bound of all, the talk that is quiet longest; a long message counts as several, so this bounds memory

A talk is quiet when it has nothing unfinished and nothing among the wall's newest.
"""

from bisect import bisect_left, insort
from collections import OrderedDict
from heapq import heapify, heappop, heappush

from msgspec import UNSET

from saywhatwant.limits import KEPT_BYTES
from saywhatwant.message import Message
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.talks import Finish, Talk, Talks

Finishes = OrderedDict[Finish, Talk | None]
"""Messages in the order in which they finished, with their talks. Fast at both ends."""

MIN_COMPACTED = 64


class Kept:
    """All finished messages, in the order in which they finished.

    The heaps may have outdated entries, so that a talk that goes on costs nothing here; they are skipped when they come first.
    """

    def __init__(self, config: QueueConfig, talks: Talks) -> None:
        self._retention = config.retention
        self._of_talk = config.talk_retention
        self._talk_ms = config.talk_ms
        self._all = max(config.max_kept, config.retention)
        self._talks = talks
        self._newest: Finishes = OrderedDict()
        """The newest of the wall."""
        self._beyond: Finishes = OrderedDict()
        """All others."""
        self._unkept: list[Finish] = []
        """A heap of those of them that belong to no talk, and the first one of each talk that has more than are kept of one."""
        self._quiet: list[Finish] = []
        """A heap of the last message of each quiet talk."""
        self._last = self._last_beyond = (0, 0)
        """The greatest there has been in either; what comes later is appended."""
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
        if finish > self._last:
            self._last = finish
            newest[finish] = talk
        else:
            _insert(newest, finish, talk)
        left = self._leave() if len(newest) > self._retention else None
        if talk is not None and talk.finished > self._of_talk and talk is not left and talk.beyond:
            self._offer(talk.beyond[0])

    def remove(self, message: Message, size: int) -> None:
        """A message of ``size`` bytes is removed, or not finished any more. Call ``settle`` when its talk has forgotten it."""
        self.count -= 1
        self._counted -= 1 + size // KEPT_BYTES
        finish = (message.seq, message.timestamp)
        if finish in self._newest:
            talk = self._newest.pop(finish)
            if self._beyond:
                self._come_back()
        else:
            talk = self._beyond.pop(finish)
            if talk is not None:
                del talk.beyond[0 if talk.beyond[0] == finish else bisect_left(talk.beyond, finish)]
            if self._unkept and self._unkept[0] == finish:
                heappop(self._unkept)
        if talk is not None:
            talk.finished -= 1
            if talk.finished > self._of_talk and talk.beyond:
                self._offer(talk.beyond[0])

    def settle(self, talk: Talk) -> None:
        """A talk has one message less, so it may be quiet now."""
        if talk.beyond and len(talk.beyond) == len(talk.times):
            heappush(self._quiet, talk.beyond[-1])
            if len(self._quiet) > 2 * len(self._talks) + MIN_COMPACTED:
                self._quiet = [talk.beyond[-1] for talk in self._talks.values() if len(talk.beyond) == len(talk.times)]
                heapify(self._quiet)

    def next_to_remove(self, newest: int) -> int | None:
        """The timestamp of the message to remove next, if any; ``newest`` is that of the newest message of all.

        That one always stays, because timestamps continue from it.
        """
        if not self._beyond:
            return None
        if self._unkept and (first := self._first_unkept(newest)):
            return first[1]
        is_full = self._counted > self._all
        talk = self._quietest() if self._quiet else None
        if talk is not None and (is_full or talk.times[-1] + self._talk_ms <= newest):
            return next((timestamp for _, timestamp in talk.beyond if timestamp != newest), None)
        return next((timestamp for _, timestamp in self._beyond if timestamp != newest), None) if is_full else None

    def _offer(self, finish: Finish) -> None:
        """No talk keeps this one, the first of its talk. In a talk that goes on, it often is the next to remove already."""
        if not self._unkept or self._unkept[0] != finish:
            heappush(self._unkept, finish)

    def _first_unkept(self, newest: int) -> Finish | None:
        unkept, found, staying = self._unkept, None, None
        while unkept and found is None:
            first = unkept[0]
            if not self._is_unkept(first):
                heappop(unkept)
            elif first[1] == newest:
                staying = heappop(unkept)
            else:
                found = first
        if staying is not None:
            heappush(unkept, staying)
        return found

    def _is_unkept(self, finish: Finish) -> bool:
        talk = self._beyond.get(finish)
        if talk is None:
            return finish in self._beyond
        return talk.beyond[0] == finish and talk.finished > self._of_talk

    def _quietest(self) -> Talk | None:
        while self._quiet:
            last = self._quiet[0]
            talk = self._beyond.get(last)
            if talk is not None and talk.beyond[-1] == last and len(talk.beyond) == len(talk.times):
                return talk
            heappop(self._quiet)
        return None

    def _leave(self) -> Talk | None:
        """The first of the newest of the wall is not among them any more; returns its talk."""
        finish, talk = self._newest.popitem(last=False)
        if finish > self._last_beyond:
            self._last_beyond = finish
            self._beyond[finish] = talk
        else:
            _insert(self._beyond, finish, talk)
        if talk is None:
            heappush(self._unkept, finish)
            return None
        beyond = talk.beyond
        if beyond and beyond[-1] > finish:
            insort(beyond, finish)
        else:
            beyond.append(finish)
        if talk.finished > self._of_talk:
            self._offer(beyond[0])
        if len(beyond) == len(talk.times):
            self.settle(talk)
        return talk

    def _come_back(self) -> None:
        """One of the newest has gone, so another one belongs to them."""
        finish, talk = self._beyond.popitem()
        self._newest[finish] = talk
        self._newest.move_to_end(finish, last=False)
        if talk is not None:
            talk.beyond.pop()


def _insert(finishes: Finishes, finish: Finish, talk: Talk | None) -> None:
    """Add before those that are greater; they are few, because they are of the same commit."""
    later = []
    while finishes and next(reversed(finishes)) > finish:
        later.append(finishes.popitem())
    finishes[finish] = talk
    for other, its_talk in reversed(later):
        finishes[other] = its_talk
