"""When the wall was last backed up: a note in its data directory, which backups write and servers and ``sww doctor`` read."""

from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

FILE: Final = "last-backup.json"
_MAX_BYTES: Final = 64 * 1024


class LastBackup(Struct, frozen=True):
    """The newest state that a backup has."""

    time: int
    """Everything that was durable before this is in it, in milliseconds since 1970."""
    to: str
    """The directory of the backup, or of the series that it belongs to."""
    follows: bool = False
    """Whether a program goes on with it, and writes this note again every few seconds."""


def write(data: Path, last: LastBackup) -> None:
    """Leave the note. Raises ``OSError``."""
    part = data / f".{FILE}"
    part.write_bytes(msgspec.json.encode(last) + b"\n")
    part.rename(data / FILE)


def read(data: Path) -> LastBackup | None:
    """The note; None if there is none that can be read."""
    try:
        with (data / FILE).open("rb") as file:
            return msgspec.json.decode(file.read(_MAX_BYTES), type=LastBackup)
    except (OSError, ValueError):
        return None
