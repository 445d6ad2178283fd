"""A tab: it posts, it polls, and it keeps everything that it saw."""

import asyncio
import time
from types import TracebackType
from typing import Self
from uuid import uuid4

from saywhatwant.client import ServerUnavailable, WallClient
from saywhatwant.limits import MAX_PAGE
from saywhatwant.schemas import PostParams, PostRequest
from saywhatwant.stress.observation import Asked, Seen

POLL_SECONDS = 0.3
"""Between two looks at the wall, and between two tries to post."""
COLOR = "169080199"


class Tab:
    """One reader of the wall with a connection of its own. An asynchronous context manager."""

    def __init__(self, url: str, number: int, since: int) -> None:
        self.seen: list[Seen] = []
        self.ids: set[str] = set()
        """What ``seen`` has, for the display alone: the messages."""
        self.answered: set[str] = set()
        """And those whose answer it has."""
        self._number = number
        self._since = since
        # It tries again at its own pace, not at the growing pauses of a patient client.
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

    async def watch(self) -> None:
        """Look at the wall again and again, for ever; a server that is away is waited for."""
        while True:
            try:
                is_all = await self.look()
            except ServerUnavailable:
                is_all = True
            if is_all:
                await asyncio.sleep(POLL_SECONDS)

    async def look(self) -> bool:
        """Read the next page; whether it was the last one. Raises ``ServerUnavailable``."""
        page = await self._client.read(self._since, MAX_PAGE)
        now = time.monotonic()
        for message in page:
            self.seen.append(Seen(now, message))
            self.ids.add(message.id)
            if message.reply_to is not None:
                self.answered.add(message.reply_to)
            self._since = message.timestamp
        return len(page) < MAX_PAGE

    async def post(self, asked: Asked, entity: str) -> None:
        """Post it, one at a time, until the server accepts it. Raises ``ServerRefused`` when that would never be."""
        post = PostRequest(
            text=asked.text,
            username=f"Tab {self._number + 1}",
            color=COLOR,
            bot_params=PostParams(entity=entity),
        )
        key = uuid4().hex
        async with self._posting:
            asked.begun, asked.begun_ms = time.monotonic(), time.time_ns() // 1_000_000
            while asked.id is None:
                try:
                    asked.id = (await self._client.post(post, key)).id
                except ServerUnavailable as error:
                    asked.refusal = str(error)
                    await asyncio.sleep(POLL_SECONDS)
