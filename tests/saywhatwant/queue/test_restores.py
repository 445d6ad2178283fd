"""A restored queue knows which commits were lost, and no attempt has a number that was given before."""

from hypothesis import given
from hypothesis import strategies as st

from saywhatwant.limits import MAX_ATTEMPT
from saywhatwant.queue.restores import LOST_ATTEMPTS, MAX_FENCES, MAX_GAPS, Gap, decode, encode, fence, is_lost, with_gap

LATER = 1_000


def gaps_of(lengths: list[tuple[int, int]]) -> list[Gap]:
    """Gaps one behind the other: so many commits, then so many that were lost, and so on."""
    gaps: list[Gap] = []
    seq = 0
    for made, lost in lengths:
        last = seq + made
        seq = last + lost + 1
        gaps = with_gap(gaps, last, seq, floor=seq)
    return gaps


def test_p5_positions_between_a_backup_and_what_followed_its_restore_are_lost_and_no_others() -> None:
    gaps = [Gap(10, 100, 0), Gap(150, 1_000, 0, 2)]
    lost = [position for position in range(1_200) if is_lost(gaps, position)]
    assert lost == [*range(11, 100), *range(151, 1_000)]
    assert not is_lost((), 7)


def test_p5_a_gap_without_lost_commits_loses_no_position() -> None:
    assert not any(is_lost([Gap(10, 11, 0)], position) for position in range(30))


LENGTHS = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=MAX_GAPS + 20)


@given(lengths=LENGTHS)
def test_p5_however_many_restores_there_were_a_lost_position_stays_lost(lengths: list[tuple[int, int]]) -> None:
    """At the bound more is taken for lost than was, which costs a reader a page, and never less."""
    gaps = gaps_of(lengths)
    assert len(gaps) <= MAX_GAPS
    assert decode(encode(gaps)) == gaps
    seq = 0
    for made, lost in lengths:
        assert all(is_lost(gaps, position) for position in range(seq + made + 1, seq + made + lost + 1))
        seq += made + lost + 1
    assert gaps[-1].number == len(lengths)
    assert not is_lost(gaps, seq)
    assert not is_lost(gaps, seq + LATER)


def test_p3_attempts_at_messages_of_the_backup_are_numbered_above_those_that_may_have_been_lost() -> None:
    gaps = [Gap(10, 100, floor=5_000), Gap(150, 1_000, floor=9_000, number=2)]
    assert [fence(gaps, timestamp) for timestamp in (4_000, 9_000, 9_001)] == [2 * LOST_ATTEMPTS, 2 * LOST_ATTEMPTS, 0]
    assert fence((), 4_000) == 0
    assert fence([Gap(10, 100, floor=5_000, number=10**9)], 4_000) + LOST_ATTEMPTS < MAX_ATTEMPT
    assert MAX_FENCES > 1
