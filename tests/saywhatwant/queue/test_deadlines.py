"""Deadlines compared with a plain dictionary, and bounded (P4)."""

from hypothesis import given
from hypothesis import strategies as st

from saywhatwant.queue.deadlines import MIN_COMPACTED, Deadlines

TIMES = st.integers(0, 5)


@given(steps=st.lists(st.tuples(st.integers(0, 4), st.none() | TIMES), max_size=60), now=TIMES, limit=st.integers(1, 6))
def test_p4_deadlines_end_in_order_each_once(steps: list[tuple[int, int | None]], now: int, limit: int) -> None:
    """Each step sets or clears one of five messages' deadline."""
    deadlines, expected = Deadlines(), dict[int, int]()
    for timestamp, at in steps:
        deadlines.clear(timestamp)
        expected.pop(timestamp, None)
        if at is not None:
            deadlines.set(timestamp, at)
            expected[timestamp] = at
        order = sorted((at, timestamp) for timestamp, at in expected.items())
        assert len(deadlines) == len(expected)
        assert deadlines.due(now, limit) == [timestamp for at, timestamp in order if at <= now][:limit]
        assert deadlines.next == min(expected.values(), default=None)


def test_p4_outdated_deadlines_take_no_more_room_than_the_current_ones() -> None:
    deadlines = Deadlines()
    for at in range(10_000):
        deadlines.clear(at % 10)
        deadlines.set(at % 10, 10_000 - at)
        assert len(deadlines._heap) <= 2 * 10 + MIN_COMPACTED
    assert deadlines.next == 1
