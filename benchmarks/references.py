"""Reference timings of this machine: plain Python, SQLite, the disk and sockets.

A promise's ratio to its reference can be compared between machines.
"""

import json
import os
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path

from benchmarks.running import allow_open_files, scratch

ROW = json.dumps({"id": "24spd5q8ti", "text": "x" * 500, "username": "Human", "color": "169080199"}).encode()
ROWS = 200
SOCKETS = 1_000
FRAME = b"x" * 500


def python_start() -> float:
    """Seconds that ``python -c pass`` takes."""
    began = time.perf_counter()
    subprocess.run((sys.executable, "-c", "pass"), check=True)
    return time.perf_counter() - began


def fsync() -> float:
    """Seconds for 4 KiB written and synced."""
    with scratch() as directory, (directory / "file").open("wb", buffering=0) as file:
        began = time.perf_counter()
        os.write(file.fileno(), b"x" * 4_096)
        os.fsync(file.fileno())
        return time.perf_counter() - began


def sqlite_commit() -> float:
    """Seconds for one row in a commit of its own, in a write-ahead log that is synced each time."""
    with scratch() as directory, closing(_database(directory)) as database:
        _insert(database, "warm")
        began = time.perf_counter()
        _insert(database, "measured")
        return time.perf_counter() - began


def sqlite_read() -> float:
    """Seconds for 200 messages read from a table and decoded from JSON by the standard library."""
    with scratch() as directory, closing(_database(directory)) as database:
        with database:
            database.executemany("INSERT INTO entry VALUES (?, ?)", ((f"{number}", ROW) for number in range(ROWS)))
        began = time.perf_counter()
        for (value,) in database.execute("SELECT value FROM entry ORDER BY key"):
            json.loads(value)
        return time.perf_counter() - began


def socket_writes() -> float:
    """Seconds for one frame written to each of 1,000 local sockets, and read there, in one thread."""
    allow_open_files()
    with ExitStack() as stack:
        sockets = []
        for _ in range(SOCKETS):
            writer, reader = socket.socketpair()
            sockets.append((stack.enter_context(writer), stack.enter_context(reader)))
        began = time.perf_counter()
        for writer, _ in sockets:
            writer.send(FRAME)
        for _, reader in sockets:
            reader.recv(len(FRAME))
        return time.perf_counter() - began


def _database(directory: Path) -> sqlite3.Connection:
    database = sqlite3.connect(directory / "reference.sqlite")
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("PRAGMA synchronous = FULL")
    database.execute("CREATE TABLE entry (key TEXT PRIMARY KEY, value BLOB) WITHOUT ROWID")
    return database


def _insert(database: sqlite3.Connection, key: str) -> None:
    with database:
        database.execute("INSERT INTO entry VALUES (?, ?)", (key, ROW))


Reference = Callable[[], float]
NAMES: dict[Reference, str] = {
    python_start: "python -c pass",
    fsync: "fsync of 4 KiB",
    sqlite_commit: "SQLite commit",
    sqlite_read: "200 rows from SQLite",
    socket_writes: "1,000 socket writes",
}
"""Their names in tables."""
