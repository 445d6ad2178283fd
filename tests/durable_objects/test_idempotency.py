"""Calls with an idempotency key: a repeated one gets the first answer (P7), whatever happens in between."""

from collections import Counter
from contextlib import suppress
from functools import partial
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger import Closed, Entry, Ledger

from durable_objects import (
    CommitFailed,
    DataBusy,
    DurableObject,
    KeyReused,
    KeysFull,
    LimitExceeded,
    ObjectFailed,
    OutcomeUnknown,
    Stub,
)
from durable_objects.idempotency import IdempotencyKeys
from durable_objects.limits import (
    KEY_SECONDS,
    MAX_COMMIT_WAIT_SECONDS,
    MAX_VALUE_BYTES,
)
from durable_objects.simulated import SimulatedRuntime
from profiles import examples

YEAR = 365 * 24 * 60 * 60 * 1_000


def ledger_on(runtime: SimulatedRuntime) -> Stub[Ledger]:
    return runtime.namespace("Ledger", Ledger).get("a")


class Repeats:
    """Calls of ``append`` with keys, and how many of them got an earlier answer."""

    def __init__(self, *, autocommit: bool = True) -> None:
        self.runtime = SimulatedRuntime(autocommit=autocommit)
        self.ledger = ledger_on(self.runtime)
        self.count = 0

    def on_repeat(self) -> None:
        self.count += 1

    def stub(self, key: str, fingerprint: bytes | None = None) -> Stub[Ledger]:
        return self.ledger.options(idempotency_key=key, fingerprint=fingerprint, on_repeat=self.on_repeat)

    def append(self, key: str, text: str = "text", fingerprint: bytes | None = None) -> Entry:
        return self.runtime.run(self.stub(key, fingerprint).call(Ledger.append, text))

    def texts(self) -> list[str]:
        return self.runtime.run(self.ledger.call(Ledger.texts))


@pytest.mark.parametrize("then", ["nothing", "crash", "evict"])
def test_p7_a_call_repeated_with_its_key_gets_the_first_answer(then: str) -> None:
    calls = Repeats()
    first = calls.append("key", "one")
    assert calls.count == 0
    if then == "crash":
        calls.runtime.crash()
    elif then == "evict":
        calls.runtime.evict_idle()
        calls.runtime.evict_idle()
    assert calls.append("key", "one") == first
    assert calls.count == 1
    assert calls.append("another", "one") == Entry(2, "one")
    assert calls.texts() == ["one", "one"]


def test_p7_keys_of_two_objects_are_two_keys() -> None:
    runtime = SimulatedRuntime()
    ledgers = runtime.namespace("Ledger", Ledger)
    for name in ("a", "b"):
        keyed = ledgers.get(name).options(idempotency_key="key")
        assert runtime.run(keyed.call(Ledger.append, name)) == Entry(1, name)


def test_p7_a_key_belongs_to_one_method_with_its_arguments() -> None:
    calls = Repeats()
    first = calls.append("key", "one")
    with pytest.raises(KeyReused):
        calls.append("key", "two")
    with pytest.raises(KeyReused):
        calls.runtime.run(calls.stub("key").call(Ledger.append_and_break, "one"))
    assert calls.runtime.run(calls.stub("key").call(Ledger.append, text="one")) == first, "named or not"
    assert calls.texts() == ["one"]


def test_p7_calls_with_one_fingerprint_are_the_same_whatever_their_arguments() -> None:
    calls = Repeats()
    first = calls.append("key", "one", b"same")
    assert calls.append("key", "two", b"same") == first
    with pytest.raises(KeyReused):
        calls.append("key", "one", b"other")
    with pytest.raises(KeyReused):
        calls.append("key", "one", b"")
    assert calls.texts() == ["one"]


@pytest.mark.parametrize(("method", "error"), [(Ledger.append_and_refuse, Closed), (Ledger.append_and_break, ObjectFailed)])
def test_p7_a_call_that_fails_leaves_its_key_unused(method: Any, error: type[Exception]) -> None:
    calls = Repeats()
    for _ in range(2):
        with pytest.raises(error):
            calls.runtime.run(calls.stub("key", b"same").call(method, "one"))
    assert calls.append("key", "one", b"same") == Entry(1, "one")
    assert calls.count == 0


