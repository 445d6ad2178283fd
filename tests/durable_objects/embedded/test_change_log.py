"""What follows a backup: each state comes back exactly, and whatever is damaged or missing is found out."""

import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_backup import commit, numbers

from durable_objects import DataUnreadable
from durable_objects.embedded.backup import Manifest, write_backup
from durable_objects.embedded.change_log import Following, Step, step_paths
from durable_objects.embedded.restore import restore
from durable_objects.embedded.snapshot import Snapshot, SnapshotSource
from durable_objects.embedded.store import FILE, Store


def backed_up(source: SnapshotSource, target: Path) -> Manifest:
    return write_backup(source.read(), target, made_by="a test", describe=lambda _: {}, readme=lambda _: "")


def content_at(backup: Path, directory: Path, at: int | None = None) -> bytes:
    """The bytes of the data that is restored, before the program changes anything."""
    seen: list[bytes] = []
    restore(backup, directory, at=at, change=lambda connection: seen.append(connection.serialize()))
    shutil.rmtree(directory)
    return without_journal_mode(seen[0])


def without_journal_mode(content: bytes) -> bytes:
    """Without the bytes that a change of the journal mode writes: the mode, and counters of such changes."""
    return content[:18] + bytes(2) + content[20:24] + bytes(4) + content[28:92] + bytes(8) + content[100:]


class Series(NamedTuple):
    """A backup with three states after it, and a store that has the last of them."""

    backup: Path
    manifest: Manifest
    store: Store
    steps: list[Step]
    snapshots: list[Snapshot]


@pytest.fixture
def series(tmp_path: Path) -> Iterator[Series]:
    (tmp_path / "data").mkdir()
    store = Store(tmp_path / "data")
    store.open()
    commit(store, 1)
    clock = iter(range(1_000, 100_000, 500))
    with SnapshotSource(tmp_path / "data", lambda: next(clock)) as source:
        manifest = backed_up(source, tmp_path / "backup")
        following = Following(tmp_path / "backup", manifest)
        steps, snapshots = [], []
        for number in (2, 3, 4):
            commit(store, number)
            snapshots.append(source.read())
            step = following.append(snapshots[-1])
            assert step is not None
            steps.append(step)
    yield Series(tmp_path / "backup", manifest, store, steps, snapshots)
    store.close()


Action = tuple[str, int]
ACTIONS = st.lists(
    st.tuples(st.sampled_from(["write", "remove", "fold", "vacuum", "reopen", "follow", "resume"]), st.integers(0, 40)),
    min_size=5,
    max_size=25,
)


class File:
    """A data file to which anything may happen."""

    def __init__(self, data: Path, randomness: random.Random) -> None:
        data.mkdir()
        self._path = data / FILE
        self._store = Store(data)
        self._store.open()
        self._random = randomness
        self._number = 0
        self.close = self._store.close
        self.write(1)

    def write(self, amount: int) -> None:
        for _ in range(amount):
            self._number += 1
            commit(self._store, self._number)
            self._run("REPLACE INTO entries VALUES ('Box/a', ?, ?)", str(self._number), self._random.randbytes(900))

    def remove(self, amount: int) -> None:
        self._run("DELETE FROM entries WHERE key < ?", str(amount))

    def fold(self, _: int) -> None:
        self._run("PRAGMA wal_checkpoint(TRUNCATE)")

    def vacuum(self, _: int) -> None:
        self._run("VACUUM")

    def reopen(self, _: int) -> None:
        self._store.close()
        self._store.open()

    def _run(self, statement: str, *parameters: str | bytes) -> None:
        """Another process does something."""
        with closing(sqlite3.connect(self._path, isolation_level=None)) as connection:
            connection.execute(statement, parameters)


@given(actions=ACTIONS, seed=st.integers(0, 2**32))
def test_p1_every_state_that_was_appended_comes_back_exactly(actions: list[Action], seed: int) -> None:
    """Whatever happens to the file: it grows and shrinks, its log begins again, processes come and go."""
    ticks = iter(range(10, 10_000))
    with TemporaryDirectory() as name:
        root = Path(name)
        file, backup = File(root / "data", random.Random(seed)), root / "backup"
        with SnapshotSource(root / "data", lambda: next(ticks)) as source, closing(file):
            manifest = backed_up(source, backup)
            following = Following(backup, manifest)
            states = {manifest.until: (backup / FILE).read_bytes()}
            for action, amount in [*actions, ("follow", 0)]:
                if action == "resume":
                    following = Following(backup, manifest)
                elif action == "follow":
                    snapshot = source.read()
                    step = following.append(snapshot)
                    assert (step is None) == (snapshot.content == states[max(states)])
                    if step is not None:
                        states[step.until] = snapshot.content
                else:
                    getattr(file, action)(amount)
        for at, content in states.items():
            assert content_at(backup, root / "new", at) == without_journal_mode(content)
        assert content_at(backup, root / "new") == without_journal_mode(states[max(states)])


def test_p1_a_state_is_restored_by_the_time_after_which_nothing_in_it_was_committed(tmp_path: Path, series: Series) -> None:
    times = [series.manifest.until, *(step.until for step in series.steps)]
    for number, until in enumerate(times, 1):
        for at in (until, until + 499):
            restored = restore(series.backup, tmp_path / f"{at}", at=at, change=lambda _: None)
            assert numbers(tmp_path / f"{at}" / FILE) == {number}
            assert (restored.steps, restored.time) == (number - 1, until - 500)
    with pytest.raises(DataUnreadable, match=r"backup is of 1970-01-01T00:00:01.500Z, after 1970-01-01T00:00:01.499Z"):
        restore(series.backup, tmp_path / "early", at=times[0] - 1, change=lambda _: None)


