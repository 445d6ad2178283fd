"""A backup: a directory with a copy of the data file, and a manifest that says what it is.

    objects.sqlite3   the data file, marked as a copy (by its application id)
    manifest.json     what it holds, its size and its SHA-256
    README.txt        how to restore it without this program
    changes/          what was committed after it, if it was followed; see ``change_log``
    apply_changes.py  applies that without this program

A directory that is not complete has another name: it gets its own with the last step.
"""

import shutil
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

import msgspec
from msgspec import Struct

from durable_objects.embedded import apply_changes
from durable_objects.embedded.snapshot import Snapshot, check_integrity, check_version
from durable_objects.embedded.store import FILE
from durable_objects.errors import DataExists, DataUnreadable
from durable_objects.files import make_directory, put_in_place, sync

VERSION: Final = 1
"""Of the format of backups."""
MANIFEST: Final = "manifest.json"
README: Final = "README.txt"
CHANGES: Final = "changes"
PARTIAL: Final = ".unfinished"
"""What the name of a directory ends with that is not complete."""

Describe = Callable[[sqlite3.Connection], Mapping[str, str]]
"""What the objects' program says of a copy, by name."""


class _Versioned(Struct):
    format: Literal["backup of durable objects"]
    version: int


class Manifest(Struct, frozen=True, kw_only=True):
    """What a backup holds."""

    format: Literal["backup of durable objects"] = "backup of durable objects"
    version: int = VERSION
    made_by: str
    """The program and its version."""
    made_at: str
    """UTC, in ISO 8601."""
    time: int
    """The same in milliseconds since 1970: everything that was durable before it is in the copy."""
    until: int
    """Nothing that was committed after this is in the copy."""
    data_version: int
    """See ``disk.DATA_VERSION``."""
    page_size: int
    number: int = 0
    """The place in its series, from 1; 0 for a single one. Unlike its time it grows also where a clock steps back."""
    bytes: int
    sha256: str
    objects: dict[str, int]
    """The number of the last commit of each object, by its id."""
    facts: dict[str, str]
    """See ``Describe``."""


def shown(time: int) -> str:
    """A time in milliseconds since 1970 in ISO 8601."""
    return datetime.fromtimestamp(time / 1_000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def write_backup(
    snapshot: Snapshot,
    target: Path,
    *,
    made_by: str,
    describe: Describe,
    readme: Callable[[Manifest], str],
    number: int = 0,
    beside: Iterable[Path] = (),
    files: Mapping[str, bytes] | None = None,
) -> Manifest:
    """Write a snapshot as the directory ``target``, check what was written, and give it its name. Durable when it returns.

    Args:
        snapshot: the data.
        target: must not exist; its parent is made if it is missing.
        made_by: the program and its version.
        describe: called with a connection to the copy.
        readme: the text of the README.
        number: its place in a series; see ``Manifest``.
        beside: further files to copy, those that exist; a restore puts them into the new directory.
        files: further files to write, by name.

    Raises ``DataExists``, ``DataUnreadable`` when the data is damaged, and ``OSError``; after an error nothing is left.
    """
    if target.exists():
        raise DataExists(f"{target} exists already; choose another name")
    make_directory(target.parent)
    part = target.with_name(target.name + PARTIAL)
    remove_partial(part)
    try:
        part.mkdir()
        (part / FILE).write_bytes(snapshot.content)
        manifest = _manifest(part / FILE, snapshot, made_by=made_by, describe=describe, number=number)
        (part / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest)) + b"\n")
        (part / README).write_text(readme(manifest), encoding="utf-8")
        shutil.copyfile(apply_changes.__file__, part / Path(apply_changes.__file__).name)
        for file in beside:
            if file.exists():
                shutil.copy2(file, part)
        for name, content in (files or {}).items():
            (part / name).write_bytes(content)
        for path in part.iterdir():
            sync(path)
        check_file(part / FILE, manifest)
        put_in_place(part, target)
    except BaseException:
        remove_partial(part)
        raise
    return manifest


def remove_partial(part: Path) -> None:
    """Remove what a crash has left of a directory that was not complete; harmless when there is nothing."""
    if part.exists():
        shutil.rmtree(part)


def read_manifest(directory: Path) -> Manifest:
    """The manifest of a complete backup; raises ``DataUnreadable`` for any other directory."""
    try:
        encoded = (directory / MANIFEST).read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise DataUnreadable(f"{directory} is no backup: it has no {MANIFEST}") from None
    if directory.name.endswith(PARTIAL):
        raise DataUnreadable(f"{directory} is a backup that was not finished")
    try:
        version = msgspec.json.decode(encoded, type=_Versioned).version
        if version > VERSION:
            what = f"has the format {version}, and this program reads the format {VERSION}"
            raise DataUnreadable(f"{directory} {what}: restore it with the program that made it, or a later one")
        return msgspec.json.decode(encoded, type=Manifest)
    except ValueError as error:  # so are msgspec's errors
        raise DataUnreadable(f"{directory / MANIFEST} is no manifest of a backup: {error}") from error


def check_file(path: Path, manifest: Manifest) -> None:
    """Raise ``DataUnreadable`` unless the file is the one that the manifest was made for, and SQLite finds nothing wrong."""
    size = path.stat().st_size
    if size != manifest.bytes:
        raise DataUnreadable(f"{path} has {size:,} bytes, and had {manifest.bytes:,} when it was made")
    if digest_of(path) != manifest.sha256:
        raise DataUnreadable(f"{path} was changed after it was made: its SHA-256 is another one")
    check_integrity(path)


def digest_of(path: Path) -> str:
    """The SHA-256 of a file, read from the file."""
    digest = sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()


def _manifest(copy: Path, snapshot: Snapshot, *, made_by: str, describe: Describe, number: int) -> Manifest:
    try:
        with closing(sqlite3.connect(f"{copy.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
            return Manifest(
                made_by=made_by,
                made_at=shown(snapshot.time),
                time=snapshot.time,
                until=snapshot.until,
                data_version=check_version(connection, copy),
                page_size=snapshot.page_size,
                number=number,
                bytes=len(snapshot.content),
                sha256=sha256(snapshot.content).hexdigest(),
                # The probe of a disk leaves an object without a name.
                objects=dict(connection.execute("SELECT object, seq FROM heads WHERE object <> '' ORDER BY object")),
                facts=dict(describe(connection)),
            )
    except sqlite3.DatabaseError as error:
        raise DataUnreadable(f"the data is damaged: {error}") from error
