"""What one process makes of calls, step by step: answers, reads, and what is in memory."""

from datetime import timedelta

import pytest
from fake_restate import FakeRestate
from faked_scribes import answers_of, batch, call, new_cluster, read_at, said

from durable_objects.limits import MAX_COMMIT_WAIT_SECONDS
from durable_objects.restate import held_object, object_host, replica, service
from durable_objects.restate.encoding import (
    BATCH,
    ERROR,
    Batch,
    namespace_of,
    service_name,
)
from durable_objects.restate.service import ObjectService, virtual_object


@pytest.fixture
def cluster() -> FakeRestate:
    return new_cluster()


# -- Calls


def test_a_call_that_fails_or_refuses_drops_its_own_writes_alone(cluster: FakeRestate) -> None:
    calls = [
        call("append", text="1"),
        call("append_and_fail", text="2"),
        call("append_and_refuse", text="3"),
        call("append", text="4"),
        call("no_such_method"),
        call("append", wrong="argument"),
        call("texts"),
    ]
    assert batch(cluster, *calls) == [1, "failed", "full", 2, "failed", "failed", ["1", "4"]]
    cluster.restart(0)
    assert batch(cluster, call("texts"), call("seq")) == [["1", "4"], 2]


def test_a_call_that_is_marked_as_a_read_and_changes_something_fails(cluster: FakeRestate) -> None:
    batch(cluster, call("append", text="1"))
    assert batch(cluster, call("break_the_mark"), call("texts")) == ["failed", ["1"]]
    answers = read_at(cluster, call("append", text="2"), call("no_such_method"), call("break_the_mark"))
    assert [said(answer) for answer in answers.answers] == ["failed"] * 3
    assert batch(cluster, call("texts")) == [["1"]]


def test_an_answer_is_what_the_object_returned_whatever_later_calls_do_to_it(cluster: FakeRestate) -> None:
    assert batch(cluster, call("see", what="1"), call("see", what="2"), of="Odd") == [["1"], ["1", "2"]]


def test_a_call_whose_result_cannot_be_sent_fails_and_changes_nothing(cluster: FakeRestate) -> None:
    assert batch(cluster, call("wrong"), call("keys"), of="Odd") == ["failed", []]


def test_an_exception_that_would_end_the_process_ends_the_call(cluster: FakeRestate) -> None:
    assert batch(cluster, call("exit"), call("see", what="1"), of="Odd") == ["failed", ["1"]]


def test_each_call_of_an_object_that_cannot_be_made_fails(cluster: FakeRestate) -> None:
    batch(cluster, call("break_for_good"), of="Odd")
    cluster.restart(0)
    assert batch(cluster, call("keys"), call("keys"), of="Odd") == ["failed", "failed"]


def test_a_call_with_a_key_runs_once(cluster: FakeRestate) -> None:
    calls = [call("append", key="k", text="1"), call("append", key="k", text="1"), call("append", key="k", text="2")]
    assert batch(cluster, *calls) == [1, 1, "key-reused"]
    invocation = cluster.invoke("Scribe", "a", "batch", BATCH.encode(Batch(calls[:1])))
    cluster.finish(1)
    assert [(said(answer), answer.repeated) for answer in answers_of(invocation).answers] == [(1, True)]


def test_calls_beyond_the_size_of_an_answer_do_not_run(cluster: FakeRestate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_host, "MAX_ANSWERS_BYTES", 1_500)
    assert batch(cluster, *[call("large")] * 5, of="Odd") == ["x" * 1_000] * 2


def test_one_commit_is_never_larger_than_restate_takes(cluster: FakeRestate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_object, "ENOUGH_BYTES", 3_500)
    monkeypatch.setattr(held_object, "MAX_CALL_BYTES", 10_000)
    fill = call("fill", number=2_000)
    assert batch(cluster, fill, fill, fill, of="Odd") == [None] * 2  # the third one is for the next batch
    assert batch(cluster, call("fill", number=11_000), call("keys"), of="Odd") == ["failed", ["row 000", "row 001"]]


def test_a_call_that_sends_too_much_fails_alone(cluster: FakeRestate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_object, "MAX_CALL_BYTES", 2_000)
    assert batch(cluster, call("see", what="1"), call("send_much"), call("see", what="2"), of="Odd") == [["1"], "failed", ["2"]]
    assert not any(cluster.state.values())


