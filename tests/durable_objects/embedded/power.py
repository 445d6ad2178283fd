"""The disk after a loss of power: a replay of a process's system calls without the unsynced writes."""

import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from strace import Call

CALLS = ("openat", "pwrite64", "write", "ftruncate", "unlink", "fsync", "fdatasync")

_WRITE = re.compile(r'pwrite64\(\d+<([^>]*)>, "([^"]*)", \d+, (\d+)\) += \d+$')
_PRINT = re.compile(r'write\(1<[^>]*>, "(?P<data>[^"]*)", \d+\) += \d+$')
_TRUNCATE = re.compile(r"ftruncate\(\d+<([^>]*)>, (\d+)\) += 0$")
_SYNC = re.compile(r"f(?:data)?sync\(\d+<([^>]*)>\) += 0$")
_CREATE = re.compile(r"openat\(.*O_CREAT.*\) += \d+<([^>]*)>$")
_UNLINK = re.compile(r'unlink\("([^"]*)"\) += 0$')


class Change(NamedTuple):
    """A write at ``at``; or, without data, a truncation to ``at`` bytes."""

    at: int
    data: bytes | None

    def apply(self, content: bytearray) -> None:
        if self.data is None:
            del content[self.at :]
        content.extend(bytes(max(0, self.at - len(content))))
        if self.data is not None:
            content[self.at : self.at + len(self.data)] = self.data


class Disk:
    """The files of one directory: what is synced, and what would be lost with the power."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self.syncs = Counter[str]()
        """How often each file was synced."""
        self._synced: dict[str, bytearray] = {}
        self._unsynced: dict[str, list[Change]] = {}
        self._names: set[str] = set()
        self._synced_names: set[str] = set()
        self._actions: dict[re.Pattern[str], Callable[..., None]] = {
            _WRITE: self._write,
            _TRUNCATE: self._truncate,
            _CREATE: self._create,
            _UNLINK: self._unlink,
            _SYNC: self._sync,
        }

    def take(self, call: Call) -> None:
        """Do to the files what the process did."""
        for pattern, action in self._actions.items():
            if match := pattern.match(call.text):
                path, *values = match.groups()
                action(decode(path).decode(), *values)

    def _write(self, path: str, data: str, at: str) -> None:
        self._unsynced.setdefault(path, []).append(Change(int(at), decode(data)))

    def _truncate(self, path: str, size: str) -> None:
        self._unsynced.setdefault(path, []).append(Change(int(size), None))

    def _create(self, path: str) -> None:
        self._names.add(path)

    def _unlink(self, path: str) -> None:
        self._names.discard(path)

    def _sync(self, path: str) -> None:
        if path == str(self._directory):
            self._synced_names = set(self._names)
        self.syncs[Path(path).name] += 1
        for change in self._unsynced.pop(path, []):
            change.apply(self._synced.setdefault(path, bytearray()))

    def leave(self, directory: Path, survivors: random.Random | None = None) -> None:
        """Write what is left when the power fails: what was synced, and of the rest nothing, or what ``survivors`` picks."""
        directory.mkdir()
        for path in self._synced_names:
            content = bytearray(self._synced.get(path, b""))
            for change in self._unsynced.get(path, []) if survivors else []:
                if survivors and survivors.random() < 0.5:
                    change.apply(content)
            (directory / Path(path).name).write_bytes(content)


def printed(call: Call) -> str | None:
    """The line that the process printed by this call."""
    match = _PRINT.match(call.text)
    return decode(match["data"]).decode().strip() if match else None


def decode(shown: str) -> bytes:
    """What strace shows as ``\\x41\\x42``."""
    return bytes.fromhex(shown.replace("\\x", ""))


def in_order(calls: list[Call]) -> Iterator[Call]:
    """A print counts from its begin, everything else from its end."""
    return iter(sorted(calls, key=lambda call: call.began if printed(call) else call.ended))
