"""``sww backup``: a copy of a wall, made while its server runs; or one after another, with all that changes in between."""

import errno
import shutil
from contextlib import suppress
from datetime import timedelta
from functools import partial
from pathlib import Path

import click

from durable_objects.embedded.backup import Manifest, write_backup
from durable_objects.embedded.snapshot import Snapshot, SnapshotSource
from saywhatwant import last_backup
from saywhatwant.commands import erasures, options
from saywhatwant.commands.backup_facts import BESIDE, described, facts_of, made_by, readme
from saywhatwant.commands.backup_loop import Loop, run_loop
from saywhatwant.commands.backup_schedule import KEEP, Keep
from saywhatwant.commands.backup_series import Series
from saywhatwant.errors import ExpectedError
from saywhatwant.last_backup import LastBackup
from saywhatwant.settings import Settings, WrongSettings, load

USUAL_KEEP = Keep(24, 7, 4)


class NoRoom(ExpectedError):
    """The disk of the backups is full."""


@click.command()
@options.data
@click.option("--to", "target", type=options.PATH, required=True, help="The new directory; with --every, that of all backups.")
@click.option("--every", type=options.INTERVAL, help="Make one so often, until stopped, and follow the changes: 30m, 1h, 1d.")
@click.option(
    "--keep",
    type=KEEP,
    show_default=str(USUAL_KEEP),
    help="Of these, keep all of so many hours, one of so many days and weeks.",
)
@options.runtime
def backup(*, data: Path | None, target: Path, every: timedelta | None, keep: Keep | None, runtime: str | None) -> None:
    """Copy the wall into a new directory, while its server runs or not; the copy is checked. See docs/backup.md.

    With --every, it goes on: all changes are appended within seconds, so that `sww restore --at` can go back to any moment.

    What is on a Restate cluster or on Cloudflare is kept there: see docs/cluster.md and docs/cloudflare.md.
    """
    settings = load(data=data, runtime=runtime)
    check_runtime(settings, "sww backup")
    check_target(settings.data, target)
    if every is None and keep is not None:
        raise click.UsageError("--keep is for --every: a single backup removes no other")
    with SnapshotSource(settings.data, note=erasures.note_of) as source:
        if every is None:
            manifest = make_backup(source, target, data=settings.data)
            note(manifest.time, settings=settings, target=target)
            click.echo(f"{described(manifest)} in {target}")
        else:
            series = Series(target, source, partial(make_backup, data=settings.data), beside_of(settings.data))
            noted = partial(note, settings=settings, target=target, follows=True)
            run_loop(Loop(series, every=every, keep=keep or USUAL_KEEP, note=noted), target)


def make_backup(source: SnapshotSource, target: Path, number: int = 0, *, data: Path) -> Manifest:
    """Make the backup ``target`` of what ``source`` reads in ``data`` now, with its place in a series.

    Raises as ``write_backup``, and ``NoRoom``.
    """
    return write(source.read(), target, number, data=data)


def write(snapshot: Snapshot, target: Path, number: int, *, data: Path) -> Manifest:
    """Make a backup of a snapshot, whose note is what was erased; with what is known beside it. Raises as ``make_backup``."""
    erased = erasures.together((erasures.decoded(snapshot.note), erasures.known_beside(target)))
    try:
        return write_backup(
            snapshot,
            target,
            made_by=made_by(),
            describe=facts_of,
            readme=readme,
            number=number,
            beside=beside_of(data),
            files={erasures.FILE: erasures.encoded(erased)},
        )
    except OSError as error:
        raise no_room(error, target, len(snapshot.content)) from error


def beside_of(data: Path) -> list[Path]:
    """The files that belong to the wall, besides the data file; those that exist."""
    return [data / name for name in BESIDE]


def note(time: int, *, settings: Settings, target: Path, follows: bool = False) -> None:
    """Leave a note in the data, for ``/metrics`` and ``sww doctor``. Who may only read the data leaves none."""
    with suppress(OSError):
        last_backup.write(settings.data, LastBackup(time, str(target.absolute()), follows))


def no_room(error: OSError, target: Path, needed: int) -> Exception:
    """The error in words if it is that a disk is full; else itself."""
    if error.errno not in {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}:
        return error
    there = next(path for path in target.absolute().parents if path.exists())
    free = shutil.disk_usage(there).free
    return NoRoom(f"no room for {target}: it needs {needed:,} bytes, and {free:,} are free; nothing is left of it")


def check_runtime(settings: Settings, command: str) -> None:
    """Raise ``WrongSettings`` where the data is not a file here."""
    if settings.runtime == "restate":
        instead = (
            "its cluster makes snapshots (docs/cluster.md), and sww export FILE --runtime restate writes a wall into a file"
        )
        raise WrongSettings(f"{command} is for data of the runtime embedded, and SWW_RUNTIME is restate: {instead}")


def check_target(data: Path, target: Path) -> None:
    """Raise ``WrongSettings`` for a backup inside the data, which would be lost with it."""
    if target.resolve().is_relative_to(data.resolve()):
        raise WrongSettings(f"--to {target} is inside the data in {data}, and would be lost with it; choose another directory")
