"""The queue's messages in memory, indexed for every lookup.

No operation here grows with the backlog beyond the logarithm of sorted lists
(<https://grantjenks.com/docs/sortedcontainers/performance-at-scale.html>) and heaps.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from heapq import merge, nsmallest
from itertools import accumulate, chain, groupby, islice, takewhile
from operator import itemgetter

from msgspec import UNSET, Struct
from sortedcontainers import SortedDict, SortedList

from durable_objects.limits import MAX_VALUE_BYTES
from saywhatwant.limits import MAX_ANSWER_BYTES
from saywhatwant.message import BotParams, Message, Status
from saywhatwant.queue.assignments import Assignments
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.deadlines import Deadlines
from saywhatwant.queue.retention import Kept
from saywhatwant.queue.talks import Talks

Urgency = tuple[int, int]
"""Priority and age in one number, then the timestamp: the order of work. Timestamps are unique in an object."""

MIN_ENCODED_BYTES = 256
"""The fewest bytes of an encoded message."""
MIN_COMPACTED = 1_000


class Entry(Struct, frozen=True, gc=False):
    """A message and its bytes, which are encoded once, then stored, read and published."""

    message: Message
    encoded: bytes


class Index:
    """Messages by id, time, urgency, deadline, talk and last change; a message's place depends on its state alone."""

    def __init__(self, config: QueueConfig) -> None:
        self._aging_ms = config.aging_ms
        self._served = {None, *config.entities}
        self._entries: dict[str, Entry] = {}
        self._times: SortedList[int] = SortedList()
        self._ids: dict[int, str] = {}
        self._ready: SortedList[Urgency] = SortedList()
        self._ready_by_entity: dict[str | None, SortedList[Urgency]] = {}
        self._failed: SortedList[int] = SortedList()
        self._in_flight: dict[int, int] = {}
        self._delayed: dict[int, int] = {}
        self.deadlines = Deadlines()
        """When the leases, backoffs and waits end."""
        self.talks = Talks()
        """The messages of each conversation."""
        self.kept = Kept(config, self.talks)
        """The finished messages."""
        self.assignments = Assignments()
        """The messages to anyone, by the entity that was assigned."""
        self._changes: list[tuple[int, str]] = []
        """Changes ordered by seq; outdated ones are skipped, and removed when they are the majority."""
        self._depth: SortedDict[str, Counter[Status]] = SortedDict()
        self._contexts: Counter[str] = Counter()
        self.contexts = 0
        """How many messages have a context."""
        self.last_timestamp = 0
        """The newest message's timestamp; 0 when there is none."""
        self.total: Counter[Status] = Counter()
        """How many messages there are of each status."""

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._entries

    def __iter__(self) -> Iterator[Message]:
        return (entry.message for entry in self._entries.values())

    def get(self, message_id: str) -> Message | None:
        """The message, or None."""
        entry = self._entries.get(message_id)
        return entry.message if entry else None

    def encoded(self, message_id: str) -> bytes:
        """The message's bytes."""
        return self._entries[message_id].encoded

    def at(self, timestamp: int) -> Entry | None:
        """The message with this timestamp and its bytes, or None."""
        message_id = self._ids.get(timestamp)
        return None if message_id is None else self._entries[message_id]

    # -- Changes

    def put(self, message: Message, encoded: bytes) -> Message | None:
        """Add a message, or replace it by its new state; returns the old state.

        ``seq`` must not be lower than that of any earlier change.
        """
        old = self._entries.get(message.id)
        if old is None:
            self._times.add(message.timestamp)
            self._ids[message.timestamp] = message.id
            self.last_timestamp = max(message.timestamp, self.last_timestamp)
            self._changes.append((message.seq, message.id))
            self._count(message.bot_params, 1)
            if message.conversation is not UNSET:
                self.talks.add(message.conversation, message.timestamp)
        else:
            self._displace(old)
            self._recount(old.message.bot_params, message.bot_params)
            if old.message.conversation != message.conversation:
                self._move(old.message, message)
            if old.message.seq != message.seq:
                self._changes.append((message.seq, message.id))
        entry = self._entries[message.id] = Entry(message, encoded)
        self._place(entry)
        if len(self._changes) > 2 * len(self._entries) + MIN_COMPACTED:
            entries = self._entries
            self._changes = [(seq, name) for seq, name in self._changes if name in entries and entries[name].message.seq == seq]
        return None if old is None else old.message

    def remove(self, message: Message) -> None:
        """Forget a message."""
        self._displace(self._entries.pop(message.id))
        self._count(message.bot_params, -1)
        del self._ids[message.timestamp]
        self._times.remove(message.timestamp)
        if message.conversation is not UNSET:
            self.kept.settle(self.talks.remove(message.conversation, message.timestamp))
        if message.timestamp == self.last_timestamp:
            self.last_timestamp = self._times[-1] if self._times else 0

    def _move(self, old: Message, new: Message) -> None:
        """A message to anyone joins a talk, or another entity takes it over."""
        if old.conversation is not UNSET:
            self.kept.settle(self.talks.remove(old.conversation, old.timestamp))
        if new.conversation is not UNSET:
            self.talks.add(new.conversation, new.timestamp)

    def _place(self, entry: Entry) -> None:
        message = entry.message
        params, timestamp = message.bot_params, message.timestamp
        if params.assigned_entity is not UNSET:
            self.assignments.add(params.assigned_entity, (message.seq, timestamp))
        match params.status:
            case "pending" if params.retry_at is not None:
                self._delayed[timestamp] = params.retry_at
                self.deadlines.set(timestamp, params.retry_at)
            case "pending":
                urgency = (params.priority * self._aging_ms + timestamp, timestamp)
                self._ready.add(urgency)
                of_entity = self._ready_by_entity.get(params.entity)
                if of_entity is None:
                    of_entity = self._ready_by_entity[params.entity] = SortedList()
                of_entity.add(urgency)
                if params.expires_at is not None:
                    self.deadlines.set(timestamp, params.expires_at)
            case "processing":
                end = params.lease_expires_at
                assert end is not None  # noqa: S101 - a message is processing only under a lease
                self._in_flight[timestamp] = end
                self.deadlines.set(timestamp, end)
            case "complete":
                self.kept.add(message, len(entry.encoded))
            case "failed":
                self.kept.add(message, len(entry.encoded))
                self._failed.add(timestamp)

    def _displace(self, entry: Entry) -> None:
        message = entry.message
        params, timestamp = message.bot_params, message.timestamp
        if params.assigned_entity is not UNSET:
            self.assignments.remove(params.assigned_entity, (message.seq, timestamp))
        match params.status:
            case "pending" if params.retry_at is not None:
                del self._delayed[timestamp]
                self.deadlines.clear(timestamp)
            case "pending":
                urgency = (params.priority * self._aging_ms + timestamp, timestamp)
                self._ready.remove(urgency)
                of_entity = self._ready_by_entity[params.entity]
                of_entity.remove(urgency)
                if not of_entity and params.entity not in self._served:
                    del self._ready_by_entity[params.entity]
                self.deadlines.clear(timestamp)
            case "processing":
                del self._in_flight[timestamp]
                self.deadlines.clear(timestamp)
            case "complete":
                self.kept.remove(message, len(entry.encoded))
            case "failed":
                self.kept.remove(message, len(entry.encoded))
                self._failed.remove(timestamp)

    def _count(self, params: BotParams, change: int) -> None:
        name = params.entity or ""
        of_entity = self._depth.get(name)
        if of_entity is None:
            of_entity = self._depth[name] = Counter()
        left = of_entity[params.status] = of_entity[params.status] + change
        self.total[params.status] += change
        if params.has_context is not UNSET:
            self._count_context(name, change)
        if not left and not any(of_entity.values()):
            del self._depth[name]

    def _recount(self, old: BotParams, new: BotParams) -> None:
        """A message has another status; its entity is always the same."""
        name = new.entity or ""
        of_entity, total = self._depth[name], self.total
        of_entity[old.status] -= 1
        total[old.status] -= 1
        of_entity[new.status] += 1
        total[new.status] += 1
        if old.has_context is not new.has_context:
            self._count_context(name, 1 if new.has_context else -1)

    def _count_context(self, name: str, change: int) -> None:
        self.contexts += change
        self._contexts[name] += change
        if not self._contexts[name]:
            del self._contexts[name]

    # -- Figures

    @property
    def backlog(self) -> int:
        """Messages whose work is not finished."""
        return len(self._entries) - self.kept.count

    def backlog_of(self, entity: str | None) -> int:
        """Messages to this entity whose work is not finished; with None, messages that name no entity."""
        depth = self._depth.get(entity or "")
        return depth["pending"] + depth["processing"] if depth else 0

    def contexts_of(self, entity: str | None) -> int:
        """Messages with a context to this entity; with None, those that name no entity."""
        return self._contexts[entity or ""]

    @property
    def delayed_count(self) -> int:
        """Pending messages that back off."""
        return len(self._delayed)

    def depths(self, limit: int, first: Iterable[str] = ()) -> dict[str, Counter[Status]]:
        """The number of messages of each status: for the entities ``first``, then others by name, up to ``limit``.

        The empty name is for messages that name no entity.
        """
        names = dict.fromkeys([name for name in ("", *first) if name in self._depth])
        names |= dict.fromkeys(islice(self._depth, limit))
        return {name: Counter(self._depth[name]) for name in islice(names, limit)}

    # -- Work

    def due(self, now: int, limit: int) -> list[Message]:
        """Up to ``limit`` messages whose lease, backoff or wait has ended, the longest overdue first."""
        return [self.message_at(timestamp) for timestamp in self.deadlines.due(now, limit)]

    def ready(self, limit: int, entities: Iterable[str | None] | None = None) -> list[Message]:
        """Up to ``limit`` claimable messages in order of urgency, of all entities or of these."""
        order: Iterable[Urgency]
        if entities is None:
            order = self._ready
        else:
            found = [ready for entity in set(entities) if (ready := self._ready_by_entity.get(entity))]
            order = found[0] if len(found) == 1 else merge(*found)
        return [self.message_at(timestamp) for _, timestamp in islice(order, limit)]

    def in_flight(self, limit: int) -> list[Message]:
        """Up to ``limit`` messages that bots hold, ordered by the end of their leases."""
        return self._first(self._in_flight, limit)

    def delayed(self, limit: int) -> list[Message]:
        """Up to ``limit`` messages that back off, the next one first."""
        return self._first(self._delayed, limit)

    def failed(self, limit: int) -> list[Message]:
        """Up to ``limit`` failed messages, the newest first."""
        return [self.message_at(timestamp) for timestamp in islice(reversed(self._failed), limit)]

    def unfinished(self, entity: str | None = None) -> Iterator[Message]:
        """The unfinished messages, all or those to ``entity``: first the claimable ones by urgency, then the others."""
        ready = self._ready if entity is None else self._ready_by_entity.get(entity, ())
        times = chain((timestamp for _, timestamp in ready), self._delayed, self._in_flight)
        return self._to(entity, times)

    def all_failed(self, entity: str | None = None) -> Iterator[Message]:
        """The failed messages, all or those to ``entity``, oldest first."""
        return self._to(entity, self._failed)

    def _to(self, entity: str | None, times: Iterable[int]) -> Iterator[Message]:
        messages = map(self.message_at, times)
        return messages if entity is None else (message for message in messages if message.bot_params.entity == entity)

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
        times: Iterable[int]
        if conversation is None:
            times = self._times.irange(since, before, inclusive=(False, False), reverse=newest_first)
        else:
            times = self.talks.between(conversation, since, before, newest_first=newest_first)
        most = max_bytes // MIN_ENCODED_BYTES + 2
        found = list(islice(times, most if limit is None else min(limit, most)))
        encoded = [self._entries[self._ids[at]].encoded for at in found]
        fitting = _fitting(encoded, max_bytes)
        return (encoded[:fitting], found[fitting - 1]) if fitting < len(found) else (encoded, None)

    def talk(self, conversation: str, before: int) -> Iterator[Entry]:
        """The messages of a talk before this time, newest first."""
        times = self.talks.between(conversation, 0, before, newest_first=True)
        return (self._entries[self._ids[at]] for at in times)

    def changed_after(self, seq: int, limit: int | None = None, max_bytes: int = MAX_ANSWER_BYTES) -> tuple[list[Entry], bool]:
        """The messages changed by commits after ``seq``, ordered by their last changes, and whether there are more.

        A page ends with the commit that reaches ``limit``, or before the one that exceeds ``max_bytes``. It has at least one
        commit, and never part of one.
        """
        changed: list[Entry] = []
        for _, changes in groupby(self._current(seq), key=itemgetter(0)):
            added = [self._entries[message_id] for _, message_id in changes]
            max_bytes -= sum(len(entry.encoded) for entry in added)
            if changed and (max_bytes < 0 or (limit is not None and len(changed) >= limit)):
                return changed, True
            changed += added
        return changed, False

    def _current(self, seq: int) -> Iterator[tuple[int, str]]:
        """The changes by commits after ``seq`` that are the last ones of their messages."""
        changes = self._changes
        for position in range(bisect_left(changes, (seq + 1,)), len(changes)):
            change = changes[position]
            entry = self._entries.get(change[1])
            if entry is not None and entry.message.seq == change[0]:
                yield change

    def message_at(self, timestamp: int) -> Message:
        """The message with this timestamp."""
        return self._entries[self._ids[timestamp]].message

    def _first(self, deadlines: dict[int, int], limit: int) -> list[Message]:
        return [
            self.message_at(timestamp) for _, timestamp in nsmallest(limit, ((at, stamp) for stamp, at in deadlines.items()))
        ]


def _fitting(encoded: list[bytes], max_bytes: int) -> int:
    """How many messages from the start fit into ``max_bytes``; at least one."""
    if len(encoded) * MAX_VALUE_BYTES <= max_bytes or sum(map(len, encoded)) <= max_bytes:
        return len(encoded)
    sizes = accumulate(map(len, encoded))
    return max(1, sum(1 for _ in takewhile(lambda size: size <= max_bytes, sizes)))
