"""How far a reader has read: for each object of the wall, the number of the last commit that it has seen.

The token of a frame, of an ETag and of ``changedAfter``. With one object it is the number of that object's commit; with several
it is a text, such as ``1_17-3_5``. Objects are numbered, and no number is given twice.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from saywhatwant.message import POSITION_PATTERN

_POSITION = re.compile(POSITION_PATTERN)

ONLY = 0
"""The number of an object that is the only one."""


class Position:
    """An immutable vector of commits, by the numbers of the objects. It is at 0 in all that it does not name."""

    __slots__ = ("_seqs",)

    def __init__(self, seqs: Mapping[int, int] | Iterable[tuple[int, int]] = ()) -> None:
        self._seqs = {source: seq for source, seq in dict(seqs).items() if seq}

    @classmethod
    def parse(cls, text: str) -> "Position":
        """The position that ``text`` was made of; raises ``ValueError`` for any other text."""
        if _POSITION.match(text) is None:
            raise ValueError(f"{text!r} is not a position")
        if "_" not in text:
            return cls({ONLY: int(text)})
        pairs = [part.split("_") for part in text.split("-")]
        return cls({int(source): int(seq) for source, seq in pairs})

    def __getitem__(self, source: int) -> int:
        """The last commit of this object that the reader has seen."""
        return self._seqs.get(source, 0)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """The objects that it names, each with its commit."""
        return iter(self._seqs.items())

    def covers(self, source: int, seq: int) -> bool:
        """Whether the reader has seen this commit of this object."""
        return seq <= self._seqs.get(source, 0)

    def advanced(self, source: int, seq: int) -> "Position":
        """The position once this commit is seen too; the same if it was."""
        return self if self.covers(source, seq) else Position(self._seqs | {source: seq})

    def joined(self, other: "Position") -> "Position":
        """The position of a reader who has read up to both: ``other`` itself if that has all, else this one if it has."""
        joined = Position(self._seqs | {source: seq for source, seq in other if seq > self._seqs.get(source, 0)})
        return other if joined == other else self if joined == self else joined

    @property
    def wire(self) -> int | str:
        """The position as clients get it in JSON."""
        if self._seqs.keys() <= {ONLY}:
            return self[ONLY]
        return "-".join(f"{source}_{seq}" for source, seq in sorted(self._seqs.items()))

    @property
    def etag(self) -> bytes:
        """The position as a strong ETag."""
        return b'"%b"' % str(self).encode()

    def __str__(self) -> str:
        return str(self.wire)

    def __repr__(self) -> str:
        return f"Position.parse({str(self)!r})"

    def __eq__(self, other: object) -> bool:
        return self._seqs == other._seqs if isinstance(other, Position) else NotImplemented

    def __hash__(self) -> int:
        return hash(frozenset(self._seqs.items()))


START = Position()
"""Nothing is seen yet."""


class WallEvents(NamedTuple):
    """What one call of one of the wall's objects published, and the call's number; a signal has none."""

    source: int
    seq: int | None
    data: tuple[bytes, ...]
