"""The archive: finished messages that are not kept in memory, and what an object must know of them without reading them.

An object that wakes reads the messages that are not archived: the newest ones, and all that are unfinished. The others stay
where they are in storage, one entry each. What retention, talks and ids need of them is in rows of the archive, a few hundred
messages each, which are read when it is first needed: this is a log (Rosenblum and Ousterhout, 1991), to which a row is
added when enough messages have finished, and whose oldest rows are rewritten when most of what they have is outdated.

That an archived message is gone is part of the next row. Until then it is a note: beside the message whose call removed it, so
that it costs no entry of its own, else in an entry for this purpose. So everything here can be read from storage at any time.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain

import msgspec
from msgspec import Struct
from sortedcontainers import SortedList

from durable_objects import Storage
from saywhatwant.message import decode
from saywhatwant.queue.archive_rows import (
    Archived,
    Gone,
    Head,
    decode_head,
    decode_row,
    decode_times,
    encode_head,
    encode_row,
    encode_times,
)
from saywhatwant.queue.entries import Entry, EntryCache
from saywhatwant.queue.stored import entries_after, entries_at, key_at, split, with_note

ROW_MESSAGES = 512
"""The most messages in a row: with the longest ids and names it fits into one storage value."""
MAX_NOTES = 1_024
"""So many messages that are gone make a new row due, also if few messages have finished."""
MAX_LISTED_ENTITIES = 500
"""Up to this many entities the head knows how many messages each has."""
TIMES_IN_ROW = 8_192
ROWS_READ_AT_ONCE = 64
ROWS_REWRITTEN = 2
"""Old rows that are rewritten when a row is added, if more than half of all that is in rows is outdated."""
SLACK = 2 * ROW_MESSAGES

_HEAD = "archive/head"
_CHANGES = "archive/changes"
_ROWS = "archive/row/"
_OUTSIDE = "archive/outside/"


class _Note(Struct, frozen=True, array_like=True):
    """What is gone since a row was added."""

    next: int
    """The number of the next row at that time: the note is part of that row."""
    gone: list[Gone]


class _Changes(Struct, frozen=True, array_like=True):
    gone: list[Gone]
    outside: list[int]
    """Messages that were archived, and have changed."""


_encode = msgspec.json.Encoder().encode
_decode_note = msgspec.json.Decoder(_Note).decode
_decode_changes = msgspec.json.Decoder(_Changes).decode


class Archive:
    """The archived messages of one object."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        head = storage.get(_HEAD)
        self._head = Head() if head is None else decode_head(head)
        self.is_loaded = head is None
        """Whether ``messages`` and ``ids`` are complete."""
        self.messages: dict[int, Archived] = {}
        """By timestamp."""
        self.ids: dict[str, int] = {}
        """The timestamps by id."""
        self._times: SortedList[int] | None = None
        listed = self._head.entities
        self.by_entity: dict[str | None, list[int]] | None = (
            None if listed is None else {entity: [complete, failed] for entity, complete, failed in listed}
        )
        """How many messages of each entity are complete and failed; None when that is known only once the archive is loaded."""
        self.complete, self.failed = self._head.complete, self._head.failed
        self.count = self.complete + self.failed
        """How many messages are archived."""
        changes = storage.get(_CHANGES)
        self._changes = _Changes([], []) if changes is None else _decode_changes(changes)
        self._notes: dict[int, list[Gone]] = {}
        """What is gone, by the timestamp of the message beside which it is stored."""
        self._unwritten: list[Gone] = []
        self.noted = len(self._changes.gone)
        """How many are gone since the last row was added; ``MAX_NOTES`` of them make a new one due."""
        self._cache = EntryCache()
        for gone in self._changes.gone:
            self._count(gone.entity, gone.failed, -1)

    @property
    def floor(self) -> int:
        """Every message that is newer than this time is not archived."""
        return self._head.floor

    @property
    def seq(self) -> int:
        """No archived message has changed after this commit."""
        return self._head.seq

    # -- Waking

    def not_archived(self) -> Iterator[Entry]:
        """The messages that an object keeps in memory, from storage; raises ``ValueError`` for an entry that is no message."""
        rows = (self._storage.get(_outside_key(number)) for number in range(self._head.outside))
        outside = {*chain.from_iterable(decode_times(row) for row in rows if row is not None), *self._changes.outside}
        for timestamp, value in chain(
            entries_at(self._storage, sorted(outside)), entries_after(self._storage, self._head.floor)
        ):
            encoded, note = split(value)
            if note is not None:
                self._take_note(timestamp, _decode_note(note))
            yield _entry(timestamp, encoded)

    def _take_note(self, timestamp: int, note: _Note) -> None:
        if note.next == self._head.next:  # else it is part of a row by now
            self._notes[timestamp] = note.gone
            self.noted += len(note.gone)
            for gone in note.gone:
                self._count(gone.entity, gone.failed, -1)

    def load(self) -> None:
        """Read the rows: ``messages`` and ``ids`` are complete from now on."""
        messages, after = self.messages, ""
        while rows := self._storage.list(_ROWS, after=after, limit=ROWS_READ_AT_ONCE):
            after = rows[-1][0]
            for _, value in rows:
                gone, times, found = decode_row(value)
                for timestamp in gone:
                    messages.pop(timestamp, None)
                messages.update(zip(times, found, strict=True))
        for one in self._gone():
            messages.pop(one.timestamp, None)
        self.ids = {message.id: timestamp for timestamp, message in messages.items()}
        self.is_loaded = True
        if self.by_entity is None:
            self.by_entity = {}
            for message in messages.values():
                self.by_entity.setdefault(message.entity, [0, 0])[message.failed] += 1

    # -- Reads

    def entry(self, timestamp: int) -> Entry | None:
        """An archived message; None if there is none with this timestamp."""
        entry = self._cache.get(timestamp)
        if entry is None and timestamp <= self.floor:
            value = self._storage.get(key_at(timestamp))
            if value is not None:
                entry = _entry(timestamp, split(value)[0])
                self._cache.add(entry)
        return entry

    def encoded(self, times: Iterable[int]) -> dict[int, bytes]:
        """The bytes of archived messages, by timestamp; for pages, which are read together and not kept in memory."""
        return {timestamp: split(value)[0] for timestamp, value in entries_at(self._storage, sorted(times))}

    def between(self, since: int, before: int | None, *, newest_first: bool) -> Iterator[int]:
        """The timestamps of the archived messages after ``since`` and, if given, before ``before``."""
        if self._times is None:
            self._times = SortedList(self.messages)
        return self._times.irange(since, before, inclusive=(False, False), reverse=newest_first)

    # -- Changes

    def remove(self, timestamp: int) -> Archived:
        """A message is not archived any more; ``entry_of``, ``flush`` or ``add_row`` stores that."""
        message = self.messages.pop(timestamp)
        del self.ids[message.id]
        self._cache.drop(timestamp)
        if self._times is not None:
            self._times.remove(timestamp)
        self._unwritten.append(Gone(timestamp, message.entity, message.failed))
        self.noted += 1
        self._count(message.entity, message.failed, -1)
        return message

    def take_out(self, timestamp: int) -> None:
        """A message is about to change, so it is kept in memory from now on."""
        self.remove(timestamp)
        self._changes.outside.append(timestamp)
        self.flush()

    def forget(self, timestamp: int) -> None:
        """A message that is not archived is removed, with what was stored beside it."""
        if self._notes:
            self._unwritten += self._notes.pop(timestamp, ())

    def value_of(self, timestamp: int, encoded: bytes) -> bytes:
        """The entry to store for a message that is not archived, with what is gone."""
        if self._unwritten:
            self._notes.setdefault(timestamp, []).extend(self._unwritten)
            self._unwritten.clear()
        elif not self._notes:
            return encoded
        gone = self._notes.get(timestamp)
        return encoded if gone is None else with_note(encoded, _encode(_Note(self._head.next, gone)))

    def flush(self) -> None:
        """Store what is gone and beside no message."""
        self._changes.gone.extend(self._unwritten)
        self._unwritten.clear()
        self._storage.put(_CHANGES, _encode(self._changes))

    @property
    def is_flushed(self) -> bool:
        """Whether all that is gone is stored."""
        return not self._unwritten

    def add_row(self, added: Sequence[tuple[Archived, Entry]], floor: int, outside: Sequence[int]) -> None:
        """Archive finished messages. ``outside`` are those up to ``floor`` that are not archived."""
        messages = [message for message, _ in added]
        kept, first, entries = self._rewritten()
        gone: Iterable[int] = [one.timestamp for one in self._gone()]
        number = self._head.next
        kept += messages
        for start in range(0, max(len(kept), 1), ROW_MESSAGES):
            row = kept[start : start + ROW_MESSAGES]
            self._storage.put(_row_key(number), encode_row(gone, row))
            gone = ()
            number += 1
        for (entity, failed), some in Counter((message.entity, message.failed) for message in messages).items():
            self._count(entity, failed, some)
        self._cache.add(*(entry for _, entry in added))
        if self.is_loaded:
            self.messages.update((message.finish[1], message) for message in messages)
            self.ids.update((message.id, message.finish[1]) for message in messages)
            if self._times is not None:
                self._times.update(message.finish[1] for message in messages)
        seq = max((message.finish[0] for message in messages), default=0)
        self._store_head(floor, seq, (first, number, entries + len(kept)), outside)

    def _rewritten(self) -> tuple[list[Archived], int, int]:
        """What is still right in the oldest rows, if too much is outdated; then the first row that stays, and all entries."""
        first, entries = self._head.first, self._head.entries
        kept: list[Archived] = []
        if self.is_loaded and entries > 2 * len(self.messages) + SLACK:
            for number in range(first, min(first + ROWS_REWRITTEN, self._head.next)):
                value = self._storage.get(_row_key(number))
                assert value is not None  # noqa: S101 - numbers have no gaps
                _, times, found = decode_row(value)
                if not self.messages.keys().isdisjoint(times):
                    kept += [message for message in found if self.messages.get(message.finish[1]) == message]
                self._storage.delete(_row_key(number))
                first += 1
                entries -= len(times)
        return kept, first, entries

    def _store_head(self, floor: int, seq: int, log: tuple[int, int, int], outside: Sequence[int]) -> None:
        rows = range(0, len(outside), TIMES_IN_ROW)
        for place, start in enumerate(rows):
            self._storage.put(_outside_key(place), encode_times(outside[start : start + TIMES_IN_ROW]))
        for place in range(len(rows), self._head.outside):
            self._storage.delete(_outside_key(place))
        listed = None
        if self.by_entity is not None and len(self.by_entity) <= MAX_LISTED_ENTITIES:
            listed = [(entity, complete, failed) for entity, (complete, failed) in self.by_entity.items()]
        self._head = Head(floor, max(seq, self._head.seq), *log, len(rows), self.complete, self.failed, listed)
        self._storage.put(_HEAD, encode_head(self._head))
        if self._changes.gone or self._changes.outside:
            self._storage.delete(_CHANGES)
            self._changes = _Changes([], [])
        self._notes.clear()
        self._unwritten.clear()
        self.noted = 0

    def _gone(self) -> Iterator[Gone]:
        return chain(self._changes.gone, chain.from_iterable(self._notes.values()), self._unwritten)

    def _count(self, entity: str | None, failed: bool, change: int) -> None:  # noqa: FBT001 - a column
        self.count += change
        if failed:
            self.failed += change
        else:
            self.complete += change
        if self.by_entity is not None:
            counts = self.by_entity.setdefault(entity, [0, 0])
            counts[failed] += change
            if not any(counts):
                del self.by_entity[entity]


def _entry(timestamp: int, encoded: bytes) -> Entry:
    try:
        return Entry(decode(encoded), encoded)
    except ValueError as error:
        raise ValueError(f"the entry {key_at(timestamp)} is not a message: {error}") from error


def _row_key(number: int) -> str:
    return f"{_ROWS}{number:012d}"


def _outside_key(number: int) -> str:
    return f"{_OUTSIDE}{number:06d}"
