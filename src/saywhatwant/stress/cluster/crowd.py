"""All visitors and readers of a siege, spread over the gateways."""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from saywhatwant.client import ServerUnavailable, WallClient
from saywhatwant.limits import MAX_PAGE
from saywhatwant.message import Message
from saywhatwant.schemas import Stats
from saywhatwant.stress.cluster.reader import PollReader, Reader, SocketReader
from saywhatwant.stress.cluster.visitor import Post, Visitor

PATIENCE_SECONDS = 30.0
"""How long what is asked once waits for a gateway."""
READERS_PER_GATEWAY = 2
"""Of each kind."""


class Crowd:
    """Everybody on a wall that is empty at first. An asynchronous context manager, while which is entered all read.

    Args:
        urls: the gateways.
        entities: who is asked.
        visitors: how many post.
    """

    def __init__(self, urls: Sequence[str], entities: Sequence[str], visitors: int) -> None:
        run = secrets.token_hex(4)
        self.visitors = [Visitor(number, urls, entities, run) for number in range(visitors)]
        numbers = range(READERS_PER_GATEWAY * len(urls))
        self.polls = [PollReader(f"poll {number + 1}", urls, number) for number in numbers]
        self.sockets = [SocketReader(f"socket {number + 1}", urls, number) for number in numbers]
        self._urls = urls
        self._open = AsyncExitStack()
        self._reading: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        for visitor in self.visitors:
            await self._open.enter_async_context(visitor)
        self._reading = [asyncio.create_task(reader.read()) for reader in self.readers]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._reading:
            task.cancel()
        ends = await asyncio.gather(*self._reading, return_exceptions=True)
        await self._open.aclose()
        for end in ends:
            if isinstance(end, Exception) and error is None:
                raise end

    @property
    def readers(self) -> list[Reader]:
        """All of them."""
        return [*self.polls, *self.sockets]

    @property
    def posted(self) -> list[Post]:
        """All messages whose posting has begun."""
        return [posted for visitor in self.visitors for posted in visitor.posted]

    async def post_until(self, over: asyncio.Event) -> None:
        """Have all visitors post until then."""
        async with asyncio.TaskGroup() as group:
            for visitor in self.visitors:
                group.create_task(visitor.post_until(over))

    def under_way(self) -> int:
        """How many posts wait for their answer."""
        return sum(bool(visitor.posted) and visitor.posted[-1].accepted is None for visitor in self.visitors)

    def is_answered(self, at: float) -> bool:
        """Whether no post and no poll waits that was begun before this time."""
        posts = [visitor.posted[-1] for visitor in self.visitors if visitor.posted]
        return all(post.accepted is not None or post.begun > at for post in posts) and all(
            poll.begun > at for poll in self.polls
        )

    def unanswered(self) -> int:
        """How many accepted messages no socket has seen the answer of."""
        answered = {message.reply_to for socket in self.sockets for message in socket.last_seen.values()}
        return sum(posted.id is not None and posted.id not in answered for posted in self.posted)

    async def wall(self, url: str) -> list[Message]:
        """Every message since the beginning, as a gateway shows it. Raises ``ServerUnavailable``."""
        found: list[Message] = []
        async with WallClient(url, patience_seconds=PATIENCE_SECONDS) as client:
            while page := await client.read(found[-1].timestamp if found else 0, MAX_PAGE):
                found += page
        return found

    async def stats(self, url: str) -> Stats:
        """A gateway's figures. Raises ``ServerUnavailable``."""
        async with WallClient(url, patience_seconds=PATIENCE_SECONDS) as client:
            return await client.stats()

    async def wait_until_settled(self) -> None:
        """Wait until all that was accepted is answered, and every reader has read everything."""
        while True:
            try:
                if await self._is_settled():
                    return
            except ServerUnavailable:
                pass
            await asyncio.sleep(0.3)

    async def _is_settled(self) -> bool:
        stats = await self.stats(self._urls[0])
        if stats.backlog:
            return False
        wall = await self.wall(self._urls[0])
        return not any(reader.lacks(wall) for reader in self.readers)
