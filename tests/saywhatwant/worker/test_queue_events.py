"""One task follows the wall's events for all parts of a worker, and each event is decoded once."""

import asyncio
from functools import partial
from typing import Any, Self

import pytest

from durable_objects import DurableObjectError, EventsLost, OutcomeUnknown
from durable_objects.simulated import SimulatedRuntime
from saywhatwant.message import NewMessage
from saywhatwant.queue import MessageQueue, events
from saywhatwant.topology import Position, SingleWall, WallEvents
from saywhatwant.worker import queue_events
from saywhatwant.worker.limits import FIRST_RESUME_SECONDS, LONGEST_RESUME_SECONDS
from saywhatwant.worker.queue_events import QueueEvent, QueueEvents
from scenario import run, turns

BREAK = OutcomeUnknown("the connection was lost")
POST = NewMessage(text="Why?", username="Human", color="169080199")


class Stream:
    """The next events of a line."""

    def __init__(self, events: "asyncio.Queue[WallEvents | DurableObjectError]") -> None:
        self._next = events

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> WallEvents:
        return self._given(await self._next.get())

    def get_nowait(self) -> WallEvents | None:
        return None if self._next.empty() else self._given(self._next.get_nowait())

    async def aclose(self) -> None:
        pass

    def _given(self, event: WallEvents | DurableObjectError) -> WallEvents:
        if isinstance(event, DurableObjectError):
            raise event
        return event


class Line:
    """A wall that only has events, given by the test; ``began`` is where each stream began."""

    def __init__(self, at: int = 0) -> None:
        self.at = at
        self.reads = 0
        self.began: list[str] = []
        self.error: DurableObjectError | None = None
        self.next: asyncio.Queue[WallEvents | DurableObjectError] = asyncio.Queue()

    async def position(self) -> Position:
        self.reads += 1
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return Position({0: self.at})

    def events(self, since: Position) -> "Stream":
        self.began.append(str(since))
        return Stream(self.next)

    async def send(self, *events: WallEvents | DurableObjectError) -> None:
        for event in events:
            self.next.put_nowait(event)
        await turns()


class Follower:
    """The events of a line, and what a listener got of them. Make it inside a running event loop."""

    def __init__(self, line: Line) -> None:
        self.got: list[str] = []
        self.pauses: list[float] = []
        self.lost: list[str] = []
        self.batches: list[list[str]] = []
        wall: Any = line
        self.events = QueueEvents(wall, sleep=self._sleep)
        self.events.subscribe(lambda event: self.got.append(event.raw.decode()))
        self.events.on_batch(lambda: self.batches.append(list(self.got)))
        self.events.on_lost(lambda: self.lost.append(str(self.events.position)))

    async def _sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)


def event(seq: int | None, name: str, source: int = 0) -> WallEvents:
    return WallEvents(source, seq, (name.encode(),))


def test_an_event_is_decoded_at_most_once_and_only_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[bytes] = []

    def parse(raw: bytes) -> events.Event:
        decoded.append(raw)
        return events.parse(raw)

    monkeypatch.setattr(queue_events, "parse", parse)

    async def scenario() -> None:
        queue = SimulatedRuntime().namespace("MessageQueue", MessageQueue).get("global-queue")
        source = QueueEvents(SingleWall(queue))
        await source.start()
        looked: list[str | None] = []

        def look(event: QueueEvent) -> None:
            looked.append(event.decoded.type)

        async def post() -> None:
            await queue.call(MessageQueue.post, POST)
            await turns()

        source.subscribe(lambda _: None)
        await post()
        assert decoded == []
        unsubscribe = [source.subscribe(partial(look)) for _ in range(5)]
        await post()
        assert looked == ["message"] * 5
        assert len(decoded) == 1
        for end in unsubscribe:
            end()
        await post()
        assert len(looked) == 5

    run(scenario())


def test_p9_a_gateway_that_nobody_uses_does_nothing() -> None:
    async def scenario() -> None:
        before = asyncio.all_tasks()
        line = Line(at=3)
        follower = Follower(line)
        await turns()
        assert (line.reads, line.began, asyncio.all_tasks()) == (0, [], before)
        await asyncio.gather(*[follower.events.start() for _ in range(3)])
        await turns()
        assert (line.reads, line.began) == (1, ["3"]), "they share one"
        await follower.events.aclose()
        await follower.events.aclose()
        assert asyncio.all_tasks() == before

    run(scenario())


