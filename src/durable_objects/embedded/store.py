"""The SQLite file with the durable data.

A commit is one statement. Python releases the interpreter lock at every step of every statement, and taking it back from a busy
event loop can cost a whole switch interval each time. So all changes of a commit are rows of one ``INSERT`` into a view, whose
triggers put, delete and update. In autocommit mode that statement is also the transaction.
"""

import logging
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from itertools import chain, takewhile
from pathlib import Path
from typing import Any

from durable_objects.disk import DATA_VERSION, Change, Head
from durable_objects.errors import DataBusy, DataLocked, DataUnreadable
from durable_objects.limits import MAX_IDLE_LOG_BYTES, READ_BUSY_SECONDS, WRITE_BUSY_SECONDS
from durable_objects.meter import Meter
from durable_objects.storage import OUTBOX

log = logging.getLogger("durable_objects")

APPLICATION_ID = 0x44_4F_50_59  # "DOPY"; distinguishes our files from other SQLite files
COPY_ID = 0x44_4F_50_42  # "DOPB"; that of a copy in a backup, until it is restored
VERSION = DATA_VERSION
FILE = "objects.sqlite3"
"""The name of the file in its directory."""
IMPORT = f"{FILE}.importing"
"""The name that it has while it is written by an import (see ``transfer``), which has not ended while there is one."""

_IN_OUTBOX = f"WHERE key >= '{OUTBOX}' AND key < '{OUTBOX[:-1]}0'"  # 0 follows the slash
_OUTBOX_INDEX = f"CREATE INDEX outboxes ON entries (object) {_IN_OUTBOX};"

SCHEMA = f"""
BEGIN;
CREATE TABLE entries (object TEXT NOT NULL, key TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (object, key)) WITHOUT ROWID;
CREATE TABLE heads (object TEXT NOT NULL PRIMARY KEY, seq INTEGER NOT NULL, alarm_at INTEGER) WITHOUT ROWID;
CREATE INDEX alarms ON heads (alarm_at) WHERE alarm_at IS NOT NULL;
{_OUTBOX_INDEX}
CREATE VIEW changes (object, key, value, alarm_at) AS SELECT NULL, NULL, NULL, NULL;
CREATE TRIGGER put INSTEAD OF INSERT ON changes WHEN new.key IS NOT NULL AND new.value IS NOT NULL BEGIN
  INSERT INTO entries VALUES (new.object, new.key, new.value)
    ON CONFLICT (object, key) DO UPDATE SET value = excluded.value;
END;
CREATE TRIGGER remove INSTEAD OF INSERT ON changes WHEN new.key IS NOT NULL AND new.value IS NULL BEGIN
  DELETE FROM entries WHERE object = new.object AND key = new.key;
END;
CREATE TRIGGER head INSTEAD OF INSERT ON changes WHEN new.key IS NULL AND new.object IS NOT NULL BEGIN
  INSERT INTO heads VALUES (new.object, new.value, new.alarm_at) ON CONFLICT (object) DO UPDATE SET seq = excluded.seq;
  -- A separate statement, since naming alarm_at writes a page of its index even if it is unchanged.
  UPDATE heads SET alarm_at = new.alarm_at WHERE object = new.object AND alarm_at IS NOT new.alarm_at;
END;
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {VERSION};
COMMIT;
"""  # noqa: S608 - our own constants

_TABLES = {1: (_OUTBOX_INDEX,)}
"""The statements that make the tables of each earlier version those of the next one."""

Upgrade = Callable[[sqlite3.Connection], None]
"""Converts the entries of a data version to the next one, within a transaction that it cannot end."""

_LIST_FROM = "SELECT key, value FROM entries WHERE object = ? AND key >= ? ORDER BY key LIMIT ?"
_LIST_AFTER = "SELECT key, value FROM entries WHERE object = ? AND key > ? ORDER BY key LIMIT ?"

_MAX_ROWS = 4_096
"""Rows of one statement; SQLite takes 32,766 parameters at most, and a row has four."""
_MAX_EXACT_ROWS = 64
"""Up to this many rows there is a statement for each number, above only for powers of two, so that few are prepared."""

_Row = tuple[str | None, str | None, bytes | int | None, int | None]
_Rows = list[_Row]
_NO_ROW: _Row = (None, None, None, None)
_PROBE: _Row = ("", None, 0, None)
"""The head of an object that does not exist."""


@cache
def _insert(rows: int) -> str:
    return "INSERT INTO changes VALUES " + ",".join(["(?,?,?,?)"] * rows)  # noqa: S608 - parameters only


def _rows(changes: Iterable[Change]) -> list[_Row]:
    rows: list[_Row] = []
    for change in changes:
        object_id, head = change.object_id, change.head
        rows.extend((object_id, key, value, None) for key, value in change.writes.items())
        rows.append((object_id, None, head.seq, head.alarm_at))
    return rows


