"""``sww backup --every``: backups when they are due, the changes in between, and what goes wrong meanwhile."""

import errno
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from test_backup_restore import ran
from test_migrate import a_post, fill, on

from durable_objects import DataUnreadable
from durable_objects.embedded.backup import PARTIAL, shown
from durable_objects.embedded.change_log import step_paths
from durable_objects.embedded.snapshot import SnapshotSource
from saywhatwant import last_backup
from saywhatwant.commands import erasures
from saywhatwant.commands.backup import USUAL_KEEP, beside_of, make_backup, note
from saywhatwant.commands.backup_loop import FOLLOW_SECONDS, Loop
from saywhatwant.commands.backup_schedule import HOUR_MS, Keep
from saywhatwant.commands.backup_series import Series, complete_backups
from saywhatwant.message import decode_list
from saywhatwant.settings import Settings
from saywhatwant.topology import Wall

HOUR = timedelta(hours=1)


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = 1_795_780_800_000

    def __call__(self) -> int:
        return self.now


class Backups:
    """A series of backups under ``copies``, of the data under ``data``."""

    def __init__(self, directory: Path, clock: Clock, source: SnapshotSource, keep: Keep) -> None:
        settings = Settings(data=directory / "data")
        self.copies = directory / "copies"
        self.copies.mkdir(exist_ok=True)
        series = Series(self.copies, source, partial(make_backup, data=settings.data), beside_of(settings.data))
        noted = partial(note, settings=settings, target=self.copies, follows=True)
        self.loop = Loop(series, every=HOUR, keep=keep, note=noted, clock=clock)

    @property
    def paths(self) -> list[Path]:
        return [path for _, path in complete_backups(self.copies)]

    @property
    def steps(self) -> list[int]:
        """How many states follow each backup."""
        return [len(step_paths(path)) for path in self.paths]


@contextmanager
def backups_of(directory: Path, clock: Clock, keep: Keep = USUAL_KEEP) -> Iterator[Backups]:
    with SnapshotSource(directory / "data", clock, erasures.note_of) as source:
        yield Backups(directory, clock, source, keep)


def say(directory: Path, text: str) -> None:
    async def post(wall: Wall) -> None:
        await wall.post(a_post(text))

    on(directory / "data", "single", post)


def texts_at(directory: Path, clock: Clock | None = None) -> list[str]:
    """What the wall said at a time, or last."""

    async def read(wall: Wall) -> list[str]:
        return [message.text for message in decode_list((await wall.read(newest_first=False)).body)]

    at = () if clock is None else ("--at", shown(clock.now))
    ran(directory, "restore", "--from", "copies", *at, "--data", "restored")
    found: list[str] = on(directory / "restored", "single", read)
    shutil.rmtree(directory / "restored")
    return found


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_p1_each_turn_appends_what_was_committed_since_the_last_one(tmp_path: Path, clock: Clock) -> None:
    assert FOLLOW_SECONDS <= 5
    say(tmp_path, "first")
    with backups_of(tmp_path, clock) as backups:
        backups.loop.begin()
        for number, text in enumerate(("second", "third", "fourth"), 1):
            say(tmp_path, text)
            clock.now += 5_000
            backups.loop.turn()
            assert backups.steps == [number]
            assert texts_at(tmp_path)[-1] == text
    clock.now -= 5_000
    assert texts_at(tmp_path, clock) == ["first", "second", "third"]


def test_a_turn_without_changes_writes_nothing_but_the_time_up_to_which_all_is_safe(tmp_path: Path, clock: Clock) -> None:
    say(tmp_path, "first")
    with backups_of(tmp_path, clock) as backups:
        backups.loop.begin()
        before = sorted(backups.copies.rglob("*"))
        clock.now += 5_000
        backups.loop.turn()
        assert sorted(backups.copies.rglob("*")) == before
        assert last_backup.read(tmp_path / "data") == last_backup.LastBackup(clock.now, str(backups.copies), follows=True)


def test_a_backup_is_made_when_it_is_due_and_one_only_after_a_long_sleep(tmp_path: Path, clock: Clock) -> None:
    say(tmp_path, "first")
    with backups_of(tmp_path, clock) as backups:
        backups.loop.begin()
        clock.now += HOUR_MS - 1
        backups.loop.turn()
        assert len(backups.paths) == 1
        clock.now += 10 * HOUR_MS
        for _ in range(3):
            backups.loop.turn()
        assert len(backups.paths) == 2


