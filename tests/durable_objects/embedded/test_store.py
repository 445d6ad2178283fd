"""The SQLite file: all or nothing, fsynced, and refused when it is not ours."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from ledger import Entry, Ledger, key_of

from durable_objects import DataBusy, DataLocked, DataUnreadable
from durable_objects.disk import Change, Head
from durable_objects.embedded import EmbeddedRuntime
from durable_objects.embedded.store import _MAX_EXACT_ROWS, APPLICATION_ID, VERSION, Store, _insert, _make_durable
from durable_objects.limits import READ_BUSY_SECONDS
from scenario import run


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    store.open()
    yield store
    store.close()


def test_p1_every_connection_that_commits_waits_for_the_disk(store: Store) -> None:
    """Loss of power takes nothing back: the log is synced with every commit, also by a connection opened after a failure."""

    def settings() -> list[object]:
        store.write([])
        names = ("journal_mode", "synchronous", "fullfsync", "checkpoint_fullfsync")
        return [writer(store).execute(f"PRAGMA {name}").fetchone()[0] for name in names]

    full, on = 2, 1
    assert settings() == ["wal", full, on, on]
    writer(store).execute("PRAGMA max_page_count = 1")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.write([Change("o", {"key": bytes(10_000)}, Head(1))])
    assert settings() == ["wal", full, on, on]


def test_an_alarm_that_stays_as_it_is_adds_nothing_to_a_commit(store: Store) -> None:
    def bytes_of_a_second_commit(object_id: str, alarm_at: int | None) -> int:
        log = store.path.with_name(store.path.name + "-wal")
        store.write([Change(object_id, {"key": b"1"}, Head(1, alarm_at))])
        before = log.stat().st_size
        store.write([Change(object_id, {"key": b"2"}, Head(2, alarm_at))])
        return log.stat().st_size - before

    assert bytes_of_a_second_commit("with", 1_000) == bytes_of_a_second_commit("without", None)
    assert store.alarms() == [("with", 1_000)]


def test_p1_a_connection_opened_after_a_failure_is_used_only_once_it_is_durable(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer(store).execute("PRAGMA max_page_count = 1")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.write([Change("o", {"key": bytes(10_000)}, Head(1))])
    tries: list[sqlite3.Connection] = []

    def fail_twice(connection: sqlite3.Connection) -> None:
        tries.append(connection)
        if len(tries) <= 2:
            raise sqlite3.OperationalError("disk I/O error")
        _make_durable(connection)

    monkeypatch.setattr("durable_objects.embedded.store._make_durable", fail_twice)
    for _ in range(2):
        with pytest.raises(sqlite3.OperationalError, match="I/O"):
            store.write([Change("o", {"key": b"x"}, Head(1))])
    assert store.head("o") == Head(0)
    store.write([Change("o", {"key": b"x"}, Head(1))])
    assert (len(tries), store.head("o")) == (3, Head(1))
    assert writer(store) is tries[2]


def test_p8_a_file_that_cannot_be_opened_any_more_is_reported_without_its_path(store: Store) -> None:
    """Callers get the text; the path is for the log and for the person who starts the server."""
    writer(store).execute("PRAGMA max_page_count = 1")
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.write([Change("o", {"key": bytes(10_000)}, Head(1))])
    store.path.rename(store.path.with_suffix(".moved"))
    store.path.mkdir()
    with pytest.raises(sqlite3.OperationalError) as failed:
        store.write([Change("o", {"key": b"x"}, Head(1))])
    assert str(failed.value) == "unable to open database file"


def test_p1_a_place_where_no_write_ahead_log_can_be_kept_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite then silently uses another journal; here because there is no shared memory."""

    def connect(path: Path, **options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = sqlite3_connect(f"file:{path}?vfs=unix-none", uri=True, **options)
        return connection

    sqlite3_connect = sqlite3.connect
    monkeypatch.setattr("sqlite3.connect", connect)
    with pytest.raises(DataUnreadable, match=r"cannot keep a write-ahead log here \(its journal mode is 'delete'\)"):
        Store(tmp_path).open()


LOCKING = """
import fcntl, os, sys, time
shm = os.open(sys.argv[1], os.O_RDWR)
for lock in (120, 122):  # SQLite's WAL_WRITE_LOCK and WAL_RECOVER_LOCK
    fcntl.lockf(shm, fcntl.LOCK_EX, 1, lock)
os.pwrite(shm, bytes(range(96)), 0)  # both copies of the header, which now differ
print("locked", flush=True)
time.sleep(600)
"""


@contextmanager
def recovery_by_another_process(store: Store) -> Iterator[None]:
    command = [sys.executable, "-c", LOCKING, f"{store.path}-shm"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == "locked\n"
            yield
        finally:
            other.kill()


def test_a_read_does_not_wait_for_another_program_that_recovers_the_file(tmp_path: Path) -> None:
    """All calls would wait with it. Afterwards everything is there."""
    assert READ_BUSY_SECONDS <= 0.1

    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path) as runtime:
            ledgers = runtime.namespace("Ledger", Ledger)
            await ledgers.get("a").call(Ledger.append, "first")
            shelf = ledgers.get("shelf")
            await shelf.call(Ledger.append, "first")
            assert runtime.disk._reader is not None
            assert runtime.disk._reader.execute("PRAGMA busy_timeout").fetchone() == (1_000 * READ_BUSY_SECONDS,)
            with recovery_by_another_process(runtime.disk):
                with pytest.raises(DataBusy, match="another program has locked"):
                    await ledgers.get("b").call(Ledger.texts)
                instance = await shelf.call(Ledger.which)
                with pytest.raises(DataBusy):
                    await shelf.call(Ledger.value, key_of(1))
            assert await shelf.call(Ledger.value, key_of(1)) == b"first"
            assert await shelf.call(Ledger.which) != instance
            assert await ledgers.get("b").call(Ledger.texts) == []

    run(scenario())


def test_a_file_that_another_program_has_locked_is_refused_at_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("durable_objects.embedded.store.WRITE_BUSY_SECONDS", 0.01)
    store = Store(tmp_path)
    store.open()
    store.close()
    with closing(sqlite3.connect(store.path, isolation_level=None)) as other:
        other.executescript("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE;")
        with pytest.raises(DataLocked, match="another program has locked"):
            store.open()
    store.open()
    store.close()


def test_commits_of_many_sizes_need_few_statements(store: Store) -> None:
    _insert.cache_clear()
    for keys in range(1, 300, 5):
        store.write([Change("o", {f"{n}": b"" for n in range(keys)}, Head(1))])
    exact = len(range(2, _MAX_EXACT_ROWS + 1, 5))
    assert _insert.cache_info().currsize == exact + 3, "and those for 128, 256 and 512 rows"
    _insert.cache_clear()
    store.write([Change("o", {f"{n}": b"" for n in range(255)}, Head(1))])
    _insert(256)
    assert _insert.cache_info().currsize == 1, "256 rows need no other statement than the one for 256"


def writer(store: Store) -> sqlite3.Connection:
    assert store._writer is not None
    return store._writer


@pytest.mark.parametrize("keys", [1, 2, 60, 4_092, 4_093, 5_000, 9_000])
def test_p1_a_commit_of_any_size_is_all_there_once_it_returned(tmp_path: Path, keys: int) -> None:
    writes: dict[str, bytes | None] = {f"{n:05}": b"" for n in range(keys)}
    store = Store(tmp_path)
    store.open()
    store.write([Change("old", {"00000": b"x", "gone": b"x"}, Head(1, 5))])
    store.write([Change("old", {"00000": b"y", "gone": None}, Head(2, None)), Change("new", writes, Head(1, 7))])
    with closing(sqlite3.connect(store.path)) as other:
        assert other.execute("SELECT count(*) FROM entries WHERE object = 'new'").fetchone() == (keys,)
        assert other.execute("SELECT key, value FROM entries WHERE object = 'old'").fetchall() == [("00000", b"y")]
    assert (store.head("old"), store.head("new"), store.alarms()) == (Head(2), Head(1, 7), [("new", 7)])
    store.close()


def test_p1_a_large_commit_that_fails_half_way_leaves_nothing(store: Store) -> None:
    """It goes in by several statements, the first of which succeeds here."""
    store.write([Change("o", {"before": b""}, Head(1))])
    (pages,) = writer(store).execute("PRAGMA page_count").fetchone()
    writer(store).execute(f"PRAGMA max_page_count = {pages + 200}")
    writes: dict[str, bytes | None] = {f"{n:05}": b"" if n < 4_096 else bytes(5_000) for n in range(5_000)}
    with pytest.raises(sqlite3.OperationalError, match="full"):
        store.write([Change("o", writes, Head(2, 9))])
    assert (store.head("o"), store.list("o", "", "", 10)) == (Head(1), [("before", b"")])
    store.write([Change("o", writes, Head(2, 9))])
    assert (store.head("o"), len(store.list("o", "", "", 10_000))) == (Head(2, 9), 5_001)


def make_another_programs_file(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.executescript("PRAGMA application_id = 7; CREATE TABLE theirs (x)")


def make_a_file_without_a_stamp(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.executescript("CREATE TABLE theirs (x)")


def make_a_newer_file(path: Path) -> None:
    with closing(sqlite3.connect(path)) as file:
        file.executescript(
            f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION + 1}; CREATE TABLE new (x)"
        )


def make_no_database(path: Path) -> None:
    path.write_text("Dear diary, " * 1_000)


def make_a_damaged_file(path: Path) -> None:
    """Its first page is sound, the others are not."""

    async def scenario() -> None:
        async with EmbeddedRuntime(path.parent) as runtime:
            await runtime.namespace("Ledger", Ledger).get("a").call(Ledger.set_alarm, 2**50)

    run(scenario())
    content = path.read_bytes()
    page = int.from_bytes(content[16:18], "big")
    path.write_bytes(content[:page] + b"\xff" * (len(content) - page))


UNREADABLE = [
    (make_another_programs_file, r"written by another program \(application id 0x7\)"),
    (make_a_file_without_a_stamp, r"written by another program \(application id 0x0\)"),
    (make_a_newer_file, rf"has data version {VERSION + 1}; this program reads version {VERSION}"),
    (make_no_database, "cannot be read: file is not a database"),
    (make_a_damaged_file, "cannot be read: database disk image is malformed"),
]


@pytest.mark.parametrize(("make", "reason"), UNREADABLE)
def test_a_file_that_cannot_be_ours_is_refused_and_the_directory_is_free_again(
    tmp_path: Path, make: Callable[[Path], None], reason: str
) -> None:
    path = Store(tmp_path).path
    make(path)

    async def enter() -> Entry:
        async with EmbeddedRuntime(tmp_path) as runtime:
            return await runtime.namespace("Ledger", Ledger).get("a").call(Ledger.append, "first")

    for _ in range(2):
        with pytest.raises(DataUnreadable, match=reason) as refusal:
            run(enter())
        assert str(path) in str(refusal.value)
    for leftover in tmp_path.glob(path.name + "*"):
        leftover.unlink()
    assert run(enter()) == Entry(1, "first")


@pytest.mark.parametrize("make", [make_another_programs_file, make_a_newer_file])
def test_a_refused_file_is_left_exactly_as_it_was(tmp_path: Path, make: Callable[[Path], None]) -> None:
    """Its owner opens it again: a newer version of this program, or another one."""
    store = Store(tmp_path)
    make(store.path)
    before = store.path.read_bytes()
    with pytest.raises(DataUnreadable):
        store.open()
    assert store.path.read_bytes() == before


def test_a_copy_of_the_directory_is_a_backup(tmp_path: Path) -> None:
    """Everything is in the directory, and nothing in it knows where it lies."""
    original, copy = tmp_path / "original", tmp_path / "copy"

    async def texts(directory: Path, text: str) -> list[str]:
        async with EmbeddedRuntime(directory) as runtime:
            ledger = runtime.namespace("Ledger", Ledger).get("a")
            await ledger.call(Ledger.append, text)
            return await ledger.call(Ledger.texts)

    assert run(texts(original, "first")) == ["first"]
    shutil.copytree(original, copy)
    assert run(texts(copy, "second")) == ["first", "second"]
    assert run(texts(original, "third")) == ["first", "third"]


def test_the_log_shrinks_to_its_bound_once_another_program_has_stopped_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it reads, all that is written since stays in the log."""
    monkeypatch.setattr("durable_objects.embedded.store.MAX_IDLE_LOG_BYTES", 1_000_000)
    store = Store(tmp_path)
    store.open()
    log = tmp_path / "objects.sqlite3-wal"
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN")
    other.execute("SELECT count(*) FROM entries").fetchone()
    for seq in range(1, 2_001):
        store.write([Change("Ledger/a", {"key": b"x" * 4_000}, Head(seq))])
    assert log.stat().st_size > 4_000_000
    other.close()
    for seq in range(2_001, 2_101):
        store.write([Change("Ledger/a", {"key": b"x"}, Head(seq))])
    assert log.stat().st_size <= 1_000_000
    store.close()


# -- Data of earlier versions


def make_an_older_file(path: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedRuntime(path.parent) as runtime:
            await runtime.namespace("Ledger", Ledger).get("a").call(Ledger.append, "old")

    run(scenario())
    with closing(sqlite3.connect(path)) as file:
        file.executescript("DROP INDEX outboxes; PRAGMA user_version = 1")


def in_capitals(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE entries SET value = CAST(upper(CAST(value AS TEXT)) AS BLOB)")


def texts(directory: Path, **options: Any) -> list[str]:
    async def scenario() -> list[str]:
        async with EmbeddedRuntime(directory, **options) as runtime:
            return await runtime.namespace("Ledger", Ledger).get("a").call(Ledger.texts)

    return run(scenario())


def test_data_of_an_earlier_version_is_converted_once_by_the_programs_own_function(tmp_path: Path) -> None:
    make_an_older_file(Store(tmp_path).path)
    assert texts(tmp_path, upgrades={1: in_capitals}) == ["OLD"]
    assert texts(tmp_path) == ["OLD"]


def test_data_of_an_earlier_version_is_refused_without_a_function(tmp_path: Path) -> None:
    make_an_older_file(Store(tmp_path).path)
    rule = f"has data version 1; this program reads version {VERSION}: start one that can convert it"
    with pytest.raises(DataUnreadable, match=rule):
        texts(tmp_path)
    assert texts(tmp_path, upgrades={1: in_capitals}) == ["OLD"]


def in_capitals_then_fail(connection: sqlite3.Connection) -> None:
    in_capitals(connection)
    raise ZeroDivisionError


def in_capitals_at_once(connection: sqlite3.Connection) -> None:
    in_capitals(connection)
    connection.executescript("")  # begins with a COMMIT


def in_capitals_by_half(connection: sqlite3.Connection) -> None:
    in_capitals(connection)
    connection.execute("UPDATE entries SET value = ?")  # an error of Python's module, without a code of SQLite's


@pytest.mark.parametrize("upgrade", [in_capitals_then_fail, in_capitals_at_once, in_capitals_by_half])
def test_p1_a_conversion_that_fails_changes_nothing(tmp_path: Path, upgrade: Callable[[sqlite3.Connection], None]) -> None:
    make_an_older_file(Store(tmp_path).path)
    with pytest.raises(DataUnreadable, match="cannot be converted to data version 2, and is unchanged: "):
        texts(tmp_path, upgrades={1: upgrade})
    assert texts(tmp_path, upgrades={1: lambda _: None}) == ["old"]


def test_p1_a_conversion_is_synced_to_the_disk(tmp_path: Path) -> None:
    make_an_older_file(Store(tmp_path).path)
    found: list[tuple[Any, ...]] = []

    def look(connection: sqlite3.Connection) -> None:
        found.extend(connection.execute(f"PRAGMA {name}").fetchone() for name in ("journal_mode", "synchronous", "fullfsync"))

    store = Store(tmp_path, {1: look})
    store.open()
    store.close()
    assert found == [("wal",), (2,), (1,)]
