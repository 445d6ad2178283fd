"""What was committed after a backup: files in its directory ``changes``, each with the pages that have changed since the last.

A file is one committed state. It has three parts:

    the SHA-256 of what follows, and a line feed
    a ``Step`` as JSON, and a line feed
    its pages, compressed with zlib

Each file names the one before, and a digest of the whole state, so that a file that is missing, cut or changed is found out.
"""

import zlib
from collections.abc import Iterator
from hashlib import blake2b, sha256
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from durable_objects.embedded.backup import CHANGES, MANIFEST, PARTIAL, Manifest, shown
from durable_objects.embedded.snapshot import Snapshot
from durable_objects.embedded.store import FILE
from durable_objects.errors import DataUnreadable
from durable_objects.files import put_in_place, sync

_DIGITS: Final = 8
_LEVEL: Final = 1
"""zlib's fastest."""
_COMPARED: Final = 16
"""Pages that are compared at once; only where they differ is each one compared."""
_DIGEST_BYTES: Final = 16
_MODULUS: Final = 1 << (8 * _DIGEST_BYTES)


class Step(Struct, frozen=True, kw_only=True):
    """One state after a backup."""

    number: int
    """1 for the first after the backup."""
    time: int
    """See ``Snapshot``."""
    until: int
    page_size: int
    page_count: int
    """Of the whole state."""
    pages: list[int]
    """The numbers of the pages that are here; the first page of a file is 1."""
    after: str
    """The SHA-256 in the first line of the file before; for the first step that of the backup."""
    state: str
    """See ``state_of``."""


