"""Group commit and the output gate, on a real disk whose commits wait for the test."""

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import pytest
from ledger import Closed, Entry, Ledger, key_of

from durable_objects import ObjectFailed, Stub
from durable_objects.embedded import EmbeddedRuntime
from held import held_runtime
from listening import listen
from scenario import run, turns, until


def answers_about(ledger: Stub[Ledger]) -> dict[str, Coroutine[Any, Any, object]]:
    """One call of each kind that could tell of what the ledger holds."""
    return {
        "reply": ledger.call(Ledger.append, "second"),
        "read": ledger.call(Ledger.last),
        "refusal": ledger.call(Ledger.refuse),
        "refusal after a write": ledger.call(Ledger.append_and_refuse, "second"),
        "failure": ledger.call(Ledger.break_down),
    }


@pytest.mark.parametrize("kind", ["reply", "read", "refusal", "refusal after a write", "failure"])
@pytest.mark.parametrize("in_flight", [True, False])
def test_p2_what_could_reveal_an_uncommitted_write_waits_for_its_commit(tmp_path: Path, kind: str, *, in_flight: bool) -> None:
    async def scenario() -> None:
        async with held_runtime(tmp_path) as (runtime, held):
            ledgers = runtime.namespace("Ledger", Ledger)
            ledger = ledgers.get("a")
            if not in_flight:  # then another object's commit is, and the write waits for the next one
                other = asyncio.create_task(ledgers.get("b").call(Ledger.append, "other"))
                await until(lambda: held.begun == 1)
            write = asyncio.create_task(ledger.call(Ledger.append, "first"))
            if in_flight:
                await until(lambda: held.begun == 1)
            await turns()
            calls = answers_about(ledger)
            answer = asyncio.create_task(calls.pop(kind))
            for call in calls.values():
                call.close()
            await turns()
            assert not write.done()
            assert not answer.done()
            if not in_flight:
                held.let_one_through()
                await until(lambda: held.begun == 2)
                await turns()
                assert other.done()
                assert not write.done()
                assert not answer.done()
            held.go_on()
            assert await write == Entry(1, "first")
            [outcome] = await asyncio.gather(answer, return_exceptions=True)
            match kind:
                case "reply":
                    assert outcome == Entry(2, "second")
                case "read":
                    assert outcome == Entry(1, "first")
                case "refusal" | "refusal after a write":
                    assert isinstance(outcome, Closed)
                case "failure":
                    assert isinstance(outcome, ObjectFailed)

    run(scenario())


