"""A directory of backups: one after another, each with what was committed after it; old ones are removed."""

import re
import shutil
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import click

from durable_objects.embedded.backup import CHANGES, PARTIAL, Manifest, read_manifest, remove_partial, shown
from durable_objects.embedded.change_log import Following, Step
from durable_objects.embedded.snapshot import SnapshotSource
from durable_objects.errors import DataUnreadable
from durable_objects.files import put_in_place, sync
from saywhatwant.commands.backup_schedule import Keep, to_keep
from saywhatwant.commands.erasures import Erasures, decoded, read_list, together, write_list
from saywhatwant.errors import ExpectedError

MakeBackup = Callable[[SnapshotSource, Path, int], Manifest]
_NAME = re.compile(r"\d{8}T\d{6}Z(-\d+)?")
"""The names that a series gives."""


class BackupGone(ExpectedError):
    """The backup that was followed is not there any more."""


def warn(path: Path, error: OSError) -> None:
    """Print that a directory is left out."""
    click.echo(f"sww: skipped {path}, which cannot be read: {error.strerror or error}", err=True)


def complete_backups(directory: Path, skipped: Callable[[Path, OSError], None] = warn) -> list[tuple[Manifest, Path]]:
    """The complete backups in a directory, oldest first. What is none, or damaged, is left out.

    ``skipped`` is called with what cannot be read, such as the ``lost+found`` of a disk.

    A series numbers its backups, since a clock may step back. Those without a number are older, by their time.
    """
    found: list[tuple[Manifest, Path]] = []
    for path in directory.iterdir():
        try:
            found.append((read_manifest(path), path))
        except DataUnreadable:
            continue
        except OSError as error:
            skipped(path, error)
    return sorted(found, key=lambda backup: (backup[0].number, backup[0].time, backup[1].name))


def choose(source: Path, at: int | None) -> Path:
    """The backup to restore from: ``source`` itself, or of those in it the last one with nothing from after ``at``.

    Raises ``DataUnreadable`` when there is none.
    """
    if not source.is_dir():
        raise DataUnreadable(f"{source} is no directory of backups")
    backups = complete_backups(source)
    if not backups:
        read_manifest(source)
        return source
    fitting = [path for manifest, path in backups if at is None or manifest.until <= at]
    if not fitting:
        raise DataUnreadable(f"the oldest backup in {source} is of {shown(backups[0][0].until)}; choose a time after it")
    return fitting[-1]


