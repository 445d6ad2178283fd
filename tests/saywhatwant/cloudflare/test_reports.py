"""Figures of a wall in one Durable Object: they go with commits that are made anyway, so that they cost no row."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fake_platform import TOKEN, Platform, decoded


def run(scenario: Callable[[Platform], Awaitable[None]]) -> None:
    async def scene() -> None:
        await scenario(Platform())

    asyncio.run(scene())


async def history(platform: Platform) -> list[dict[str, Any]]:
    answer = await platform.call("GET", "/api/ops/history", authorization=f"Bearer {TOKEN}")
    points: list[dict[str, Any]] = decoded(answer)["points"]
    return points


async def answered(platform: Platform) -> None:
    await platform.post("Why?")
    (message,) = (await platform.bot("claim", workerId="bot"))["messages"]
    await platform.bot("complete", messageId=message["id"], workerId="bot", attempt=1, reply={"text": "Because."})


def test_what_a_life_has_counted_is_stored_with_a_later_commit_and_costs_no_row() -> None:
    async def scenario(platform: Platform) -> None:
        await platform.post("first")
        meter = platform.runtime.meter
        before = meter.commits, meter.rows_written
        await platform.post("second")
        assert (meter.commits - before[0], meter.rows_written - before[1]) == (1, 1)
        assert [point["posts"] for point in await history(platform)] == [1], "those before this commit"

    run(scenario)


def test_answers_are_counted_by_the_objects_so_a_sleep_loses_none() -> None:
    async def scenario(platform: Platform) -> None:
        for _ in range(3):
            await answered(platform)
            await platform.sleep()
        await platform.post("later")
        await platform.post("and later")
        assert sum(point["answers"] for point in await history(platform)) == 3

    run(scenario)


def test_reads_alone_are_never_stored() -> None:
    async def scenario(platform: Platform) -> None:
        for _ in range(3):
            await platform.call("GET", "/api/comments")
        assert platform.runtime.meter.rows_written == 0
        await platform.sleep()
        assert await history(platform) == []

    run(scenario)
