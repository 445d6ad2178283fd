"""The log: the newest entries of all objects, in a table whose rows are commits; all of it is in memory too.

A commit is one row, written over a row that nobody needs any more: a *dead* one, all of which has been written again later. So
no row has to be removed, which would cost as much as writing one. When live entries keep too many rows from dying, a commit
takes along those of the emptiest row. A log-structured file system cleans its segments in the same way (Rosenblum and
Ousterhout, 1992).

The number of a row rises with each, and the newest record of a key counts. A deleted key needs a record (a *tombstone*) only
while an older one, or a page (see ``pages``), could bring it back.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import msgspec
from msgspec import Struct

from durable_objects.errors import DataUnreadable
from durable_objects.storage import utf8_length

VERSION: Final = 1
"""Of the format of rows and pages."""
MAX_ROW_BYTES: Final = 1024 * 1024
"""A row ends with the entry that makes it longer than this, which has at most ``limits.MAX_VALUE_BYTES``; rows have 2 MB."""
SLOT_BYTES: Final = 8 * 1024
"""Live bytes for each of which the log has one row more than ``MIN_SLOTS``."""
MIN_SLOTS: Final = 32
COPY_BYTES: Final = 64 * 1024
"""Live entries that a commit takes along from other rows, at most."""
MAX_DEAD_SLOTS: Final = 64
"""Dead rows beyond this and beyond the number of the others are removed: reading them makes each wake longer."""
MAX_DEAD_BYTES: Final = 2 * 1024 * 1024
"""Bytes of dead rows beyond which the largest ones are removed, and dead bytes of the other rows beyond which their entries
are taken along: a wake reads all of it, into 128 MB of memory."""
MAX_REMOVED: Final = 64
"""Rows removed in one commit; a statement takes 100 bindings."""
_RECORD_BYTES: Final = 16
"""What a record takes besides its key and its value, about."""


class Row(Struct, frozen=True, array_like=True):
    """One row: records by object and key, None for a deleted one. Rows with numbers up to ``folded`` are in pages by now."""

    version: int
    number: int
    folded: int
    objects: dict[str, dict[str, bytes | None]]


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Row).decode


class Slot:
    """A row of the table as it is now: its records, how many bytes it has, and how many of them count."""

    __slots__ = ("at", "bytes", "live_bytes", "number", "records")

    def __init__(self, at: int) -> None:
        self.at = at
        self.number = 0
        self.bytes = 0
        self.live_bytes = 0
        self.records: list[Record] = []

    @property
    def dead_bytes(self) -> int:
        return self.bytes - self.live_bytes


class Record:
    """The newest value of a key, as long as any row has one; ``copies`` rows do."""

    __slots__ = ("copies", "is_live", "key", "object_id", "slot", "value")

    def __init__(self, object_id: str, key: str) -> None:
        self.object_id = object_id
        self.key = key
        self.value: bytes | None = None
        self.slot: Slot | None = None
        """The row that has it; None until it is written."""
        self.is_live = False
        """Whether it counts for its row; a tombstone that nothing needs does not."""
        self.copies = 0

    @property
    def size(self) -> int:
        return _RECORD_BYTES + utf8_length(self.key) + len(self.value or b"")


class _Object:
    """The records of one object by key, and the keys in order."""

    __slots__ = ("keys", "records")

    def __init__(self) -> None:
        self.records: dict[str, Record] = {}
        self.keys: list[str] = []


class Log:
    """The log in memory, and what the next commit writes.

    A commit calls ``put`` for each change, then perhaps ``fold``, then ``end``. After an error it is what nobody knows:
    make another one from the table.

    Args:
        rows: the table, by slot.
        has_pages: whether an object has pages.
    """

    def __init__(self, rows: Iterable[tuple[int, bytes]], has_pages: Callable[[str], bool]) -> None:
        self._has_pages = has_pages
        self._objects: dict[str, _Object] = {}
        self._slots: dict[int, Slot] = {}
        self._dead: list[Slot] = []
        self._fresh: dict[Record, None] = {}
        """What the next commit writes."""
        self._next_at = 0
        self._next_number = 1
        self.folded = 0
        self.live_bytes = 0
        self._load(rows)

    # -- Reading

    def objects(self) -> Iterator[str]:
        """The ids of all objects with a record."""
        return iter(self._objects)

    def find(self, object_id: str, key: str) -> Record | None:
        """The record of a key, perhaps a tombstone; None if there is none."""
        found = self._objects.get(object_id)
        return None if found is None else found.records.get(key)

    def records(self, object_id: str, start: str) -> Iterator[tuple[str, bytes | None]]:
        """The keys from ``start`` on, in order, with their values; None for deleted ones."""
        found = self._objects.get(object_id)
        if found is not None:
            for at in range(bisect_left(found.keys, start), len(found.keys)):
                key = found.keys[at]
                yield key, found.records[key].value

    # -- A commit

    def put(self, object_id: str, key: str, value: bytes | None) -> None:
        """Set a key, or delete it with None."""
        record = self.find(object_id, key)
        if record is None:
            if value is None and not self._has_pages(object_id):
                return
            record = self._add(object_id, key)
        self._lift(record)
        record.value = value
        self._fresh[record] = None

    def fold(
        self, max_bytes: int, keeps: Callable[[Record], bool], costs: Callable[[Record], object], max_costs: int
    ) -> Mapping[str, dict[str, bytes | None]]:
        """Take out the oldest rows, for pages to have what they hold, by object and key.

        Args:
            max_bytes: ends with the row that makes more.
            keeps: which records stay in the log.
            costs: what it costs to fold a record, as something that is paid once for all that are equal.
            max_costs: ends with the row that makes more.
        """
        taken: dict[str, dict[str, bytes | None]] = {}
        paid: set[object] = set()
        size = 0
        for slot in sorted(self._slots.values(), key=lambda slot: slot.number):
            if size >= max_bytes or len(paid) >= max_costs:
                break
            for record in [record for record in slot.records if record.slot is slot and record.is_live]:
                size += record.size
                self._lift(record)
                if keeps(record):
                    self._fresh[record] = None
                else:
                    paid.add(costs(record))
                    taken.setdefault(record.object_id, {})[record.key] = record.value
            self.folded = max(self.folded, slot.number)
        for slot in self._slots.values():
            if slot.number <= self.folded:
                self._erase(slot)
        return taken

    def end(self) -> tuple[list[tuple[int, bytes]], list[int]]:
        """End the commit: what to write into which slots, and which slots to remove."""
        self._copy()
        written = [self._write(records) for records in self._pieces()]
        self._fresh = {}
        return written, self._trim()

    def end_clean(self) -> tuple[list[tuple[int, bytes]], list[int]]:
        """The same after all rows were folded: all of them are removed."""
        old, self._slots, self._dead = list(self._slots), {}, []
        written = [self._write(records) for records in self._pieces()]
        self._fresh = {}
        return written, old

    def _pieces(self) -> Iterator[list[Record]]:
        """What is to be written, divided into rows; one at least."""
        piece: list[Record] = []
        size = 0
        for record in self._fresh:
            piece.append(record)
            size += record.size
            if size > MAX_ROW_BYTES:
                yield piece
                piece, size = [], 0
        if piece or not self._fresh:
            yield piece

    def _write(self, records: Iterable[Record]) -> tuple[int, bytes]:
        if self._dead:
            slot = max(self._dead, key=lambda slot: slot.bytes)
            self._dead.remove(slot)
        else:
            slot = self._add_slot(self._next_at)
        self._erase(slot)
        slot.number, self._next_number = self._next_number, self._next_number + 1
        objects: dict[str, dict[str, bytes | None]] = {}
        for record in records:
            objects.setdefault(record.object_id, {})[record.key] = record.value
            record.copies += 1
            record.slot = slot
            slot.records.append(record)
            if record.value is not None or record.copies > 1 or self._has_pages(record.object_id):
                self._settle(record)
        if not slot.live_bytes:
            self._dead.append(slot)
        data = _encode(Row(VERSION, slot.number, self.folded, objects))
        slot.bytes = len(data)
        return slot.at, data

    def _copy(self) -> None:
        """Take along live entries of the emptiest rows when there are too many rows, or too much in them is dead."""
        live = [slot for slot in self._slots.values() if slot.live_bytes]
        excess = len(live) + 1 - max(MIN_SLOTS, self.live_bytes // SLOT_BYTES)
        budget = COPY_BYTES
        for slot in sorted(live, key=lambda slot: slot.live_bytes)[:excess] if excess > 0 else ():
            budget -= slot.live_bytes
            if budget < 0:
                break
            self._take_along(slot)
        waste = sum(slot.dead_bytes for slot in live if slot.live_bytes)
        if waste <= MAX_DEAD_BYTES:
            return
        budget = COPY_BYTES
        for slot in sorted(live, key=lambda slot: slot.dead_bytes if slot.live_bytes else 0, reverse=True):
            if waste <= MAX_DEAD_BYTES or budget <= 0:
                break
            waste -= slot.dead_bytes
            budget -= slot.live_bytes
            self._take_along(slot)

    def _take_along(self, slot: Slot) -> None:
        for record in slot.records:
            if record.slot is slot and record.is_live:
                self._lift(record)
                self._fresh[record] = None

    def _trim(self) -> list[int]:
        """Remove rows when most of them are dead, or large; not the newest, which says what is in pages."""
        spare = len(self._dead) - max(MAX_DEAD_SLOTS, len(self._slots) - len(self._dead))
        excess = sum(slot.bytes for slot in self._dead) - MAX_DEAD_BYTES
        removed: list[int] = []
        for slot in sorted(self._dead, key=lambda slot: slot.bytes, reverse=True) if spare > 0 or excess > 0 else ():
            if len(removed) == MAX_REMOVED or (spare <= 0 and excess <= 0):
                break
            if slot.number == self._next_number - 1:
                continue
            spare -= 1
            excess -= slot.bytes
            removed.append(slot.at)
            self._erase(slot)
            self._dead.remove(slot)
            del self._slots[slot.at]
        return removed

    # -- Which record counts

    def _add(self, object_id: str, key: str) -> Record:
        found = self._objects.setdefault(object_id, _Object())
        record = found.records[key] = Record(object_id, key)
        insort(found.keys, key)
        return record

    def _settle(self, record: Record) -> None:
        """The record counts for its row."""
        assert record.slot is not None  # noqa: S101 - it was written
        record.is_live = True
        record.slot.live_bytes += record.size
        self.live_bytes += record.size

    def _unsettle(self, record: Record) -> None:
        """The record does not count for its row any more."""
        slot = record.slot
        if slot is not None and record.is_live:
            record.is_live = False
            slot.live_bytes -= record.size
            self.live_bytes -= record.size
            if not slot.live_bytes:
                self._dead.append(slot)

    def _lift(self, record: Record) -> None:
        """The record will be written again, or is to be forgotten."""
        self._unsettle(record)
        record.slot = None

    def _erase(self, slot: Slot) -> None:
        """The row of a dead slot is gone, or does not count: what its records have hidden is gone with it."""
        records, slot.records = slot.records, []
        for record in records:
            record.copies -= 1
            if record.copies == 0 and record.slot in (None, slot) and record not in self._fresh:
                self._forget(record)
            elif record.copies == 1 and record.value is None and record.is_live and not self._has_pages(record.object_id):
                self._unsettle(record)

    def _forget(self, record: Record) -> None:
        found = self._objects[record.object_id]
        del found.records[record.key]
        del found.keys[bisect_right(found.keys, record.key) - 1]
        if not found.keys:
            del self._objects[record.object_id]

    # -- A wake

    def _add_slot(self, at: int) -> Slot:
        slot = self._slots[at] = Slot(at)
        self._next_at = max(self._next_at, at + 1)
        return slot

    def _load(self, table: Iterable[tuple[int, bytes]]) -> None:
        rows: list[tuple[int, Row]] = []
        sizes: dict[int, int] = {}
        for at, data in table:
            sizes[at] = len(data)
            try:
                row = _decode(data)
            except msgspec.DecodeError as error:
                raise DataUnreadable(f"row {at} of the log cannot be read: {error}") from error
            if row.version != VERSION:
                raise DataUnreadable(f"row {at} of the log has the format {row.version}; this program reads {VERSION}")
            rows.append((at, row))
        rows.sort(key=lambda row: row[1].number)
        if rows:
            self._next_number = rows[-1][1].number + 1
            self.folded = rows[-1][1].folded
        for at, row in rows:
            slot = self._add_slot(at)
            slot.number, slot.bytes = row.number, sizes[at]
            if row.number > self.folded:
                self._load_row(slot, row)
        for found in list(self._objects.values()):
            found.keys = sorted(found.records)
            for record in found.records.values():
                if record.value is not None or record.copies > 1 or self._has_pages(record.object_id):
                    self._settle(record)
        self._dead = [slot for slot in self._slots.values() if not slot.live_bytes]

    def _load_row(self, slot: Slot, row: Row) -> None:
        for object_id, records in row.objects.items():
            found = self._objects.setdefault(object_id, _Object())
            for key, value in records.items():
                record = found.records.get(key)
                if record is None:
                    record = found.records[key] = Record(object_id, key)
                record.copies += 1
                record.value, record.slot = value, slot
                slot.records.append(record)
