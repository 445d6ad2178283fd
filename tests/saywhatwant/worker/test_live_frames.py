"""A frame of the live wall: it has what is younger than where its reader stands, and is encoded once for all readers."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles import examples
from saywhatwant.worker.broadcaster import Frame

OLD, NEW = b'{"of":"old"}', b'{"of":"new"}'
PASSING = b'{"of":"nothing stored"}'


def told(frame: Frame | None) -> list[str]:
    """What a frame tells of."""
    return [] if frame is None else [event["of"] for event in json.loads(frame.text)["events"]]


@pytest.mark.parametrize(
    ("changes", "after", "left"),
    [
        pytest.param([], 9, [], id="a heartbeat"),
        pytest.param([(None, PASSING)], 9, [PASSING], id="nothing stored"),
        pytest.param([(7, NEW)], 6, [NEW], id="younger"),
        pytest.param([(7, OLD)], 7, None, id="that very commit"),
        pytest.param([(6, OLD), (7, OLD)], 8, None, id="all older"),
        pytest.param([(6, OLD), (7, NEW), (8, NEW)], 6, [NEW, NEW], id="some older"),
        pytest.param([(6, OLD), (6, OLD), (7, NEW), (7, NEW)], 6, [NEW, NEW], id="two of a commit"),
        pytest.param([(None, PASSING), (6, OLD), (7, NEW)], 6, [PASSING, NEW], id="nothing stored, then some older"),
        pytest.param([(6, OLD), (None, PASSING)], 6, [PASSING], id="older, then nothing stored"),
        pytest.param([(None, PASSING), (7, NEW)], 6, [PASSING, NEW], id="nothing stored, then younger"),
    ],
)
def test_p5_a_frame_has_only_what_is_younger_than_where_its_reader_stands(
    changes: list[tuple[int | None, bytes]], after: int, left: list[bytes] | None
) -> None:
    frame = Frame(8, changes)
    younger = frame.after(after)
    if left is None:
        assert younger is None
    else:
        assert younger is not None
        assert json.loads(younger.text) == {"seq": 8, "events": [json.loads(event) for event in left]}
        assert younger.seq == 8
        # Encoded once for all readers, but for the few who have just come.
        assert (younger is frame) == (len(left) == len(changes))


@settings(max_examples=examples(100))
@given(seqs=st.lists(st.none() | st.integers(0, 9), max_size=8), after=st.integers(0, 9))
def test_p5_a_frame_leaves_out_nothing_else(seqs: list[int | None], after: int) -> None:
    stored = iter(sorted(seq for seq in seqs if seq is not None))
    ordered = [None if seq is None else next(stored) for seq in seqs]
    frame = Frame(9, [(seq, b'{"of":"%d"}' % place) for place, seq in enumerate(ordered)])
    assert told(frame.after(after)) == [str(place) for place, seq in enumerate(ordered) if seq is None or seq > after]


def test_p5_a_frame_says_that_more_follows_only_when_it_does() -> None:
    assert json.loads(Frame(1, [(None, NEW)], more=True).text) == {"seq": 1, "events": [{"of": "new"}], "more": True}
    assert json.loads(Frame(1, []).text) == {"seq": 1, "events": []}
