"""The wire is as unkind as a network may be: nothing crosses but bytes, and nothing stays in memory."""

import asyncio
import itertools
from collections.abc import Awaitable
from contextlib import suppress
from functools import partial

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger import Closed, Entry, Ledger
from msgspec import Struct

from durable_objects import ConfigMismatch, Context, DurableObject, Events, EventsLost, ObjectFailed, ObjectId, OutcomeUnknown
from durable_objects.simulated import Crashed, SimulatedRuntime
from durable_objects.wire import WireRuntime


class Note(Struct):
    """A value that can be changed in place."""

    lines: list[str]


class Settings(Struct):
    words: tuple[str, ...] = ()


class Forgetful(DurableObject):
    """Breaks the rules: it keeps things in memory only, and returns what it keeps."""

    def __init__(self, ctx: Context, settings: Settings) -> None:
        super().__init__(ctx)
        self.settings = settings
        self.note = Note([])

    def add(self, line: str) -> Note:
        self.note.lines.append(line)
        return self.note

    def keep(self, note: Note) -> None:
        self.note = note
        self.ctx.storage.put("note", b"kept")

    def words(self) -> tuple[str, ...]:
        return self.settings.words


def ledger_of(seed: int = 0, *, autocommit: bool = True) -> tuple[WireRuntime, SimulatedRuntime]:
    host = SimulatedRuntime(autocommit=autocommit)
    return WireRuntime(host, seed=seed), host


def test_no_instance_survives_a_call() -> None:
    runtime, host = ledger_of()
    forgetful = runtime.namespace("Forgetful", Forgetful, Settings()).get("a")
    assert [host.run(forgetful.call(Forgetful.add, line)).lines for line in "ab"] == [["a"], ["b"]]
    assert host.live_objects == 0


def test_an_instance_is_dropped_though_its_changes_are_not_durable_yet() -> None:
    runtime, host = ledger_of(autocommit=False)
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    first, second = host.start(ledger.call(Ledger.append, "first")), host.start(ledger.call(Ledger.append, "second"))
    which, texts = host.start(ledger.call(Ledger.which)), host.start(ledger.call(Ledger.texts))
    host.commit()
    assert sorted([first.result().seq, second.result().seq]) == [1, 2]
    assert sorted(texts.result()) == ["first", "second"]
    assert which.result() != host.run(ledger.call(Ledger.which))


def test_arguments_results_and_the_configuration_are_copies() -> None:
    runtime, host = ledger_of()
    settings, note = Settings(("a",)), Note(["mine"])
    forgetful = runtime.namespace("Forgetful", Forgetful, settings).get("a")
    runtime.network.max_turns = 0
    seen: list[Note] = []
    keep = Forgetful.keep

    def spy(self: Forgetful, note: Note) -> None:
        seen.append(note)
        keep(self, note)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Forgetful, "keep", spy)
        host.run(forgetful.call(spy, note))
    settings.words = ("changed",)
    assert (seen, seen[0] is note) == ([note], False)
    assert host.run(forgetful.call(Forgetful.words)) == ("a",)


def test_a_refusal_crosses_as_data_and_a_failure_without_what_caused_it() -> None:
    runtime, host = ledger_of()
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    host.run(ledger.call(Ledger.append, "last"))
    with pytest.raises(Closed, match="last") as refused:
        host.run(ledger.call(Ledger.refuse))
    assert refused.value.__cause__ is None
    with pytest.raises(ObjectFailed, match=r"Ledger/a: break_down failed: ZeroDivisionError\(\)") as failed:
        host.run(ledger.call(Ledger.break_down))
    assert failed.value.__cause__ is None


def test_a_gateway_with_another_configuration_is_refused() -> None:
    runtime, host = ledger_of()
    runtime.namespace("Forgetful", Forgetful, Settings(("a",)))
    other = runtime.gateway()
    with pytest.raises(ConfigMismatch, match="the objects of the namespace 'Forgetful' run with another configuration"):
        other.namespace("Forgetful", Forgetful, Settings(("b",)))
    same = other.namespace("Forgetful", Forgetful, Settings(("a",))).get("x")
    assert host.run(same.call(Forgetful.words)) == ("a",)


def test_gateways_share_objects_and_each_gets_all_events() -> None:
    runtime, host = ledger_of()
    one, other = (gateway.namespace("Ledger", Ledger).get("a") for gateway in (runtime, runtime.gateway()))
    streams = [one.events(), other.events()]
    host.run(one.call(Ledger.append, "a"))
    host.run(other.call(Ledger.append, "b"))
    expected = [Events(1, (b"1 a",)), Events(2, (b"2 b",))]
    assert [[host.run(anext(stream)) for _ in expected] for stream in streams] == [expected] * 2


@pytest.mark.parametrize(("lost", "made"), [("lost_calls", []), ("lost_answers", ["once"])])
def test_a_lost_call_or_answer_leaves_the_outcome_unknown(lost: str, made: list[str]) -> None:
    runtime, host = ledger_of()
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    setattr(runtime.network, lost, 1)
    with pytest.raises(OutcomeUnknown):
        host.run(ledger.call(Ledger.append, "once"))
    setattr(runtime.network, lost, 0)
    assert host.run(ledger.call(Ledger.texts)) == made


