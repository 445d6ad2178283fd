"""All tabs of a run, and its progress."""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from msgspec import Struct

from saywhatwant.stress.observation import Probe
from saywhatwant.stress.report import Report, report_on
from saywhatwant.stress.tab import POLL_SECONDS, Tab, end_of_wall


class Progress(Struct, frozen=True):
    """How many messages were accepted, read by every tab, and answered for every tab. For display only."""

    accepted: int
    delivered: int
    answered: int


class Tabs:
    """A number of tabs, and messages distributed among them. An asynchronous context manager."""

    def __init__(self, url: str, entity: str, *, tabs: int, messages: int) -> None:
        run = secrets.token_hex(4)
        self.probes = [
            Probe(number=number, tab=number % tabs, text=f"Is this stress test {run}, message {number + 1}, any good?")
            for number in range(messages)
        ]
        self._url = url
        self._entity = entity
        self._number_of_tabs = tabs
        self._since = 0
        self._tabs: list[Tab] = []
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        """Open the tabs at the current end of the wall. Raises ``ServerUnavailable`` when nothing answers."""
        async with self._open:
            self._since = await end_of_wall(self._url)
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

    async def poll(self) -> None:
        """Poll with every tab forever, evenly spread in time."""

        async def later(tab: Tab, pause: float) -> None:
            await asyncio.sleep(pause)
            await tab.poll()

        async with asyncio.TaskGroup() as group:
            for number, tab in enumerate(self._tabs):
                group.create_task(later(tab, POLL_SECONDS * number / len(self._tabs)))

    async def post(self, probes: Sequence[Probe]) -> None:
        """Post these, all tabs at once."""
        async with asyncio.TaskGroup() as group:
            for probe in probes:
                group.create_task(self._tabs[probe.tab].post(probe, self._entity))

    async def wait_until_settled(self, calm_seconds: float) -> None:
        """Wait until every tab has read every message and an answer to it, then a while longer for duplicates."""
        while self.progress().answered < len(self.probes):  # noqa: ASYNC110 - the tabs poll too
            await asyncio.sleep(POLL_SECONDS)
        await asyncio.sleep(calm_seconds)

    async def read_again(self) -> None:
        """Open one more tab that reads everything again, for the report. Raises ``ServerUnavailable``."""
        tab = await self._open_tab()
        while await tab.read_page():
            pass

    def progress(self) -> Progress:
        """The progress of the run."""
        ids = {probe.id for probe in self.probes if probe.id is not None}
        delivered = ids.intersection(*(tab.ids for tab in self._tabs))
        answered = delivered.intersection(*(tab.answered for tab in self._tabs))
        return Progress(len(ids), len(delivered), len(answered))

    def answered_at(self) -> dict[str, int]:
        """The timestamp of the first answer that a tab read, by the message's id."""
        times: dict[str, int] = {}
        for tab in self._tabs:
            for observation in tab.observations:
                message = observation.message
                if message.message_type == "AI" and message.reply_to is not None:
                    times[message.reply_to] = min(message.timestamp, times.get(message.reply_to, message.timestamp))
        return times

    def report(self) -> Report:
        """The report on what the tabs have read so far."""
        return report_on(self.probes, [tab.observations for tab in self._tabs])

    async def _open_tab(self) -> Tab:
        tab = await self._open.enter_async_context(Tab(self._url, len(self._tabs), self._since))
        self._tabs.append(tab)
        return tab