class Following:
    """Appends to a backup the states that follow it. Only one process may do so at a time.

    Args:
        backup: its directory, with the steps that it has.
        manifest: that of the backup.

    Raises ``DataUnreadable`` when the backup or a step is damaged.
    """

    def __init__(self, backup: Path, manifest: Manifest) -> None:
        self._directory = backup / CHANGES
        self._number, self._last = 0, manifest.sha256
        self._page_size = manifest.page_size
        content = bytearray((backup / FILE).read_bytes())
        last = None
        for digest, step, pages in read_steps(backup, manifest):
            apply(content, step, pages)
            self._number, self._last, last = step.number, digest, step
        if last is not None:
            check_state(content, last)
        self._content = bytes(content)
        self._state = state_of(content, self._page_size)

    def missing(self) -> Path | None:
        """A file of the backup that is gone, as on a disk that was taken away; None if all are there. Raises ``OSError``."""
        backup = self._directory.parent
        steps = [self._directory / name_of(self._number)] if self._number else []
        return next((path for path in (backup / MANIFEST, backup / FILE, *steps) if not path.exists()), None)

    def append(self, snapshot: Snapshot) -> Step | None:
        """Make the state that ``snapshot`` has the last step, durable when this returns; None if nothing has changed.

        Raises ``OSError``; then nothing was appended. Raises ``DataUnreadable`` for a snapshot with another size of pages,
        which only a new backup can have.
        """
        if snapshot.page_size != self._page_size:
            raise DataUnreadable(f"the data has pages of {snapshot.page_size} bytes, and its backup of {self._page_size}")
        old, new = self._content, snapshot.content
        numbers = list(_changed(old, new, self._page_size))
        if not numbers and len(old) == len(new):
            return None
        state = self._state
        for number in numbers:
            state += _digest(new, number, self._page_size) - _digest(old, number, self._page_size)
        for number in range(len(new) // self._page_size + 1, len(old) // self._page_size + 1):
            state -= _digest(old, number, self._page_size)
        state %= _MODULUS
        step = Step(
            number=self._number + 1,
            time=snapshot.time,
            until=snapshot.until,
            page_size=self._page_size,
            page_count=len(new) // self._page_size,
            pages=numbers,
            after=self._last,
            state=_shown(state),
        )
        self._last = self._write(step, b"".join(_page(new, number, self._page_size) for number in numbers))
        self._number, self._content, self._state = step.number, new, state
        return step

    def _write(self, step: Step, pages: bytes) -> str:
        rest = msgspec.json.encode(step) + b"\n" + zlib.compress(pages, _LEVEL)
        digest = sha256(rest).hexdigest()
        if not self._directory.exists():  # a backup that is gone is not made again by its changes
            self._directory.mkdir()
            sync(self._directory.parent)
        path = self._directory / name_of(step.number)
        part = path.with_name(path.name + PARTIAL)
        try:
            part.write_bytes(digest.encode() + b"\n" + rest)
            put_in_place(part, path)
        except OSError:
            part.unlink(missing_ok=True)
            raise
        return digest


def name_of(number: int) -> str:
    """The name of a step's file."""
    return f"{number:0{_DIGITS}d}"


def step_paths(backup: Path) -> list[Path]:
    """The files of the steps after a backup, in order."""
    return sorted(path for path in (backup / CHANGES).glob("*") if path.name.isdecimal())


def read_step(path: Path) -> tuple[str, Step, bytes]:
    """The digest of a step's file, the step, and its pages; raises ``DataUnreadable`` for a file that was cut or changed."""
    digest, _, rest = path.read_bytes().partition(b"\n")
    if sha256(rest).hexdigest().encode() != digest:
        raise DataUnreadable(f"{path} was cut or changed after it was made")
    header, _, packed = rest.partition(b"\n")
    try:
        return digest.decode(), msgspec.json.decode(header, type=Step), zlib.decompress(packed)
    except (ValueError, zlib.error) as error:
        raise DataUnreadable(f"{path} has no changes of a backup: {error}") from error


def read_steps(backup: Path, manifest: Manifest) -> Iterator[tuple[str, Step, bytes]]:
    """All steps after a backup, each with the digest of its file and its pages, and checked.

    Raises ``DataUnreadable`` at the first one that is missing or damaged, with the time up to which all is there.
    """
    last, until = manifest.sha256, manifest.until
    for number, path in enumerate(step_paths(backup), 1):
        try:
            digest, step, pages = _next_step(path, number, last)
        except DataUnreadable as error:
            raise DataUnreadable(f"{error}; the last state before it is of {shown(until)}") from error
        yield digest, step, pages
        last, until = digest, step.until


def _next_step(path: Path, number: int, after: str) -> tuple[str, Step, bytes]:
    if path.name != name_of(number):
        raise DataUnreadable(f"{path.with_name(name_of(number))} is missing")
    digest, step, pages = read_step(path)
    if (step.number, step.after) != (number, after) or len(pages) != len(step.pages) * step.page_size:
        raise DataUnreadable(f"{path} does not follow the file before it")
    return digest, step, pages


def apply(content: bytearray, step: Step, pages: bytes) -> None:
    """Make the state before a step that of the step."""
    size = step.page_size
    content.extend(bytes(max(0, step.page_count * size - len(content))))
    for place, number in enumerate(step.pages):
        content[(number - 1) * size : number * size] = pages[place * size : (place + 1) * size]
    del content[step.page_count * size :]


def state_of(content: bytes | bytearray, page_size: int) -> int:
    """A digest of a whole state, which can be carried on from changed pages alone: the sum of the digests of its pages."""
    return sum(_digest(content, number, page_size) for number in range(1, len(content) // page_size + 1)) % _MODULUS


def check_state(content: bytes | bytearray, step: Step) -> None:
    """Raise ``DataUnreadable`` unless ``content`` is the state of the step."""
    if _shown(state_of(content, step.page_size)) != step.state:
        raise DataUnreadable(f"the changes up to step {step.number} do not give the state that they were made from")


def _changed(old: bytes, new: bytes, page_size: int) -> Iterator[int]:
    """The numbers of the pages of ``new`` that are not the same in ``old``."""
    together = _COMPARED * page_size
    for start in range(0, len(new), together):
        if old[start : start + together] != new[start : start + together]:
            first = start // page_size + 1
            for number in range(first, first + min(_COMPARED, (len(new) - start) // page_size)):
                if _page(old, number, page_size) != _page(new, number, page_size):
                    yield number


def _page(content: bytes | bytearray, number: int, page_size: int) -> bytes | bytearray:
    return content[(number - 1) * page_size : number * page_size]


def _digest(content: bytes | bytearray, number: int, page_size: int) -> int:
    """A digest of a page at its place; 0 for one that is not there."""
    page = _page(content, number, page_size)
    if not page:
        return 0
    place = number.to_bytes(_DIGEST_BYTES)
    return int.from_bytes(blake2b(page, digest_size=_DIGEST_BYTES, person=place).digest())


def _shown(state: int) -> str:
    return state.to_bytes(_DIGEST_BYTES).hex()
