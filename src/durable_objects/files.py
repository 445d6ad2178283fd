"""Files and directories that survive a loss of power."""

import fcntl
import os
from pathlib import Path

_FULL_SYNC: int | None = getattr(fcntl, "F_FULLFSYNC", None)
"""On macOS fsync stops at the drive's own cache."""


def make_directory(directory: Path) -> None:
    """Make ``directory`` and those above it where they are missing."""
    if directory.is_dir():
        return
    make_directory(directory.absolute().parent)
    directory.mkdir(exist_ok=True)
    sync(directory.absolute().parent)


def sync(path: Path) -> None:
    """Return once what the file holds, or which names the directory has, survives a loss of power."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
        if _FULL_SYNC is not None:
            fcntl.fcntl(descriptor, _FULL_SYNC)
    finally:
        os.close(descriptor)


def give_to_owner(file: int | Path, directory: Path) -> None:
    """Let the owner of ``directory`` own ``file`` too, where this process may change that: as root it would be root's.

    So what root writes into a directory of a service stays readable for the service.
    """
    if os.geteuid() == 0:
        of = directory.stat()
        os.chown(file, of.st_uid, of.st_gid)


def put_in_place(file: Path, path: Path) -> None:
    """Rename ``file``, which is in the directory of ``path``, to ``path``: after a crash it is there whole, or not at all."""
    sync(file)
    file.rename(path)
    sync(path.absolute().parent)
