"""Which messages were erased, as backups know it: a list of ids beside each, so that no restore brings a text back."""

import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from durable_objects.embedded.backup import MANIFEST, PARTIAL
from durable_objects.embedded.snapshot import SnapshotSource
from durable_objects.embedded.store import FILE as DATA_FILE
from durable_objects.errors import DataUnreadable
from durable_objects.files import put_in_place
from saywhatwant.queue import erased
from saywhatwant.queue.erased import Erased
from saywhatwant.queue.work_queue import WALL
from saywhatwant.topology.single import NAMESPACE

FILE: Final = "erased.json"
"""The list, in the directory of a backup. In that of data it is what has still to be erased there."""

Erasures = Mapping[str, Erased]
"""Erased messages by id."""

_HOLDERS = "SELECT object FROM heads WHERE object GLOB ? OR object = ?"
_ERASED = "SELECT value FROM entries WHERE object = ? AND key >= ? AND key < ?"
_decode = msgspec.json.Decoder(list[Erased]).decode


def encoded(erasures: Erasures) -> bytes:
    """The content of the list's file."""
    lines = [msgspec.json.encode(erasures[message_id]) for message_id in sorted(erasures)]
    return b"[\n" + b",\n".join(lines) + b"\n]\n" if lines else b"[]\n"


def decoded(content: bytes) -> Erasures:
    """What the list's file has. Raises ``ValueError``."""
    return together({one.id: one} for one in _decode(content))


def together(several: Iterable[Erasures]) -> Erasures:
    """All of them; of a message that is there twice, the later time."""
    found: dict[str, Erased] = {}
    for erasures in several:
        for message_id, one in erasures.items():
            known = found.get(message_id, one)
            found[message_id] = replace(one, at=max(one.at, known.at), name=one.name or known.name)
    return found


def note_of(connection: sqlite3.Connection) -> bytes:
    """What was erased from the wall in this data, as the content of the list's file."""
    # Object by object, since a search by key alone would read all rows.
    holders = connection.execute(_HOLDERS, (f"{NAMESPACE}/*", f"{WALL.namespace}/{WALL.name}")).fetchall()
    bounds = (erased.PREFIX, erased.PREFIX[:-1] + "0")  # 0 follows the slash
    rows = (value for (holder,) in holders for (value,) in connection.execute(_ERASED, (holder, *bounds)))
    return encoded(together({one.id: one} for one in map(erased.decode, rows)))


def read_list(directory: Path) -> Erasures:
    """The list in a directory; empty if it has none. Raises ``DataUnreadable``."""
    path = directory / FILE
    try:
        return decoded(path.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as error:  # so are msgspec's errors
        raise DataUnreadable(f"{path} is no list of erased messages: {error}") from error


def write_list(directory: Path, erasures: Erasures) -> None:
    """Make this the list in a directory, durable when it returns. Raises ``OSError``; then the list is what it was."""
    path = directory / FILE
    part = path.with_name(path.name + PARTIAL)
    try:
        part.write_bytes(encoded(erasures))
        put_in_place(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


def known_beside(backup: Path) -> Erasures:
    """What a backup, which may be still to come, or another one in its directory knows. Raises ``DataUnreadable``."""
    around = backup.absolute().parent
    return _known_in(around) if around.exists() else {}


def known_to(path: Path) -> Erasures:
    """What data knows, or a backup with those beside it, or a directory of backups. Raises ``DataUnreadable``."""
    if (path / MANIFEST).exists():
        return known_beside(path)
    if (path / DATA_FILE).exists():
        with SnapshotSource(path, note=note_of) as source:
            return together((decoded(source.read().note), read_list(path)))
    if not path.is_dir():
        raise DataUnreadable(f"{path} has neither data nor backups")
    return _known_in(path)


def _known_in(directory: Path) -> Erasures:
    return together(read_list(path) for path in directory.iterdir() if not path.name.endswith(PARTIAL) and _is_backup(path))


def _is_backup(path: Path) -> bool:
    try:
        return (path / MANIFEST).exists()
    except PermissionError:  # such as the lost+found of a disk
        return False
