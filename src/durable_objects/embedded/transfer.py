"""Objects move to and from a data directory that no runtime uses at the time; see ``durable_objects.transfer``."""

import sqlite3
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from durable_objects.disk import Head
from durable_objects.embedded.lock import DirectoryLock
from durable_objects.embedded.store import APPLICATION_ID, COPY_ID, FILE, IMPORT, SCHEMA, VERSION, Upgrade, run_upgrade
from durable_objects.errors import DataExists, DataUnreadable
from durable_objects.files import make_directory, put_in_place
from durable_objects.transfer import Piece, pieces_of


class EmbeddedSource:
    """Reads what is in ``directory``, and changes nothing: data of an earlier version stays so.

    An asynchronous context manager. Raises ``DataLocked`` on entering while a runtime uses the data, ``DataUnreadable`` when
    there is none, or when it is damaged or of another program or a later version.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / FILE
        self._lock = DirectoryLock(directory)
        self._connection: sqlite3.Connection | None = None
        self.data_version = VERSION

    async def __aenter__(self) -> Self:
        if not self._path.exists():
            raise DataUnreadable(f"{self._directory} has no data")
        self._lock.acquire()
        try:
            self._connection = sqlite3.connect(self._path, isolation_level=None)
            self.data_version = self._version(self._connection)
            self._connection.execute("PRAGMA query_only = ON")
            self._connection.execute("BEGIN")  # one moment, whatever another program writes
        except sqlite3.DatabaseError as error:
            self._close()
            raise self._unreadable(error) from error
        except BaseException:
            self._close()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()

    async def objects(self) -> list[str]:
        """See ``ObjectSource``."""
        try:
            # The probe of a disk leaves an object without a name.
            found = self._open.execute("SELECT object FROM heads WHERE object <> '' ORDER BY object").fetchall()
        except sqlite3.DatabaseError as error:
            raise self._unreadable(error) from error
        return [object_id for (object_id,) in found]

    async def pieces(self, object_id: str) -> AsyncIterator[Piece]:
        """See ``ObjectSource``."""
        try:
            ((seq, alarm_at),) = self._open.execute("SELECT seq, alarm_at FROM heads WHERE object = ?", (object_id,))
            rows = self._open.execute("SELECT key, value FROM entries WHERE object = ? ORDER BY key", (object_id,))
            for piece in pieces_of(object_id, Head(seq, alarm_at), rows):
                yield piece
        except sqlite3.DatabaseError as error:
            raise self._unreadable(error) from error

    async def check(self) -> None:
        """See ``ObjectSource``. One transaction reads one moment, so only rows that belong to no object could be missing."""
        lost = "SELECT count(*) FROM entries WHERE object NOT IN (SELECT object FROM heads)"
        try:
            ((rows,),) = self._open.execute(lost)
        except sqlite3.DatabaseError as error:
            raise self._unreadable(error) from error
        if rows:
            raise DataUnreadable(f"{self._path} has {rows} rows that belong to no object")

    @property
    def _open(self) -> sqlite3.Connection:
        assert self._connection is not None  # noqa: S101 - nobody reads before it is entered
        return self._connection

    def _version(self, connection: sqlite3.Connection) -> int:
        ((application_id,),) = connection.execute("PRAGMA application_id")
        ((version,),) = connection.execute("PRAGMA user_version")
        if application_id == COPY_ID:
            raise DataUnreadable(f"{self._path} is a copy from a backup, which nobody has restored")
        if application_id != APPLICATION_ID:
            raise DataUnreadable(f"{self._path} was written by another program (application id {application_id:#x})")
        if version > VERSION:
            what = f"has data version {version}; this program reads version {VERSION}"
            raise DataUnreadable(f"{self._path} {what}: export it with the program that wrote it, or a later one")
        return int(version)

    def _unreadable(self, error: sqlite3.DatabaseError) -> DataUnreadable:
        return DataUnreadable(f"{self._path} cannot be read: {error}")

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._lock.release()


class EmbeddedTarget:
    """Writes a data directory, which is made if it is missing.

    The data is written under another name and gets its own with ``finish``: until then a runtime refuses the directory. What a
    crash has left there is written again by the next target, from its beginning.

    An asynchronous context manager: without ``finish`` nothing is left. Raises ``DataLocked`` on entering while a runtime uses
    the directory.

    Args:
        directory: the directory of the data.
        upgrades: as for ``EmbeddedRuntime``; they convert what comes from an earlier version.
    """

    def __init__(self, directory: Path, upgrades: Mapping[int, Upgrade] | None = None) -> None:
        self._directory = directory
        self._path = directory / FILE
        self._part = directory / IMPORT
        self._upgrades = upgrades or {}
        self._lock = DirectoryLock(directory)
        self._connection: sqlite3.Connection | None = None
        self._data_version = VERSION

    async def __aenter__(self) -> Self:
        make_directory(self._directory)
        self._lock.acquire()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            self._part.unlink(missing_ok=True)
        self._lock.release()

    async def begin(self, data_version: int, import_id: bytes) -> None:  # noqa: ARG002 - it always begins from the start
        """See ``ObjectTarget``."""
        for path in (self._path, self._path.with_name(f"{FILE}-wal"), self._path.with_name(f"{FILE}-journal")):
            if path.exists():
                raise DataExists(f"{self._directory} has data already ({path.name}); choose another directory")
        if data_version > VERSION or not all(earlier in self._upgrades for earlier in range(data_version, VERSION)):
            what = "use the program that wrote it, or a later one" if data_version > VERSION else "use one that can convert it"
            raise DataUnreadable(f"the data has version {data_version}; this program reads version {VERSION}: {what}")
        self._data_version = data_version
        self._part.unlink(missing_ok=True)
        self._connection = sqlite3.connect(self._part, isolation_level=None)
        # Nobody reads this file if it does not come to its end, so it needs no journal.
        self._connection.execute("PRAGMA journal_mode = OFF")
        self._connection.execute("PRAGMA synchronous = OFF")
        self._connection.executescript(SCHEMA)
        self._connection.execute("BEGIN")

    async def write(self, piece: Piece) -> None:
        """See ``ObjectTarget``."""
        object_id, head = piece.object_id, piece.head
        try:
            if head is not None:
                self._open.execute("INSERT INTO heads VALUES (?, ?, ?)", (object_id, head.seq, head.alarm_at))
            rows = ((object_id, key, value) for key, value in piece.rows)
            self._open.executemany("INSERT INTO entries VALUES (?, ?, ?)", rows)
        except sqlite3.IntegrityError as error:
            raise DataUnreadable(f"{object_id} comes twice") from error

    async def finish(self) -> None:
        """See ``ObjectTarget``."""
        connection = self._open
        for earlier in range(self._data_version, VERSION):
            run_upgrade(connection, self._upgrades[earlier])
        connection.execute("COMMIT")
        connection.close()
        self._connection = None
        put_in_place(self._part, self._path)

    @property
    def _open(self) -> sqlite3.Connection:
        assert self._connection is not None  # noqa: S101 - nobody writes before it has begun
        return self._connection
