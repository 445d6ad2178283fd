"""The contract's promises, one by one, on each runtime."""

import asyncio

import pytest
from places import PLACES, START_MS, Place, place_of, scenario
from probe import Counted, Occupied, Probe, Rules

from durable_objects import (
    ConfigMismatch,
    DurableObjectError,
    KeyReused,
    LimitExceeded,
    ObjectFailed,
    Runtime,
    Stub,
)
from durable_objects.limits import MAX_CALL_WRITES, MAX_KEY_BYTES, MAX_NAME_CHARS, MAX_VALUE_BYTES


@pytest.fixture(params=list(PLACES))
def place(request: pytest.FixtureRequest) -> Place:
    return place_of(request.param, request)


def probe_of(runtime: Runtime, name: str = "one", rules: Rules | None = None) -> Stub[Probe]:
    return runtime.namespace("Probe", Probe, rules or Rules()).get(name)


# -- Calls


@scenario
async def test_a_call_returns_what_its_annotation_promises(place: Place) -> None:
    async with place.running() as runtime:
        probe = probe_of(runtime)
        assert await probe.call(Probe.count) == Counted(1, 1)
        answer = await probe.call(Probe.count, 2, note="!")
        assert (type(answer), answer.seq, answer.total) == (Counted, 2, 3)
        await probe.call(Probe.put, "key", b"\x00\xff")
        assert await probe.call(Probe.entries, "key") == [("key", b"\x00\xff")]


@scenario
async def test_calls_run_one_at_a_time_and_each_is_a_commit_of_its_own(place: Place) -> None:
    async with place.running() as runtime:
        probe = probe_of(runtime)
        answers = await asyncio.gather(*(probe.call(Probe.count) for _ in range(40)))
        assert sorted(answers) == [Counted(n, n) for n in range(1, 41)]


@scenario
async def test_objects_with_other_names_are_others(place: Place) -> None:
    async with place.running() as runtime:
        for name in ("a", "A", "a/b", "ä", "a" * MAX_NAME_CHARS):
            assert await probe_of(runtime, name).call(Probe.count) == Counted(1, 1)
        for name in ("", "a" * (MAX_NAME_CHARS + 1)):
            with pytest.raises(LimitExceeded, match="the name of an object"):
                probe_of(runtime, name)


@scenario
async def test_what_was_answered_is_there_after_a_restart(place: Place) -> None:
    async with place.running() as runtime:
        await probe_of(runtime).call(Probe.count, 5)
    async with place.running() as runtime:
        assert await probe_of(runtime).call(Probe.look) == Counted(1, 5)
        assert await probe_of(runtime).call(Probe.count) == Counted(2, 6)


@scenario
async def test_a_scrub_changes_nothing_that_objects_have(place: Place) -> None:
    async with place.running() as runtime:
        probe = probe_of(runtime)
        await probe.call(Probe.put, "kept", b"first")
        await probe.call(Probe.put, "kept", b"second")
        await probe.call(Probe.put, "gone", b"third")
        await probe.call(Probe.delete, "gone")
        before = await probe.call(Probe.entries), await probe.call(Probe.look)
        left = await runtime.scrub()
        assert left is None or "until" in left or "days" in left, "where traces are left, and for how long"
        assert (await probe.call(Probe.entries), await probe.call(Probe.look)) == before
        assert await runtime.scrub() == left
    async with place.running() as runtime:
        assert await probe_of(runtime).call(Probe.entries) == before[0]


@scenario
async def test_a_refusal_has_its_class_and_its_facts_and_changes_nothing(place: Place) -> None:
    async with place.running() as runtime:
        probe = probe_of(runtime)
        for refused in (probe.call(Probe.refuse, "seat"), probe.call(Probe.count_and_refuse)):
            with pytest.raises(Occupied, match="is taken") as refusal:
                await refused
            assert refusal.value.record().fields in ({"key": "seat", "holders": 3}, {"key": "late", "holders": 1})
        assert await probe.call(Probe.look) == Counted(0, 0)
        assert await probe.call(Probe.alarm_at) is None


@scenario
async def test_an_unexpected_exception_drops_the_changes_and_the_object_goes_on(place: Place) -> None:
    async with place.running() as runtime:
        probe = probe_of(runtime)
        await probe.call(Probe.count)
        with pytest.raises(ObjectFailed, match="half done"):
            await probe.call(Probe.count_and_fail)
        assert await probe.call(Probe.count) == Counted(2, 2)


@scenario
async def test_a_call_that_the_class_does_not_have_is_a_mistake_of_the_caller(place: Place) -> None:
    async with place.running() as runtime:
        probe = probe_of(runtime)
        with pytest.raises(TypeError, match="is not a public method of Probe"):
            await probe.call(lambda _: 1)
        with pytest.raises(TypeError, match="a call takes a method of Probe itself, not its name 'put'"):
            await probe.call("put", "key", b"")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            await probe.call(Probe.put, "key")  # type: ignore[call-arg]
        assert await probe.call(Probe.look) == Counted(0, 0)


