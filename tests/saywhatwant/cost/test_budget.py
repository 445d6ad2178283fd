"""What each thing uses of what Cloudflare bills: exact numbers, the same on every machine.

A number that grows makes every wall dearer. Bring it down again, or change it here and say why in the commit.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NamedTuple

import pytest

from saywhatwant.cost.scenarios import DAY, HOUR
from saywhatwant.cost.stage import Stage, stage
from saywhatwant.cost.virtual_time import run


class Use(NamedTuple):
    """What was used."""

    requests: int = 0
    messages: int = 0
    """Frames from clients, twenty of which are a request."""
    rows_written: int = 0
    rows_read: int = 0
    alarms_set: int = 0
    """Each is a row written."""
    alarm_calls: int = 0
    """Each is a request."""
    wakes: int = 0
    waiting: float = 0
    """Seconds in which the object could not sleep because something waited."""


class Meeting:
    """A wall that keeps 200 messages, with a tab and a bot; all of it has slept for a while."""

    def __init__(self, it: Stage) -> None:
        self.it = it
        (self.tab,) = it.tabs

    async def poll(self) -> None:
        await self.it.site.call("pages", "GET", "/api/comments?changedAfter=1000000&limit=1")

    @property
    def used(self) -> Use:
        counts = self.it.used
        return Use(
            sum(counts.requests.values()),
            counts.socket_messages,
            counts.rows_written,
            counts.rows_read,
            counts.alarms_set,
            counts.alarm_calls,
            counts.wakes,
            round(counts.active_seconds, 3),
        )


async def poll(meeting: Meeting) -> None:
    await meeting.poll()


async def second_poll(meeting: Meeting) -> None:
    await meeting.poll()
    meeting.it.begin()
    await meeting.poll()


async def idle_day(_: Meeting) -> None:
    await asyncio.sleep(DAY)


async def reconnect(meeting: Meeting) -> None:
    await meeting.tab.disconnect()
    await meeting.tab.connect()


async def round_trip(meeting: Meeting) -> None:
    await meeting.it.ask(meeting.tab, "entity-00")


async def hundred(meeting: Meeting) -> None:
    for _ in range(100):
        meeting.it.ask(meeting.tab, "entity-00")
        await asyncio.sleep(0.1)
    await meeting.it.settle()


Act = Callable[[Meeting], Awaitable[None]]

BUDGET: dict[str, tuple[Act, Use]] = {
    "a poll that wakes the object": (poll, Use(requests=1, rows_read=32, wakes=1)),
    "a poll of an object that is awake": (second_poll, Use(requests=1)),
    "a day with a tab and a bot, without a message": (idle_day, Use()),
    "a socket that is opened again": (reconnect, Use(requests=1, rows_read=32, wakes=1)),
    "a round trip on a quiet wall": (
        round_trip,
        Use(requests=2, messages=6, rows_written=2, rows_read=34, alarms_set=1, wakes=1),
    ),
    "a hundred round trips in ten seconds": (
        hundred,
        Use(requests=101, messages=401, rows_written=58, rows_read=90, alarms_set=1, wakes=1, waiting=11.3),
    ),
}
POLLING: dict[str, tuple[Act, Use]] = {
    "a day with a tab and a bot, without a message": (
        idle_day,
        Use(requests=1_440, rows_written=1_440, rows_read=1_440, waiting=86_400),
    ),
    "a round trip on a quiet wall": (round_trip, Use(requests=15, rows_written=4, rows_read=4, alarms_set=2, waiting=1.4)),
    "a hundred round trips in ten seconds": (
        hundred,
        Use(requests=901, rows_written=108, rows_read=108, alarms_set=2, waiting=21.4),
    ),
}
"""The same with a bot that has no WebSocket."""


async def use_of(act: Act, *, polls: bool) -> Use:
    async with stage(concurrency=64) as it:
        await it.fill(talks=40, messages=5)
        await it.open_tabs(1)
        async with it.bot(cold_share=0, polls=polls):
            await asyncio.sleep(HOUR)
            await it.ask(it.tabs[0], "entity-00")
            await asyncio.sleep(HOUR)
            it.begin()
            await act(meeting := Meeting(it))
            return meeting.used


@pytest.mark.parametrize("what", BUDGET)
def test_with_a_bot_on_a_socket_it_uses_what_it_used_before(what: str) -> None:
    act, budget = BUDGET[what]
    assert run(use_of(act, polls=False)) == budget


@pytest.mark.parametrize("what", POLLING)
def test_with_a_bot_that_polls_it_uses_what_it_used_before(what: str) -> None:
    act, budget = POLLING[what]
    assert run(use_of(act, polls=True)) == budget
