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
from collections import Counter
from collections.abc import Iterator
from heapq import heappop, heappush
from itertools import islice

from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.talks import Finish, Talk, Talks

MIN_COMPACTED = 64


class Kept:
    """All finished messages, in the order in which they finished.

    Before ``load`` it only counts them: while there are no more than the wall keeps, nothing is removed. Removed messages stay
    in the lists, and outdated entries in the heaps, until they come first or are the majority; so a talk that goes on costs
    nothing here.
    """

    def __init__(self, config: QueueConfig, talks: Talks) -> None:
        self.retention = config.retention
        self._of_talk = config.talk_retention
        self._talk_ms = config.talk_ms
        self._all = max(config.max_kept, config.retention)
        self._talks = talks
        self._order: list[Finish] = []
        self._gone: set[Finish] = set()
        """Those in ``_order`` that are removed."""
        self._start = 0
        """The index of the first one in ``_order`` that may not be removed."""
        self._edge = 0
        """The index in ``_order`` from which on they are the newest of the wall; the others are beyond."""
        self._newest = 0
        """How many there are from that index on."""
        self._unkept: list[Finish] = []
        """A heap of those beyond that belong to no talk, and the first one of each talk that has more than are kept of one."""
        self._quiet: list[Finish] = []
        """A heap of the last message of each quiet talk."""
        self.is_loaded = False
        self.count = 0
        """How many messages are finished."""
        self._counted = 0
        """The same, but each long one counts as several."""

    def load(self, order: list[Finish], counted: int) -> None:
        """Start again with all finished messages, in the order of finishing; the talks know them."""
        self._order, self._gone, self._start = order, set(), 0
        self._edge = max(0, len(order) - self.retention)
        self._newest = len(order) - self._edge
        self.count, self._counted = len(order), counted
        self.is_loaded = True
        self._unkept, self._quiet = [], []
        if self._edge:
            self._find_removable(order[: self._edge])

    def _find_removable(self, beyond: list[Finish]) -> None:
        finished = Counter(talk for _, _, talk in self._order)
        firsts = {finish[2]: finish for finish in reversed(beyond) if finished[finish[2]] > self._of_talk}
        lasts = {finish[2]: finish for finish in beyond}
        firsts.pop("", None)
        lasts.pop("", None)
        self._unkept = sorted([*firsts.values(), *(finish for finish in beyond if not finish[2])])
        self._quiet = sorted(lasts.values())

    def after(self, seq: int) -> Iterator[Finish]:
        """The finished messages whose last change is after the commit ``seq``."""
        order, gone = self._order, self._gone
        for finish in islice(order, bisect_left(order, (seq + 1,), self._start), None):
            if finish not in gone:
                yield finish

    def add(self, finish: Finish, cost: int) -> None:
        """A message is finished; its talk knows it already."""
        self.count += 1
        if not self.is_loaded:
            return
        self._counted += cost
        order = self._order
        talk = self._talks[finish[2]] if finish[2] else None
        if talk is not None:
            finishes = talk.finishes
            if finishes and finishes[-1] > finish:
                insort(finishes, finish)
            else:
                finishes.append(finish)
        if not order or finish > order[-1]:
            order.append(finish)
        elif not self._insert(finish):
            return
        self._newest += 1
        left = self._leave() if self._newest > self.retention else None
        if talk is not None and len(talk.finishes) > self._of_talk and talk is not left:
            self._offer(talk.finishes[0])

    def remove(self, finish: Finish, cost: int) -> None:
        """A message is removed, or not finished any more. Call ``settle`` when its talk has forgotten it."""
        self.count -= 1
        if not self.is_loaded:
            return
        self._counted -= cost
        order, gone, edge = self._order, self._gone, self._edge
        if edge >= len(order) or finish < order[edge]:
            if order[self._start] == finish:
                self._start += 1
                if gone or self._start > len(order) // 2 + MIN_COMPACTED:
                    self._drop_first()
            else:
                gone.add(finish)
            if self._unkept and self._unkept[0] == finish:
                heappop(self._unkept)
        else:
            self._newest -= 1
            if finish == order[-1]:
                order.pop()
            else:
                gone.add(finish)
            self._come_back()
        talk = self._talks.get(finish[2]) or self._talks.of(finish[2])
        if talk is not None:
            finishes = talk.finishes
            del finishes[0 if finishes[0] == finish else bisect_left(finishes, finish)]
            if len(finishes) > self._of_talk:
                self._offer(finishes[0])
        if len(gone) > len(order) // 2 + MIN_COMPACTED:
            self._compact()

    def settle(self, talk: Talk) -> None:
        """A talk has one message less, so it may be quiet now."""
        if len(talk.finishes) == len(talk.times) and self.is_loaded and self._is_quiet(talk):
            heappush(self._quiet, talk.finishes[-1])
            if len(self._quiet) > 2 * self._talks.count + MIN_COMPACTED:
                self._quiet = sorted(filter(self._may_be_quiet, set(self._quiet)))

    def next_to_remove(self, newest: int) -> int | None:
        """The timestamp of the message to remove next, if any; ``newest`` is that of the newest message of all.

        That one always stays, because timestamps continue from it.
        """
        if self.count <= self.retention:
            return None
        if self._unkept and (first := self._first_unkept(newest)):
            return first[1]
        is_full = self._counted > self._all
        talk = self._quietest() if self._quiet else None
        if talk is not None and (is_full or talk.times[-1] + self._talk_ms <= newest):
            return next((timestamp for _, timestamp, _ in talk.finishes if timestamp != newest), None)
        return self._first_beyond(newest) if is_full else None

    def _first_beyond(self, newest: int) -> int | None:
        return next((finish[1] for finish in self._beyond() if finish[1] != newest), None)

    def _beyond(self) -> Iterator[Finish]:
        return (finish for finish in islice(self._order, self._start, self._edge) if finish not in self._gone)

    def _drop_first(self) -> None:
        order, gone, start = self._order, self._gone, self._start
        while gone and start < self._edge and order[start] in gone:
            gone.remove(order[start])
            start += 1
        if start > len(order) // 2 + MIN_COMPACTED:
            del order[:start]
            self._edge -= start
            start = 0
        self._start = start

    def _is_beyond(self, finish: Finish) -> bool:
        """Whether a message that is finished is not among the wall's newest."""
        order, edge = self._order, self._edge
        return edge >= len(order) or finish < order[edge]

    def _is_quiet(self, talk: Talk) -> bool:
        finishes = talk.finishes
        return bool(finishes) and len(finishes) == len(talk.times) and self._is_beyond(finishes[-1])

    def _may_be_quiet(self, last: Finish) -> bool:
        talk = self._talks.get(last[2])
        return self._talks.is_archived(last[2]) if talk is None else self._is_quiet(talk) and talk.finishes[-1] == last

    def _offer(self, first: Finish) -> None:
        """No talk keeps this one, the first of its talk. In a talk that goes on, it often is the next to remove already."""
        if (not self._unkept or self._unkept[0] != first) and self._is_beyond(first):
            heappush(self._unkept, first)

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
        order, edge = self._order, self._edge
        if edge < len(order) and finish >= order[edge]:
            return False  # it is among the wall's newest
        if finish[2]:
            talk = self._talks.get(finish[2]) or self._talks.of(finish[2])
            return talk is not None and len(talk.finishes) > self._of_talk and talk.finishes[0] == finish
        place = bisect_left(order, finish, self._start)
        return place < len(order) and order[place] == finish and finish not in self._gone

    def _quietest(self) -> Talk | None:
        while self._quiet:
            last = self._quiet[0]
            talk = self._talks.of(last[2])
            if talk is not None and self._is_quiet(talk) and talk.finishes[-1] == last:
                return talk
            heappop(self._quiet)
        return None

    def _leave(self) -> Talk | None:
        """The first of the newest of the wall is not among them any more; returns its talk."""
        order, gone = self._order, self._gone
        while order[self._edge] in gone:
            self._edge += 1
        finish = order[self._edge]
        self._edge += 1
        self._newest -= 1
        return self._left(finish)

    def _left(self, finish: Finish) -> Talk | None:
        if not finish[2]:
            heappush(self._unkept, finish)
            return None
        talk = self._talks.get(finish[2]) or self._talks.of(finish[2])
        assert talk is not None  # noqa: S101 - its message is here
        if len(talk.finishes) > self._of_talk:
            self._offer(talk.finishes[0])
        if talk.finishes[-1] == finish:
            self.settle(talk)
        return talk

    def _come_back(self) -> None:
        """One of the newest has gone, so another one belongs to them, if there is one."""
        order, gone = self._order, self._gone
        edge = self._edge
        while edge > self._start:
            edge -= 1
            if order[edge] not in gone:
                self._edge = edge
                self._newest += 1
                return
        self._drop_first()

    def _insert(self, finish: Finish) -> bool:
        """Add one before those that are greater, which are of the same commit; returns whether it is among the newest."""
        order = self._order
        place = bisect_left(order, finish, self._start)
        if finish in self._gone:
            self._gone.remove(finish)
            del order[place]
            self._edge -= place < self._edge
        order.insert(place, finish)
        if place >= self._edge:
            return True
        if self._newest < self.retention:  # all that are beyond have been removed
            self._edge = place
            return True
        self._edge += 1
        self._left(finish)
        return False

    def _compact(self) -> None:
        order, gone = self._order, self._gone
        beyond = [finish for finish in islice(order, self._start, self._edge) if finish not in gone]
        self._order = beyond + [finish for finish in islice(order, self._edge, None) if finish not in gone]
        self._start, self._edge = 0, len(beyond)
        gone.clear()