def test_p1_a_step_says_between_which_times_its_state_was_the_last(series: Series) -> None:
    """All that was durable before ``time`` is in it, and nothing that was committed after ``until``."""
    assert [(step.number, step.time, step.until) for step in series.steps] == [
        (1, 2_000, 2_500),
        (2, 3_000, 3_500),
        (3, 4_000, 4_500),
    ]


def test_p1_when_the_clock_steps_back_the_last_state_at_that_time_is_restored(tmp_path: Path, series: Series) -> None:
    following = Following(series.backup, series.manifest)
    for number, until in ((5, 90_000), (6, 5_000), (7, 5_500)):
        commit(series.store, number)
        with SnapshotSource(series.store.path.parent) as source:
            following.append(source.read()._replace(time=until - 1, until=until))
    for at, number in ((4_999, 4), (5_000, 6), (89_999, 7)):
        restore(series.backup, tmp_path / f"{at}", at=at, change=lambda _: None)
        assert numbers(tmp_path / f"{at}" / FILE) == {number}


def flipped(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_p1_a_step_that_was_changed_anywhere_or_cut_is_refused_by_name(tmp_path: Path, series: Series) -> None:
    path = step_paths(series.backup)[1]
    whole = path.read_bytes()
    good = "; the last state before it is of 1970-01-01T00:00:02.500Z"
    for at in (0, 63, 64, 65, 100, len(whole) // 2, len(whole) - 1):
        flipped(path, at)
        with pytest.raises(DataUnreadable, match=f"{path} was cut or changed after it was made{good}"):
            restore(series.backup, tmp_path / "new", change=lambda _: None)
        path.write_bytes(whole)
    path.write_bytes(whole[:-1])
    with pytest.raises(DataUnreadable, match="was cut or changed"):
        Following(series.backup, series.manifest)
    assert not (tmp_path / "new").exists()
    restore(series.backup, tmp_path / "new", at=2_500, change=lambda _: None)
    assert numbers(tmp_path / "new" / FILE) == {2}, "what is before it can still be restored"


def test_p1_a_step_that_is_missing_or_of_another_backup_is_refused(tmp_path: Path, series: Series) -> None:
    first, second, third = step_paths(series.backup)
    kept = second.read_bytes()
    second.unlink()
    with pytest.raises(DataUnreadable, match=f"{second} is missing"):
        restore(series.backup, tmp_path / "new", change=lambda _: None)
    second.write_bytes(third.read_bytes())
    with pytest.raises(DataUnreadable, match=f"{second} does not follow the file before it"):
        restore(series.backup, tmp_path / "new", change=lambda _: None)
    second.write_bytes(kept)
    third.unlink()
    restore(series.backup, tmp_path / "new", change=lambda _: None)
    assert numbers(tmp_path / "new" / FILE) == {3}
    with SnapshotSource(series.store.path.parent) as source:
        backed_up(source, tmp_path / "other")
    shutil.copytree(series.backup / "changes", tmp_path / "other" / "changes")
    with pytest.raises(DataUnreadable, match="does not follow"):
        restore(tmp_path / "other", tmp_path / "another", change=lambda _: None)
    assert first.exists()


def test_p1_a_step_that_could_not_be_written_is_not_there_and_the_next_one_has_it(
    tmp_path: Path, series: Series, monkeypatch: pytest.MonkeyPatch
) -> None:
    following = Following(series.backup, series.manifest)
    commit(series.store, 5)
    with SnapshotSource(series.store.path.parent) as source:
        with monkeypatch.context() as patched:
            patched.setattr("durable_objects.embedded.change_log.put_in_place", raise_full)
            with pytest.raises(OSError, match="full"):
                following.append(source.read())
        assert len(list((series.backup / "changes").iterdir())) == 3
        commit(series.store, 6)
        following.append(source.read())
    restore(series.backup, tmp_path / "new", change=lambda _: None)
    assert numbers(tmp_path / "new" / FILE) == {6}


def raise_full(*_: object) -> None:
    raise OSError(28, "full")


def test_a_state_without_changes_makes_no_step(series: Series) -> None:
    following = Following(series.backup, series.manifest)
    with SnapshotSource(series.store.path.parent) as source:
        assert following.append(source.read()) is None
    with pytest.raises(DataUnreadable, match="has pages of 8192 bytes"):
        following.append(series.snapshots[-1]._replace(page_size=8_192))


def applied(series: Series, copy: Path, *until: int) -> subprocess.CompletedProcess[str]:
    shutil.copy(series.backup / FILE, copy)
    command = [sys.executable, "-I", "-S", str(series.backup / "apply_changes.py"), str(copy), *map(str, until)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_p1_the_script_in_a_backup_applies_the_changes_without_this_program(tmp_path: Path, series: Series) -> None:
    copy = tmp_path / "copy"
    for until, snapshot in zip((2_500, 3_500, 4_500), series.snapshots, strict=True):
        assert applied(series, copy, until + 499).returncode == 0
        assert copy.read_bytes() == snapshot.content
    assert applied(series, copy).returncode == 0
    assert copy.read_bytes() == series.snapshots[-1].content
    _, second, third = step_paths(series.backup)
    flipped(third, 200)
    assert applied(series, copy).stderr == f"{third} was cut or changed; what is before it has been applied\n"
    second.unlink()
    flipped(third, 200)
    assert applied(series, copy).stderr == f"a file is missing before {third}; what is before that has been applied\n"
    assert copy.read_bytes() == series.snapshots[0].content
