"""A subscriber gets every frame in order, may fall behind up to a bound, and ends once."""

import asyncio

import pytest

from saywhatwant.topology import START, Position
from saywhatwant.worker.limits import MAX_BEHIND_CHARS
from saywhatwant.worker.subscriber import TOO_SLOW, Frame, Subscriber
from scenario import run, turns


def close_code(subscriber: Subscriber) -> int | None:
    """What it is to be closed with, if it has ended."""
    return subscriber.close_code


def live() -> Subscriber:
    """A subscriber that has caught up."""
    subscriber = Subscriber()
    subscriber.resume()
    return subscriber


def large(chars: int) -> Frame:
    """A frame of this many characters."""
    bare = len(Frame(START, START, [(0, 1, b'""')]).text)
    frame = Frame(START, START, [(0, 1, b'"%b"' % (b"x" * (chars - bare)))])
    assert len(frame.text) == chars
    return frame


async def taken(subscriber: Subscriber) -> list[Frame]:
    """The frames that a subscriber that has ended still gives."""
    return [frame async for frame in subscriber.frames()]


def test_p5_a_subscriber_gets_every_frame_in_order() -> None:
    async def scenario() -> None:
        subscriber = live()
        offered = [Frame(START, Position({0: seq}), []) for seq in range(6)]
        for frame in offered[:2]:
            subscriber.offer(frame)
        got: list[Frame] = []

        async def follow() -> None:
            async for frame in subscriber.frames():
                got.append(frame)
                await asyncio.sleep(0)

        following = asyncio.create_task(follow())
        await turns()
        assert got == offered[:2]
        for frame in offered[2:5]:
            subscriber.offer(frame)
            await asyncio.sleep(0)
        await turns()
        assert got == offered[:5]
        assert not following.done()
        subscriber.end()
        await following
        subscriber.offer(offered[5])
        assert await taken(subscriber) == []
        assert close_code(subscriber) is None

    run(scenario())


def test_p6_a_subscriber_may_fall_behind_up_to_a_bound() -> None:
    async def scenario() -> None:
        half = MAX_BEHIND_CHARS // 2
        subscriber = live()
        subscriber.offer(large(half))
        subscriber.offer(large(half))
        assert close_code(subscriber) is None
        subscriber.offer(large(100))
        assert close_code(subscriber) == TOO_SLOW
        assert await taken(subscriber) == []

    run(scenario())


def test_p6_a_frame_counts_until_the_subscriber_asks_for_the_next() -> None:
    async def scenario() -> None:
        subscriber, quarter = live(), MAX_BEHIND_CHARS // 4
        frames = subscriber.frames()
        for _ in range(5):
            subscriber.offer(large(quarter))
            subscriber.offer(large(quarter))
            await anext(frames)
            await anext(frames)
            assert close_code(subscriber) is None
        for _ in range(3):
            subscriber.offer(large(quarter))
        assert close_code(subscriber) is None
        subscriber.offer(large(100))
        assert close_code(subscriber) == TOO_SLOW
        with pytest.raises(StopAsyncIteration):
            await anext(frames)

    run(scenario())


def test_p6_a_frame_of_any_size_closes_no_subscriber_that_waits_for_it() -> None:
    async def scenario() -> None:
        subscriber = live()
        frames = subscriber.frames()
        for _ in range(2):
            frame = large(2 * MAX_BEHIND_CHARS)
            waiting = asyncio.ensure_future(anext(frames))
            await turns()
            subscriber.offer(frame)
            assert close_code(subscriber) is None
            assert await waiting is frame
        subscriber.offer(large(100))
        assert close_code(subscriber) == TOO_SLOW

    run(scenario())


def test_p6_nothing_is_kept_for_a_subscriber_that_has_ended() -> None:
    async def scenario() -> None:
        subscriber = live()
        frames = subscriber.frames()
        subscriber.offer(large(100))
        await anext(frames)
        subscriber.end(1_008)
        subscriber.offer(large(100))
        with pytest.raises(StopAsyncIteration):
            await anext(frames)

    run(scenario())


def test_p8_only_the_first_end_counts() -> None:
    async def scenario() -> None:
        gone, cut = live(), live()
        gone.end()
        gone.end(TOO_SLOW)
        gone.offer(large(2 * MAX_BEHIND_CHARS))
        assert gone.close_code is None
        cut.end(1_008)
        cut.end()
        assert cut.close_code == 1_008
        assert await taken(gone) == await taken(cut) == []

    run(scenario())


def test_p5_a_paused_subscriber_keeps_nothing() -> None:
    async def scenario() -> None:
        subscriber = Subscriber()
        subscriber.offer(large(100))
        subscriber.resume()
        for _ in range(3):
            subscriber.offer(large(MAX_BEHIND_CHARS))
            subscriber.pause()
        subscriber.offer(large(100))
        assert close_code(subscriber) is None
        subscriber.resume()
        last = large(100)
        subscriber.offer(last)
        assert await anext(subscriber.frames()) is last

    run(scenario())
