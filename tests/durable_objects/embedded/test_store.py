"""The SQLite file: all or nothing, fsynced, and refused when it is not ours."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from ledger import Entry, Ledger

from durable_objects import DataUnreadable
from durable_objects.commits import Change
from durable_objects.embedded import EmbeddedRuntime
from durable_objects.embedded.store import APPLICATION_ID, VERSION, Store
from durable_objects.live import Head
from scenario import run


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path)
    store.open()
    yield store
    store.close()


def test_p1_every_connection_that_commits_waits_for_the_disk(store: Store) -> None:
    """Loss of power takes nothing back: the log is synced with every commit, also after a failure had it opened anew."""

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


def writer(store: Store) -> sqlite3.Connection:
    assert store._writer is not None
    return store._writer


@pytest.mark.parametrize("keys", [1, 2, 4_095, 4_096, 5_000, 9_000])
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


@pytest.mark.parametrize(("make", "told"), UNREADABLE)
def test_a_file_that_can_not_be_ours_is_refused_with_the_reason_and_the_directory_is_free_again(
    tmp_path: Path, make: Callable[[Path], None], told: str
) -> None:
    path = Store(tmp_path).path
    make(path)

    async def enter() -> Entry:
        async with EmbeddedRuntime(tmp_path) as runtime:
            return await runtime.namespace("Ledger", Ledger).get("a").call(Ledger.append, "first")

    for _ in range(2):
        with pytest.raises(DataUnreadable, match=told) as refusal:
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
