"""What a process tells gateways of the events of an object."""

import pytest
from fake_restate import FakeRestate
from faked_scribes import batch, call, new_cluster

from durable_objects import Events
from durable_objects.restate.encoding import (
    BATCH,
    FOLLOW,
    FOLLOWED,
    Batch,
    Follow,
    Followed,
)
from durable_objects.restate.recent_events import MAX_RECENT_EVENTS, RecentEvents


@pytest.fixture
def cluster() -> FakeRestate:
    return new_cluster()


def followed(cluster: FakeRestate, since: int | None = None, epoch: str = "", signals: int = 0, process: int = 0) -> Followed:
    argument = FOLLOW.encode(Follow(since, epoch, signals))
    answer: Followed = FOLLOWED.decode(cluster.shared("Scribe", "a", "follow", argument, process))
    return answer


def test_events_and_signals_come_in_order_and_each_once(cluster: FakeRestate) -> None:
    begin = followed(cluster)
    assert (begin.seq, begin.events) == (0, [])
    batch(cluster, call("append", text="1"), call("announce", text="!"), call("append_and_fail", text="no"))
    first = followed(cluster, 0, begin.epoch, begin.signals)
    assert first.events == [Events(1, (b"1",)), Events(None, (b"!",))]
    assert followed(cluster, first.seq, first.epoch, first.signals).events == []
    batch(cluster, call("announce", text="?"))
    second = followed(cluster, first.seq, first.epoch, first.signals)
    assert (second.seq, second.events) == (1, [Events(None, (b"?",))])


def test_events_that_are_not_durable_are_not_told(cluster: FakeRestate) -> None:
    batch(cluster, call("append", text="1"))
    begin = followed(cluster)
    cluster.invoke("Scribe", "a", "batch", BATCH.encode(Batch([call("append", text="2"), call("announce", text="!")])))
    cluster.attempt(("objects.Scribe", "a"), 0, steps=2)
    assert followed(cluster, 1, begin.epoch).events == []
    cluster.finish(0)
    assert followed(cluster, 1, begin.epoch).events == [Events(2, (b"2",)), Events(None, (b"!",))]


def test_events_that_another_process_has_made_are_lost_here(cluster: FakeRestate) -> None:
    batch(cluster, call("append", text="1"))
    begin = followed(cluster)
    batch(cluster, call("append", text="2"), process=1)
    assert followed(cluster, 1, begin.epoch).lost
    assert followed(cluster, 1, begin.epoch, process=1).events == [Events(2, (b"2",))]
    assert followed(cluster, 0, begin.epoch, process=1).lost


def test_events_beyond_the_bound_are_lost() -> None:
    recent = RecentEvents(b"0", 0)
    for seq in range(1, MAX_RECENT_EVENTS + 11):
        recent.add(b"%d" % seq, seq, [Events(seq, (b"x",))])
    last = b"%d" % (MAX_RECENT_EVENTS + 10)
    lost, found = recent.since(Follow(9), last), recent.since(Follow(10), last)
    assert lost is not None
    assert lost.lost
    assert found is not None
    assert len(found.events) == MAX_RECENT_EVENTS
    assert recent.since(Follow(10), b"unknown") is None