def _make_durable(connection: sqlite3.Connection) -> None:
    """Make every commit of ``connection`` sync to the disk before it returns."""
    (journal,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if journal != "wal":
        raise DataUnreadable(f"SQLite cannot keep a write-ahead log here (its journal mode is {journal!r}); use a local disk")
    connection.execute("PRAGMA synchronous = FULL")
    # On macOS fsync stops at the drive's own cache; elsewhere these change nothing.
    connection.execute("PRAGMA fullfsync = ON")
    connection.execute("PRAGMA checkpoint_fullfsync = ON")
    connection.execute(f"PRAGMA journal_size_limit = {MAX_IDLE_LOG_BYTES}")


def _is_busy(error: sqlite3.DatabaseError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


def run_upgrade(connection: sqlite3.Connection, upgrade: Upgrade) -> None:
    """Run ``upgrade`` within a transaction, which it cannot end."""
    connection.set_authorizer(_refuse_to_end)
    try:
        upgrade(connection)
    finally:
        connection.set_authorizer(None)


def _refuse_to_end(action: int, *_: str | None) -> int:
    """An authorizer of SQLite that refuses BEGIN, COMMIT and ROLLBACK, also the COMMIT that ``executescript`` begins with."""
    return sqlite3.SQLITE_DENY if action == sqlite3.SQLITE_TRANSACTION else sqlite3.SQLITE_OK


class Store:
    """One SQLite file in ``directory``. Open it, then read from one thread and commit from another.

    Args:
        directory: where the file is.
        upgrades: converts data of earlier versions, by the version; without them, such data is refused.
        meter: counts the rows that are read, and on the other thread those that are written.
    """

    def __init__(self, directory: Path, upgrades: Mapping[int, Upgrade] | None = None, meter: Meter | None = None) -> None:
        self.path = directory / FILE
        self._meter = Meter() if meter is None else meter
        self._upgrades = upgrades or {}
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None

    def open(self) -> None:
        """Open the file; create it if it is missing, and convert one of an earlier version.

        Raises ``DataUnreadable`` for a file that is damaged or of another program or version, and leaves it unchanged;
        ``DataLocked`` for a file that another program has locked.
        """
        part = self.path.with_name(IMPORT)
        if part.exists():
            raise DataUnreadable(f"an import into {part.parent} has not ended; run it again, or remove {part}")
        try:
            self._writer = self._connect(WRITE_BUSY_SECONDS)
            version = self._version(self._writer)
            _make_durable(self._writer)
            if version < VERSION:
                self._convert(self._writer, version)
            self._reader = self._connect(READ_BUSY_SECONDS)
            self.alarms()
        except sqlite3.DatabaseError as error:
            self.close()
            if _is_busy(error):
                raise DataLocked(f"another program has locked {self.path}") from error
            raise DataUnreadable(f"{self.path} cannot be read: {error}") from error
        except DataUnreadable:
            self.close()
            raise

    def close(self) -> None:
        """Close both connections; SQLite folds its write-ahead log into the file."""
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        self._reader = self._writer = None

    def head(self, object_id: str) -> Head:
        """The object's last commit and alarm; ``Head()`` if it was never written. Like all reads it raises ``DataBusy``."""
        rows = self._read("SELECT seq, alarm_at FROM heads WHERE object = ?", object_id)
        return Head(*rows[0]) if rows else Head()

    def get(self, object_id: str, key: str) -> bytes | None:
        """The value under ``key``, or None."""
        rows = self._read("SELECT value FROM entries WHERE object = ? AND key = ?", object_id, key)
        value: bytes | None = rows[0][0] if rows else None
        return value

    def list(self, object_id: str, prefix: str, after: str, limit: int) -> Sequence[tuple[str, bytes]]:
        """Up to ``limit`` entries in key order whose key starts with ``prefix`` and is greater than ``after``."""
        rows = self._read(_LIST_AFTER if after >= prefix else _LIST_FROM, object_id, max(after, prefix), limit)
        return [*takewhile(lambda row: row[0].startswith(prefix), rows)]

    def alarms(self) -> Sequence[tuple[str, int]]:
        """Every object that has an alarm, with the alarm's time."""
        return self._read("SELECT object, alarm_at FROM heads WHERE alarm_at IS NOT NULL")

    def senders(self) -> Sequence[tuple[str, int]]:
        """Every object that has sent calls which may not be taken yet, with their number."""
        return self._read(f"SELECT object, count(*) FROM entries INDEXED BY outboxes {_IN_OUTBOX} GROUP BY object")  # noqa: S608 - our own constants

    def write(self, changes: Iterable[Change]) -> None:
        """Make all of ``changes`` durable, fsync included, or none of them; raises ``sqlite3.Error`` or ``DataUnreadable``.

        Without changes it writes an unused row, to check whether the disk takes writes.
        """
        rows = _rows(changes) or [_PROBE]
        written = len(rows)
        if self._writer is None:
            self._writer = self._open_writer()
        try:
            if len(rows) <= _MAX_ROWS:
                self._insert(self._writer, rows)
            else:
                with self._writer:
                    self._writer.execute("BEGIN")
                    for at in range(0, len(rows), _MAX_ROWS):
                        self._insert(self._writer, rows[at : at + _MAX_ROWS])
        except sqlite3.Error:
            # After a failed write or fsync the connection's memory cannot be trusted.
            self._writer.close()
            self._writer = None
            raise
        self._meter.rows_written += written

    def vacuum(self) -> None:
        """Make the file again from what the tables hold and nothing else, and empty the write-ahead log.

        Before that, free pages and unused parts of pages have what was deleted or overwritten. For a moment it needs room for
        two more copies of the file. Raises ``sqlite3.Error`` or ``DataUnreadable``; what the tables hold stays in any case.
        """
        if self._writer is None:
            self._writer = self._open_writer()
        self._writer.execute("VACUUM")
        ((is_busy, _, _),) = self._writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        if is_busy:
            raise sqlite3.OperationalError("another program reads the data file, so its write-ahead log cannot be emptied")

    def _insert(self, writer: sqlite3.Connection, rows: _Rows) -> None:
        if len(rows) > _MAX_EXACT_ROWS:
            rows += [_NO_ROW] * ((1 << (len(rows) - 1).bit_length()) - len(rows))  # no trigger takes these
        writer.execute(_insert(len(rows)), tuple(chain.from_iterable(rows)))

    def _read(self, statement: str, *parameters: str | int) -> Sequence[Any]:
        assert self._reader is not None  # noqa: S101 - nobody reads before it is open
        try:
            rows = self._reader.execute(statement, parameters).fetchall()
        except sqlite3.OperationalError as error:
            if _is_busy(error):
                raise DataBusy("another program has locked the data file") from error
            raise
        self._meter.rows_read += len(rows)
        return rows

    def _open_writer(self) -> sqlite3.Connection:
        writer = self._connect(WRITE_BUSY_SECONDS)
        try:
            _make_durable(writer)
        except BaseException:
            writer.close()
            raise
        return writer

    def _connect(self, busy_seconds: float) -> sqlite3.Connection:
        return sqlite3.connect(self.path, timeout=busy_seconds, isolation_level=None, check_same_thread=False)

    def _version(self, connection: sqlite3.Connection) -> int:
        """The version of the data, which is empty or can be converted to ``VERSION``; raises ``DataUnreadable``."""
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        (tables,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        if application_id == 0 and version == 0 and tables == 0:
            connection.executescript(SCHEMA)
            return VERSION
        if application_id == COPY_ID:
            raise DataUnreadable(f"{self.path} is a copy from a backup, which nobody has restored")
        if application_id != APPLICATION_ID:
            raise DataUnreadable(f"{self.path} was written by another program (application id {application_id:#x})")
        if version > VERSION or not all(earlier in self._upgrades for earlier in range(version, VERSION)):
            what = "start the program that wrote it, or a later one" if version > VERSION else "start one that can convert it"
            raise DataUnreadable(f"{self.path} has data version {version}; this program reads version {VERSION}: {what}")
        return int(version)

    def rewrite(self, change: Upgrade) -> None:
        """Run ``change`` in one transaction: it changes all that it wants to change, or nothing."""
        assert self._writer is not None  # noqa: S101 - it is open
        self._writer.execute("BEGIN IMMEDIATE")
        try:
            change(self._writer)
            self._writer.execute("COMMIT")
        except BaseException:
            self._writer.rollback()
            raise

    def _convert(self, connection: sqlite3.Connection, version: int) -> None:
        """Convert the data to ``VERSION`` in one transaction: after a crash or an error it is what it was."""
        log.info("converting %s from data version %d to %d", self.path, version, VERSION)
        connection.execute("BEGIN IMMEDIATE")
        try:
            for earlier in range(version, VERSION):
                for statement in _TABLES[earlier]:
                    connection.execute(statement)
                run_upgrade(connection, self._upgrades[earlier])
            connection.execute(f"PRAGMA user_version = {VERSION}")
            connection.execute("COMMIT")
        except Exception as error:
            connection.rollback()
            if isinstance(error, sqlite3.DatabaseError) and _is_busy(error):
                raise
            what = f"cannot be converted to data version {VERSION}, and is unchanged"
            raise DataUnreadable(f"{self.path} {what}: {error!r}") from error
