"""A Durable Object's storage over CPython's SQLite: it refuses what Cloudflare refuses, or would store as something else."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

from durable_objects.cloudflare.platform import Result, Value

MAX_BINDINGS = 100
MAX_BYTES = 2_000_000


class StorageFails(Exception):
    """The statement that a test has chosen."""


class FakeStorage:
    """A ``platform.Storage``, which outlives the objects that use it.

    Attributes:
        alarm: when Cloudflare would call ``alarm``.
        fails_after: how many statements run before one raises; None for none.
    """

    def __init__(self, path: Path | str = ":memory:") -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.alarm: int | None = None
        self.alarms_set = 0
        self.fails_after: int | None = None
        self.rows_written = 0

    def exec(self, statement: str, *bindings: Value) -> Result:
        if self.fails_after is not None:
            self.fails_after -= 1
            if self.fails_after < 0:
                raise StorageFails(statement)
        assert len(bindings) <= MAX_BINDINGS
        before = self._connection.total_changes
        rows = self._connection.execute(statement, [_bound(value) for value in bindings]).fetchall()
        written = self._connection.total_changes - before
        self.rows_written += written
        return Result(rows, len(rows), written)

    def transaction(self, closure: Callable[[], None]) -> None:
        self._connection.execute("BEGIN")
        try:
            closure()
        except BaseException:
            self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def set_alarm(self, at: int) -> None:
        self.alarm = at
        self.alarms_set += 1

    async def get_alarm(self) -> int | None:
        return self.alarm

    def copy(self) -> "FakeStorage":
        """What another life of the object finds, when this one has died and may still do something."""
        copy = FakeStorage()
        self._connection.backup(copy._connection)
        copy.alarm = self.alarm
        return copy

    def close(self) -> None:
        self._connection.close()


def _bound(value: Value) -> float | bytes:
    if type(value) is int:
        assert int(float(value)) == value, f"{value} loses digits"
        return float(value)
    assert type(value) is bytes, f"{value!r} would be stored as something else"
    assert len(value) < MAX_BYTES
    return value