def test_p1_after_a_backup_made_while_the_clock_was_ahead_the_newest_is_still_followed_kept_and_restored(
    tmp_path: Path, clock: Clock
) -> None:
    say(tmp_path, "first")
    clock.now += 48 * HOUR_MS
    with backups_of(tmp_path, clock, Keep(3, 0, 0)) as backups:
        backups.loop.begin()
        clock.now -= 48 * HOUR_MS
        for number in range(3):
            say(tmp_path, f"at {number}")
            clock.now += HOUR_MS
            backups.loop.turn()
            say(tmp_path, f"after {number}")
            clock.now += 5_000
            backups.loop.turn()
            assert texts_at(tmp_path)[-1] == f"after {number}"
        assert backups.steps == [0, 1, 1, 1]
        assert [manifest.number for manifest, _ in complete_backups(backups.copies)] == [1, 2, 3, 4]
    with backups_of(tmp_path, clock) as backups:
        backups.loop.begin()
        assert len(backups.paths) == 4
    clock.now -= HOUR_MS + 5_000
    assert texts_at(tmp_path, clock)[-1] == "after 1"


def test_p1_a_backup_made_by_hand_among_those_of_a_series_is_neither_removed_nor_followed(tmp_path: Path, clock: Clock) -> None:
    say(tmp_path, "first")
    with backups_of(tmp_path, clock, Keep(0, 0, 0)) as backups:
        backups.loop.begin()
        say(tmp_path, "second")
        ran(tmp_path, "backup", "--data", "data", "--to", "copies/before-the-upgrade")
        clock.now += HOUR_MS
        backups.loop.turn()
        assert [path.name for path in backups.paths][:-1] == ["before-the-upgrade"]
        say(tmp_path, "third")
        clock.now += 5_000
        backups.loop.turn()
        assert backups.steps == [0, 1]
    with backups_of(tmp_path, clock) as backups:
        backups.loop.begin()
        assert backups.steps == [0, 1]
        assert texts_at(tmp_path)[-1] == "third"


