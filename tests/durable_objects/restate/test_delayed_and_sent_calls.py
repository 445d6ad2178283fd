"""Alarms, and calls of objects to each other, step by step."""

import pytest
from fake_restate import FakeRestate
from faked_scribes import batch, call, head_of, new_cluster
from scribe import Scribe

from durable_objects.limits import ALARM_RETRY_MS
from durable_objects.restate import held_object
from durable_objects.restate.encoding import (
    SENT_NUMBERS,
)


@pytest.fixture
def cluster() -> FakeRestate:
    return new_cluster()


# -- Alarms


def test_an_alarm_runs_when_it_is_due_and_asks_for_one_delayed_call(cluster: FakeRestate) -> None:
    batch(cluster, call("wake_at", at=cluster.now_ms + 5_000), call("append", text="1"))
    assert len(cluster.delayed) == 1
    cluster.advance(4.9)
    cluster.finish()
    assert batch(cluster, call("texts")) == [["1"]]
    cluster.advance(0.2)
    cluster.finish()
    assert batch(cluster, call("texts")) == [["1", "alarm"]]
    assert (head_of(cluster).alarm_at, head_of(cluster).wake_at, cluster.delayed) == (None, None, [])


def test_an_alarm_that_moves_runs_at_its_last_time_alone(cluster: FakeRestate) -> None:
    start = cluster.now_ms
    batch(cluster, call("wake_at", at=start + 5_000))
    batch(cluster, call("wake_at", at=start + 2_000))
    batch(cluster, call("wake_at", at=start + 3_000))
    assert len(cluster.delayed) == 2
    cluster.advance(2.5)
    cluster.finish()
    assert batch(cluster, call("texts")) == [[]]
    cluster.advance(0.6)
    cluster.finish()
    assert batch(cluster, call("texts")) == [["alarm"]]
    batch(cluster, call("wake_at", at=start + 4_000))
    batch(cluster, call("wake_at", at=None))
    cluster.advance(10)
    cluster.finish()
    assert batch(cluster, call("texts")) == [["alarm"]]
    assert cluster.delayed == []


def test_an_alarm_that_fails_runs_again_later_and_later_each_time(cluster: FakeRestate) -> None:
    Scribe.unwilling = 3
    batch(cluster, call("wake_at", at=cluster.now_ms + 1))
    waits: list[int] = []
    cluster.advance(0.001)
    cluster.finish()
    while cluster.delayed:
        [retry] = cluster.delayed
        waits.append(retry.due_at - cluster.now_ms)
        cluster.advance(waits[-1] / 1_000)
        cluster.finish()
    assert waits == [ALARM_RETRY_MS, 2 * ALARM_RETRY_MS, 4 * ALARM_RETRY_MS]
    assert batch(cluster, call("texts")) == [["alarm"]]
    assert head_of(cluster).alarm_failures == 0


def test_a_delayed_call_that_does_not_count_any_more_changes_nothing(cluster: FakeRestate) -> None:
    batch(cluster, call("wake_at", at=cluster.now_ms + 5_000))
    batch(cluster, call("wake_at", at=cluster.now_ms + 1_000))
    cluster.advance(1)
    cluster.finish()
    batch(cluster, call("wake_at", at=cluster.now_ms + 1))
    head = head_of(cluster)
    cluster.delayed.sort(key=lambda one: one.due_at)
    stale = cluster.delayed.pop()
    cluster.now_ms = stale.due_at
    cluster.send(stale)
    cluster.finish()
    assert head_of(cluster) == head


def test_what_would_end_the_process_is_tried_again_later(cluster: FakeRestate) -> None:
    batch(cluster, call("wake_at", at=cluster.now_ms + 1), call("send_exit", name="b"), of="Odd")
    for seconds in (0.001, ALARM_RETRY_MS / 1_000, 2 * ALARM_RETRY_MS / 1_000):
        assert len(cluster.delayed) == 2, "the alarm, and what was sent"
        cluster.advance(seconds)
        cluster.finish()


# -- Calls to others


def test_what_is_sent_is_taken_once_and_a_call_that_fails_blocks_no_others(cluster: FakeRestate) -> None:
    Scribe.unwilling = 1
    batch(cluster, call("tell", name="b", texts=["1", "2"]))
    assert batch(cluster, call("texts"), call("append", text="mine"), name="b") == [[], 1]
    batch(cluster, call("tell", name="b", texts=["3"]))
    batch(cluster, call("tell", name="b", texts=["from c"]), name="c")
    assert batch(cluster, call("texts"), name="b") == [["mine", "from c"]]
    assert SENT_NUMBERS.decode(cluster.sent("Scribe", "a")) == {"Scribe/b": 2_001}
    cluster.advance(ALARM_RETRY_MS / 1_000)
    cluster.finish()
    assert batch(cluster, call("texts"), name="b") == [["mine", "from c", "1", "2", "3"]]
    assert not [key for key in cluster.state["objects.Scribe", "b"] if "late" in key]


def test_an_object_cannot_send_without_end_to_one_that_fails(cluster: FakeRestate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_object, "MAX_UNTAKEN_SENDS", 6)
    tell = call("tell", name="b", texts=["1"])  # two calls
    assert batch(cluster, *[tell] * 4) == [None] * 4
    Scribe.unwilling = 1
    assert batch(cluster, tell) == [None]
    assert batch(cluster, tell, tell, tell, call("tell", name="c", texts=["2"])) == [None, None, "overloaded", None]
    assert SENT_NUMBERS.decode(cluster.sent("Scribe", "a"))["Scribe/b"] == 7_001
    Scribe.unwilling = 1
    for _ in range(2):
        assert batch(cluster, tell) == ["overloaded"]
        cluster.advance(2 * ALARM_RETRY_MS / 1_000)
        cluster.finish()
    assert batch(cluster, tell, tell) == [None, None]
    assert batch(cluster, call("texts"), name="b") == [["1"] * 9]


def test_sent_calls_that_change_much_are_taken_in_several_commits(
    cluster: FakeRestate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_object, "ENOUGH_BYTES", 100)
    texts = [f"text {number} {'x' * 40}" for number in range(8)]
    batch(cluster, call("tell", name="b", texts=texts))
    while cluster.delayed:
        cluster.advance(0.001)
        cluster.finish()
    assert batch(cluster, call("texts"), name="b") == [texts]
    assert not [key for key in cluster.state["objects.Scribe", "b"] if "late" in key]


def test_a_call_that_fails_sends_nothing(cluster: FakeRestate) -> None:
    batch(cluster, call("tell_and_fail", name="b"))
    assert not cluster.state["objects.Scribe", "b"]
