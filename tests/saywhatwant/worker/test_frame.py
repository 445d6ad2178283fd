"""A frame: the part that is newer than a subscriber's token, encoded once for all subscribers."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from profiles import examples
from saywhatwant.topology import Position
from saywhatwant.topology.position import ONLY
from saywhatwant.worker.subscriber import Frame

OLD, NEW = b'{"of":"old"}', b'{"of":"new"}'
PASSING = b'{"of":"nothing stored"}'


def at(seq: int) -> Position:
    return Position({ONLY: seq})


def framed(before: int, seq: int, changes: list[tuple[int | None, bytes]], *, more: bool = False) -> Frame:
    return Frame(at(before), at(seq), [(ONLY, of, event) for of, event in changes], more=more)


def names(frame: Frame | None) -> list[str]:
    """The events of a frame."""
    return [] if frame is None else [event["of"] for event in json.loads(frame.text)["events"]]


@pytest.mark.parametrize(
    ("changes", "after", "left"),
    [
        pytest.param([], 9, [], id="a heartbeat"),
        pytest.param([(None, PASSING)], 9, [PASSING], id="nothing stored"),
        pytest.param([(7, NEW)], 6, [NEW], id="newer"),
        pytest.param([(7, OLD)], 7, None, id="that very commit"),
        pytest.param([(6, OLD), (7, OLD)], 8, None, id="all older"),
        pytest.param([(6, OLD), (7, NEW), (8, NEW)], 6, [NEW, NEW], id="some older"),
        pytest.param([(6, OLD), (6, OLD), (7, NEW), (7, NEW)], 6, [NEW, NEW], id="two of a commit"),
        pytest.param([(None, PASSING), (6, OLD), (7, NEW)], 6, [PASSING, NEW], id="nothing stored, then some older"),
        pytest.param([(6, OLD), (None, PASSING)], 6, [PASSING], id="older, then nothing stored"),
        pytest.param([(None, PASSING), (7, NEW)], 6, [PASSING, NEW], id="nothing stored, then newer"),
    ],
)
def test_p5_a_frame_has_only_what_is_newer_than_the_token(
    changes: list[tuple[int | None, bytes]], after: int, left: list[bytes] | None
) -> None:
    frame = framed(0, 8, changes)
    newer = frame.after(at(after))
    if left is None:
        assert newer is None
    else:
        assert newer is not None
        assert json.loads(newer.text) == {"seq": max(8, after), "events": [json.loads(event) for event in left]}
        assert newer.position == at(max(8, after)), "a token never goes back"
        # Put together once for all subscribers, but for the few who have just come.
        assert (newer is frame) == (len(left) == len(changes) and after <= 8)


@settings(max_examples=examples(100))
@given(seqs=st.lists(st.none() | st.integers(1, 9), max_size=8), after=st.integers(0, 9))
def test_p5_a_frame_leaves_out_nothing_else(seqs: list[int | None], after: int) -> None:
    stored = iter(sorted(seq for seq in seqs if seq is not None))
    ordered = [None if seq is None else next(stored) for seq in seqs]
    frame = framed(0, 9, [(seq, b'{"of":"%d"}' % place) for place, seq in enumerate(ordered)])
    assert names(frame.after(at(after))) == [str(place) for place, seq in enumerate(ordered) if seq is None or seq > after]


def test_p5_a_frame_announces_more_only_when_there_is() -> None:
    assert json.loads(framed(0, 1, [(None, NEW)], more=True).text) == {"seq": 1, "events": [{"of": "new"}], "more": True}
    assert json.loads(framed(0, 1, []).text) == {"seq": 1, "events": []}
