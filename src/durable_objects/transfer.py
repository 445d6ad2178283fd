"""How objects move from one runtime to another: a source reads all that is stored of them, a target stores it.

What moves is an object's head and all its rows, also the runtime's own, unchanged: so numbers of commits go on, a repeated call
with a key gets its first answer, and an alarm that is due meanwhile runs as soon as the target runs.

Calls that objects have sent to each other move as rows too. Those under ``storage.OUTBOX`` may not be taken yet: a target sends
them once it has everything, in the order of their numbers for each pair of sender and receiver. The receiver's own rows tell
which of them it has taken, so sending one again does no harm. A source that has such calls in another place than rows waits
until they are taken, and raises ``Unsettled`` if they are not.
*Rejected:* to deliver everything before objects can be read (it runs the objects' code, which needs its classes and their
configuration, and one call that fails forever would hold back the whole move).
"""

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Protocol

from msgspec import Struct

from durable_objects.disk import Head

PIECE_BYTES = 256 * 1024
"""A piece ends with the first row that makes it longer than this: characters of its keys, bytes of its values, and
``ROW_BYTES`` for each row."""
ROW_BYTES = 32


class Piece(Struct, frozen=True, array_like=True):
    """Some rows of one object, in key order; the first piece has the object's head, and comes also if there are no rows."""

    object_id: str
    head: Head | None
    rows: list[tuple[str, bytes]]


def pieces_of(object_id: str, head: Head | None, rows: Iterable[tuple[str, bytes]]) -> Iterator[Piece]:
    """Pieces with these rows of an object; none at all if there is neither a head nor a row."""
    some: list[tuple[str, bytes]] = []
    size = 0
    for key, value in rows:
        some.append((key, value))
        size += ROW_BYTES + len(key) + len(value)
        if size >= PIECE_BYTES:
            yield Piece(object_id, head, some)
            head, some, size = None, [], 0
    if head is not None or some:
        yield Piece(object_id, head, some)


class ObjectSource(Protocol):
    """All objects of a place as they are at one moment, in pieces that fit into memory."""

    @property
    def data_version(self) -> int:
        """What the rows' own format is; see ``disk.DATA_VERSION``. It may be an earlier one than this program's."""

    async def objects(self) -> list[str]:
        """The ids of all objects that were ever written (namespace/name)."""

    def pieces(self, object_id: str) -> AsyncIterator[Piece]:
        """Everything that is stored of an object."""

    async def check(self) -> None:
        """After everything was read: was it all there at one moment? Raises ``SourceChanged`` or ``Unsettled``."""


class ObjectTarget(Protocol):
    """A place without objects, which gets all of them or none: what it has before ``finish``, nobody can call.

    Where that is not one moment for all of them, the first object that comes is the last that can be called. So it should be
    the one that programs call first.
    """

    async def begin(self, data_version: int, import_id: bytes) -> None:
        """Take pieces from now on; those of an earlier ``data_version`` are converted.

        Args:
            data_version: of the source.
            import_id: 32 bytes, the same for the same pieces: what a crash has left of this import or another is begun again.

        Raises ``DataExists`` when there are objects already, ``DataUnreadable`` for a version that cannot be converted.
        """

    async def write(self, piece: Piece) -> None:
        """Take the next piece; those of one object follow each other.

        Raises ``DataUnreadable`` for an object that came before.
        """

    async def finish(self) -> None:
        """Make everything durable and callable; when this returns it is, also after a crash."""