def test_p7_a_repetition_waits_for_the_uncommitted_first_call_and_shares_its_fate() -> None:
    for outcome in ("commit", "fail"):
        calls = Repeats(autocommit=False)
        tasks = [calls.runtime.start(calls.stub("key").call(Ledger.append, "one"))]
        calls.runtime.begin_commit()
        tasks += [calls.runtime.start(calls.stub("key").call(Ledger.append, "one")) for _ in range(2)]
        assert not any(task.done for task in tasks)
        if outcome == "commit":
            calls.runtime.commit()
            assert [task.result() for task in tasks] == [Entry(1, "one")] * 3
            assert calls.count == 2
        else:
            calls.runtime.fail()
            for task in tasks:
                with pytest.raises(CommitFailed):
                    task.result()
            assert calls.append("key", "one") == Entry(1, "one")
            assert calls.count == 0, "the failed commit took the key with it"
        assert calls.texts() == ["one"]


@pytest.mark.parametrize("disk_answers", [True, False])
def test_p7_after_an_unknown_outcome_a_repetition_finds_out(*, disk_answers: bool) -> None:
    calls = Repeats(autocommit=False)
    task = calls.runtime.start(calls.stub("key").call(Ledger.append, "one"))
    calls.runtime.begin_commit()
    calls.runtime.advance(MAX_COMMIT_WAIT_SECONDS)
    with pytest.raises(OutcomeUnknown):
        task.result()
    if disk_answers:
        calls.runtime.commit()
    else:
        calls.runtime.crash()
    assert calls.append("key", "one") == Entry(1, "one")
    assert calls.count == disk_answers
    assert calls.texts() == ["one"]


Then = Literal["", "begin_commit", "commit", "fail", "crash", "crash after commit", "evict"]
ENDS = st.sampled_from(["", "", "begin_commit", "commit", "fail", "crash", "crash after commit", "evict"])


@given(steps=st.lists(st.tuples(st.sampled_from("abc"), ENDS), max_size=40))
@settings(max_examples=examples(100))
def test_p7_whatever_fails_a_key_makes_one_change_and_has_one_answer(steps: list[tuple[str, Then]]) -> None:
    """Clients that repeat each call until it is answered: never two changes, never two answers."""
    calls = Repeats(autocommit=False)
    tasks = []
    for key, then in [*steps, *((key, "commit") for key in "abc")]:
        tasks.append((key, calls.runtime.start(calls.stub(key).call(Ledger.append, key))))
        match then:
            case "crash after commit":
                calls.runtime.crash(after_commit=True)
            case "evict":
                calls.runtime.evict_idle()
                calls.runtime.evict_idle()
            case "":
                pass
            case _:
                getattr(calls.runtime, then)()
    for key in "abc":
        calls.append(key, key)
    answers: dict[str, set[Entry]] = {key: set() for key in "abc"}
    for key, task in tasks:
        with suppress(Exception):
            answers[key].add(task.result())
    for key in "abc":
        answers[key].add(calls.append(key, key))
        assert len(answers[key]) == 1
    assert Counter(calls.texts()) == Counter("abc")


def test_p7_a_repetition_writes_nothing_and_a_first_call_two_rows() -> None:
    calls = Repeats()
    meter = calls.runtime.meter
    calls.append("key", "one")
    assert (meter.writes, meter.deletes) == (1 + 2, 0)
    reads, commits = meter.reads, meter.commits
    calls.append("key", "one")
    assert (meter.writes, meter.reads, meter.commits) == (3, reads + 1, commits)


@pytest.mark.parametrize(
    ("key", "fingerprint", "rule"),
    [
        ("", None, "an idempotency key has 0 characters; 1 to 256 are allowed"),
        ("k" * 257, None, "an idempotency key has 257 characters; 1 to 256 are allowed"),
        ("\ud800", None, "cannot be written in UTF-8"),
        ("key", bytes(33), "a fingerprint has 33 bytes; at most 32 are allowed"),
    ],
)
def test_p8_a_key_and_a_fingerprint_are_bounded(key: str, fingerprint: bytes | None, rule: str) -> None:
    with pytest.raises(LimitExceeded, match=rule):
        Repeats().stub(key, fingerprint)
    assert Repeats().append("é" * 256, fingerprint=bytes(32)) == Entry(1, "text")
    with pytest.raises(TypeError, match="an idempotency key is int, not str"):
        Repeats().stub(17, None)  # type: ignore[arg-type]


def test_p8_a_fingerprint_that_is_not_bytes_is_refused_before_it_is_kept() -> None:
    """It could not be read again, also not to forget it: no keyed call would succeed a day later."""
    fingerprint: Any = "text"
    with pytest.raises(TypeError, match="a fingerprint is str, not bytes"):
        Repeats().stub("key", fingerprint)


