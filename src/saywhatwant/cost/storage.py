"""The storage of a Durable Object over SQLite in memory, which counts rows as workerd's cursors do (see its tests)."""

import sqlite3
from collections.abc import Callable

from durable_objects.cloudflare.platform import Result, Value

_ROWS_OF_A_TABLE = 2
"""What it costs to create a table without another index."""


class SqliteStorage:
    """SQL and the alarm of one object, through all of its lives.

    Args:
        on_alarm: called when the alarm is set, with its time in milliseconds since 1970.
    """

    def __init__(self, on_alarm: Callable[[int], None]) -> None:
        self._connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        self._on_alarm = on_alarm
        self.alarm_at: int | None = None

    def exec(self, statement: str, *bindings: Value) -> Result:
        """Run one statement."""
        changes, schema = self._connection.total_changes, self._schema_version()
        cursor = self._connection.execute(statement, [float(value) if type(value) is int else value for value in bindings])
        rows = cursor.fetchall()
        written = self._connection.total_changes - changes
        if self._schema_version() != schema:
            return Result(rows, 1, _ROWS_OF_A_TABLE)
        if statement.startswith("DELETE"):
            return Result(rows, 2 * written, written)  # found, then removed
        return Result(rows, len(rows) + written, written)

    def transaction(self, closure: Callable[[], None]) -> None:
        """Run ``closure``, all of whose statements count or none."""
        self._connection.execute("BEGIN")
        try:
            closure()
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def set_alarm(self, at: int) -> None:
        """Set the alarm."""
        self.alarm_at = at
        self._on_alarm(at)

    async def get_alarm(self) -> int | None:
        """When the alarm is due."""
        return self.alarm_at

    def _schema_version(self) -> int:
        ((version,),) = self._connection.execute("PRAGMA schema_version")
        return int(version)


class Life:
    """The storage as one life of the object sees it: what is left of an earlier one must not use it.

    Raises ``ConnectionError`` after ``end``.
    """

    def __init__(self, storage: SqliteStorage) -> None:
        self._storage: SqliteStorage | None = storage

    @property
    def _open(self) -> SqliteStorage:
        if self._storage is None:
            raise ConnectionError("this life of the object is over")
        return self._storage

    def end(self) -> None:
        """This life is over."""
        self._storage = None

    def exec(self, statement: str, *bindings: Value) -> Result:
        """See ``platform.Storage``."""
        return self._open.exec(statement, *bindings)

    def transaction(self, closure: Callable[[], None]) -> None:
        """See ``platform.Storage``."""
        self._open.transaction(closure)

    def set_alarm(self, at: int) -> None:
        """See ``platform.Storage``."""
        self._open.set_alarm(at)

    async def get_alarm(self) -> int | None:
        """See ``platform.Storage``."""
        return await self._open.get_alarm()