class Series:
    """Makes backups in ``directory``, and appends to the newest what changes.

    One process at a time: see ``DirectoryLock``.

    Args:
        directory: of the backups.
        source: what is backed up.
        make: makes one, under a new name, with its number.
        beside: files of which the newest version is kept in ``directory``, for all backups in it.
    """

    def __init__(self, directory: Path, source: SnapshotSource, make: MakeBackup, beside: Iterable[Path] = ()) -> None:
        self._directory = directory
        self._source = source
        self._make = make
        self._beside = list(beside)
        self._following: Following | None = None
        self._newest: Path | None = None
        self._erased: Erasures = {}
        """What the list beside the newest backup has."""
        self._is_behind = False
        """Whether a state that was read could not be appended."""

    def begin(self) -> Manifest | None:
        """Remove what a crash has left, and go on with the newest backup; returns it, or None if a new one must be made."""
        for path in self._directory.glob(f"*{PARTIAL}"):
            remove_partial(path)
        for path in self._directory.glob(f"*/*{PARTIAL}"):
            remove_partial(path)
        backups = self._own(warn)
        if not backups:
            return None
        manifest, path = backups[-1]
        for part in (path / CHANGES).glob(f"*{PARTIAL}"):
            part.unlink()
        try:
            self._follow(path, manifest)
        except (DataUnreadable, OSError) as error:
            click.echo(f"sww: a new backup is made, since {path} cannot be followed: {error}", err=True)
            return None
        return manifest

    def add(self) -> Manifest:
        """Make a new backup; what changes from now on is appended to it. Raises as ``write_backup``."""
        path = self._free_name()
        number = 1 + max((manifest.number for manifest, _ in self._own()), default=0)
        self._is_behind = True  # if this fails, what it read has still to be appended to the last one
        manifest = self._make(self._source, path, number)
        self._follow(path, manifest)
        self._keep_beside()
        self._is_behind = False
        return manifest

    def follow(self) -> Step | None:
        """Append what has changed since the last call, if anything has; durable when this returns.

        Raises ``OSError`` and ``DataUnreadable``; then the next call appends it. Raises ``BackupGone``; then only a new backup
        helps.
        """
        assert self._following is not None  # noqa: S101 - there is a backup
        gone = self._following.missing()
        if gone is not None:
            raise BackupGone(f"{gone} is gone, and a new backup is needed")
        is_changed = self._source.is_changed()  # raises where the data is gone, which says nothing of the files beside it
        self._keep_beside()
        if not self._is_behind and not is_changed:
            return None
        self._is_behind = True
        snapshot = self._source.read()
        erased = together((self._erased, decoded(snapshot.note)))
        if erased != self._erased and self._newest is not None:
            # Before the step: after a kill between them, an erase is known that the steps do not have, which harms nothing.
            write_list(self._newest, erased)
            self._erased = erased
        step = self._following.append(snapshot)
        self._is_behind = False
        return step

    def prune(self, keep: Keep) -> list[str]:
        """Remove the backups of this series that are not to be kept; returns their names, oldest first."""
        backups = self._own()
        kept = to_keep([(manifest.time, path.name) for manifest, path in backups], keep)
        removed = [path for _, path in backups if path.name not in kept.whole | kept.alone and path != self._newest]
        for path in removed:
            remove(path)
        for _, path in backups:
            if path.name in kept.alone and (path / CHANGES).exists():
                remove(path / CHANGES)
        return [path.name for path in removed]

    def _follow(self, path: Path, manifest: Manifest) -> None:
        self._following = Following(path, manifest)
        self._newest, self._erased = path, read_list(path)

    def _keep_beside(self) -> None:
        """Copy the files beside the data that have changed; one that is gone is kept as an empty one."""
        assert self._newest is not None  # noqa: S101 - there is a backup
        for file in self._beside:
            kept = self._directory / file.name
            is_known = kept.exists()
            if file.exists():
                content = file.read_bytes()
            elif is_known or (self._newest / file.name).exists():
                content = b""
            else:
                continue
            if not is_known or kept.read_bytes() != content:
                _write_private(kept, content)

    def _own(self, skipped: Callable[[Path, OSError], None] = lambda *_: None) -> list[tuple[Manifest, Path]]:
        """The backups of this series, oldest first: none that somebody made beside them under another name."""
        return [backup for backup in complete_backups(self._directory, skipped) if _NAME.fullmatch(backup[1].name)]

    def _free_name(self) -> Path:
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
        paths = (self._directory / (name if number == 1 else f"{name}-{number}") for number in range(1, 1_000))
        return next(path for path in paths if not path.exists())


def newest_of(backup: Path, name: str) -> Path:
    """The newest version of a file beside the data that backups have: that of the series of ``backup``, or its own."""
    kept = backup.absolute().parent / name
    return kept if kept.exists() else backup / name


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    part = path.with_name(f".{path.name}")
    part.unlink(missing_ok=True)
    part.touch(mode=0o600, exist_ok=False)
    part.write_bytes(content)
    put_in_place(part, path)


def remove(path: Path) -> None:
    """Remove a directory, which after a crash in the middle does not look like a complete one."""
    part = path.with_name(path.name + PARTIAL)
    remove_partial(part)
    path.rename(part)
    sync(path.parent)
    shutil.rmtree(part)