@scenario
async def test_each_call_has_its_own_randomness_and_one_time(place: Place) -> None:
    async with place.running() as runtime:
        probe = probe_of(runtime)
        drawn = [await probe.call(Probe.draw) for _ in range(10)]
        assert len({number for number, _, _ in drawn}) == len({bits for _, bits, _ in drawn}) == 10
        assert all(0 <= number < 1 and at == START_MS for number, _, at in drawn)


@scenario
async def test_objects_have_their_configuration_and_no_program_has_another(place: Place) -> None:
    place.rules = Rules(step=10)
    async with place.running() as runtime:
        assert await probe_of(runtime, rules=Rules(step=10)).call(Probe.count) == Counted(1, 10)
        with pytest.raises(ConfigMismatch):
            probe_of(runtime, rules=Rules(step=11))


# -- Storage


@scenario
async def test_entries_are_listed_in_the_order_of_code_points(place: Place) -> None:
    async with place.running() as runtime:
        probe = probe_of(runtime)
        keys = ["a", "a/1", "a/2", "a/ä", "a/\uffee", "a/\U0001f600", "b"]
        for key in reversed(keys):
            await probe.call(Probe.put, key, key.encode())
        await probe.call(Probe.delete, "a/2")
        assert [key for key, _ in await probe.call(Probe.entries, "a/")] == ["a/1", "a/ä", "a/\uffee", "a/\U0001f600"]
        assert [key for key, _ in await probe.call(Probe.entries, after="a/1", limit=2)] == ["a/ä", "a/\uffee"]


@pytest.mark.parametrize(
    ("key", "value"),
    [("", b""), ("k" * (MAX_KEY_BYTES + 1), b""), ("k", b"v" * (MAX_VALUE_BYTES + 1)), ("\x01mine", b""), ("\ud800", b"")],
    ids=["no key", "a long key", "a long value", "a key of the runtime", "half a character"],
)
def test_a_write_beyond_the_bounds_fails_and_changes_nothing(place: Place, key: str, value: bytes) -> None:
    @scenario
    async def put(place: Place) -> None:
        async with place.running() as runtime:
            probe = probe_of(runtime)
            await probe.call(Probe.put, "k" * MAX_KEY_BYTES, b"v" * MAX_VALUE_BYTES)
            with pytest.raises((ObjectFailed, TypeError)):
                await probe.call(Probe.put, key, value)
            assert len(await probe.call(Probe.entries)) == 1

    put(place)


@scenario
async def test_one_call_writes_a_bounded_number_of_keys(place: Place) -> None:
    async with place.running() as runtime:
        probe = probe_of(runtime)
        await probe.call(Probe.put_many, MAX_CALL_WRITES)
        with pytest.raises(ObjectFailed, match=f"writes more than {MAX_CALL_WRITES} keys"):
            await probe.call(Probe.put_many, MAX_CALL_WRITES + 1)
        assert (await probe.call(Probe.look)).seq == 1


# -- Events


@scenario
async def test_events_have_the_number_of_their_commit_and_only_commits_have_events(place: Place) -> None:
    async with place.running() as runtime:
        probe = probe_of(runtime)
        async with probe.events() as events:
            await probe.call(Probe.count)
            with pytest.raises(ObjectFailed):
                await probe.call(Probe.count_and_fail)
            await probe.call(Probe.put, "quiet", b"")
            await probe.call(Probe.count)
            assert [await anext(events), await anext(events)] == [(1, (b"1",)), (3, (b"2",))]


@scenario
async def test_a_signal_has_no_number_and_is_no_commit(place: Place) -> None:
    async with place.running() as runtime:
        probe = probe_of(runtime)
        async with probe.events() as events:
            await probe.call(Probe.announce, "psst")
            assert await anext(events) == (None, (b"psst",))
        assert (await probe.call(Probe.look)).seq == 0


@scenario
async def test_a_listener_gets_everything_after_its_position_once(place: Place) -> None:
    async with place.running() as runtime:
        probe = probe_of(runtime)
        for _ in range(7):
            await probe.call(Probe.count)
    async with place.running() as runtime:
        probe = probe_of(runtime)
        async with probe.events(since=3) as events:
            writing = asyncio.gather(*(probe.call(Probe.count) for _ in range(5)))
            got = [await anext(events) for _ in range(9)]
            await writing
        assert [seq for seq, _ in got] == list(range(4, 13))


@scenario
async def test_what_listens_ends_with_the_runtime(place: Place) -> None:
    async with place.running() as runtime:
        events = probe_of(runtime).events()
    async with place.running():
        with pytest.raises(DurableObjectError):
            await anext(events)


# -- Alarms


