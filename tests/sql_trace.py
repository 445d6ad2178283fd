"""The SQL that a test's own process runs."""

import sqlite3
from typing import Any

import pytest


class SqlTrace:
    """The statements of all connections, from ``start`` on.

    SQLite reports a statement once more, with all its values, for each trigger that it runs; those repetitions are left out.
    They take long for a statement of many rows, so start just before the statements that matter.
    """

    def __init__(self) -> None:
        self.statements: list[str] = []
        self._connections: list[sqlite3.Connection] = []

    def add(self, connection: sqlite3.Connection) -> None:
        self._connections.append(connection)

    def start(self) -> None:
        """Forget what was traced and trace from here on; no statement may be under way."""
        self.statements.clear()
        for connection in self._connections:
            connection.set_trace_callback(self._note)

    def _note(self, statement: str) -> None:
        if statement not in self.statements[-1:]:
            self.statements.append(statement)


def trace_sql(monkeypatch: pytest.MonkeyPatch) -> SqlTrace:
    """A trace of the connections that are opened from now on."""
    trace = SqlTrace()
    connect = sqlite3.connect

    def traced(*args: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)
        trace.add(connection)
        return connection

    monkeypatch.setattr(sqlite3, "connect", traced)
    return trace
