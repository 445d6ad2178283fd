"""How far a reader has read, over several objects."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saywhatwant.topology import START, Position

seqs = st.dictionaries(st.integers(0, 10**9 - 1), st.integers(0, 2**53 - 1), max_size=8)


@given(seqs)
def test_a_position_is_what_its_text_says(commits: dict[int, int]) -> None:
    position = Position(commits)
    assert Position.parse(str(position)) == position
    assert hash(Position.parse(str(position))) == hash(position)


def test_one_object_reads_and_writes_as_a_number() -> None:
    assert Position.parse("17").wire == 17
    assert Position.parse("17").etag == b'"17"'
    assert START.wire == 0
    assert Position({3: 5, 1: 17}).wire == "1_17-3_5"
    assert Position({1: 17}).wire == "1_17"


@given(seqs, st.integers(0, 10), st.integers(0, 2**53 - 1))
def test_a_position_only_advances(commits: dict[int, int], source: int, seq: int) -> None:
    before = Position(commits)
    after = before.advanced(source, seq)
    assert after.covers(source, seq)
    assert all(after.covers(*commit) for commit in before)
    assert after[source] == max(before[source], seq)


@pytest.mark.parametrize("text", ["", "-1", "1.5", "1_", "_1", "1_2_3", "1_2-", "1_2-3", "now", "0x10", "1\n", "9" * 400])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a position"):
        Position.parse(text)
