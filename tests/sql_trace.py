"""The SQL that a test's own process runs."""

import sqlite3
from typing import Any

import pytest


def trace_sql(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that grows by every statement on connections opened from now on.

    SQLite reports a statement once more for each trigger that it runs; those repetitions are left out.
    """
    statements: list[str] = []
    connect = sqlite3.connect

    def note(statement: str) -> None:
        if statement not in statements[-1:]:
            statements.append(statement)

    def traced(*args: Any, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = connect(*args, **options)
        connection.set_trace_callback(note)
        return connection

    monkeypatch.setattr(sqlite3, "connect", traced)
    return statements
