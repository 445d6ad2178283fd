"""The queue's memory: every message where it can be found without a search.

No operation here grows with the backlog beyond the logarithm of sorted lists
(<https://grantjenks.com/docs/sortedcontainers/performance-at-scale.html>), but ``changed_after`` with what has changed.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable
from heapq import merge
from itertools import islice, takewhile
from operator import itemgetter

from msgspec import Struct
from sortedcontainers import SortedDict, SortedList

from saywhatwant.limits import MAX_ANSWER_BYTES
from saywhatwant.message import BotParams, Message, Status

MIN_CHANGES = 1_000
"""Changes that are remembered however few messages there are."""

Deadline = tuple[int, int]
"""When something ends, then the timestamp of the message it ends for."""

Urgency = tuple[int, int]
"""Priority, then timestamp: the order of work. Timestamps are unique in an object, so this is too."""

Finish = tuple[int, int]
"""The commit that finished a message, or last changed it since, then its timestamp."""


class Entry(Struct, frozen=True, gc=False):
    """A message, and its bytes: encoded once, stored, read and published as they are."""

    message: Message
    wire: bytes


class Index:
    """Messages by id, by time, by urgency and by what is due; each placed by its state alone."""

    def __init__(self) -> None:
        self._entries: dict[str, Entry] = {}
        """In the order of their last changes."""
        self._changes: list[tuple[int, str]] = []
        """Commit and id of every change, in order; those that were not a message's last are skipped, and dropped in time."""
        self._timeline: SortedDict[int, str] = SortedDict()
        self._ready: SortedList[Urgency] = SortedList()
        self._ready_by_entity: dict[str | None, SortedList[Urgency]] = {}
        self._finished: SortedList[Finish] = SortedList()
        self._failed: SortedList[int] = SortedList()
        self._leases: SortedList[Deadline] = SortedList()
        self._backoffs: SortedList[Deadline] = SortedList()
        self._depth: SortedDict[str, Counter[Status]] = SortedDict()
        self.total: Counter[Status] = Counter()
        """How many messages there are of each status."""

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, message_id: str) -> bool:
        return message_id in self._entries

    def get(self, message_id: str) -> Message | None:
        """The message, or None."""
        entry = self._entries.get(message_id)
        return entry.message if entry else None

    def wire(self, message_id: str) -> bytes:
        """The message's bytes."""
        return self._entries[message_id].wire

    def put(self, message: Message, wire: bytes) -> None:
        """Add a message, or replace it by its new state."""
        old = self._entries.get(message.id)
        if old is None:
            self._timeline[message.timestamp] = message.id
        else:
            self._displace(old.message)
            del self._entries[message.id]
        self._entries[message.id] = Entry(message, wire)
        self._changes.append((message.seq, message.id))
        if len(self._changes) > 2 * len(self._entries) + MIN_CHANGES:
            self._changes = [(entry.message.seq, message_id) for message_id, entry in self._entries.items()]
        self._place(message)

    def remove(self, message: Message) -> None:
        """Forget a message."""
        self._displace(message)
        del self._entries[message.id]
        del self._timeline[message.timestamp]

    def _place(self, message: Message) -> None:
        params = message.bot_params
        self._count(params, 1)
        match params.status:
            case "pending" if params.retry_at is not None:
                self._backoffs.add((params.retry_at, message.timestamp))
            case "pending":
                urgency = (params.priority, message.timestamp)
                self._ready.add(urgency)
                if params.entity not in self._ready_by_entity:
                    self._ready_by_entity[params.entity] = SortedList()
                self._ready_by_entity[params.entity].add(urgency)
            case "processing":
                self._leases.add((_lease_end(message), message.timestamp))
            case "complete":
                self._finished.add((message.seq, message.timestamp))
            case "failed":
                self._finished.add((message.seq, message.timestamp))
                self._failed.add(message.timestamp)

    def _displace(self, message: Message) -> None:
        params = message.bot_params
        self._count(params, -1)
        match params.status:
            case "pending" if params.retry_at is not None:
                self._backoffs.remove((params.retry_at, message.timestamp))
            case "pending":
                urgency = (params.priority, message.timestamp)
                self._ready.remove(urgency)
                of_entity = self._ready_by_entity[params.entity]
                of_entity.remove(urgency)
                if not of_entity:
                    del self._ready_by_entity[params.entity]
            case "processing":
                self._leases.remove((_lease_end(message), message.timestamp))
            case "complete":
                self._finished.remove((message.seq, message.timestamp))
            case "failed":
                self._finished.remove((message.seq, message.timestamp))
                self._failed.remove(message.timestamp)

    @property
    def backlog(self) -> int:
        """Messages whose work is not finished."""
        return len(self._entries) - len(self._finished)

    @property
    def backing_off(self) -> int:
        """Pending messages that are not claimable yet."""
        return len(self._backoffs)

    @property
    def last_timestamp(self) -> int:
        """The newest message's timestamp; 0 when there is none."""
        return self._timeline.peekitem()[0] if self._timeline else 0

    @property
    def next_deadline(self) -> int | None:
        """When the next lease or backoff ends."""
        firsts = [deadlines[0][0] for deadlines in (self._leases, self._backoffs) if deadlines]
        return min(firsts) if firsts else None

    def due(self, now: int, limit: int) -> list[Message]:
        """Up to ``limit`` messages whose lease or backoff has ended, the longest overdue first."""
        deadlines = takewhile(lambda deadline: deadline[0] <= now, merge(self._leases, self._backoffs))
        return [self._at(timestamp) for _, timestamp in islice(deadlines, limit)]

    def first_finished(self, keep: int, limit: int) -> list[Message]:
        """Up to ``limit`` finished messages, those that finished first, of those beyond ``keep``.

        Never the newest message of all: timestamps go on from it.
        """
        surplus = len(self._finished) - keep
        if surplus <= 0:
            return []
        newest = self.last_timestamp
        others = (timestamp for _, timestamp in self._finished if timestamp != newest)
        return [self._at(timestamp) for timestamp in islice(others, min(surplus, limit))]

    def ready(self, limit: int, entities: Iterable[str | None] | None = None) -> list[Message]:
        """Up to ``limit`` claimable messages in order of urgency, of all entities or of these."""
        order: Iterable[Urgency]
        if entities is None:
            order = self._ready
        else:
            order = merge(*(self._ready_by_entity[entity] for entity in set(entities) if entity in self._ready_by_entity))
        return [self._at(timestamp) for _, timestamp in islice(order, limit)]

    def held(self, limit: int) -> list[Message]:
        """Up to ``limit`` messages that bots hold, the lease that ends first in front."""
        return [self._at(timestamp) for _, timestamp in islice(self._leases, limit)]

    def waiting(self, limit: int) -> list[Message]:
        """Up to ``limit`` messages that back off, the next one first."""
        return [self._at(timestamp) for _, timestamp in islice(self._backoffs, limit)]

    def failed(self, limit: int) -> list[Message]:
        """Up to ``limit`` failed messages, the newest first."""
        return [self._at(timestamp) for timestamp in islice(reversed(self._failed), limit)]

    def between(
        self, since: int, before: int | None, limit: int | None, *, newest_first: bool, max_bytes: int = MAX_ANSWER_BYTES
    ) -> tuple[list[bytes], int | None]:
        """The bytes of up to ``limit`` messages younger than ``since`` and, where that is given, older than ``before``.

        Where ``max_bytes`` cut the list short (never before its first message), also the timestamp of its last message.
        """
        times = self._timeline.irange(since, before, inclusive=(False, False), reverse=newest_first)
        wires: list[bytes] = []
        last = None
        for at in islice(times, limit):
            wire = self._entries[self._timeline[at]].wire
            max_bytes -= len(wire)
            if max_bytes < 0 and wires:
                return wires, last
            wires.append(wire)
            last = at
        return wires, None

    def changed_after(self, seq: int, limit: int | None = None, max_bytes: int = MAX_ANSWER_BYTES) -> tuple[list[Entry], bool]:
        """The messages that commits after ``seq`` have changed, in the order of these changes; and whether there are more.

        All of them, or those of the first commits that reach ``limit`` or ``max_bytes``: a commit is never divided.
        """
        changed: dict[str, Entry] = {}
        last = seq
        for at in range(bisect_right(self._changes, seq, key=itemgetter(0)), len(self._changes)):
            of, message_id = self._changes[at]
            entry = self._entries.get(message_id)
            if entry is None or entry.message.seq != of:
                continue
            if of > last and (max_bytes <= 0 or (limit is not None and len(changed) >= limit)):
                return list(changed.values()), True
            last = of
            if message_id not in changed:
                changed[message_id] = entry
                max_bytes -= len(entry.wire)
        return list(changed.values()), False

    def depths(self, limit: int, first: Iterable[str] = ()) -> dict[str, Counter[Status]]:
        """How many messages there are of each status: for the entities ``first``, then others by name, up to ``limit``.

        The empty name stands for messages to nobody in particular.
        """
        names = dict.fromkeys([name for name in ("", *first) if name in self._depth])
        names |= dict.fromkeys(islice(self._depth, limit))
        return {name: Counter(self._depth[name]) for name in islice(names, limit)}

    def _count(self, params: BotParams, change: int) -> None:
        name = params.entity or ""
        of_entity = self._depth.get(name)
        if of_entity is None:
            of_entity = self._depth[name] = Counter()
        of_entity[params.status] += change
        self.total[params.status] += change
        if change < 0 and not any(of_entity.values()):
            del self._depth[name]

    def _at(self, timestamp: int) -> Message:
        return self._entries[self._timeline[timestamp]].message


def _lease_end(message: Message) -> int:
    end = message.bot_params.lease_expires_at
    assert end is not None  # noqa: S101 - a message is held only under a lease
    return end
