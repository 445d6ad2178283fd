"""The data file as it is at one commit, read while another process may write it."""

import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from durable_objects.embedded.store import APPLICATION_ID, COPY_ID, FILE, VERSION
from durable_objects.errors import DataUnreadable
from durable_objects.limits import WRITE_BUSY_SECONDS

APPLICATION_ID_AT: Final = 68
"""Where SQLite's header has it (https://www.sqlite.org/fileformat.html)."""


def now() -> int:
    """The time in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


class Snapshot(NamedTuple):
    """The bytes of a data file, marked as a copy: all of one state that was committed."""

    content: bytes
    page_size: int
    time: int
    """Milliseconds since 1970: everything that was durable before this is in it."""
    until: int
    """The same: nothing that was committed after this is in it."""
    note: bytes = b""
    """What the program says of this state."""


class SnapshotSource:
    """Reads the data file in ``directory``, and never writes to it.

    It needs no lock of the directory: each snapshot is read in one read transaction, which holds up no commit and begins none
    again. The server's checkpoints wait for it, a few hundredths of a second for each 10 MB.

    Args:
        directory: of the data.
        clock: milliseconds since 1970.
        note: called in the transaction of each ``read``; what it returns becomes the note of the snapshot.

    A context manager. Raises ``DataUnreadable`` on entering, and from ``read``, when there is no data, or when it is damaged
    or of another program or a later version.
    """

    def __init__(
        self, directory: Path, clock: Callable[[], int] = now, note: Callable[[sqlite3.Connection], bytes] = lambda _: b""
    ) -> None:
        self._path = directory / FILE
        self._clock = clock
        self._note = note
        self._connection: sqlite3.Connection | None = None
        self._file: tuple[int, int] | None = None
        self._seen: int | None = None

    def __enter__(self) -> Self:
        self._open()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._close()

    def is_changed(self) -> bool:
        """Whether anything was committed since the last ``read``, or another file has taken the place of the one read."""
        try:
            return self._seen != self._version_of(self._open())
        except sqlite3.DatabaseError as error:
            raise self._unreadable(error) from error

    def read(self) -> Snapshot:
        """The last state that was committed."""
        connection, begun = self._open(), self._clock()
        try:
            connection.execute("BEGIN")
            try:
                # The first statement that reads begins the transaction; everything after it sees the same state.
                ((page_size,),) = connection.execute("PRAGMA page_size")
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchall()
                until = self._clock()
                self._seen = self._version_of(connection)
                return Snapshot(_marked(connection.serialize()), page_size, min(begun, until), until, self._note(connection))
            finally:
                connection.rollback()
        except sqlite3.DatabaseError as error:
            raise self._unreadable(error) from error

    def _version_of(self, connection: sqlite3.Connection) -> int:
        """A number that changes with each commit of another connection."""
        ((version,),) = connection.execute("PRAGMA data_version")
        return int(version)

    def _open(self) -> sqlite3.Connection:
        """The connection to the file that has the name now."""
        try:
            status = self._path.stat()
        except FileNotFoundError:
            self._close()
            raise DataUnreadable(f"{self._path.parent} has no data") from None
        file = (status.st_dev, status.st_ino)
        if self._connection is None or file != self._file:
            self._close()
            self._file = file
            self._connection = self._connected()
        return self._connection

    def _connected(self) -> sqlite3.Connection:
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        try:
            connection = sqlite3.connect(uri, timeout=WRITE_BUSY_SECONDS, isolation_level=None, uri=True)
            try:
                check_version(connection, self._path)
            except BaseException:
                connection.close()
                raise
        except sqlite3.DatabaseError as error:
            raise self._unreadable(error) from error
        return connection

    def _unreadable(self, error: sqlite3.DatabaseError) -> DataUnreadable:
        return DataUnreadable(f"{self._path} cannot be read: {error}")

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = self._file = self._seen = None


def _marked(content: bytes) -> bytes:
    """The bytes of a data file with the application id of a copy."""
    return b"".join((content[:APPLICATION_ID_AT], COPY_ID.to_bytes(4), memoryview(content)[APPLICATION_ID_AT + 4 :]))


def check_version(connection: sqlite3.Connection, path: Path) -> int:
    """The data version of a file; raises ``DataUnreadable`` when it is of another program or a later version."""
    ((application_id,),) = connection.execute("PRAGMA application_id")
    ((version,),) = connection.execute("PRAGMA user_version")
    if application_id not in {APPLICATION_ID, COPY_ID}:
        raise DataUnreadable(f"{path} was written by another program (application id {application_id:#x})")
    if version > VERSION:
        raise DataUnreadable(f"{path} has data version {version}; this program reads version {VERSION}: use a later one")
    return int(version)


def check_integrity(path: Path) -> None:
    """Raise ``DataUnreadable`` unless SQLite finds nothing wrong in the file, which nobody may be writing."""
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            ((found,), *_) = connection.execute("PRAGMA integrity_check(1)").fetchall()
    except sqlite3.DatabaseError as error:
        raise DataUnreadable(f"{path} is damaged: {error}") from error
    if found != "ok":
        raise DataUnreadable(f"{path} is damaged: {found}")
