"""A tab: posts, polls, and records everything that it reads."""

import asyncio
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self
from uuid import uuid4

from saywhatwant.client import ServerUnavailable, WallClient
from saywhatwant.limits import MAX_PAGE
from saywhatwant.schemas import PostParams, PostRequest, PostResponse
from saywhatwant.stress.observation import Observation, Probe

POLL_SECONDS = 0.3
"""Pause between two reads of the wall, and between two attempts to post."""
PATIENCE_SECONDS = 3.0
"""How long the first call of a run waits for the server."""
COLOR = "169080199"


class Tab:
    """One reader of the wall with its own connection. An asynchronous context manager."""

    def __init__(self, url: str, number: int, since: int) -> None:
        self.observations: list[Observation] = []
        self.ids: set[str] = set()
        """Ids of the observed messages."""
        self.answered: set[str] = set()
        """Ids of the messages whose answer was observed."""
        self._number = number
        self._since = since
        # A tab retries at its own pace, without the client's growing pauses.
        self._client = WallClient(url, patience_seconds=0.001)
        self._posting = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._client.__aexit__(kind, error, traceback)

    async def poll(self) -> None:
        """Poll the wall forever, also while the server is unavailable."""
        while True:
            try:
                read = await self.read_page()
            except ServerUnavailable:
                read = 0
            if read < MAX_PAGE:
                await asyncio.sleep(POLL_SECONDS)

    async def read_page(self) -> int:
        """Read the next page; returns how many messages were in it. Raises ``ServerUnavailable``."""
        page = await self._client.read(self._since, MAX_PAGE)
        now = time.monotonic()
        for message in page:
            self.observations.append(Observation(now, message))
            self.ids.add(message.id)
            if message.reply_to is not None:
                self.answered.add(message.reply_to)
            self._since = message.timestamp
        return len(page)

    async def post(self, probe: Probe, entity: str) -> None:
        """Post ``probe``, one at a time, retrying until the server accepts it. Raises ``ServerRefused`` if it never will."""
        post = PostRequest(
            text=probe.text,
            username=f"Tab {self._number + 1}",
            color=COLOR,
            bot_params=PostParams(entity=entity),
        )

        def note(error: str) -> None:
            probe.error = error

        async with self._posting:
            probe.begun, probe.begun_ms = time.monotonic(), time.time_ns() // 1_000_000
            probe.id = (await post_until_accepted(self._client, post, note)).id


async def post_until_accepted(client: WallClient, post: PostRequest, on_error: Callable[[str], None]) -> PostResponse:
    """Post with one key, again and again while the server is unavailable. Raises ``ServerRefused`` if it never accepts it."""
    key = uuid4().hex
    while True:
        try:
            return await client.post(post, key)
        except ServerUnavailable as error:
            on_error(str(error))
            await asyncio.sleep(POLL_SECONDS)


async def end_of_wall(url: str) -> int:
    """The timestamp of the newest message, 0 if there is none. Raises ``ServerUnavailable`` when nothing answers."""
    async with WallClient(url, patience_seconds=PATIENCE_SECONDS) as client:
        newest = await client.read(limit=1, order="desc")
    return newest[0].timestamp if newest else 0
