"""A stream of events for one listener: its bounds, its ends, and tasks that give up."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from journal import Journal
from ledger import Ledger
from places import PLACES, place_of

from durable_objects import Events, EventsLost, Replay, RuntimeClosed, Stub
from durable_objects.embedded import EmbeddedRuntime
from durable_objects.event_streams import QueuedEventStream
from durable_objects.simulated import Crashed, SimulatedRuntime
from scenario import run, turns


async def no_replay(since: int) -> Replay:
    return Replay(since, [])


def stream_of(
    since: int | None = None,
    replay: Callable[[int], Awaitable[Replay]] = no_replay,
    closed: Callable[[QueuedEventStream], None] = lambda _: None,
) -> QueuedEventStream:
    return QueuedEventStream(since, replay, new_waiter=asyncio.get_running_loop().create_future, on_close=closed)


def test_a_listener_too_slow_loses_its_events_and_hears_so_instead_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_objects.event_streams.MAX_BYTES_BEHIND", 3_000)

    async def scenario() -> None:
        stream = stream_of()
        stream.offer(Events(1, (b"x" * 9_000,)))
        assert await anext(stream) == Events(1, (b"x" * 9_000,)), "one of any size goes through"
        for seq in range(2, 12):
            stream.offer(Events(seq, (b"x" * 100,)))
        assert (await anext(stream)).seq == 2
        for seq in range(12, 100):
            stream.offer(Events(seq, (b"",)))  # takes memory too
        for _ in range(2):
            with pytest.raises(EventsLost, match="a listener is more than 3000 bytes behind"):
                await anext(stream)

    run(scenario())


def test_a_listener_that_keeps_up_is_never_too_slow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("durable_objects.event_streams.MAX_BYTES_BEHIND", 3_000)

    async def scenario() -> None:
        stream = stream_of(7)
        for seq in range(1, 500):
            stream.offer(Events(seq, (b"x" * 100,)))
            if seq > 7:
                assert (await anext(stream)).seq == seq

    run(scenario())


def test_a_task_that_gives_up_waiting_loses_nothing() -> None:
    async def scenario() -> None:
        stream = stream_of()
        for seq in range(1, 4):
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(anext(stream), 0)
            waiting = asyncio.create_task(anext(stream))
            await turns()
            stream.offer(Events(seq, (b"x",)))
            waiting.cancel()  # when it has been woken already
            with pytest.raises(asyncio.CancelledError):
                await waiting
            assert (await anext(stream)).seq == seq

    run(scenario())


def test_a_task_that_gives_up_during_the_replay_loses_nothing() -> None:
    async def scenario() -> None:
        answered = asyncio.Event()

        async def replay(since: int) -> Replay:
            await answered.wait()
            return Replay(since + 1, [(since + 1, (b"x",))], more=since < 3)

        stream = stream_of(0, replay)
        waiting = asyncio.create_task(anext(stream))
        await turns()
        stream.offer(Events(5, (b"x",)))
        waiting.cancel()
        await turns()
        answered.set()
        assert [(await anext(stream)).seq for _ in range(5)] == [1, 2, 3, 4, 5]

    run(scenario())


def test_closing_a_stream_ends_it_for_a_task_that_waits_for_it() -> None:
    closed: list[QueuedEventStream] = []

    async def scenario() -> None:
        async with stream_of(closed=closed.append) as stream:
            waiting = asyncio.create_task(anext(stream, None))
            await turns()
            assert not waiting.done()
            await stream.aclose()
            assert await waiting is None
            stream.offer(Events(1, (b"x",)))
            assert [events async for events in stream] == []
        assert closed == [stream, stream]

    run(scenario())


def test_one_task_at_a_time_reads_a_stream() -> None:
    """Two would take each other's wake-ups."""

    async def scenario() -> None:
        stream = stream_of()
        waiting = asyncio.create_task(anext(stream))
        await turns()
        with pytest.raises(RuntimeError, match="another task already waits for the next event"):
            await anext(stream)
        stream.offer(Events(1, (b"x",)))
        assert (await waiting).seq == 1

    run(scenario())


def test_a_replay_that_does_not_go_on_is_not_asked_for_ever() -> None:
    async def scenario() -> None:
        async def replay(since: int) -> Replay:
            return Replay(since, [], more=True)

        with pytest.raises(EventsLost, match="the object's replay stopped at commit 4, though it has more"):
            await anext(stream_of(4, replay))

    run(scenario())


# -- Streams of runtimes


@pytest.mark.parametrize("local", PLACES)
def test_p5_a_listener_catches_up_from_its_position_and_goes_on_live(request: pytest.FixtureRequest, local: str) -> None:
    async def scenario() -> None:
        async with place_of(local, request, Journal).running() as opened:
            journal = opened.namespace("Journal", Journal).get("a")
            for _ in range(8):
                await journal.call(Journal.write, count=2)
            for since in (0, 3, 8):
                async with journal.events(since) as events:
                    seqs = [(await anext(events)).seq for _ in range(8 - since)]
                    assert seqs == list(range(since + 1, 9))
            async with journal.events(6) as events, journal.events() as live:
                await journal.call(Journal.write, count=1)
                assert [await anext(events) for _ in range(3)] == [
                    Events(7, (b"7.0", b"7.1")),
                    Events(8, (b"8.0", b"8.1")),
                    Events(9, (b"9.0",)),
                ]
                assert await anext(live) == Events(9, (b"9.0",)), "it listened before it was asked for the first time"

    run(scenario())


@pytest.mark.parametrize("local", PLACES)
def test_an_object_without_a_replay_refuses_an_old_position_and_takes_its_own(
    request: pytest.FixtureRequest, local: str
) -> None:
    async def scenario() -> None:
        async with place_of(local, request, Ledger).running() as opened:
            ledger = opened.namespace("Ledger", Ledger).get("a")
            await ledger.call(Ledger.append, "first")
            instance = await ledger.call(Ledger.which)
            async with ledger.events(0) as events:
                with pytest.raises(EventsLost, match="the events after commit 0 are not kept; the object is at commit 1"):
                    await anext(events)
            if not local.startswith(("wire", "restate gateway")):  # which drop it after each call
                assert await ledger.call(Ledger.which) == instance, "a refusal, not a failure"
            async with ledger.events(1) as events:
                waiting = asyncio.create_task(anext(events))
                await turns()
                await ledger.call(Ledger.append, "second")
                assert await waiting == Events(2, (b"2 second",))

    run(scenario())


def test_the_end_of_a_runtime_ends_its_streams(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EmbeddedRuntime(tmp_path) as runtime:
            stub: Stub[Ledger] = runtime.namespace("Ledger", Ledger).get("a")
            stream = stub.events()
            waiting = asyncio.create_task(anext(stream))
            await turns()
        for reading in (waiting, anext(stream)):
            with pytest.raises(RuntimeClosed, match="the runtime has stopped"):
                await reading

    run(scenario())


def test_a_crash_ends_the_streams_of_a_simulation() -> None:
    runtime = SimulatedRuntime()
    stream = runtime.namespace("Ledger", Ledger).get("a").events()
    waiting = runtime.start(anext(stream))
    runtime.crash()
    with pytest.raises(Crashed):
        waiting.result()
    with pytest.raises(Crashed):
        runtime.run(anext(stream))