def test_p8_an_answer_too_long_to_keep_fails_and_leaves_no_change() -> None:
    calls = Repeats()
    with pytest.raises(ObjectFailed, match=f"at most {MAX_VALUE_BYTES} are allowed"):
        calls.append("key", "x" * MAX_VALUE_BYTES)
    assert calls.texts() == []
    assert calls.append("key", "short") == Entry(1, "short")


def with_room_for(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr("durable_objects.live.IdempotencyKeys", partial(IdempotencyKeys, max_keys=count))


def test_p7_an_object_with_all_its_keys_still_takes_calls_without_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with_room_for(monkeypatch, 1)
    calls = Repeats()
    calls.append("key")
    with pytest.raises(KeysFull, match="1 idempotency keys are remembered; no new ones are accepted until some are a day old"):
        calls.append("another key")
    calls.runtime.run(calls.ledger.call(Ledger.append, "no key"))
    assert calls.texts() == ["text", "no key"]


@pytest.mark.parametrize("crashing", [False, True])
def test_p7_keys_end_though_no_keyed_call_is_taken(monkeypatch: pytest.MonkeyPatch, *, crashing: bool) -> None:
    """At the bound none is taken, so time must pass for the keys by other calls, also across restarts."""
    with_room_for(monkeypatch, 2)
    calls = Repeats()
    for key in ("a", "b"):
        calls.append(key)
    start = calls.runtime.now_ms
    while calls.runtime.now_ms < start + KEY_SECONDS * 1_000:
        with pytest.raises(KeysFull):
            calls.append("c")
        calls.runtime.advance(30 * 60)
        calls.runtime.run(calls.ledger.call(Ledger.append, "no key"))
        if crashing:
            calls.runtime.crash()
    calls.append("c")


def test_p7_keys_end_in_their_time_after_a_moment_a_year_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their clock, stored in that moment, does not stand still for a year."""
    with_room_for(monkeypatch, 2)
    calls = Repeats()
    for key in ("a", "b"):
        calls.append(key)
    calls.runtime.now_ms += YEAR
    calls.runtime.run(calls.ledger.call(Ledger.append, "no key"))
    calls.runtime.now_ms -= YEAR
    for _ in range(2 * 26):
        with suppress(KeysFull):
            calls.append("c")
        calls.runtime.advance(30 * 60)
        calls.runtime.run(calls.ledger.call(Ledger.append, "no key"))
        calls.runtime.crash()
    calls.append("c")


class Earlier(DurableObject):
    def answer(self) -> int:
        return 1


class Later(DurableObject):
    """The same object in a later version of a program."""

    def answer(self) -> str:
        return "one"


def test_a_first_answer_of_another_type_fails_and_tells_why(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = SimulatedRuntime()
    runtime.run(runtime.namespace("Object", Earlier).get("a").options(idempotency_key="key").call(Earlier.answer))
    monkeypatch.setattr(runtime, "_namespaces", {})
    runtime.crash()
    later = runtime.namespace("Object", Later).get("a")
    with pytest.raises(ObjectFailed, match="Object/a: the first answer of answer, which is of another type"):
        runtime.run(later.options(idempotency_key="key").call(Later.answer))
    assert runtime.run(later.call(Later.answer)) == "one"


@pytest.mark.parametrize("nth", range(1, 9))
def test_p7_a_locked_data_file_in_the_middle_of_a_keyed_call_leaves_no_gap(monkeypatch: pytest.MonkeyPatch, nth: int) -> None:
    """The keys of the calls before have ended, so each call also removes some: whichever read fails, all is as before."""
    calls = Repeats()
    for number in range(12):
        calls.append(f"key {number}")
    monkeypatch.setattr("durable_objects.idempotency._KEEP_MS", 0)
    disk, read, reads = calls.runtime.disk, calls.runtime.disk.get, 0

    def busy(object_id: str, key: str) -> bytes | None:
        nonlocal reads
        reads += 1
        if reads == nth:
            raise DataBusy
        return read(object_id, key)

    disk.get = busy  # type: ignore[method-assign]
    for number in range(6):
        reads = 0
        with suppress(DataBusy):
            calls.append(f"another {number}")
        reads = nth
        calls.append(f"another {number}")
    ages = [int(key.rpartition("/")[2]) for key, _ in disk.list("Ledger/a", "\1keys/age/", "", 100)]
    assert ages == list(range(ages[0], ages[0] + len(ages)))
    assert len(ages) == len(disk.list("Ledger/a", "\1keys/answer/", "", 100))
