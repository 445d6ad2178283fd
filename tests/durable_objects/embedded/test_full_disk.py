"""A full disk: real errors of SQLite and the system, and what callers get."""

import asyncio
from pathlib import Path

import pytest
from ledger import Entry, Ledger
from processes import process

from durable_objects import CommitFailed, DataLocked, OutcomeUnknown, Overloaded
from durable_objects.embedded import EmbeddedRuntime
from durable_objects.embedded.store import Store
from held import HeldCommits, held_runtime
from listening import listen
from scenario import run, turns, until

BIG = "x" * 100_000
"""More than one page of the file."""


def fill_up(store: Store) -> None:
    """Let the file grow no further; the next commit that needs room fails with SQLITE_FULL, and takes the limit with it."""
    assert store._writer is not None
    store._writer.execute("PRAGMA max_page_count = 1")


def test_p1_a_commit_on_a_full_disk_fails_its_callers_and_leaves_nothing(tmp_path: Path) -> None:
    """Objects of the same commit fall together, one rebuilt from what is durable; the service goes on once there is room."""

    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path) as runtime:
            ledgers = runtime.namespace("Ledger", Ledger)
            one, another = ledgers.get("a"), ledgers.get("b")
            events = listen(one)
            await one.call(Ledger.append, "durable")
            instance = await one.call(Ledger.which)
            fill_up(runtime.disk)
            failures = await asyncio.gather(
                one.call(Ledger.append, BIG),
                one.call(Ledger.set_alarm, 1),
                one.call(Ledger.last),
                one.call(Ledger.refuse),
                another.call(Ledger.append, "small"),
                return_exceptions=True,
            )
            assert [type(failure) for failure in failures] == [CommitFailed] * 5
            assert str(failures[0]) == "the data could not be written: database or disk is full"
            assert runtime.meter.commit_failures == 1
            assert runtime.health() == "the last commit failed: database or disk is full"
            assert events.heard() == [b"1 durable"]
            assert await one.call(Ledger.texts) == ["durable"]
            assert await one.call(Ledger.which) != instance
            assert await one.call(Ledger.alarm_at) is None
            assert await another.call(Ledger.texts) == []
            assert await one.call(Ledger.append, BIG) == Entry(2, BIG)
            assert runtime.health() is None
        async with EmbeddedRuntime(tmp_path) as runtime:
            assert await runtime.namespace("Ledger", Ledger).get("a").call(Ledger.texts) == ["durable", BIG]

    run(scenario())


def test_p9_after_a_failure_the_disk_is_probed_without_writes(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path) as runtime:
            ledger = runtime.namespace("Ledger", Ledger).get("a")
            fill_up(runtime.disk)
            with pytest.raises(CommitFailed):
                await ledger.call(Ledger.append, BIG)
            assert runtime.health() is not None
            await until(lambda: runtime.health() is None)

    run(scenario())


