"""The crowd: all tabs together, and how far they have come."""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from msgspec import Struct

from saywhatwant.client import WallClient
from saywhatwant.stress.observation import Asked
from saywhatwant.stress.tab import POLL_SECONDS, Tab
from saywhatwant.stress.verdict import Verdict, judge

PATIENCE_SECONDS = 3.0
"""How long the first call waits for the server."""


class Progress(Struct, frozen=True):
    """How many messages were accepted, seen by every tab, and answered before every tab's eyes. For display only."""

    accepted: int
    delivered: int
    answered: int


class Crowd:
    """So many tabs, and messages shared out among them. An asynchronous context manager."""

    def __init__(self, url: str, entity: str, *, tabs: int, messages: int) -> None:
        run = secrets.token_hex(4)
        self.asked = [
            Asked(number=number, tab=number % tabs, text=f"Is this stress test {run}, message {number + 1}, any good?")
            for number in range(messages)
        ]
        self._url = url
        self._entity = entity
        self._number_of_tabs = tabs
        self._since = 0
        self._tabs: list[Tab] = []
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open the tabs at the wall's present end. Raises ``ServerUnavailable`` when nothing answers."""
        async with self._open:
            async with WallClient(self._url, patience_seconds=PATIENCE_SECONDS) as client:
                newest = await client.read(limit=1, order="desc")
            self._since = newest[0].timestamp if newest else 0
            for _ in range(self._number_of_tabs):
                await self._open_tab()
            self._open = self._open.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._open.__aexit__(kind, error, traceback)

    async def watch(self) -> None:
        """Let every tab look at the wall, for ever, each with its own beat."""

        async def later(tab: Tab, pause: float) -> None:
            await asyncio.sleep(pause)
            await tab.watch()

        async with asyncio.TaskGroup() as group:
            for number, tab in enumerate(self._tabs):
                group.create_task(later(tab, POLL_SECONDS * number / len(self._tabs)))

    async def post(self, asked: Sequence[Asked]) -> None:
        """Post these, all tabs at once."""
        async with asyncio.TaskGroup() as group:
            for each in asked:
                group.create_task(self._tabs[each.tab].post(each, self._entity))

    async def settle(self, calm_seconds: float) -> None:
        """Wait until every tab has seen every message and an answer to it, and then for what should not come any more."""
        while self.progress().answered < len(self.asked):  # noqa: ASYNC110 - what the tabs do is a matter of time anyway
            await asyncio.sleep(POLL_SECONDS)
        await asyncio.sleep(calm_seconds)

    async def look_back(self) -> None:
        """Open one more tab that reads all of it again: what was seen is still there, once. Raises ``ServerUnavailable``."""
        tab = await self._open_tab()
        while not await tab.look():
            pass

    def progress(self) -> Progress:
        """How far all this is."""
        ids = {asked.id for asked in self.asked if asked.id is not None}
        delivered = ids.intersection(*(tab.ids for tab in self._tabs))
        answered = delivered.intersection(*(tab.answered for tab in self._tabs))
        return Progress(len(ids), len(delivered), len(answered))

    def answered_at(self) -> dict[str, int]:
        """The timestamp of the first answer that anybody saw, by the message's id."""
        times: dict[str, int] = {}
        for tab in self._tabs:
            for seen in tab.seen:
                message = seen.message
                if message.message_type == "AI" and message.reply_to is not None:
                    times[message.reply_to] = min(message.timestamp, times.get(message.reply_to, message.timestamp))
        return times

    def verdict(self) -> Verdict:
        """By what the tabs saw until now."""
        return judge(self.asked, [tab.seen for tab in self._tabs])

    async def _open_tab(self) -> Tab:
        tab = await self._open.enter_async_context(Tab(self._url, len(self._tabs), self._since))
        self._tabs.append(tab)
        return tab
