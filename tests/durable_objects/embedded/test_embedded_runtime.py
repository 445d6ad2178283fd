"""The embedded runtime keeps its promises: all or nothing, one live instance, back from disk; on real files and processes."""

import asyncio
import operator
import random
import signal
from collections.abc import Callable
from functools import partial
from pathlib import Path

import courier
import pytest
from courier import Letters
from ledger import Closed, Entry, Ledger
from processes import NAMES, next_line, process

from durable_objects import ObjectFailed, Overloaded, RuntimeClosed
from durable_objects.embedded import EmbeddedRuntime
from held import held_runtime
from listening import listen
from scenario import run, turns, until


@pytest.mark.parametrize("method", [Ledger.append_and_break, Ledger.append_and_refuse])
def test_a_call_that_raises_after_a_write_leaves_nothing(tmp_path: Path, method: Callable[[Ledger, str], None]) -> None:
    """All or nothing (section 4); what earlier calls wrote survives the rebuild although it is not committed yet."""

    async def scenario() -> None:
        async with held_runtime(tmp_path) as (runtime, held):
            ledger = runtime.namespace("Ledger", Ledger).get("a")
            first_instance = await ledger.call(Ledger.which)
            events = listen(ledger)
            earlier = [asyncio.create_task(ledger.call(Ledger.append, "in flight"))]
            await until(lambda: held.begun == 1)
            earlier.append(asyncio.create_task(ledger.call(Ledger.append, "waiting")))
            broken = asyncio.create_task(ledger.call(method, "lost"))
            later = asyncio.create_task(ledger.call(Ledger.append, "later"))
            await turns()
            held.go_on()
            assert [await call for call in earlier] == [Entry(1, "in flight"), Entry(2, "waiting")]
            with pytest.raises((ObjectFailed, Closed), match="lost"):
                await broken
            assert await later == Entry(3, "later")
            assert await ledger.call(Ledger.texts) == ["in flight", "waiting", "later"]
            assert await ledger.call(Ledger.alarm_at) is None
            assert await ledger.call(Ledger.which) != first_instance
            assert events.heard() == [b"1 in flight", b"2 waiting", b"3 later"]
        async with EmbeddedRuntime(tmp_path) as runtime:
            ledger = runtime.namespace("Ledger", Ledger).get("a")
            assert await ledger.call(Ledger.texts) == ["in flight", "waiting", "later"]

    run(scenario())


def test_an_unexpected_exception_names_the_object_the_method_and_the_cause(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path) as runtime:
            with pytest.raises(ObjectFailed, match=r"Ledger/a: break_down failed: ZeroDivisionError") as failure:
                await runtime.namespace("Ledger", Ledger).get("a").call(Ledger.break_down)
            assert isinstance(failure.value.__cause__, ZeroDivisionError)

    run(scenario())


def test_p8_a_refusal_before_any_write_leaves_the_object_as_it_was(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path) as runtime:
            ledger = runtime.namespace("Ledger", Ledger).get("a")
            await ledger.call(Ledger.append, "first")
            instance = await ledger.call(Ledger.which)
            commits = runtime.meter.commits
            with pytest.raises(Closed, match="first"):
                await ledger.call(Ledger.refuse)
            assert await ledger.call(Ledger.which) == instance
            assert runtime.meter.commits == commits

    run(scenario())


class Interrupted(BaseException):
    """Not an ``Exception``, as ``KeyboardInterrupt`` and ``SystemExit`` are not."""


class Fragile(Ledger):
    def append_half(self, text: str) -> None:
        self.append(text)
        raise Interrupted


def test_a_call_that_is_interrupted_leaves_nothing_half_done(tmp_path: Path) -> None:
    """All or nothing (section 4) holds for every way to leave a method, Ctrl-C included."""

    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path) as runtime:
            fragile = runtime.namespace("Fragile", Fragile).get("a")
            with pytest.raises(Interrupted):
                await fragile.call(Fragile.append_half, "half")
            assert await fragile.call(Fragile.texts) == []

    run(scenario())


def test_p1_everything_acknowledged_survives_sigkill_at_any_moment(tmp_path: Path) -> None:
    """Each round's process goes on with the data of the last one; ``seq`` counts on without a gap (P5)."""
    acknowledged: dict[str, dict[int, str]] = {name: {} for name in NAMES}

    async def check() -> None:
        async with EmbeddedRuntime(tmp_path) as runtime:
            ledgers = runtime.namespace("Ledger", Ledger)
            for name in NAMES:
                texts = await ledgers.get(name).call(Ledger.texts)
                assert len(texts) == (await ledgers.get(name).call(Ledger.last)).seq
                assert {seq: texts[seq - 1] for seq in acknowledged[name]} == acknowledged[name]
                assert len(set(texts)) == len(texts)

    for moment in random.Random(7).sample(range(1, 400), k=6):
        with process("write", tmp_path) as child:
            lines = [next_line(child) for _ in range(moment)]
            child.send_signal(signal.SIGKILL)
            rest, _ = child.communicate()
            assert child.returncode == -signal.SIGKILL
        for line in [*lines, *rest.splitlines()]:
            name, seq, text = line.split()
            acknowledged[name][int(seq)] = text
        run(check())
    assert all(acknowledged.values())


def test_p9_an_idle_object_leaves_memory_and_comes_back_the_same(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path, idle_seconds=0.01) as runtime:
            ledger = runtime.namespace("Ledger", Ledger).get("a")
            for n in range(200):
                await ledger.call(Ledger.append, str(n))
            await ledger.call(Ledger.set_alarm, 2**50, "200")
            instance = await ledger.call(Ledger.which)
            await until(lambda: runtime.live_objects == 0)
            assert await ledger.call(Ledger.texts) == [str(n) for n in range(201)]
            assert await ledger.call(Ledger.which) != instance
            assert await ledger.call(Ledger.alarm_at) == 2**50
            assert await ledger.call(Ledger.append, "next") == Entry(202, "next")

    run(scenario())


