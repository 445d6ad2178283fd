"""A file with all objects of a place: a line about it, the objects in compressed frames, and their count and digest.

The first line is JSON that people can read. Each frame is the length of what follows, then pieces as MessagePack, compressed
with zlib. A frame of length 0 ends them, and a last line follows with the digest of everything before that line. So a file that
was cut, or changed in one bit, is found out before anything in it is used. Neither reading nor writing holds more than a frame.
"""

import os
import zlib
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Literal, Self

import msgspec
from msgspec import Struct

from durable_objects.errors import DataExists, DataUnreadable
from durable_objects.files import put_in_place
from durable_objects.transfer import PIECE_BYTES, ROW_BYTES, Piece

VERSION: Final = 1
"""Of the file's own format."""
_MAX_LINE_BYTES: Final = 64 * 1024
_MAX_FRAME_BYTES: Final = 8 * 1024 * 1024
"""More than any frame has, compressed or not: less than two pieces, each with one row more, of up to four bytes a character."""
_LENGTH_BYTES: Final = 4
_LEVEL: Final = 1
"""zlib's fastest: higher ones take several times as long, and make the file a tenth smaller."""


class Header(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line."""

    format: Literal["durable objects"] = "durable objects"
    version: int = VERSION
    data_version: int
    """See ``disk.DATA_VERSION``."""
    made_by: str
    """The program and its version."""
    made_at: str
    """UTC."""
    facts: dict[str, str] = {}
    """What the objects' program says about them."""


class Summary(Struct, frozen=True, forbid_unknown_fields=True):
    """The last line."""

    objects: int
    rows: int
    digest: str
    """Of everything before this line."""


class _Versioned(Struct):
    format: Literal["durable objects"]
    version: int


_encode_pieces: Final = msgspec.msgpack.Encoder().encode
_decode_pieces: Final = msgspec.msgpack.Decoder(list[Piece]).decode


class _Counting:
    """Counts pieces, in the order in which objects must come."""

    def __init__(self) -> None:
        self.objects = self.rows = 0
        self._object_id: str | None = None
        self._key = ""

    def add(self, piece: Piece) -> None:
        """Raises ``ValueError`` for what is out of order."""
        if piece.head is not None:
            self.objects += 1
            self._object_id, self._key = piece.object_id, ""
        if piece.object_id != self._object_id:
            raise ValueError(f"rows of {piece.object_id} come without its head")
        for key, _ in piece.rows:
            if key <= self._key:
                raise ValueError(f"the key {key!r} of {piece.object_id} is out of order")
            self._key = key
        self.rows += len(piece.rows)


class ExportWriter:
    """Writes a new file at ``path``, which is there when ``finish`` has returned and not before.

    A context manager: without ``finish`` nothing is left. Raises ``DataExists`` on entering when there is a file at ``path``.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self._path = path
        self._header = header
        self._part = path.with_name(path.name + ".part")
        self._digest = blake2b(digest_size=32)
        self._counting = _Counting()
        self._pieces: list[Piece] = []
        self._bytes = 0
        self._file: BinaryIO

    def __enter__(self) -> Self:
        if self._path.exists():
            raise DataExists(f"{self._path} exists already; choose another name")
        self._file = self._part.open("wb")
        self._put(msgspec.json.encode(self._header) + b"\n")
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()
        self._part.unlink(missing_ok=True)

    def write(self, piece: Piece) -> None:
        """Add a piece."""
        self._counting.add(piece)
        self._pieces.append(piece)
        self._bytes += ROW_BYTES + len(piece.object_id) + sum(ROW_BYTES + len(key) + len(value) for key, value in piece.rows)
        if self._bytes >= PIECE_BYTES:
            self._end_frame()

    def finish(self) -> Summary:
        """Make the file durable, under its name."""
        if self._pieces:
            self._end_frame()
        self._put(bytes(_LENGTH_BYTES))
        summary = Summary(self._counting.objects, self._counting.rows, self._digest.hexdigest())
        self._put(msgspec.json.encode(summary) + b"\n")
        self._file.close()
        put_in_place(self._part, self._path)
        return summary

    def _end_frame(self) -> None:
        encoded = _encode_pieces(self._pieces)
        if len(encoded) > _MAX_FRAME_BYTES:
            raise ValueError(f"a piece of {self._pieces[-1].object_id} is too large")
        frame = zlib.compress(encoded, _LEVEL)
        self._put(len(frame).to_bytes(_LENGTH_BYTES) + frame)
        self._pieces, self._bytes = [], 0

    def _put(self, data: bytes) -> None:
        self._digest.update(data)
        self._file.write(data)


class ExportReader:
    """Reads the file at ``path``: a context manager, which has its ``header`` then. Read ``pieces`` once to check all of it.

    Raises ``DataUnreadable``, which names the file, for one that is none, was cut or changed, or is of a later version.
    """

    header: Header

    def __init__(self, path: Path) -> None:
        self._path = path
        self._digest = blake2b(digest_size=32)
        self._file: BinaryIO

    def __enter__(self) -> Self:
        self._file = self._path.open("rb")
        try:
            self.header = self._read_header()
        except BaseException:
            self._file.close()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._file.close()

    def check(self) -> Summary:
        """Read all of it once; returns what it holds."""
        for _ in self.pieces():
            pass
        return self._summary

    def pieces(self) -> Iterator[Piece]:
        """All pieces, from the first one on at each call. What they hold may be used once the last one was read."""
        self._file.seek(0)
        self._digest = blake2b(digest_size=32)
        self._line()
        counting = _Counting()
        try:
            while (length := int.from_bytes(self._exactly(_LENGTH_BYTES))) != 0:
                for piece in _decode_pieces(_inflated(self._exactly(length))):
                    counting.add(piece)
                    yield piece
            self._summary = self._read_summary(counting)
        except (ValueError, zlib.error) as error:  # msgspec's errors are ValueErrors
            raise self._damaged(error) from error

    def _read_header(self) -> Header:
        line = self._line()
        try:
            version = msgspec.json.decode(line, type=_Versioned).version
        except ValueError as error:
            raise DataUnreadable(f"{self._path} is no export of durable objects") from error
        if version > VERSION:
            what = f"has the format {version}, and this program reads the format {VERSION}"
            raise DataUnreadable(f"{self._path} {what}: import it with the program that made it, or a later one")
        try:
            return msgspec.json.decode(line, type=Header)
        except ValueError as error:
            raise self._damaged(error) from error

    def _read_summary(self, counting: _Counting) -> Summary:
        digest = self._digest.hexdigest()
        line = self._file.read(_MAX_LINE_BYTES)
        summary = Summary(counting.objects, counting.rows, digest)
        if line != msgspec.json.encode(summary) + b"\n":
            raise ValueError("its last line does not fit the rest")
        return summary

    def _line(self) -> bytes:
        line = self._file.readline(_MAX_LINE_BYTES)
        self._digest.update(line)
        return line

    def _exactly(self, length: int) -> bytes:
        data = self._file.read(min(length, _MAX_FRAME_BYTES))
        if len(data) < length:
            raise ValueError(f"it ends after {os.fstat(self._file.fileno()).st_size} bytes")
        self._digest.update(data)
        return data

    def _damaged(self, error: Exception) -> DataUnreadable:
        return DataUnreadable(f"{self._path} was cut or changed after it was made: {error}")


def _inflated(frame: bytes) -> bytes:
    """The bytes that were compressed; raises ``ValueError`` or ``zlib.error``."""
    decompress = zlib.decompressobj()
    data = decompress.decompress(frame, _MAX_FRAME_BYTES)
    if not decompress.eof or decompress.unused_data:
        raise ValueError("a frame has another length than it says")
    return data