def test_p1_a_process_that_starts_again_goes_on_with_the_newest_backup(
    tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    say(tmp_path, "first")
    with backups_of(tmp_path, clock) as backups:
        backups.loop.begin()
        say(tmp_path, "second")
        clock.now += 5_000
        backups.loop.turn()
    say(tmp_path, "third")
    left = [backups.copies / f"a{PARTIAL}", backups.paths[0] / "changes" / f"00000002{PARTIAL}"]
    left[0].mkdir()
    left[1].write_text("half a step")
    clock.now += 5_000
    capsys.readouterr()
    with backups_of(tmp_path, clock) as backups:
        backups.loop.begin()
        assert backups.steps == [2]
        assert re.fullmatch(r"going on with the backup of [\dT:.-]+Z\n", capsys.readouterr().out)
        assert not any(path.exists() for path in left)
        assert texts_at(tmp_path) == ["first", "second", "third"]


def test_p1_when_the_newest_backup_is_damaged_a_new_one_is_made(tmp_path: Path, clock: Clock) -> None:
    say(tmp_path, "first")
    with backups_of(tmp_path, clock) as backups:
        backups.loop.begin()
        say(tmp_path, "second")
        clock.now += 5_000
        backups.loop.turn()
        step_paths(backups.paths[0])[0].write_text("damaged")
    clock.now += 5_000
    with backups_of(tmp_path, clock) as backups:
        backups.loop.begin()
        assert len(backups.paths) == 2
        assert texts_at(tmp_path) == ["first", "second"]


def test_p1_old_backups_are_removed_and_those_of_days_lose_what_followed_them(
    tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    say(tmp_path, "first")
    with backups_of(tmp_path, clock, Keep(3, 2, 0)) as backups:
        backups.loop.begin()
        for number in range(30):
            say(tmp_path, f"at {number}")
            clock.now += 5_000
            backups.loop.turn()
            clock.now += HOUR_MS
            backups.loop.turn()
        assert backups.steps == [0, 1, 1, 0]
        assert capsys.readouterr().out.count("removed ") == 27
        assert not list(backups.copies.rglob(f"*{PARTIAL}"))
        assert texts_at(tmp_path)[-1] == "at 29"


def test_p1_a_removal_that_a_crash_has_ended_leaves_no_backup_that_looks_complete(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    say(tmp_path, "first")
    with backups_of(tmp_path, clock, Keep(0, 0, 0)) as backups:
        backups.loop.begin()
        old = backups.paths
        clock.now += HOUR_MS
        monkeypatch.setattr("saywhatwant.commands.backup_series.shutil.rmtree", lambda _: None)
        backups.loop.turn()
        monkeypatch.undo()
        assert len(backups.paths) == 1
        assert backups.paths != old
        assert list(backups.copies.glob(f"*{PARTIAL}"))
    with backups_of(tmp_path, clock) as backups:
        backups.loop.begin()
        assert not list(backups.copies.glob(f"*{PARTIAL}"))


def test_p1_what_could_not_be_written_is_said_once_and_written_by_a_later_turn(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    say(tmp_path, "first")
    with backups_of(tmp_path, clock) as backups:
        backups.loop.begin()
        say(tmp_path, "second")
        safe = last_backup.read(tmp_path / "data")

        def full(*_: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        with monkeypatch.context() as patched:
            patched.setattr("durable_objects.embedded.change_log.put_in_place", full)
            for _ in range(3):
                clock.now += 5_000
                backups.loop.turn()
        assert backups.steps == [0]
        assert last_backup.read(tmp_path / "data") == safe, "nothing says that more is safe than is"
        backups.loop.turn()
        assert capsys.readouterr().err.splitlines() == [
            "sww: not backed up, trying again: [Errno 28] No space left on device",
            "sww: backed up again",
        ]
        assert backups.steps == [1]
        assert texts_at(tmp_path) == ["first", "second"]


@pytest.mark.parametrize("gone", ["*", "*/manifest.json", "*/objects.sqlite3", "*/changes"])
@pytest.mark.parametrize("texts", [["first", "second"], ["first", "second", "third"]])
def test_p1_when_the_backup_that_is_followed_is_gone_this_is_said_and_a_new_one_is_made(
    tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str], gone: str, texts: list[str]
) -> None:
    say(tmp_path, "first")
    with backups_of(tmp_path, clock) as backups:
        backups.loop.begin()
        say(tmp_path, "second")
        backups.loop.turn()
        safe = last_backup.read(tmp_path / "data")
        (path,) = backups.copies.glob(gone)
        path.unlink() if path.is_file() else shutil.rmtree(path)
        for text in texts[2:]:
            say(tmp_path, text)
        clock.now += 5_000
        backups.loop.turn()
        assert last_backup.read(tmp_path / "data") == safe, "nothing says that more is safe than is"
        (said,) = capsys.readouterr().err.splitlines()
        assert re.fullmatch(r"sww: not backed up, trying again: \S+ is gone, and a new backup is needed", said)
        backups.loop.turn()
        assert capsys.readouterr().err == "sww: backed up again\n"
        assert last_backup.read(tmp_path / "data") != safe
        assert texts_at(tmp_path) == texts


@pytest.mark.parametrize("started_again", [0, 1])
def test_p1_while_there_is_no_room_for_a_new_backup_the_last_one_is_followed_and_tries_grow_rarer(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], started_again: int
) -> None:
    say(tmp_path, "first")
    with backups_of(tmp_path, clock) as backups:
        backups.loop.begin()
    with backups_of(tmp_path, clock) as backups:
        if not started_again:
            backups.loop.begin()
        clock.now += HOUR_MS
        tries: list[int] = []
        with monkeypatch.context() as patched:

            def full(*_: object, **__: object) -> None:
                tries.append(turn)
                raise OSError(errno.ENOSPC, "No space left on device")

            patched.setattr("saywhatwant.commands.backup.write_backup", full)
            for turn in range(20):
                if turn in {0, 3}:
                    say(tmp_path, f"in turn {turn}")
                if turn == 0 and started_again:
                    backups.loop.begin()
                else:
                    backups.loop.turn()
                note = last_backup.read(tmp_path / "data")
                assert note is not None
                assert note.time == clock.now
                clock.now += 5_000
        assert tries == [0, 2, 6, 14]
        assert backups.steps == [2]
        assert texts_at(tmp_path) == ["first", "in turn 0", "in turn 3"]
        said = capsys.readouterr().err
        assert "sww: not backed up, trying again: all is in the backup of 2026-11-27T" in said
        assert ", but no new one can be made: no room for " in said
        for _ in range(20):
            backups.loop.turn()
        assert len(backups.paths) == 2
        assert capsys.readouterr().err == "sww: backed up again\n"


def test_p1_what_cannot_be_read_among_the_backups_is_named_and_skipped(
    tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As ``lost+found`` at the root of a disk, which only root may read."""
    say(tmp_path, "first")
    read = Path.read_bytes

    def denied(path: Path) -> bytes:
        if path.parent.name == "lost+found":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", denied)
    with backups_of(tmp_path, clock) as backups:
        (backups.copies / "lost+found").mkdir()
        backups.loop.begin()
        skipped = f"sww: skipped {backups.copies / 'lost+found'}, which cannot be read: Permission denied\n"
        assert capsys.readouterr().err == skipped
        clock.now += HOUR_MS
        backups.loop.turn()
        assert capsys.readouterr().err == "", "it is said at the start only"
    assert texts_at(tmp_path) == ["first"]


def test_p1_when_the_newest_backup_has_lost_its_data_a_new_one_is_made(
    tmp_path: Path, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    say(tmp_path, "first")
    with backups_of(tmp_path, clock) as backups:
        backups.loop.begin()
        (backups.paths[0] / "objects.sqlite3").unlink()
        lost = backups.paths[0]
    with backups_of(tmp_path, clock) as backups:
        backups.loop.begin()
        assert f"sww: a new backup is made, since {lost} cannot be followed" in capsys.readouterr().err
        assert texts_at(tmp_path) == ["first"]


def test_p8_what_is_wrong_at_the_start_ends_it(tmp_path: Path, clock: Clock) -> None:
    on(tmp_path / "data", "single", fill)
    with backups_of(tmp_path, clock) as backups:
        shutil.rmtree(tmp_path / "data")
        with pytest.raises(DataUnreadable, match="has no data"):
            backups.loop.begin()
        assert not list(backups.copies.iterdir())