def test_p2_an_object_with_uncommitted_writes_is_not_evicted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with held_runtime(tmp_path) as (runtime, held):
            ledger = runtime.namespace("Ledger", Ledger).get("a")
            write = asyncio.create_task(ledger.call(Ledger.append, "first"))
            await until(lambda: held.begun == 1)
            assert [runtime.evict_idle() for _ in range(3)] == [0, 0, 0]
            read = asyncio.create_task(ledger.call(Ledger.last))
            await turns()
            assert not read.done()
            held.go_on()
            assert await read == await write == Entry(1, "first")
            assert [runtime.evict_idle() for _ in range(2)] == [0, 1]
            assert await ledger.call(Ledger.last) == Entry(1, "first")

    run(scenario())


def test_a_subscription_survives_eviction_and_keeps_no_object_in_memory(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path) as runtime:
            ledger = runtime.namespace("Ledger", Ledger).get("a")
            events = listen(ledger)
            assert runtime.live_objects == 0
            await ledger.call(Ledger.append, "first")
            runtime.evict_idle()
            runtime.evict_idle()
            assert runtime.live_objects == 0
            await ledger.call(Ledger.append, "second")
            assert events.heard() == [b"1 first", b"2 second"]
            await events.aclose()
            await events.aclose()
            await ledger.call(Ledger.append, "third")
            assert events.heard() == [b"1 first", b"2 second"]

    run(scenario())


def test_p6_beyond_the_bound_of_waiting_calls_a_call_is_refused_before_it_begins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("commits", "local"):
        monkeypatch.setattr(f"durable_objects.{module}.MAX_WAITING_CALLS", 50)

    async def scenario() -> None:
        async with held_runtime(tmp_path) as (runtime, held):
            ledger = runtime.namespace("Ledger", Ledger).get("a")
            calls = [asyncio.create_task(ledger.call(Ledger.append, "0"))]
            await until(lambda: held.begun == 1)
            calls += [asyncio.create_task(ledger.call(Ledger.append, str(n))) for n in range(1, 50)]
            await turns()
            with pytest.raises(Overloaded, match="50 calls already wait"):
                await ledger.call(Ledger.append, "too many")
            with pytest.raises(Overloaded):
                await ledger.call(Ledger.last)
            held.go_on()
            await asyncio.gather(*calls)
            assert await ledger.call(Ledger.texts) == [str(n) for n in range(50)]

    run(scenario())


def test_a_runtime_that_is_not_running_begins_no_call(tmp_path: Path) -> None:
    async def scenario() -> None:
        runtime = EmbeddedRuntime(tmp_path)
        ledger = runtime.namespace("Ledger", Ledger).get("a")
        for moment in ("early", "late"):
            with pytest.raises(RuntimeClosed):
                await ledger.call(Ledger.append, moment)
            with pytest.raises(RuntimeClosed):
                await ledger.settle()
            assert runtime.health() == "the runtime is not running"
            if moment == "early":
                async with runtime:
                    assert runtime.health() is None
                    assert await ledger.call(Ledger.append, "first") == Entry(1, "first")

    run(scenario())


def test_a_stream_opened_after_the_end_has_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path) as runtime:
            ledger = runtime.namespace("Ledger", Ledger).get("a")
        with pytest.raises(RuntimeClosed, match="the runtime has stopped"):
            await anext(ledger.events())

    run(scenario())


def test_a_settle_that_waits_for_a_commit_when_the_runtime_stops_gets_an_error(tmp_path: Path) -> None:
    """Its calls are delivered after the next start."""

    async def scenario() -> None:
        courier.broken.clear()
        async with held_runtime(tmp_path) as (runtime, held):
            letters = runtime.namespace("Letters", Letters).get("a")
            courier.broken.add("b")
            held.go_on()
            await letters.call(Letters.write, to=["b"])
            await until(lambda: not runtime._jobs)
            held.hold()
            writing = asyncio.create_task(letters.call(Letters.write, to=[], alarm_at=2**40))
            settling = asyncio.create_task(letters.settle())
            await turns()
        await writing
        with pytest.raises(RuntimeClosed):
            await settling

    run(scenario())


def test_an_error_of_the_runtimes_own_work_does_not_stop_its_timer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_objects.embedded.runtime._TICK_MS", 1)
    errors: list[object] = []

    async def scenario() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: errors.append(context["exception"]))
        async with EmbeddedRuntime(tmp_path) as runtime:
            monkeypatch.setattr(runtime, "run_due", partial(operator.truediv, 1, 0))
            await until(lambda: len(errors) > 1)

    run(scenario())


def test_a_runtime_has_one_timer_and_none_once_it_was_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hour = 3_600_000
    monkeypatch.setattr("durable_objects.embedded.runtime._TICK_MS", hour)

    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path, clock=lambda: 0) as runtime:
            ledger = runtime.namespace("Ledger", Ledger).get("a")
            timer = runtime._timer
            await ledger.call(Ledger.set_alarm, 2 * hour)
            assert runtime._timer is timer
            for minutes in (50, 40, 30):
                await ledger.call(Ledger.set_alarm, minutes * 60_000)
                assert timer.cancelled()
                timer = runtime._timer
                assert not timer.cancelled()
        assert timer.cancelled()
        assert runtime._eviction.cancelled()

    run(scenario())
