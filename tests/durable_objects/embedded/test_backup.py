"""Backups of a data file that is being written: each is one committed state, checked, and whole or not there at all."""

import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

import pytest

from durable_objects import DataExists, DataUnreadable
from durable_objects.disk import Change, Head
from durable_objects.embedded.backup import MANIFEST, PARTIAL, Manifest, read_manifest, write_backup
from durable_objects.embedded.restore import is_copy, restore, restore_in_place
from durable_objects.embedded.snapshot import SnapshotSource
from durable_objects.embedded.store import FILE, VERSION, Store
from durable_objects.embedded.transfer import EmbeddedSource
from scenario import run


def commit(store: Store, number: int) -> None:
    """A commit whose every row has its number."""
    value = b"%d" % number * 500
    store.write(
        [Change(name, {"first": value, f"row {number % 50}": value}, Head(number, None)) for name in ("Box/a", "Box/b")]
    )


def numbers(file: Path) -> set[int]:
    """The numbers that a file has of its last commit; one of them if it is a whole commit."""
    with closing(sqlite3.connect(file)) as connection:
        found = {seq for (seq,) in connection.execute("SELECT seq FROM heads WHERE object <> ''")}
        values = connection.execute("SELECT value FROM entries WHERE key = 'first'").fetchall()
    return found | {int(value[: len(value) // 500]) for (value,) in values}


def back_up(data: Path, target: Path, time: int = 1_000) -> Manifest:
    with SnapshotSource(data, lambda: time) as source:
        return write_backup(
            source.read(),
            target,
            made_by="a test",
            describe=lambda _: {"fact": "true"},
            readme=lambda manifest: f"made {manifest.made_at}",
        )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """A data file that is open."""
    (tmp_path / "data").mkdir()
    store = Store(tmp_path / "data")
    store.open()
    commit(store, 1)
    yield store
    store.close()


def test_p1_each_of_many_backups_of_a_busy_file_is_one_commit(tmp_path: Path, store: Store) -> None:
    """While a thread commits without a pause, and SQLite folds its log into the file now and then."""
    stop, ended = Event(), list[int]()

    def keep_writing() -> None:
        number = 1
        while not stop.is_set():
            number += 1
            commit(store, number)
        ended.append(number)

    writer = Thread(target=keep_writing)
    writer.start()
    try:
        seen = []
        for number in range(20):
            manifest = back_up(tmp_path / "data", tmp_path / str(number))
            (commit_number,) = numbers(tmp_path / str(number) / FILE)
            assert manifest.objects == {"Box/a": commit_number, "Box/b": commit_number}
            seen.append(commit_number)
    finally:
        stop.set()
        writer.join()
    assert seen == sorted(seen)
    assert 1 <= seen[-1] <= ended[0]


def test_p1_a_backup_has_all_that_was_committed_before_it_and_changes_nothing(tmp_path: Path, store: Store) -> None:
    commit(store, 2)
    files = {path: path.read_bytes() for path in (tmp_path / "data").iterdir() if not path.name.endswith("-shm")}
    manifest = back_up(tmp_path / "data", tmp_path / "new" / "backup", time=1_795_760_170_332)
    assert {path: path.read_bytes() for path in files} == files
    assert numbers(tmp_path / "new" / "backup" / FILE) == {2}
    assert manifest.made_at == "2026-11-27T06:16:10.332Z"
    assert (manifest.data_version, manifest.facts) == (VERSION, {"fact": "true"})
    assert manifest == read_manifest(tmp_path / "new" / "backup")
    assert (tmp_path / "new" / "backup" / "README.txt").read_text() == "made 2026-11-27T06:16:10.332Z"


@pytest.mark.parametrize("end", ["closed", "killed"])
def test_p1_data_that_no_process_uses_is_backed_up_with_its_log(tmp_path: Path, store: Store, end: str) -> None:
    data = tmp_path / "data"
    if end == "closed":
        store.close()
        assert not (data / f"{FILE}-wal").exists()
    else:
        data = tmp_path / "left"
        data.mkdir()
        for path in (tmp_path / "data").iterdir():
            (data / path.name).write_bytes(path.read_bytes())
        (data / f"{FILE}-shm").unlink()
    back_up(data, tmp_path / "backup")
    assert numbers(tmp_path / "backup" / FILE) == {1}
    again = Store(data)
    again.open()
    assert again.head("Box/a") == Head(1, None)
    again.close()


def test_a_source_knows_whether_anything_was_committed_since_its_last_read(tmp_path: Path, store: Store) -> None:
    with SnapshotSource(tmp_path / "data") as source:
        assert source.is_changed()
        first = source.read()
        assert not source.is_changed()
        commit(store, 2)
        assert source.is_changed()
        assert source.read() != first
        store.close()
        (tmp_path / "data").rename(tmp_path / "old")
        with pytest.raises(DataUnreadable, match="has no data"):
            source.read()
        (tmp_path / "data").mkdir()
        other = Store(tmp_path / "data")
        other.open()
        commit(other, 7)
        assert source.is_changed(), "another file has its place now"
        (tmp_path / "copy").write_bytes(source.read().content)
        other.close()
    assert numbers(tmp_path / "copy") == {7}


def test_p1_a_restore_makes_the_same_data_with_what_the_program_changes(tmp_path: Path, store: Store) -> None:
    back_up(tmp_path / "data", tmp_path / "backup")
    commit(store, 2)

    def change(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE heads SET seq = 100")

    (tmp_path / "backup" / "note").write_text("kept")
    restore(
        tmp_path / "backup",
        tmp_path / "a" / "new",
        change=change,
        beside=[tmp_path / "backup" / name for name in ("note", "none")],
    )
    assert sorted(path.name for path in (tmp_path / "a" / "new").iterdir()) == ["note", FILE]
    restored = Store(tmp_path / "a" / "new")
    restored.open()
    assert restored.head("Box/a") == Head(100, None)
    assert restored.get("Box/a", "first") == b"1" * 500
    restored.close()
    with pytest.raises(DataExists, match="new exists already; a restore makes a new directory"):
        restore(tmp_path / "backup", tmp_path / "a" / "new", change=change)


def test_a_copy_made_by_hand_is_no_data_until_it_is_restored_once(tmp_path: Path, store: Store) -> None:
    assert store.path.exists()
    back_up(tmp_path / "data", tmp_path / "backup")
    copy = tmp_path / "copy"
    copy.mkdir()
    shutil.copy(tmp_path / "backup" / FILE, copy)

    async def export() -> None:
        async with EmbeddedSource(copy):
            pass

    assert is_copy(copy)
    with pytest.raises(DataUnreadable, match="is a copy from a backup, which nobody has restored"):
        Store(copy).open()
    with pytest.raises(DataUnreadable, match="is a copy from a backup, which nobody has restored"):
        run(export())

    def change(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE heads SET seq = seq + 100")

    for _ in range(2):
        restore_in_place(copy, change)
        assert not is_copy(copy)
    restored = Store(copy)
    restored.open()
    assert restored.head("Box/a") == Head(101, None)
    restored.close()
    with pytest.raises(DataUnreadable, match="is a backup, which a server would change"):
        restore_in_place(tmp_path / "backup", change)


def test_p1_when_the_change_fails_nothing_is_left(tmp_path: Path, store: Store) -> None:
    assert store.path.exists()
    back_up(tmp_path / "data", tmp_path / "backup")

    def change(connection: sqlite3.Connection) -> None:
        connection.execute("UPDATE heads SET seq = 100")
        raise OSError("broken")

    with pytest.raises(OSError, match="broken"):
        restore(tmp_path / "backup", tmp_path / "new", change=change)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup", "data"]


def test_p1_a_backup_that_was_changed_or_cut_is_refused_by_name(tmp_path: Path, store: Store) -> None:
    assert store.path.exists()
    back_up(tmp_path / "data", tmp_path / "backup")
    file = tmp_path / "backup" / FILE
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[-100] ^= 1
    for content, why in ((whole[:-1], "bytes, and had"), (bytes(flipped), "was changed after it was made")):
        file.write_bytes(content)
        with pytest.raises(DataUnreadable, match=why):
            restore(tmp_path / "backup", tmp_path / "new", change=lambda _: None)
        assert not (tmp_path / "new").exists()


def test_p1_damaged_data_is_noticed_when_it_is_backed_up(tmp_path: Path, store: Store) -> None:
    for number in range(2, 200):
        commit(store, number)
    store.close()
    file = tmp_path / "data" / FILE
    damaged = bytearray(file.read_bytes())
    damaged[4_096 * 3 : 4_096 * 5] = b"\xff" * 8_192
    file.write_bytes(damaged)
    with pytest.raises(DataUnreadable, match="damaged"):
        back_up(tmp_path / "data", tmp_path / "backup")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["data"]


def test_p8_what_is_no_backup_is_refused(tmp_path: Path, store: Store) -> None:
    assert store.path.exists()
    for name in ("data", "none"):
        with pytest.raises(DataUnreadable, match=f"{name} is no backup: it has no {MANIFEST}"):
            read_manifest(tmp_path / name)
    back_up(tmp_path / "data", tmp_path / "backup")
    with pytest.raises(DataExists, match="backup exists already; choose another name"):
        back_up(tmp_path / "data", tmp_path / "backup")
    manifest = tmp_path / "backup" / MANIFEST
    later = json.loads(manifest.read_text()) | {"version": 99}
    for text, why in ((json.dumps(later), "has the format 99"), ("{}", "is no manifest of a backup")):
        manifest.write_text(text)
        with pytest.raises(DataUnreadable, match=why):
            read_manifest(tmp_path / "backup")
    (tmp_path / "backup").rename(tmp_path / f"backup{PARTIAL}")
    with pytest.raises(DataUnreadable, match="was not finished"):
        read_manifest(tmp_path / f"backup{PARTIAL}")


def test_p8_a_file_of_another_program_is_no_data(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE)) as connection:
        connection.execute("CREATE TABLE other (x)")
    with pytest.raises(DataUnreadable, match="was written by another program"):
        back_up(tmp_path, tmp_path / "backup")
    (tmp_path / FILE).write_text("no file of SQLite at all, but long enough to be read as one")
    with pytest.raises(DataUnreadable, match="cannot be read: file is not a database"):
        back_up(tmp_path, tmp_path / "backup")
