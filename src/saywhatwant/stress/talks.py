"""A run of talks: all at once, each with one message at a time, until every visitor has asked for the fact."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from random import SystemRandom
from types import TracebackType
from typing import Self

from msgspec import Struct

from saywhatwant.client import ServerUnavailable, WallClient
from saywhatwant.limits import MAX_PAGE
from saywhatwant.message import Message
from saywhatwant.schemas import PostParams, PostRequest, PostResponse
from saywhatwant.stress.chaos import LEASE_SECONDS, Chaos, Kill
from saywhatwant.stress.memory import MemoryReport, report_on_talks
from saywhatwant.stress.runner import CALM_SECONDS, KILLS, PAUSE_SECONDS, WARM_UP_SECONDS, first_error
from saywhatwant.stress.tab import POLL_SECONDS, end_of_wall, post_until_accepted
from saywhatwant.stress.talk import Exchange, Talk, make_talks

LOOK_SECONDS = 3.0
"""Without an answer for this long, a visitor looks whether the message has failed."""


class TalkPlan(Struct, frozen=True, kw_only=True):
    """The load of a run, and its time limit."""

    entity: str
    talks: int
    between: int
    """Messages of a talk between the one that tells the fact and the one that asks for it."""
    limit_seconds: float


class TalkResult(Struct, frozen=True, kw_only=True):
    """The outcome of a run."""

    report: MemoryReport
    in_time: bool
    """Whether every talk ended before the time was up."""
    kills: tuple[Kill, ...] = ()


OnAnswer = Callable[[int, int], None]
"""Called with the number of answers that visitors have got, and of kills."""


async def run_talks(url: str, plan: TalkPlan, on_answer: OnAnswer, chaos: Chaos | None = None) -> TalkResult:
    """Hold the talks at ``url``. With ``chaos``, ``url`` is its server, which is killed meanwhile.

    Raises ``ServerUnavailable`` when nothing answers at the start, and ``ServerRefused`` when the server refuses the messages.
    """
    talks = make_talks(plan.talks, plan.between, SystemRandom())
    in_time = True
    try:
        async with Visitors(url, plan.entity) as visitors, asyncio.TaskGroup() as group:
            visitors.on_answer = lambda answered: on_answer(answered, len(chaos.kills) if chaos else 0)
            reading = group.create_task(visitors.read())
            try:
                async with asyncio.timeout(plan.limit_seconds), asyncio.TaskGroup() as acting:
                    if chaos is not None:
                        acting.create_task(_kill(chaos))
                    for talk in talks:
                        acting.create_task(visitors.hold(talk))
                await asyncio.sleep(CALM_SECONDS + (LEASE_SECONDS if chaos else 0))
            except TimeoutError:
                in_time = False
            reading.cancel()
        for talk in talks:
            visitors.fill_in(talk)
    except ExceptionGroup as errors:
        raise first_error(errors) from None
    return TalkResult(report=report_on_talks(talks), in_time=in_time, kills=tuple(chaos.kills) if chaos else ())


class Visitors:
    """All visitors, who share a reader of the wall. An asynchronous context manager."""

    def __init__(self, url: str, entity: str) -> None:
        self.on_answer: Callable[[int], None] = lambda _: None
        """Called with the number of answers that visitors have got."""
        self._url = url
        self._entity = entity
        self._since = 0
        self._got = 0
        self._answers: dict[str, dict[str, Message]] = defaultdict(dict)
        """The answers that were read, by the id of the question and their own."""
        self._arrived: dict[str, asyncio.Event] = defaultdict(asyncio.Event)
        # A visitor tries again at a steady pace, without the client's growing pauses.
        self._client = WallClient(url, patience_seconds=0.001)

    async def __aenter__(self) -> Self:
        """Begin at the current end of the wall. Raises ``ServerUnavailable`` when nothing answers."""
        self._since = await end_of_wall(self._url)
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(kind, error, traceback)

    async def read(self) -> None:
        """Read the wall forever, also while the server is unavailable."""
        while True:
            page: list[Message] = []
            with suppress(ServerUnavailable):
                page = await self._client.read(self._since, MAX_PAGE)
            for message in page:
                self._since = message.timestamp
                if message.message_type == "AI" and message.reply_to is not None:
                    self._answers[message.reply_to][message.id] = message
                    self._arrived[message.reply_to].set()
            if len(page) < MAX_PAGE:
                await asyncio.sleep(POLL_SECONDS)

    async def hold(self, talk: Talk) -> None:
        """Post each message of ``talk`` when the one before is answered; end when one has failed."""
        for exchange in talk.exchanges:
            posted = await self._post(talk, exchange)
            exchange.id = posted.id
            if not await self._is_answered(exchange, posted):
                return
            exchange.seconds = time.monotonic() - (exchange.begun or 0)
            self._got += 1
            self.on_answer(self._got)

    def fill_in(self, talk: Talk) -> None:
        """Set the answers of each exchange to all that were read."""
        for exchange in talk.exchanges:
            if exchange.id is not None:
                exchange.answers = list(self._answers[exchange.id].values())

    async def _is_answered(self, exchange: Exchange, posted: PostResponse) -> bool:
        """Wait for the answer; returns False when the server has given the message up, and sets ``exchange.error`` then."""
        arrived = self._arrived[posted.id]
        while not arrived.is_set():
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await arrived.wait()
            except TimeoutError:
                if await self._has_failed(exchange, posted):
                    return arrived.is_set()
        return True

    async def _post(self, talk: Talk, exchange: Exchange) -> PostResponse:
        """Post until the server accepts it. Raises ``ServerRefused`` if it never will."""
        params = PostParams(entity=self._entity)
        post = PostRequest(text=exchange.text, username=talk.username, color=talk.color, bot_params=params)

        def note(error: str) -> None:
            exchange.error = error

        exchange.begun = time.monotonic()
        return await post_until_accepted(self._client, post, note)

    async def _has_failed(self, exchange: Exchange, posted: PostResponse) -> bool:
        try:
            found = await self._client.read(posted.timestamp - 1, 1)
        except ServerUnavailable:
            return False
        states = [message.bot_params for message in found if message.id == posted.id]
        exchange.error = next((state.error for state in states), None)
        return any(state.status == "failed" for state in states)


async def _kill(chaos: Chaos) -> None:
    random = SystemRandom()
    await asyncio.sleep(WARM_UP_SECONDS)
    for _ in range(KILLS):
        await chaos.kill_next()
        await asyncio.sleep(random.uniform(*PAUSE_SECONDS))