def test_p2_an_event_is_published_after_the_commit_of_its_call(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with held_runtime(tmp_path) as (runtime, held):
            ledger = runtime.namespace("Ledger", Ledger).get("a")
            events = listen(ledger)
            calls = [asyncio.create_task(ledger.call(Ledger.append, "first"))]
            await until(lambda: held.begun == 1)
            calls.append(asyncio.create_task(ledger.call(Ledger.append, "second")))
            announcement = asyncio.create_task(ledger.call(Ledger.announce, "there are two"))
            await turns()
            assert events.heard() == []
            held.let_one_through()
            await until(lambda: held.begun == 2)
            assert events.heard() == [b"1 first"]
            held.go_on()
            await asyncio.gather(*calls, announcement)
            assert events.heard() == [b"1 first", b"2 second", b"there are two"]

    run(scenario())


def test_p2_an_answer_waits_for_the_latest_write_though_an_earlier_one_is_durable(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with held_runtime(tmp_path) as (runtime, held):
            ledger = runtime.namespace("Ledger", Ledger).get("a")
            first = asyncio.create_task(ledger.call(Ledger.append, "first"))
            await until(lambda: held.begun == 1)
            second = asyncio.create_task(ledger.call(Ledger.append, "second"))
            await turns()
            held.let_one_through()
            await first
            await until(lambda: held.begun == 2)
            read = asyncio.create_task(ledger.call(Ledger.last))
            await turns()
            assert not second.done()
            assert not read.done()
            held.go_on()
            assert await read == await second == Entry(2, "second")

    run(scenario())


def test_p2_nothing_leaves_while_a_commit_is_on_disk_but_not_finished(tmp_path: Path) -> None:
    """Nothing that happens in that moment is lost, taken back, or seen too early: not even when the object is rebuilt."""

    async def scenario() -> None:
        async with held_runtime(tmp_path) as (runtime, held):
            held.hold_after()
            ledger = runtime.namespace("Ledger", Ledger).get("a")
            events = listen(ledger)
            first = asyncio.create_task(ledger.call(Ledger.append, "first"))
            await until(lambda: held.written == 1)
            assert runtime.disk.get("Ledger/a", key_of(1)) == b"first"
            read = asyncio.create_task(ledger.call(Ledger.last))
            broken = asyncio.create_task(ledger.call(Ledger.append_and_break, "broken"))
            texts = asyncio.create_task(ledger.call(Ledger.texts))
            second = asyncio.create_task(ledger.call(Ledger.append, "second"))
            await turns()
            assert [runtime.evict_idle() for _ in range(2)] == [0, 0]
            assert not any(task.done() for task in (first, read, broken, texts, second))
            assert events.heard() == []
            held.go_on()
            with pytest.raises(ObjectFailed):
                await broken
            assert await first == await read == Entry(1, "first")
            assert await texts == ["first"]
            assert await second == Entry(2, "second")
            assert events.heard() == [b"1 first", b"2 second"]
            assert await ledger.call(Ledger.texts) == ["first", "second"]

    run(scenario())


def test_p2_a_read_with_nothing_uncommitted_never_suspends(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path) as runtime:
            ledger = runtime.namespace("Ledger", Ledger).get("a")
            await ledger.call(Ledger.append, "first")
            with pytest.raises(StopIteration) as stop:
                ledger.call(Ledger.last).send(None)
            assert stop.value.value == Entry(1, "first")
            with pytest.raises(Closed):
                ledger.call(Ledger.refuse).send(None)

    run(scenario())


def test_p2_a_read_of_one_object_does_not_wait_for_the_writes_of_another(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with held_runtime(tmp_path) as (runtime, held):
            ledgers = runtime.namespace("Ledger", Ledger)
            write = asyncio.create_task(ledgers.get("a").call(Ledger.append, "first"))
            await until(lambda: held.begun == 1)
            assert await ledgers.get("b").call(Ledger.last) == Entry(0, "")
            assert not write.done()
            held.go_on()
            await write

    run(scenario())


def test_a_hundred_calls_that_wait_together_cost_two_commits(tmp_path: Path) -> None:
    """Group commit: the first call's, and one for all that gathered behind it."""

    async def scenario() -> None:
        async with held_runtime(tmp_path) as (runtime, held):
            ledgers = runtime.namespace("Ledger", Ledger)
            calls = [asyncio.create_task(ledgers.get("a").call(Ledger.append, "first"))]
            await until(lambda: held.begun == 1)
            calls += [asyncio.create_task(ledgers.get(f"tree {n % 7}").call(Ledger.append, str(n))) for n in range(99)]
            await turns()
            held.go_on()
            await asyncio.gather(*calls)
            assert (runtime.meter.commits, runtime.meter.commit_calls) == (2, 100)
            assert runtime.meter.commit_sizes[0] == 1
            assert sum(runtime.meter.commit_sizes) == 2

    run(scenario())


def test_p1_a_caller_that_gives_up_waiting_takes_nothing_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with held_runtime(tmp_path) as (runtime, held):
            ledger = runtime.namespace("Ledger", Ledger).get("a")
            impatient = asyncio.create_task(ledger.call(Ledger.append, "first"))
            await until(lambda: held.begun == 1)
            patient = asyncio.create_task(ledger.call(Ledger.append, "second"))
            await turns()
            impatient.cancel()
            held.go_on()
            assert await patient == Entry(2, "second")
            assert impatient.cancelled()
            assert await ledger.call(Ledger.texts) == ["first", "second"]

    run(scenario())


def test_p1_leaving_the_runtime_waits_for_what_is_being_written(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with held_runtime(tmp_path) as (runtime, held):
            ledger = runtime.namespace("Ledger", Ledger).get("a")
            calls = [asyncio.create_task(ledger.call(Ledger.append, "first"))]
            await until(lambda: held.begun == 1)
            calls.append(asyncio.create_task(ledger.call(Ledger.append, "second")))
            await turns()
        assert [await call for call in calls] == [Entry(1, "first"), Entry(2, "second")]
        async with EmbeddedRuntime(tmp_path) as runtime:
            ledger = runtime.namespace("Ledger", Ledger).get("a")
            assert await ledger.call(Ledger.texts) == ["first", "second"]

    run(scenario())