@given(seed=st.integers(0, 2**32), share=st.sampled_from([0.2, 0.8]))
def test_p7_calls_repeated_with_their_keys_until_they_are_answered_are_made_once(seed: int, share: float) -> None:
    """Through two gateways, which lose calls and answers: the answer that arrives is that of the call that was made."""
    runtime, host = ledger_of(seed)
    ledgers = [gateway.namespace("Ledger", Ledger).get("a") for gateway in (runtime, runtime.gateway())]
    runtime.network.lost_calls = runtime.network.lost_answers = share

    async def append(text: str) -> Entry:
        for attempt in itertools.count():
            with suppress(OutcomeUnknown):
                return await ledgers[attempt % 2].options(idempotency_key=text).call(Ledger.append, text)
        raise AssertionError

    tasks = [host.start(append(text)) for text in "abcab"]
    answers = [task.result() for task in tasks]
    assert answers[3:] == answers[:2]
    runtime.network.lost_calls = runtime.network.lost_answers = 0
    assert host.run(ledgers[0].call(Ledger.texts)) == [entry.text for entry in sorted(answers[:3])]


def test_events_come_before_the_answer_and_after_it() -> None:
    def first(seed: int) -> str:
        runtime, host = ledger_of(seed)
        ledger = runtime.namespace("Ledger", Ledger).get("a")
        arrived: list[str] = []

        async def note(what: str, wait: Awaitable[object]) -> None:
            await wait
            arrived.append(what)

        host.start(note("event", anext(ledger.events())))
        host.start(note("answer", ledger.call(Ledger.append, "a")))
        assert sorted(arrived) == ["answer", "event"]
        return arrived[0]

    assert {first(seed) for seed in range(20)} == {"answer", "event"}


@given(seed=st.integers(0, 2**32), calls=st.integers(1, 20))
def test_the_events_of_an_object_stay_in_order(seed: int, calls: int) -> None:
    runtime, host = ledger_of(seed, autocommit=False)
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    stream = ledger.events()
    for n in range(calls):
        host.start(ledger.call(Ledger.append, f"{n}"))
    host.commit()
    assert [host.run(anext(stream)).seq for _ in range(calls)] == list(range(1, calls + 1))


def test_signals_may_be_lost_and_events_never() -> None:
    runtime, host = ledger_of()
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    stream = ledger.events()
    runtime.network.lost_signals = 1
    host.run(ledger.call(Ledger.announce, "a signal"))
    host.run(ledger.call(Ledger.append, "an event"))
    assert host.run(anext(stream)) == Events(1, (b"1 an event",))


def test_streams_end_with_the_error_of_the_host() -> None:
    runtime, host = ledger_of()
    stream = runtime.namespace("Ledger", Ledger).get("a").events()
    host.crash()
    with pytest.raises(Crashed, match="the process died"):
        host.run(anext(stream))


def test_a_catch_up_is_a_call_and_its_refusal_reaches_the_listener() -> None:
    runtime, host = ledger_of()
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    host.run(ledger.call(Ledger.append, "a"))
    calls = runtime.meter.calls
    with pytest.raises(EventsLost, match="the events after commit 0 are not kept"):
        host.run(anext(ledger.events(since=0)))
    assert runtime.meter.calls == calls + 1


def test_a_caller_that_gives_up_leaves_the_others_alone() -> None:
    async def scenario() -> None:
        runtime = WireRuntime(SimulatedRuntime())
        ledger = runtime.namespace("Ledger", Ledger).get("a")
        gives_up = asyncio.create_task(ledger.call(Ledger.append, "perhaps"))
        await asyncio.sleep(0)
        gives_up.cancel()
        assert (await ledger.call(Ledger.append, "stays")).text == "stays"
        await asyncio.gather(gives_up, return_exceptions=True)

    asyncio.run(scenario())


def test_what_objects_read_has_crossed_as_bytes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    runtime, host = ledger_of()
    stored = b"on the disk"
    same: list[bool] = []

    class Reader(DurableObject):
        def look(self) -> None:
            values = [self.ctx.storage.get("key"), *(value for _, value in self.ctx.storage.list())]
            assert {*values} == {stored}
            same.extend(value is stored for value in values)

    monkeypatch.setattr(host.disk, "get", lambda *_: stored)
    monkeypatch.setattr(host.disk, "list", lambda *_: [("key", stored)])
    host.run(runtime.namespace("Reader", Reader).get("a").call(Reader.look))
    assert len(same) > 1
    assert not any(same)


def test_what_objects_store_comes_back_as_it_was() -> None:
    runtime, host = ledger_of()
    ledgers = runtime.namespace("Ledger", Ledger)
    value = bytes(range(256))
    host.run(ledgers.get("ä\U0001f600").call(Ledger.keep, "key/\U0001f600\x01", value))
    assert host.run(ledgers.get("ä\U0001f600").call(Ledger.value, "key/\U0001f600\x01")) == value
    assert host.run(ledgers.get("a").call(Ledger.value, "key")) is None


def test_an_address_is_encoded_by_its_names() -> None:
    """``ObjectId`` is part of calls, so its names may hold anything but the slash in a namespace."""
    runtime, host = ledger_of()
    ledger = runtime.namespace("Ledger", Ledger).get("a/b\n")
    assert host.run(ledger.call(Ledger.append, "a")) == Entry(1, "a")
    assert host.disk.head("Ledger/a/b\n").seq == 1
    assert ObjectId("Ledger", "a/b\n") == ("Ledger", "a/b\n")


def test_a_method_that_the_class_does_not_have_is_refused_before_it_is_sent() -> None:
    runtime, host = ledger_of()
    ledger = runtime.namespace("Ledger", Ledger).get("a")
    with pytest.raises(TypeError, match="is not a public method of Ledger"):
        host.run(ledger.call(partial(Ledger.append, text="a")))
    assert runtime.meter.calls == 0
