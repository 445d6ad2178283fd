"""A reader's place at the live wall: it gets every frame in order, may be so far behind, and is over once."""

import asyncio

import pytest

from saywhatwant.worker.broadcaster import MAX_BEHIND_CHARS, TOO_SLOW, Frame, Reader
from scenario import run, turns


def large(chars: int) -> Frame:
    """A frame of so many characters."""
    bare = len(Frame(1, [(1, b'""')]).text)
    frame = Frame(1, [(1, b'"%b"' % (b"x" * (chars - bare)))])
    assert len(frame.text) == chars
    return frame


def end_of(reader: Reader) -> int | None:
    """What it was closed with, if it was."""
    return reader.close_code


async def taken(reader: Reader) -> list[Frame]:
    """All that a reader that is over still gives."""
    return [frame async for frame in reader.frames()]


def test_p5_a_reader_gets_every_frame_in_order_also_those_that_come_while_it_waits() -> None:
    async def scenario() -> None:
        reader = Reader()
        offered = [Frame(seq, []) for seq in range(6)]
        for frame in offered[:2]:
            reader.offer(frame)
        got: list[Frame] = []

        async def follow() -> None:
            async for frame in reader.frames():
                got.append(frame)
                await asyncio.sleep(0)

        following = asyncio.create_task(follow())
        await turns()
        assert got == offered[:2]
        for frame in offered[2:5]:
            reader.offer(frame)
            await asyncio.sleep(0)
        await turns()
        assert got == offered[:5]
        assert not following.done()
        reader.end()
        await following
        reader.offer(offered[5])
        assert await taken(reader) == []
        assert end_of(reader) is None

    run(scenario())


def test_p6_a_reader_may_be_so_far_behind_and_no_further() -> None:
    async def scenario() -> None:
        half = MAX_BEHIND_CHARS // 2
        reader = Reader()
        reader.offer(large(half))
        reader.offer(large(half))
        assert end_of(reader) is None
        reader.offer(large(100))
        assert end_of(reader) == TOO_SLOW
        assert await taken(reader) == []

    run(scenario())


def test_p6_what_a_reader_is_being_sent_counts_until_it_asks_for_the_next() -> None:
    async def scenario() -> None:
        reader, quarter = Reader(), MAX_BEHIND_CHARS // 4
        frames = reader.frames()
        for _ in range(5):
            reader.offer(large(quarter))
            reader.offer(large(quarter))
            await anext(frames)
            await anext(frames)
            assert end_of(reader) is None
        for _ in range(3):
            reader.offer(large(quarter))
        assert end_of(reader) is None
        reader.offer(large(100))
        assert end_of(reader) == TOO_SLOW
        with pytest.raises(StopAsyncIteration):
            await anext(frames)

    run(scenario())


def test_p6_a_frame_of_any_size_is_no_reason_to_cut_a_reader_that_waits_for_it() -> None:
    async def scenario() -> None:
        reader = Reader()
        frames = reader.frames()
        for _ in range(2):
            frame = large(2 * MAX_BEHIND_CHARS)
            waiting = asyncio.ensure_future(anext(frames))
            await turns()
            reader.offer(frame)
            assert end_of(reader) is None
            assert await waiting is frame
        reader.offer(large(100))
        assert end_of(reader) == TOO_SLOW

    run(scenario())


def test_p6_nothing_gathers_for_a_reader_that_is_over_though_something_is_still_being_sent_to_it() -> None:
    async def scenario() -> None:
        reader = Reader()
        frames = reader.frames()
        reader.offer(large(100))
        await anext(frames)
        reader.end(1_008)
        reader.offer(large(100))
        with pytest.raises(StopAsyncIteration):
            await anext(frames)

    run(scenario())


def test_p8_only_the_first_end_counts() -> None:
    async def scenario() -> None:
        gone, cut = Reader(), Reader()
        gone.end()
        gone.end(TOO_SLOW)
        gone.offer(large(2 * MAX_BEHIND_CHARS))
        assert end_of(gone) is None
        cut.end(1_008)
        cut.end()
        assert end_of(cut) == 1_008
        assert await taken(gone) == await taken(cut) == []

    run(scenario())
