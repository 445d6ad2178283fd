"""``sww forget``: removes from backups the texts that were erased after they were made."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import click

from durable_objects.embedded.backup import MANIFEST, PARTIAL, read_manifest, remove_partial
from durable_objects.embedded.lock import DirectoryLock
from durable_objects.embedded.restore import restore as restore_from
from durable_objects.embedded.snapshot import SnapshotSource, now
from durable_objects.embedded.store import FILE as DATA_FILE
from durable_objects.errors import DataUnreadable
from durable_objects.files import sync
from saywhatwant.commands import options
from saywhatwant.commands.backup import check_runtime, no_room, write
from saywhatwant.commands.backup_facts import BESIDE
from saywhatwant.commands.backup_series import remove
from saywhatwant.commands.erasing import erase_again
from saywhatwant.commands.erasures import Erasures, encoded, known_to, together
from saywhatwant.commands.restored import begin_again
from saywhatwant.settings import Settings, load

REWRITTEN = ".rewritten"
"""What the name of a backup ends with until it takes the place of the one that it was made from."""
LONGEST_ERASE_MS = 600_000
"""An erase takes less. So backups that were begun so long after the last one have no trace of it."""


@click.command()
@click.option("--from", "source", type=options.PATH, required=True, help="The backup, or a directory with several.")
@options.data
@options.runtime
def forget(*, source: Path, data: Path | None, runtime: str | None) -> None:
    """Write backups again without what was erased later, as far as the data and the backups beside them know it.

    Each keeps its last state; the changes before that are removed. Stop `sww backup --every` first, and start it again.
    """
    settings = load(data=data, runtime=runtime)
    check_runtime(settings, "sww forget")
    is_one = (source / MANIFEST).exists()
    directory = source.absolute().parent if is_one else source
    with _locked(directory):
        if not is_one:
            _clear_up(directory)
        known = [known_to(path) for path in (source, settings.data) if path == source or (path / DATA_FILE).exists()]
        erased = together(known)
        last = max((one.at for one in erased.values()), default=None)
        if last is None:
            click.echo("nothing was erased, as far as data and backups know")
            return
        for path in [source] if is_one else _all_in(directory):
            if read_manifest(path).time > last + LONGEST_ERASE_MS:
                click.echo(f"{path.name} was made after the last erase")
            else:
                again = _write_again(path, erased, settings)
                click.echo(f"{path.name} was written again; erased in it: {' '.join(again) or 'nothing, but for traces'}")


@contextmanager
def _locked(directory: Path) -> Iterator[None]:
    """Hold the directory, so that nobody adds to its backups. Raises ``DataLocked``."""
    if not directory.is_dir():
        raise DataUnreadable(f"{directory} is no directory of backups")
    lock = DirectoryLock(directory)
    lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _clear_up(directory: Path) -> None:
    """Remove what crashes have left, and give a backup its name back that was written again and had lost it."""
    for path in directory.glob(f"*{PARTIAL}"):
        remove_partial(path)
    for path in directory.glob(f"*{REWRITTEN}"):
        original = path.with_name(path.name.removesuffix(REWRITTEN))
        if not original.exists():
            path.rename(original)
            sync(directory)


def _all_in(directory: Path) -> list[Path]:
    """The backups in a directory, oldest first. Raises ``DataUnreadable`` when one is damaged, as it may have the texts."""
    found = [(read_manifest(path).time, path) for path in directory.iterdir() if (path / MANIFEST).exists()]
    return [path for _, path in sorted(found)]


def _write_again(backup: Path, erased: Erasures, settings: Settings) -> list[str]:
    """Write a backup again without these messages' texts; returns which it had. After a crash one of the two is there."""
    data = backup.with_name(f"{backup.name}.data{PARTIAL}")
    remove_partial(data)
    again: list[str] = []

    def finish(directory: Path) -> None:
        again.extend(asyncio.run(erase_again(directory, erased, settings)))

    try:
        # As a wall of another time: the commits of this erase have numbers that nobody takes for those of the real wall.
        found = restore_from(
            backup, data, change=partial(begin_again, now=now()), finish=finish, beside=[backup / name for name in BESIDE]
        )
        with SnapshotSource(data) as source:
            snapshot = source.read()._replace(time=found.time, until=found.until, note=encoded(erased))
        rewritten = _free_name(backup)
        write(snapshot, rewritten, read_manifest(backup).number, data=data)
    except OSError as error:
        raise no_room(error, backup, read_manifest(backup).bytes) from error
    finally:
        remove_partial(data)
    remove(backup)
    rewritten.rename(backup)
    sync(backup.absolute().parent)
    return again


def _free_name(backup: Path) -> Path:
    """A name for the backup that takes the place of this one; a crash may have left an earlier try."""
    names = (f"{backup.name}{'' if number == 1 else f'-{number}'}{REWRITTEN}" for number in range(1, 1_000))
    return next(path for path in map(backup.with_name, names) if not path.exists())
