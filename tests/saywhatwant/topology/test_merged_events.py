"""The events of several objects as one stream: every change once, across new objects, interruptions and restarts."""

import asyncio
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from walls import a_post

from durable_objects import DurableObjectError
from durable_objects.simulated import SimulatedRuntime
from profiles import examples
from saywhatwant.message import decode_list
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.events import parse
from saywhatwant.topology import START, Position, Wall, open_wall
from scenario import run

CONFIG = QueueConfig(entities=("zen", "joy", "sea"), retention=1_000)
STEPS = st.lists(
    st.sampled_from(["zen", "joy", "sea", "anyone", "read", "read", "crash", "resume", "another gateway"]), max_size=30
)


class Follower:
    """Follows the events, and resumes from its position as ``worker.queue_events`` does."""

    def __init__(self, wall: Wall) -> None:
        self.wall = wall
        self.position: Position = START
        self.seen: list[tuple[int, int]] = []
        self.ids: set[str] = set()
        self.begin()

    def begin(self) -> None:
        self.stream = self.wall.events(self.position)
        self.task = asyncio.create_task(self.follow())

    async def follow(self) -> None:
        with suppress(DurableObjectError):
            async for source, seq, data in self.stream:
                if seq is None or self.position.covers(source, seq):
                    continue
                self.seen.append((source, seq))
                self.position = self.position.advanced(source, seq)
                self.ids |= {event.message.id for raw in data if (event := parse(raw)).message is not None}

    async def end(self) -> None:
        self.task.cancel()
        await asyncio.wait([self.task])
        await self.stream.aclose()


async def played(steps: list[str]) -> None:
    runtime = SimulatedRuntime()
    wall = open_wall(runtime, CONFIG, "per-entity")
    follower = Follower(wall)
    for number, step in enumerate(steps):
        match step:
            case "read":
                await asyncio.sleep(0)
            case "crash":
                runtime.crash()
            case "resume":
                await follower.end()
                follower.begin()
            case "another gateway":
                wall = open_wall(runtime, CONFIG, "per-entity")
            case entity:
                await wall.post(a_post(f"{number}", entity=None if entity == "anyone" else entity))
    posted = {message.id for message in decode_list((await wall.read()).body)}
    for _ in range(1_000):
        if posted <= follower.ids:
            break
        if follower.task.done():  # by a crash
            follower.begin()
        await asyncio.sleep(0)
    await follower.end()
    assert follower.ids == posted
    assert len(set(follower.seen)) == len(follower.seen)


@settings(max_examples=examples(200))
@given(STEPS)
def test_p5_a_follower_of_several_objects_gets_every_commit_once(steps: list[str]) -> None:
    run(played(steps))


def test_signals_come_too_and_an_ended_stream_ends() -> None:
    async def scenario() -> None:
        wall = open_wall(SimulatedRuntime(), CONFIG, "per-entity")
        posted = await wall.post(a_post(entity="zen"))
        await wall.claim_next("bot", ("zen",))
        stream = wall.events(await wall.position())
        reading = asyncio.ensure_future(anext(stream))
        for _ in range(20):
            await asyncio.sleep(0)
        await wall.progress(posted.id, "bot", 1, "Bec")
        source, seq, (raw,) = await reading
        assert (seq, parse(raw).text) == (None, "Bec")
        assert source == 2
        reading = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        await stream.aclose()
        with pytest.raises(StopAsyncIteration):
            await reading

    run(scenario())