def test_p2_calls_based_on_a_failed_commit_fail_with_it_and_no_others(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with held_runtime(tmp_path) as (runtime, held):
            ledgers = runtime.namespace("Ledger", Ledger)
            one, another = ledgers.get("a"), ledgers.get("b")
            events = listen(one, another)
            in_flight = asyncio.create_task(one.call(Ledger.append, BIG))
            await until(lambda: held.begun == 1)
            dependent = [
                asyncio.create_task(one.call(Ledger.append, "built on it")),
                asyncio.create_task(one.call(Ledger.last)),
            ]
            independent = asyncio.create_task(another.call(Ledger.append, "another object's"))
            await turns()
            fill_up(runtime.disk)
            held.let_one_through()
            for call in [in_flight, *dependent]:
                with pytest.raises(CommitFailed):
                    await call
            assert not independent.done()
            fresh = asyncio.create_task(one.call(Ledger.append, "fresh"))
            await turns()
            held.go_on()
            assert await independent == Entry(1, "another object's")
            assert await fresh == Entry(1, "fresh")
            assert events.heard() == [b"1 fresh", b"1 another object's"]
            assert await one.call(Ledger.texts) == ["fresh"]

    run(scenario())


def test_p6_calls_that_failed_with_a_commit_no_longer_count_as_waiting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else a failure under full load leaves the service overloaded for ever."""
    monkeypatch.setattr("durable_objects.commits.MAX_WAITING_CALLS", 50)

    async def scenario() -> None:
        async with held_runtime(tmp_path) as (runtime, held):
            one = runtime.namespace("Ledger", Ledger).get("a")
            calls = [asyncio.create_task(one.call(Ledger.append, BIG))]
            await until(lambda: held.begun == 1)
            calls += [asyncio.create_task(one.call(Ledger.append, "built on it")) for _ in range(49)]
            await turns()
            fill_up(runtime.disk)
            held.go_on()
            for call in calls:
                with pytest.raises(CommitFailed):
                    await call
            assert runtime.commits.waiting_calls == 0
            assert await one.call(Ledger.append, "after") == Entry(1, "after")

    run(scenario())


def test_p1_when_no_file_may_grow_nothing_acknowledged_is_lost(
    tmp_path: Path,
) -> None:
    """A process under RLIMIT_FSIZE: every commit fails until the limit is lifted."""
    with process("fill", tmp_path) as child:
        said, _ = child.communicate()
    lines = said.splitlines()
    acknowledged = [int(line.removeprefix("appended ")) for line in lines if line.startswith("appended ")]
    failures = [line for line in lines if line.startswith("failed the data could not be written: ")]
    assert len(acknowledged) + len(failures) == len(lines) == 51
    assert len(failures) > 1
    assert lines[-1] == f"appended {len(acknowledged)}"
    assert acknowledged == list(range(1, len(acknowledged) + 1))

    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path) as runtime:
            ledger = runtime.namespace("Ledger", Ledger).get("a")
            assert (await ledger.call(Ledger.last)).seq == len(acknowledged)

    run(scenario())


def test_p2_calls_that_wait_for_a_hanging_disk_are_answered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_objects.commits._MAX_WAIT_MS", 0)
    monkeypatch.setattr("durable_objects.embedded.runtime._TICK_MS", 1)

    async def scenario() -> None:
        async with held_runtime(tmp_path) as (runtime, held):
            one = runtime.namespace("Ledger", Ledger).get("a")
            with pytest.raises(OutcomeUnknown):
                await one.call(Ledger.append, "first")
            assert "no answer from the disk" in str(runtime.health())
            with pytest.raises(Overloaded):
                await one.call(Ledger.last)
            held.go_on()
            await until(lambda: runtime.health() is None)
            monkeypatch.setattr("durable_objects.commits._MAX_WAIT_MS", 60_000)
            assert await one.call(Ledger.last) == Entry(1, "first")

    run(scenario())


def test_a_runtime_leaves_a_hanging_disk_and_keeps_the_directory_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What is being written may arrive as long as the process lives."""
    monkeypatch.setattr("durable_objects.embedded.runtime.MAX_COMMIT_WAIT_SECONDS", 0.01)

    async def scenario() -> None:
        runtime = EmbeddedRuntime(tmp_path, clock=lambda: 0)
        held = HeldCommits(runtime)
        async with runtime:
            ledger = runtime.namespace("Ledger", Ledger).get("a")
            held.hold()
            alarm = asyncio.create_task(ledger.call(Ledger.set_alarm, 1))
            write = asyncio.create_task(ledger.call(Ledger.append, "first"))
            await until(lambda: held.begun == 1)
        assert not write.done()
        with pytest.raises(DataLocked):
            await EmbeddedRuntime(tmp_path).__aenter__()
        held.go_on()
        await alarm
        assert await write == Entry(2, "first")
        assert runtime._timer.cancelled(), "an alarm of a runtime that was left starts no timer"
        runtime.disk.close()
        runtime._lock.release()

    run(scenario())
    assert [record.getMessage() for record in caplog.records] == [
        f"changes were not written to {tmp_path} before the end: None"
    ]
