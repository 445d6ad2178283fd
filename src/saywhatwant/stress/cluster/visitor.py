"""A visitor who posts one message after the other, at another gateway when one fails."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from random import Random
from types import TracebackType
from typing import Self
from uuid import uuid4

from msgspec import Struct

from saywhatwant.client import ServerRefused, ServerUnavailable, WallClient
from saywhatwant.schemas import PostParams, PostRequest

RETRY_SECONDS = 0.1
"""Pause between two attempts to post."""
PAUSE_SECONDS = (0.1, 0.5)
"""Between an accepted message and the next one."""
COLOR = "169080199"


class Post(Struct, kw_only=True):
    """A message that was posted until it was accepted. No two have the same text."""

    text: str
    begun: float
    """Time of the first attempt, by the monotonic clock, in seconds."""
    accepted: float | None = None
    id: str | None = None
    timestamp: int = 0
    attempts: int = 0
    error: str = ""
    """Why the last attempt failed, if it did."""


class Visitor:
    """Posts to a wall with several gateways. An asynchronous context manager.

    Args:
        number: of this visitor, from 0; it begins at another gateway than the one before.
        urls: the gateways.
        entities: who is asked, in turn.
        run: a name of this run, so that no other has the same texts.
    """

    def __init__(self, number: int, urls: Sequence[str], entities: Sequence[str], run: str) -> None:
        self.posted: list[Post] = []
        self._number = number
        self._gateway = number
        # A visitor tries again at a steady pace, without the client's growing pauses.
        self._clients = [WallClient(url, patience_seconds=0.001) for url in urls]
        self._entities = entities
        self._run = run
        self._random = Random(f"{run} {number}")  # noqa: S311 - a pace, no secret
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for client in self._clients:
            await self._open.enter_async_context(client)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def post_until(self, over: asyncio.Event) -> None:
        """Post one message after the other; the last one that was begun is posted until it is accepted."""
        while not over.is_set():
            await self._post()
            await asyncio.sleep(self._random.uniform(*PAUSE_SECONDS))

    async def _post(self) -> None:
        count = len(self.posted)
        text = f"Is this siege {self._run}, message {count + 1} of visitor {self._number + 1}, any good?"
        posted = Post(text=text, begun=time.monotonic())
        self.posted.append(posted)
        entity = self._entities[(self._number + count) % len(self._entities)]
        post = PostRequest(text=text, username=f"Visitor {self._number + 1}", color=COLOR, bot_params=PostParams(entity=entity))
        key = uuid4().hex
        while True:
            client = self._clients[self._gateway % len(self._clients)]
            posted.attempts += 1
            try:
                answer = await client.post(post, key)
            except ServerRefused as error:
                posted.error = str(error)
                return
            except ServerUnavailable as error:
                posted.error = str(error)
                self._gateway += 1
                await asyncio.sleep(RETRY_SECONDS)
            else:
                posted.accepted, posted.id, posted.timestamp = time.monotonic(), answer.id, answer.timestamp
                return
