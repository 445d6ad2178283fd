"""After a scrub no file has a byte of what was deleted or overwritten before, however SQLite has left it there."""

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from ledger import Entry, Ledger

from durable_objects import CommitFailed, RuntimeClosed
from durable_objects.embedded import EmbeddedRuntime
from durable_objects.embedded import store as store_module
from durable_objects.embedded.store import FILE
from durable_objects.limits import MAX_VALUE_BYTES
from scenario import run

WORD = "a-word-that-is-nowhere-else"
LONG = " ".join([WORD] * (MAX_VALUE_BYTES // 30)).encode()
"""On overflow pages."""


def traces(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if WORD.encode() in path.read_bytes())


def leave_traces(directory: Path) -> None:
    """Write and delete rows without ``secure_delete``, which some builds of SQLite have and others do not."""
    with closing(sqlite3.connect(directory / FILE, isolation_level=None)) as connection:
        connection.execute("PRAGMA secure_delete = OFF")
        for number in range(200):
            connection.execute("INSERT INTO entries VALUES ('Ledger/z', ?, ?)", (f"k{number}", f"{WORD} {number}".encode()))
        connection.execute("INSERT INTO entries VALUES ('Ledger/z', 'long', ?)", (LONG,))
        connection.execute("DELETE FROM entries WHERE object = 'Ledger/z'")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def reading(directory: Path) -> Iterator[None]:
    """Another program reads the file, and does not end."""
    with closing(sqlite3.connect(directory / FILE, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM entries").fetchone()
        yield


async def filled(runtime: EmbeddedRuntime) -> list[str]:
    """Entries that stay, and values that are overwritten and deleted."""
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    for number in range(50):
        await ledger.call(Ledger.append, f"entry {number}")
        await ledger.call(Ledger.keep, f"short {number % 5}", f"{WORD} {number}".encode())
    await ledger.call(Ledger.keep, "long", LONG)
    for number in range(5):
        await ledger.call(Ledger.keep, f"short {number}", b"other")
    await ledger.call(Ledger.keep, "long", b"other")
    return await ledger.call(Ledger.texts)


def test_what_was_deleted_and_overwritten_is_in_no_file(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path) as runtime:
            before = await filled(runtime)
            assert f"{FILE}-wal" in traces(tmp_path)
            assert await runtime.scrub() is None
            assert traces(tmp_path) == []
            assert (tmp_path / f"{FILE}-wal").stat().st_size == 0
            ledger = runtime.namespace("Ledger", Ledger).get("a")
            assert await ledger.call(Ledger.append, "after it") == Entry(108, "after it")
        async with EmbeddedRuntime(tmp_path) as runtime:
            ledger = runtime.namespace("Ledger", Ledger).get("a")
            assert await ledger.call(Ledger.texts) == [*before, "after it"]
        with pytest.raises(RuntimeClosed):
            await runtime.scrub()
        assert traces(tmp_path) == []

    run(scenario())


def test_traces_in_free_pages_and_free_parts_of_pages_go_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path) as runtime:
            before = await filled(runtime)
        leave_traces(tmp_path)
        assert traces(tmp_path) == [FILE]
        async with EmbeddedRuntime(tmp_path) as runtime:
            await runtime.scrub()
            assert traces(tmp_path) == []
            assert await runtime.namespace("Ledger", Ledger).get("a").call(Ledger.texts) == before

    run(scenario())


def test_calls_go_on_while_it_runs(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path) as runtime:
            before = await filled(runtime)
            ledger = runtime.namespace("Ledger", Ledger).get("a")
            scrubs = [asyncio.create_task(runtime.scrub()) for _ in range(2)]
            posts = [asyncio.create_task(ledger.call(Ledger.append, f"meanwhile {number}")) for number in range(10)]
            assert await ledger.call(Ledger.value, "long") == b"other"
            await asyncio.gather(*scrubs, *posts)
            assert traces(tmp_path) == []
            assert len(await ledger.call(Ledger.texts)) == len(before) + 10

    run(scenario())


def test_it_fails_while_another_program_reads_the_file_and_works_when_called_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "WRITE_BUSY_SECONDS", 0.01)

    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path) as runtime:
            before = await filled(runtime)
            with reading(tmp_path), pytest.raises(CommitFailed, match="another program reads the data file"):
                await runtime.scrub()
            ledger = runtime.namespace("Ledger", Ledger).get("a")
            assert await ledger.call(Ledger.texts) == before
            assert await runtime.scrub() is None
            assert traces(tmp_path) == []

    run(scenario())
