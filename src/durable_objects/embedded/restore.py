"""A new data directory, made from a backup and what was committed after it."""

import shutil
import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from durable_objects.embedded.backup import MANIFEST, PARTIAL, Manifest, check_file, read_manifest, remove_partial, shown
from durable_objects.embedded.change_log import Step, apply, check_state, read_steps
from durable_objects.embedded.lock import DirectoryLock
from durable_objects.embedded.snapshot import APPLICATION_ID_AT, check_integrity
from durable_objects.embedded.store import APPLICATION_ID, COPY_ID, FILE, Upgrade, run_upgrade
from durable_objects.errors import DataExists, DataUnreadable
from durable_objects.files import give_to_owner, make_directory, put_in_place, sync


class Restored(NamedTuple):
    """What was restored."""

    time: int
    """Everything that was durable before this is there, in milliseconds since 1970."""
    until: int
    """The same: nothing that was committed after this is there."""
    steps: int
    """How many steps after the backup it has."""


def restore(
    backup: Path,
    directory: Path,
    *,
    change: Upgrade,
    finish: Callable[[Path], None] = lambda _: None,
    at: int | None = None,
    beside: Iterable[Path] = (),
) -> Restored:
    """Make the data directory ``directory`` from a backup: all of it or, after an error or a crash, nothing.

    Args:
        backup: its directory, which stays as it is.
        directory: must not exist; those above it are made. As root all of it is given to the owner of the one above it.
        change: called with a connection to the restored data, within a transaction that it cannot end.
        finish: called after that with the directory, which has another name still; a runtime may use it, and must have ended.
        at: a time in milliseconds since 1970: the last state with nothing that was committed after it; by default the last.
        beside: further files to copy into it, those that exist.

    Raises ``DataExists``, ``DataUnreadable`` for a backup that is damaged or after ``at``, and ``OSError``.
    """
    manifest = read_manifest(backup)
    if at is not None and at < manifest.until:
        raise DataUnreadable(f"{backup} is of {shown(manifest.until)}, after {shown(at)}")
    if directory.exists():
        raise DataExists(f"{directory} exists already; a restore makes a new directory")
    make_directory(directory.absolute().parent)
    part = directory.with_name(directory.name + PARTIAL)
    remove_partial(part)
    try:
        part.mkdir()
        shutil.copyfile(backup / FILE, part / FILE)
        check_file(part / FILE, manifest)
        step = _follow(part / FILE, backup, manifest, at)
        _make_data(part / FILE, change)
        finish(part)
        check_integrity(part / FILE)
        for file in beside:
            if file.exists():
                shutil.copy2(file, part)
        for path in (*part.iterdir(), part):
            give_to_owner(path, part.absolute().parent)
            sync(path)
        put_in_place(part, directory)
    except BaseException:
        remove_partial(part)
        raise
    return Restored(manifest.time, manifest.until, 0) if step is None else Restored(step.time, step.until, step.number)


def is_copy(directory: Path) -> bool:
    """Whether the data there was copied from a backup by hand, and ``restore_in_place`` has not ended yet."""
    try:
        with (directory / FILE).open("rb") as file:
            marked = file.read(APPLICATION_ID_AT + 4)[APPLICATION_ID_AT:] == COPY_ID.to_bytes(4)
    except FileNotFoundError:
        return False
    return marked or (directory / f"{FILE}-journal").exists()


def restore_in_place(directory: Path, change: Upgrade) -> None:
    """Make data of a copy that was made by hand, as ``restore`` does: all or, after an error or a crash, nothing.

    Raises ``DataLocked`` while a process uses the directory, and ``DataUnreadable`` when that is a backup, or damaged.
    """
    if (directory / MANIFEST).exists():
        raise DataUnreadable(f"{directory} is a backup, which a server would change; restore it into a new directory")
    lock = DirectoryLock(directory)
    lock.acquire()
    try:
        with closing(sqlite3.connect(directory / FILE)) as connection:  # this undoes what a crash has left of the last try
            ((application_id,),) = connection.execute("PRAGMA application_id")
        if application_id == COPY_ID:
            _make_data(directory / FILE, change)
    except sqlite3.DatabaseError as error:
        raise DataUnreadable(f"{directory / FILE} cannot be read: {error}") from error
    finally:
        lock.release()


def _follow(file: Path, backup: Path, manifest: Manifest, at: int | None) -> Step | None:
    """Bring the copy of a backup to its last step at ``at``; returns that step, or None if there is none."""
    last, content = None, bytearray(file.read_bytes())
    for _, step, pages in islice(read_steps(backup, manifest), _wanted(backup, manifest, at)):
        apply(content, step, pages)
        last = step
    if last is not None:
        check_state(content, last)
        file.write_bytes(content)
    return last


def _wanted(backup: Path, manifest: Manifest, at: int | None) -> int:
    """How many steps there are up to the last one with nothing that was committed after ``at``.

    The clock may have stepped back, so all are looked at. Those that are damaged do not matter where they come after that time.
    """
    wanted, until = 0, manifest.until
    try:
        for _, step, _ in read_steps(backup, manifest):
            until = step.until
            if at is None or until <= at:
                wanted = step.number
    except DataUnreadable:
        if at is None or at > until:
            raise
    return wanted


def _make_data(file: Path, change: Upgrade) -> None:
    """Run ``change`` on a copy that nobody else uses, which is data afterwards, without a file beside it."""
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = DELETE")
        connection.execute("BEGIN IMMEDIATE")
        run_upgrade(connection, change)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("COMMIT")
