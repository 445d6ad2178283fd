"""The disk on ``ctx.storage.sql``: a log whose rows are commits, and pages for what does not fit into memory.

Rows written are what costs: a million of them a dollar, a million rows read a thousandth of that. So a commit is one row,
whatever it changes and however many objects.
"""

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, takewhile
from typing import Any, Final

import msgspec

from durable_objects.cloudflare.log import MAX_REMOVED, Log, Record
from durable_objects.cloudflare.pages import Pages
from durable_objects.cloudflare.platform import Storage, Value
from durable_objects.disk import Change, Head
from durable_objects.meter import Meter
from durable_objects.storage import OUTBOX

LOG_BYTES: Final = 4 * 1024 * 1024
"""Live entries in the log, about; a wake reads all of them. Beyond it the oldest go into pages."""
FOLD_BYTES: Final = LOG_BYTES // 4
"""Of which so many at once."""
LEFT: Final = "Cloudflare keeps what was stored for 30 days, for its point-in-time recovery"
"""What ``scrub`` cannot reach."""
MAX_FOLDED_PAGES: Final = 128
"""Pages that one commit changes, about."""

_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS log (slot INTEGER PRIMARY KEY, data BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS pages (number INTEGER PRIMARY KEY, place BLOB NOT NULL, data BLOB NOT NULL)",
)

_HEAD: Final = ""
"""The key of an object's head; an object's own have a character at least."""

_encode: Final = msgspec.msgpack.Encoder().encode
_decode_head: Final = msgspec.msgpack.Decoder(tuple[int, int | None]).decode