def test_p5_it_begins_at_a_position_that_was_read_and_not_where_nobody_knows() -> None:
    """The wall cannot be read at first: who needs the events must not believe that they come."""

    async def scenario() -> None:
        line = Line(at=3)
        follower = Follower(line)
        line.error = BREAK
        with pytest.raises(OutcomeUnknown):
            await follower.events.start()
        line.error = None
        await follower.events.start()
        await line.send(event(4, "four"))
        assert (line.began, follower.got) == (["3"], ["four"])
        await follower.events.aclose()

    run(scenario())


def test_p5_after_an_error_it_resumes_where_it_was_after_a_pause_that_doubles() -> None:
    async def scenario() -> None:
        line = Line()
        follower = Follower(line)
        await follower.events.start()
        await line.send(event(1, "one"), event(7, "seven", source=2), event(None, "signal"), BREAK)
        assert line.began == ["0", "0_1-2_7"]
        assert follower.batches == [["one", "seven", "signal"]], "what came before the error"
        await line.send(*[BREAK] * 8)
        assert follower.pauses[:3] == [FIRST_RESUME_SECONDS, FIRST_RESUME_SECONDS, 2 * FIRST_RESUME_SECONDS]
        assert follower.pauses[-1] == LONGEST_RESUME_SECONDS
        await line.send(event(2, "two"), BREAK, BREAK)
        assert follower.pauses[-2:] == [LONGEST_RESUME_SECONDS, FIRST_RESUME_SECONDS]
        assert line.began[-1] == "0_2-2_7"
        assert (follower.got, follower.lost) == (["one", "seven", "signal", "two"], [])
        await follower.events.aclose()

    run(scenario())


def test_p2_what_comes_together_is_passed_on_together() -> None:
    """So that it is one frame for each socket."""

    async def scenario() -> None:
        line = Line()
        follower = Follower(line)
        await follower.events.start()
        await line.send(event(1, "one"), event(2, "two"), event(1, "other", source=1))
        await line.send(event(3, "three"))
        assert follower.batches == [["one", "two", "other"], ["one", "two", "other", "three"]]
        await follower.events.aclose()

    run(scenario())


def test_p5_what_comes_twice_is_passed_on_once() -> None:
    async def scenario() -> None:
        line = Line(at=1)
        follower = Follower(line)
        await follower.events.start()
        await line.send(event(1, "one"), event(2, "two"), event(2, "two"), event(1, "one"), event(1, "other", source=1))
        assert str(follower.events.position) == "0_2-1_1"
        await line.send(event(2, "two"), event(1, "other", source=1), event(None, "signal"), event(3, "three"))
        assert follower.got == ["two", "other", "signal", "three"]
        await follower.events.aclose()

    run(scenario())


def test_p5_when_events_are_lost_the_listeners_read_again_and_it_goes_on_from_now() -> None:
    async def scenario() -> None:
        line = Line(at=1)
        follower = Follower(line)
        await follower.events.start()
        line.at, line.error = 9, BREAK
        await line.send(EventsLost("too far behind"))
        assert (follower.lost, line.began) == ([], ["1", "1"]), "it has to know where it goes on"
        line.error = None
        await line.send(EventsLost("too far behind"), event(10, "ten"))
        assert (follower.lost, line.began[-1], follower.got) == (["9"], "9", ["ten"])
        await follower.events.aclose()

    run(scenario())


def test_p5_a_listener_that_fails_does_not_stop_the_others(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        line = Line(at=1)
        follower = Follower(line)

        def fail(_: QueueEvent) -> None:
            raise RuntimeError("a bug")

        end = follower.events.subscribe(fail)
        await follower.events.start()
        line.at = 2
        await line.send(event(2, "two"))
        assert (follower.lost, line.began) == (["2"], ["1", "2"])
        end()
        await line.send(event(3, "three"))
        assert follower.got == ["two", "three"]
        await follower.events.aclose()

    run(scenario())
    assert "a listener failed" in caplog.text


def test_a_signal_sent_at_once_after_the_start_is_passed_on() -> None:
    async def scenario() -> None:
        queue = SimulatedRuntime().namespace("MessageQueue", MessageQueue).get("global-queue")
        posted = await queue.call(MessageQueue.post, POST)
        await queue.call(MessageQueue.claim_next, "bot")
        source = QueueEvents(SingleWall(queue))
        got: list[str] = []
        source.subscribe(lambda event: got.append(event.decoded.type))
        await source.start()
        await queue.call(MessageQueue.progress, posted.id, "bot", 1, "Because")
        await turns()
        assert got == ["progress"]
        await source.aclose()

    run(scenario())
