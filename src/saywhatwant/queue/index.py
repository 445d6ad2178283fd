"""The queue's messages, looked up by urgency, deadline, talk, time and last change.

No operation here grows with the backlog beyond the logarithm of sorted lists
(<https://grantjenks.com/docs/sortedcontainers/performance-at-scale.html>) and heaps.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from heapq import merge
from itertools import accumulate, groupby, islice, takewhile
from operator import itemgetter

from durable_objects.limits import MAX_VALUE_BYTES
from saywhatwant.limits import MAX_ANSWER_BYTES
from saywhatwant.message import Message, Status
from saywhatwant.queue.entries import Entry
from saywhatwant.queue.messages import Messages, is_unfinished

MIN_ENCODED_BYTES = 256
"""The fewest bytes of an encoded message."""
READ_TOGETHER = 256
"""Archived messages of a page that are read at once."""


class Index(Messages):
    """Lookups of messages."""

    # -- Figures

    @property
    def delayed_count(self) -> int:
        """Pending messages that back off."""
        return self._unfinished.delayed_count

    def depths(self, limit: int, first: Iterable[str] = ()) -> dict[str, Counter[Status]]:
        """See ``Counts.depths``."""
        if self.archive.by_entity is None:
            self._load()
        return self.counts.depths(limit, first)

    def next_since(self, entities: Iterable[str]) -> dict[str, int]:
        """For each of the entities with claimable messages, the timestamp of the most urgent one; "" names no entity."""
        found = ((entity, self._unfinished.ready(1, [entity or None])) for entity in entities)
        return {entity: ready[0] for entity, ready in found if ready}

    def oldest(self, limit: int) -> dict[str, int]:
        """The timestamp of the oldest unfinished message of up to ``limit`` entities; the empty name is for none.

        For operators: the first time it looks at all of them, and from then on each change costs a little more.
        """
        oldest = self._unfinished.oldest(limit, lambda timestamp: self.message_at(timestamp).bot_params.entity)
        return {entity or "": timestamp for timestamp, entity in oldest}

    # -- Work

    def due(self, now: int, limit: int) -> list[Message]:
        """Up to ``limit`` messages whose lease, backoff or wait has ended, the longest overdue first."""
        return self._messages(self.deadlines.due(now, limit))

    def ready(self, limit: int, entities: Iterable[str | None] | None = None) -> list[Message]:
        """Up to ``limit`` claimable messages in order of urgency, of all entities or of these."""
        return self._messages(self._unfinished.ready(limit, entities))

    def in_flight(self, limit: int) -> list[Message]:
        """Up to ``limit`` messages that bots hold, ordered by the end of their leases."""
        return self._messages(self._unfinished.in_flight(limit))

    def delayed(self, limit: int) -> list[Message]:
        """Up to ``limit`` messages that back off, the next one first."""
        return self._messages(self._unfinished.delayed(limit))

    def failed(self, limit: int) -> list[Message]:
        """Up to ``limit`` failed messages, the newest first."""
        found = list(islice(reversed(self._failed), limit))
        if len(found) < limit or found[-1] <= self.archive.floor:
            self._load_failed()
            found = list(islice(reversed(self._failed), limit))
        return self._messages(found)

    def unfinished(self, entity: str | None = None) -> Iterator[Message]:
        """The unfinished messages, all or those to ``entity``: first the claimable ones by urgency, then the others."""
        messages = map(self.message_at, self._unfinished.all(entity))
        return messages if entity is None else (message for message in messages if message.bot_params.entity == entity)

    def all_failed(self, entity: str | None = None) -> Iterator[Message]:
        """The failed messages, all or those to ``entity``, oldest first."""
        self._load_failed()
        archived = self.archive.messages
        for timestamp in self._failed:
            if entity is None or timestamp not in archived or archived[timestamp].entity == entity:
                message = self.message_at(timestamp)
                if entity is None or message.bot_params.entity == entity:
                    yield message

    def _load_failed(self) -> None:
        if len(self._failed) < self.counts.total["failed"]:
            self._loaded()

    def _messages(self, times: Iterable[int]) -> list[Message]:
        return list(map(self.message_at, times))

    # -- Talks

    def last_in_talks(self, conversations: Sequence[str]) -> list[int]:
        """For each talk the timestamp of its newest message, 0 for none. Exact for the talk that is the newest of them."""
        last = list(map(self._talks.last, conversations))
        if not self.archive.is_loaded and max(last, default=0) <= self.archive.floor:
            self._load()
            last = list(map(self._talks.last, conversations))
        return last

    def longest_ago(self, entities: Sequence[str]) -> str:
        """The one of ``entities`` that had its turn with a message to anyone longest ago; of those that had none, the first."""
        if not self.archive.is_loaded and any(self._assignments.last(entity)[0] <= self.archive.seq for entity in entities):
            self._load()
        return self._assignments.longest_ago(entities)

    def talk(self, conversation: str, before: int) -> Iterator[Entry]:
        """The messages of a talk before this time, newest first."""
        if not self.archive.is_loaded:
            floor = self.archive.floor
            yield from self._at(self._talks.between(conversation, floor, before, newest_first=True))
            self._load()
            before = min(before, floor + 1)
        yield from self._at(self._talks.between(conversation, 0, before, newest_first=True))

    def _at(self, times: Iterable[int]) -> Iterator[Entry]:
        ids, entries, archived = self._ids, self._entries, self.archive.entry
        for timestamp in times:
            message_id = ids.get(timestamp)
            entry = archived(timestamp) if message_id is None else entries[message_id]
            if entry is not None:
                yield entry

    # -- Reads

    def between(
        self,
        since: int,
        before: int | None,
        limit: int | None,
        *,
        newest_first: bool,
        conversation: str | None = None,
        max_bytes: int = MAX_ANSWER_BYTES,
    ) -> tuple[list[bytes], int | None]:
        """The bytes of up to ``limit`` messages newer than ``since`` and, if given, older than ``before``; of one talk or all.

        If ``max_bytes`` cuts the list (never before its first message), also the timestamp of the last message in it.
        """
        most = max_bytes // MIN_ENCODED_BYTES + 2
        most = most if limit is None else min(limit, most)
        recent = max(since, self.archive.floor)
        if recent == since or newest_first:
            found = list(islice(self._times_between(recent, before, conversation, newest_first=newest_first), most))
            if recent == since or len(found) == most:
                encoded = [self._entries[self._ids[at]].encoded for at in found]
                fitting = _fitting(encoded, max_bytes)
                return (encoded[:fitting], found[fitting - 1]) if fitting < len(found) else (encoded, None)
        return self._page(islice(self._all_times(since, before, conversation, newest_first=newest_first), most), max_bytes)

    def _times_between(self, since: int, before: int | None, conversation: str | None, *, newest_first: bool) -> Iterator[int]:
        """The timestamps of messages in memory, or of a talk."""
        if conversation is None:
            return self._times.irange(since, before, inclusive=(False, False), reverse=newest_first)
        return self._talks.between(conversation, since, before, newest_first=newest_first)

    def _all_times(self, since: int, before: int | None, conversation: str | None, *, newest_first: bool) -> Iterator[int]:
        archive = self._loaded()
        times = self._times_between(since, before, conversation, newest_first=newest_first)
        if conversation is not None:
            return times
        return merge(times, archive.between(since, before, newest_first=newest_first), reverse=newest_first)

    def _page(self, times: Iterator[int], max_bytes: int) -> tuple[list[bytes], int | None]:
        page: list[bytes] = []
        last = None
        for timestamp, encoded in self._with_bytes((timestamp, timestamp) for timestamp in times):
            max_bytes -= len(encoded)
            if page and max_bytes < 0:
                return page, last
            page.append(encoded)
            last = timestamp
        return page, None

    def changed_after(
        self, seq: int, limit: int | None = None, max_bytes: int = MAX_ANSWER_BYTES
    ) -> tuple[list[tuple[int, bytes]], bool]:
        """The messages changed by commits after ``seq``, ordered by their last changes, and whether there are more.

        Each is the number of its commit and its bytes. A page ends with the commit that reaches ``limit``, or before the one
        that exceeds ``max_bytes``. It has at least one commit, and never part of one.
        """
        changed: list[tuple[int, bytes]] = []
        for _, changes in groupby(self._with_bytes(self._changes_after(seq)), key=itemgetter(0)):
            added = list(changes)
            max_bytes -= sum(len(encoded) for _, encoded in added)
            if changed and (max_bytes < 0 or (limit is not None and len(changed) >= limit)):
                return changed, True
            changed += added
        return changed, False

    def _changes_after(self, seq: int) -> Iterator[tuple[int, int]]:
        if seq >= self.archive.seq:
            return self.current_changes(seq)
        self._loaded()
        finished = ((changed, timestamp) for changed, timestamp, _ in self.kept.after(seq))
        others = sorted((message.seq, message.timestamp) for message in self if message.seq > seq and is_unfinished(message))
        return merge(finished, others)

    def _with_bytes(self, places: Iterator[tuple[int, int]]) -> Iterator[tuple[int, bytes]]:
        """The bytes of the messages whose timestamp is the second number, each with the first; some are read together."""
        while some := list(islice(places, READ_TOGETHER)):
            stored = self.archive.encoded(timestamp for _, timestamp in some if timestamp not in self._ids)
            for number, timestamp in some:
                message_id = self._ids.get(timestamp)
                yield number, stored[timestamp] if message_id is None else self._entries[message_id].encoded


def _fitting(encoded: list[bytes], max_bytes: int) -> int:
    """How many messages from the start fit into ``max_bytes``; at least one."""
    if len(encoded) * MAX_VALUE_BYTES <= max_bytes or sum(map(len, encoded)) <= max_bytes:
        return len(encoded)
    sizes = accumulate(map(len, encoded))
    return max(1, sum(1 for _ in takewhile(lambda size: size <= max_bytes, sizes)))