def test_p1_an_answer_that_restate_would_try_for_ever_fails_its_call_alone(
    cluster: FakeRestate, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(held_object, "MAX_CALL_BYTES", 2_000)
    much = call("fill_and_return", number=1_500)
    assert batch(cluster, call("see", what="1"), much, call("keys"), call("large"), of="Odd") == [
        ["1"],
        "failed",
        [],
        "x" * 1_000,
    ]
    monkeypatch.setattr(held_object, "MAX_CALL_BYTES", 1_000)
    assert batch(cluster, call("show"), call("keys"), of="Odd") == ["failed", []]
    assert [said(answer) for answer in read_at(cluster, call("show"), of="Odd").answers] == ["failed"]


def test_p1_an_error_that_restate_would_try_for_ever_is_cut(cluster: FakeRestate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(held_object, "MAX_ERROR_BYTES", 2_000)
    monkeypatch.setattr(object_host, "MAX_ANSWERS_BYTES", 3_000)
    refused = [call("append_and_refuse", text="x" * size) for size in (1_500, 2_000, 1_500, 1_500)]
    invocation = cluster.invoke("Scribe", "a", "batch", BATCH.encode(Batch(refused)))
    cluster.finish()
    first, second, third = answers_of(invocation).answers  # the fourth is for the next batch
    assert [said(answer) for answer in (first, second, third)] == ["full", "failed", "full"]
    assert second.error is not None
    assert "at most 2000 are allowed: Full('xxx" in second.error.detail
    assert second.size < 2_000


def test_what_cannot_be_read_is_an_error_that_restate_does_not_try_again(cluster: FakeRestate) -> None:
    invocation = cluster.invoke("Scribe", "a", "batch", b"nonsense")
    cluster.finish()
    assert ERROR.decode((invocation.error or "").encode()).code == "failed"


def test_a_bound_on_what_one_call_sends_is_kept(cluster: FakeRestate) -> None:
    assert batch(cluster, call("send_many"), of="Odd") == ["failed"]
    assert not any(cluster.state.values())


# -- Reads


def test_a_read_is_answered_where_the_object_is_as_it_is_stored_and_nowhere_else(cluster: FakeRestate) -> None:
    assert not read_at(cluster, call("texts")).here
    batch(cluster, call("append", text="1"))
    assert said(read_at(cluster, call("texts")).answers[0]) == ["1"]
    assert not read_at(cluster, call("texts"), process=1).here
    batch(cluster, call("append", text="2"), process=1)
    assert not read_at(cluster, call("texts")).here
    cluster.invoke("Scribe", "a", "batch", BATCH.encode(Batch([call("append", text="3")])))
    cluster.attempt(("objects.Scribe", "a"), 1, steps=1, has_run=True)  # run, and not durable
    assert not read_at(cluster, call("texts"), process=1).here


@pytest.mark.parametrize("wrong", ["fail", "quit"])
def test_a_read_that_fails_fails_alone(cluster: FakeRestate, wrong: str) -> None:
    batch(cluster, call("keys"), of="Odd")
    answers = read_at(cluster, call("keys"), call(wrong), call("keys"), of="Odd")
    assert [said(answer) for answer in answers.answers] == [[], "failed"], "the one after it is for the next request"
    assert batch(cluster, call("keys"), of="Odd") == [[]]


def test_reads_beyond_the_size_of_an_answer_do_not_run(cluster: FakeRestate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_host, "MAX_ANSWERS_BYTES", 1_500)
    batch(cluster, call("keys"), of="Odd")
    assert [said(answer) for answer in read_at(cluster, *[call("show")] * 5, of="Odd").answers] == ["x" * 1_000] * 2


def test_rows_are_loaded_as_calls_need_them(cluster: FakeRestate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "LOADED_AT_ONCE", 10)
    monkeypatch.setattr(replica, "_FIRST_AHEAD", 4)
    batch(cluster, *[call("append", text=f"{number}") for number in range(1, 101)])
    cluster.restart(0)
    invocation = cluster.invoke(
        "Scribe", "a", "batch", BATCH.encode(Batch([call("text", number=50), call("append", text="x")]))
    )
    cluster.finish()
    assert [said(answer) for answer in answers_of(invocation).answers] == ["50", 101]
    assert [what for what, _ in invocation.journal if what[0] == "get"] == [
        ("get", "head"),
        ("get", "row/count"),
        ("get", "row/entry/000050"),
    ]
    assert not read_at(cluster, call("texts", page=7)).here
    assert batch(cluster, call("texts", page=7)) == [[*map(str, range(1, 101)), "x"]]
    assert said(read_at(cluster, call("texts", page=7)).answers[0]) == [*map(str, range(1, 101)), "x"]


def test_more_rows_are_loaded_each_time_so_that_a_long_list_takes_few_rounds(cluster: FakeRestate) -> None:
    batch(cluster, *[call("append", text="x") for _ in range(1_000)])
    cluster.restart(0)
    invocation = cluster.invoke("Scribe", "a", "batch", BATCH.encode(Batch([call("texts", page=10)])))
    cluster.finish()
    assert len(said(answers_of(invocation).answers[0])) == 1_000
    rounds = [what for what, _ in invocation.journal if what[0] == "run"]
    assert len(rounds) == 6  # names, the count, 256, 512 and 232 entries, and what runs to its end


# -- Memory, and names


def test_objects_that_are_not_called_leave_memory_and_come_back(cluster: FakeRestate) -> None:
    host = cluster.processes[0]
    batch(cluster, call("append", text="1"))
    host.evict_idle()
    assert host.live_objects == 1
    host.evict_idle()
    assert host.live_objects == 0
    assert batch(cluster, call("append", text="2"), call("texts")) == [2, ["1", "2"]]


def test_the_number_of_objects_in_memory_is_bounded(cluster: FakeRestate, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_host, "MAX_LIVE_OBJECTS", 3)
    for name in ["a", "b", "c", "a", "d"]:
        batch(cluster, call("append", text=name), name=name)
    assert cluster.processes[0].live_objects == 3
    assert batch(cluster, call("texts"), name="b") == [["b"]]


@pytest.mark.parametrize("namespace", ["Scribe", "my.scribes", "schön", "a b_c", "\U0001f600"])
def test_a_namespace_has_a_service_of_its_own(namespace: str) -> None:
    name = service_name("t", namespace)
    assert namespace_of("t", name) == namespace
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")


def test_what_memory_answers_is_attempted_once_and_everything_else_until_it_is_done(cluster: FakeRestate) -> None:
    handlers = virtual_object(ObjectService(cluster.processes[0], "t", "Scribe")).handlers
    once = {name for name, handler in handlers.items() if handler.invocation_retry_policy is not None}
    assert once == {"follow", "read", "taken"}
    kept = handlers["batch"].idempotency_retention
    assert kept is not None
    assert kept >= timedelta(seconds=2 * MAX_COMMIT_WAIT_SECONDS), "a gateway sends a batch again for as long as its calls wait"