@scenario
async def test_an_alarm_runs_when_it_is_due_and_not_before(place: Place) -> None:
    async with place.running() as runtime:
        probe = probe_of(runtime)
        async with probe.events() as events:
            await probe.call(Probe.wake_at, START_MS + 60_000)
            await probe.call(Probe.wake_at, START_MS + 5_000)
            place.advance(4.9)
            assert await probe.call(Probe.look) == Counted(2, 0)
            place.advance(0.1)
            assert await anext(events) == (3, (b"1 by alarm",))
            assert await probe.call(Probe.alarm_at) is None


@scenario
async def test_an_overdue_alarm_runs_after_a_restart_and_a_cleared_one_never(place: Place) -> None:
    async with place.running() as runtime:
        await probe_of(runtime, "kept").call(Probe.wake_at, START_MS + 1_000)
        cleared = probe_of(runtime, "cleared")
        await cleared.call(Probe.wake_at, START_MS + 1_000)
        await cleared.call(Probe.wake_at, None)
    async with place.running() as runtime:
        kept = probe_of(runtime, "kept")
        async with kept.events() as events:
            await kept.call(Probe.look)  # answered, so a network knows of the listener
            place.advance(10)
            assert await anext(events) == (2, (b"1 by alarm",))
        assert await probe_of(runtime, "cleared").call(Probe.look) == Counted(2, 0)


# -- Idempotency keys


@scenario
async def test_calls_with_one_key_are_one_call_also_after_a_restart(place: Place) -> None:
    repeats: list[str] = []
    async with place.running() as runtime:
        keyed = probe_of(runtime).options(idempotency_key="k", on_repeat=lambda: repeats.append("here"))
        answers = await asyncio.gather(*(keyed.call(Probe.count, 5) for _ in range(3)))
        assert answers == [Counted(1, 5)] * 3
    async with place.running() as runtime:
        keyed = probe_of(runtime).options(idempotency_key="k", on_repeat=lambda: repeats.append("later"))
        assert await keyed.call(Probe.count, 5) == Counted(1, 5)
        assert await probe_of(runtime).call(Probe.look) == Counted(1, 5)
        assert repeats == ["here", "here", "later"]
        assert {key for key, _ in await probe_of(runtime).call(Probe.entries)} == {"total", "change/000001"}


@scenario
async def test_a_key_belongs_to_one_call_or_to_one_fingerprint(place: Place) -> None:
    async with place.running() as runtime:
        probe = probe_of(runtime)
        await probe.options(idempotency_key="k").call(Probe.count, 1)
        with pytest.raises(KeyReused):
            await probe.options(idempotency_key="k").call(Probe.count, 2)
        for by in (1, 2):
            marked = probe.options(idempotency_key="marked", fingerprint=b"same")
            assert await marked.call(Probe.count, by) == Counted(2, 2)
        with pytest.raises(LimitExceeded):
            probe.options(idempotency_key="")


@scenario
async def test_a_refused_call_leaves_its_key_free(place: Place) -> None:
    async with place.running() as runtime:
        keyed = probe_of(runtime).options(idempotency_key="k", fingerprint=b"same")
        with pytest.raises(Occupied):
            await keyed.call(Probe.refuse, "seat")
        assert await keyed.call(Probe.count) == Counted(1, 1)


# -- Calls from object to object


@scenario
async def test_sent_calls_are_taken_once_and_in_order_and_a_refusal_stops_none(place: Place) -> None:
    async with place.running() as runtime:
        await probe_of(runtime).call(Probe.ask_others, ["two", "three", "one"], [1, 10, 100])
        await probe_of(runtime).settle()
    async with place.running() as runtime:
        for name in ("one", "two", "three"):
            totals = [value for _, value in await probe_of(runtime, name).call(Probe.entries, "change/")]
            assert totals == [b"1 from one", b"11 from one", b"111 from one"], name
        await probe_of(runtime).settle()
        assert (await probe_of(runtime, "two").call(Probe.look)).total == 111


@scenario
async def test_what_a_failed_call_sent_is_never_taken(place: Place) -> None:
    async with place.running() as runtime:
        with pytest.raises(ObjectFailed):
            await probe_of(runtime).call(Probe.ask_and_fail, "two")
        await probe_of(runtime).settle()
        assert (await probe_of(runtime, "two").call(Probe.look)).total == 0


@scenario
async def test_what_was_sent_before_a_restart_is_taken_after_it(place: Place) -> None:
    async with place.running() as runtime:
        await probe_of(runtime).call(Probe.ask_others, ["two"], [1, 2])
    async with place.running() as runtime:
        await probe_of(runtime).settle()
        assert (await probe_of(runtime, "two").call(Probe.look)).total == 3


# -- The runtime


@scenario
async def test_a_runtime_counts_calls_and_is_healthy(place: Place) -> None:
    async with place.running() as runtime:
        calls = runtime.meter.calls
        await probe_of(runtime).call(Probe.count)
        assert (runtime.meter.calls - calls, runtime.health()) == (1, None)


@scenario
async def test_nothing_is_left_to_settle_where_nothing_was_sent(place: Place) -> None:
    async with place.running() as runtime:
        await probe_of(runtime).settle()