class LogDisk:
    """Entries and heads in one Durable Object's SQLite; a ``disk.Disk``.

    A commit that raises has changed nothing; what is in memory is read again then.

    Args:
        storage: of the Durable Object; nothing else may use its SQL.
        meter: counts the rows that are read and written.
    """

    def __init__(self, storage: Storage, meter: Meter) -> None:
        self._storage = storage
        self._meter = meter
        self._state: tuple[Log, Pages] | None = None

    def __str__(self) -> str:
        return "the storage of the Durable Object"

    def head(self, object_id: str) -> Head:
        """See ``disk.Snapshot``."""
        return _head(self.get(object_id, _HEAD))

    def get(self, object_id: str, key: str) -> bytes | None:
        """See ``disk.Snapshot``."""
        log, pages = self._open()
        record = log.find(object_id, key)
        return pages.get(object_id, key) if record is None else record.value

    def list(self, object_id: str, prefix: str, after: str, limit: int) -> Sequence[tuple[str, bytes]]:
        """See ``disk.Snapshot``."""
        entries = self._entries(object_id, max(prefix, after))
        wanted = ((key, value) for key, value in entries if key > after)  # also leaves out the head
        return [*islice(takewhile(lambda entry: entry[0].startswith(prefix), wanted), limit)]

    def alarms(self) -> Iterable[tuple[str, int]]:
        """See ``disk.Disk``."""
        log, _ = self._open()
        heads = [(object_id, log.find(object_id, _HEAD)) for object_id in log.objects()]
        return [
            (object_id, at)
            for object_id, record in heads
            if record is not None and (at := _head(record.value).alarm_at) is not None
        ]

    def senders(self) -> Iterable[tuple[str, int]]:
        """See ``disk.Disk``."""
        counts = {object_id: self._count(object_id, OUTBOX) for object_id in self.objects()}
        return [(object_id, count) for object_id, count in counts.items() if count]

    def objects(self) -> Sequence[str]:
        """The ids of all objects that were ever written."""
        log, pages = self._open()
        return sorted({*log.objects(), *pages.objects()})

    async def commit(self, changes: Sequence[Change]) -> None:
        """See ``disk.Disk``. It never waits."""
        try:
            self._commit(changes)
        except BaseException:
            self._state = None
            raise

    async def scrub(self) -> str | None:
        """See ``disk.Disk``: all of the log goes into pages, and its old rows are removed. It never waits."""
        log, pages = self._open()
        try:
            everything = log.fold(sys.maxsize, _has_alarm, _page_of(pages), sys.maxsize)
            self._write(log, *pages.apply(everything), keeps_dead=False)
        except BaseException:
            self._state = None
            raise
        return LEFT

    def _commit(self, changes: Sequence[Change]) -> None:
        log, pages = self._open()
        for change in changes:
            for key, value in change.writes.items():
                log.put(change.object_id, key, value)
            log.put(change.object_id, _HEAD, _encode((change.head.seq, change.head.alarm_at)))
        written: list[tuple[int, bytes, bytes]] = []
        removed: list[int] = []
        if log.live_bytes > LOG_BYTES:
            written, removed = pages.apply(log.fold(FOLD_BYTES, _has_alarm, _page_of(pages), MAX_FOLDED_PAGES))
        self._write(log, written, removed)

    def _write(
        self, log: Log, written: Sequence[tuple[int, bytes, bytes]], removed: Sequence[int], *, keeps_dead: bool = True
    ) -> None:
        """End a commit that has changed the log and these pages."""
        rows, dead = log.end() if keeps_dead else log.end_clean()
        statements: list[tuple[str, Sequence[Value]]] = [
            *(("INSERT OR REPLACE INTO log VALUES (?, ?)", row) for row in rows),
            *(("INSERT OR REPLACE INTO pages VALUES (?, ?, ?)", page) for page in written),
            *(("DELETE FROM pages WHERE number = ?", [number]) for number in removed),
        ]
        for at in range(0, len(dead), MAX_REMOVED):
            some = dead[at : at + MAX_REMOVED]
            statements.append((f"DELETE FROM log WHERE slot IN ({','.join('?' * len(some))})", some))  # noqa: S608 - parameters only
        if len(statements) == 1:
            self._exec(*statements[0])
        else:
            self._storage.transaction(lambda: self._exec_all(statements))

    def _entries(self, object_id: str, start: str) -> Iterator[tuple[str, bytes]]:
        """The entries from the key ``start`` on, in order, the head among them."""
        log, pages = self._open()
        below = pages.entries(object_id, start)
        lower = next(below, None)
        for key, value in log.records(object_id, start):
            while lower is not None and lower[0] < key:
                yield lower
                lower = next(below, None)
            if lower is not None and lower[0] == key:
                lower = next(below, None)
            if value is not None:
                yield key, value
        if lower is not None:
            yield lower
            yield from below

    def _count(self, object_id: str, prefix: str) -> int:
        return sum(1 for _ in takewhile(lambda entry: entry[0].startswith(prefix), self._entries(object_id, prefix)))

    def _open(self) -> tuple[Log, Pages]:
        if self._state is None:
            for statement in _SCHEMA:
                self._exec(statement)
            pages = Pages(self._exec("SELECT number, place FROM pages"), self._read_page)
            self._state = Log(self._exec("SELECT slot, data FROM log"), pages.has), pages
        return self._state

    def _read_page(self, number: int) -> bytes:
        [[data]] = self._exec("SELECT data FROM pages WHERE number = ?", [number])
        page: bytes = data
        return page

    def _exec_all(self, statements: Iterable[tuple[str, Sequence[Value]]]) -> None:
        for statement, bindings in statements:
            self._exec(statement, bindings)

    def _exec(self, statement: str, bindings: Sequence[Value] = ()) -> Sequence[tuple[Any, ...]]:
        result = self._storage.exec(statement, *bindings)
        self._meter.rows_read += result.rows_read
        self._meter.rows_written += result.rows_written
        return result.rows


def _head(stored: bytes | None) -> Head:
    return Head() if stored is None else Head(*_decode_head(stored))


def _has_alarm(record: Record) -> bool:
    """Whether it is the head of an object with an alarm: those are read at each wake."""
    return record.key == _HEAD and _head(record.value).alarm_at is not None


def _page_of(pages: Pages) -> Callable[[Record], object]:
    return lambda record: pages.find(record.object_id, record.key)
