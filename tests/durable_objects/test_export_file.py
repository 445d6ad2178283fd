"""A file of objects: it gives back what was put in, and one that was cut or changed in a single bit is refused by its name."""

from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from durable_objects import DataExists, DataUnreadable
from durable_objects.disk import DATA_VERSION, Head
from durable_objects.export_file import ExportReader, ExportWriter, Header, Summary
from durable_objects.limits import MAX_VALUE_BYTES
from durable_objects.transfer import PIECE_BYTES, Piece, pieces_of
from profiles import examples

HEADER = Header(data_version=DATA_VERSION, made_by="a test", made_at="2026-01-01T00:00:00Z", facts={"color": "green"})
KEYS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
HEADS = st.builds(Head, st.integers(0, 2**62), st.none() | st.integers(0, 2**53 - 1))


@st.composite
def pieces_of_objects(draw: st.DrawFn) -> list[Piece]:
    """Objects with their rows, some of them in several pieces."""
    pieces: list[Piece] = []
    for object_id in draw(st.lists(KEYS, unique=True, max_size=5)):
        rows = sorted(draw(st.dictionaries(KEYS, st.binary(max_size=50), max_size=10)).items())
        cut = draw(st.integers(0, len(rows)))
        pieces.append(Piece(object_id, draw(HEADS), rows[:cut]))
        if cut < len(rows):
            pieces.append(Piece(object_id, None, rows[cut:]))
    return pieces


def written(path: Path, pieces: Sequence[Piece]) -> Summary:
    with ExportWriter(path, HEADER) as writer:
        for piece in pieces:
            writer.write(piece)
        return writer.finish()


SOME = [
    Piece("Ledger/a", Head(3, 99), [("\x01in/b", b"1"), ("entry/1", b"\x00\xff"), ("entry/2", b"")]),
    Piece("Ledger/a", None, [("entry/3", b"x" * 100)]),
    Piece("Ledger/ünïcödé", Head(1), []),
]


@settings(max_examples=examples(200))
@given(pieces=pieces_of_objects(), frame=st.sampled_from([1, 100, PIECE_BYTES]))
def test_p1_what_is_read_is_what_was_written(tmp_path_factory: pytest.TempPathFactory, pieces: list[Piece], frame: int) -> None:
    path = tmp_path_factory.mktemp("export") / "file"
    with patch("durable_objects.export_file.PIECE_BYTES", frame):  # how many pieces a frame has
        summary = written(path, pieces)
    with ExportReader(path) as reader:
        assert reader.header == HEADER
        assert reader.check() == summary
        assert list(reader.pieces()) == pieces
        assert list(reader.pieces()) == pieces, "it can be read again"
    assert summary.objects == sum(piece.head is not None for piece in pieces)
    assert summary.rows == sum(len(piece.rows) for piece in pieces)


def refusal(path: Path) -> str:
    with pytest.raises(DataUnreadable) as refused, ExportReader(path) as reader:
        reader.check()
    return str(refused.value)


def test_p1_a_file_with_one_flipped_bit_is_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with patch("durable_objects.export_file.PIECE_BYTES", 1):
        written(path, SOME)
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        path.write_bytes(changed)
        assert str(path) in refusal(path), f"bit {bit}"


def test_p1_a_file_that_was_cut_or_has_more_is_refused_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "file"
    with patch("durable_objects.export_file.PIECE_BYTES", 1):
        written(path, SOME)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert str(path) in refusal(path), f"{length} bytes"
    for more in (b"\n", whole):
        path.write_bytes(whole + more)
        assert refusal(path) == f"{path} was cut or changed after it was made: its last line does not fit the rest"


def test_p1_parts_of_two_files_are_not_one(tmp_path: Path) -> None:
    """Each frame is whole, and the objects in them are not those that belong together."""
    one, other = tmp_path / "one", tmp_path / "other"
    written(one, SOME)
    written(other, [Piece("Ledger/a", Head(4, 99), SOME[0].rows), *SOME[1:]])
    first, _, _ = one.read_bytes().rpartition(b"{")
    _, _, last = other.read_bytes().rpartition(b"{")
    one.write_bytes(first + b"{" + last)
    assert "its last line does not fit the rest" in refusal(one)


def test_a_file_of_a_later_program_is_refused_with_a_way_out(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b'{"format":"durable objects","version":2,"new":[]}\n')
    way = "import it with the program that made it, or a later one"
    assert refusal(path) == f"{path} has the format 2, and this program reads the format 1: {way}"


@pytest.mark.parametrize(
    "content", [b"", b"SQLite format 3\x00", b"{}\n", b'{"format":"objects","version":1}\n', b"\n" * 100_000]
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(content)
    assert refusal(path) == f"{path} is no export of durable objects"


def test_a_file_that_exists_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"precious")
    with pytest.raises(DataExists, match="exists already; choose another name"), ExportWriter(path, HEADER):
        raise AssertionError
    assert path.read_bytes() == b"precious"


def test_a_file_that_was_not_finished_leaves_nothing(tmp_path: Path) -> None:
    with ExportWriter(tmp_path / "file", HEADER) as writer:
        writer.write(SOME[0])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("pieces", "rule"),
    [
        ([Piece("a", None, [])], "rows of a come without its head"),
        ([Piece("a", Head(1), []), Piece("b", None, [])], "rows of b come without its head"),
        ([Piece("a", Head(1), [("k", b""), ("k", b"")])], "the key 'k' of a is out of order"),
        ([Piece("a", Head(1), [("k", b"")]), Piece("a", None, [("j", b"")])], "the key 'j' of a is out of order"),
    ],
)
def test_pieces_out_of_order_are_refused(tmp_path: Path, pieces: list[Piece], rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        written(tmp_path / "file", pieces)


def test_a_piece_that_no_reader_would_take_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a piece of a is too large"):
        written(tmp_path / "file", [Piece("a", Head(1), [("k", bytes(8 * 1024 * 1024))])])


@pytest.mark.parametrize("key", ["k", "😀"])
def test_pieces_are_small_enough_for_the_file_whatever_the_rows_are(tmp_path: Path, key: str) -> None:
    rows = [(key * 2_048 + f"{number:04}", bytes(MAX_VALUE_BYTES if number % 3 else 0)) for number in range(300)]
    pieces = [*pieces_of("a", Head(1), rows), *pieces_of("b", Head(2), []), *pieces_of("c", None, [])]
    assert [row for piece in pieces for row in piece.rows] == rows
    assert [piece.object_id for piece in pieces if piece.head is not None] == ["a", "b"]
    written(tmp_path / "file", pieces)
    with ExportReader(tmp_path / "file") as reader:
        assert list(reader.pieces()) == pieces


def test_a_frame_that_grows_without_bound_is_refused(tmp_path: Path) -> None:
    """Memory stays bounded whatever the file says."""
    path = tmp_path / "file"
    written(path, [Piece("a", Head(1), [("k", bytes(2_000_000))])])
    with patch("durable_objects.export_file._MAX_FRAME_BYTES", 1_000_000):
        assert "a frame has another length than it says" in refusal(path)
