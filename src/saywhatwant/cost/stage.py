"""What a workload is played with: a wall on the platform, its tabs, and its bot."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from itertools import accumulate
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from saywhatwant.bot import Bot
from saywhatwant.client import WallClient
from saywhatwant.cost.answerer import COLD_SHARE, PlayedModel
from saywhatwant.cost.counts import Counts
from saywhatwant.cost.site import URL, Connection, Site, SiteTransport
from saywhatwant.cost.visitor import POSTS, Tab
from saywhatwant.entities import Entities

BOTS = "bots"
"""The cause of requests."""
SEED = 7
_LEAVING_SECONDS = 60.0
"""By then all is over when a bot has left."""
QUESTION = "Why is the sky blue, and who has painted it? Tell me what you know of."
"""70 characters, the mean of the first wall."""


class Stage:
    """A wall, with nobody on it yet.

    Args:
        file: the entities.
        retention: how many finished messages it keeps.
    """

    def __init__(self, file: Path, retention: int) -> None:
        self.random = Random(SEED)  # noqa: S311 - repeatable on purpose
        self.retention = retention
        self.site = Site({"SWW_ENTITIES": str(file), "SWW_RETENTION": str(retention)})
        self.entities = Entities(file)
        self.tabs: list[Tab] = []
        self._weights = [*accumulate(1 / rank for rank in range(1, len(self.entities.current) + 1))]
        self._talks: set[asyncio.Task[None]] = set()
        self.begin()

    def begin(self) -> None:
        """Count from now on."""
        self._before = self.site.platform.counts()

    @property
    def used(self) -> Counts:
        """What was used since ``begin``."""
        return self.site.platform.counts().since(self._before)

    async def open_tabs(self, number: int) -> None:
        """Visitors come."""
        for n in range(number):
            tab = Tab(self.site, f"Visitor {n}")
            await tab.open()
            self.tabs.append(tab)

    @asynccontextmanager
    async def bot(self, cold_share: float = COLD_SHARE, *, polls: bool = False) -> AsyncIterator[None]:
        """A bot answers for all entities until the end of the block, on a WebSocket, or if it ``polls`` by long polls."""
        async with WallClient(URL, transport=SiteTransport(self.site, BOTS)) as client:
            bot = Bot(
                client, "bot", self.entities, PlayedModel(self.random, cold_share), connect=None if polls else self._connect
            )
            running = asyncio.create_task(bot.run())
            try:
                yield
            finally:
                running.cancel()
                await asyncio.wait([running])
                await asyncio.sleep(_LEAVING_SECONDS)

    async def _connect(self, url: str, headers: Mapping[str, str]) -> Connection:
        return await self.site.connect(BOTS, url.removeprefix(URL), headers)

    async def fill(self, talks: int, messages: int) -> None:
        """Put messages of others on the wall, all of them finished."""
        for talk in range(talks):
            body = {"text": QUESTION, "username": f"Stranger {talk}", "color": "169080199", "botParams": {"answer": False}}
            posts = (self.site.call(POSTS, "POST", "/api/comments", body) for _ in range(messages))
            await asyncio.gather(*posts)

    def any_entity(self) -> str:
        """One of the entities; the first ones are asked most (Zipf)."""
        (name,) = self.random.choices([*self.entities.current], cum_weights=self._weights)
        return name

    def ask(self, tab: Tab, entity: str) -> Awaitable[None]:
        """A tab posts now, without waiting; awaited, it is answered."""
        task = asyncio.create_task(_ask(tab, entity))
        self._talks.add(task)
        return task

    async def settle(self, seconds: float = 0) -> None:
        """Wait until all is answered, and for what comes ``seconds`` later."""
        await asyncio.gather(*self._talks)
        self._talks.clear()
        await asyncio.sleep(seconds)


async def _ask(tab: Tab, entity: str) -> None:
    await tab.answered(await tab.post(QUESTION, entity))


@asynccontextmanager
async def stage(entities: int = 1, concurrency: int = 1, retention: int = 200) -> AsyncIterator[Stage]:
    """A wall with so many entities, each of which answers up to ``concurrency`` messages at once."""
    with TemporaryDirectory() as directory:
        file = Path(directory) / "entities.toml"
        file.write_text("".join(_entity(number, concurrency) for number in range(entities)))
        it = Stage(file, retention)
        yield it
        it.site.platform.stop()


def _entity(number: int, concurrency: int) -> str:
    return (
        f'[entity-{number:02}]\ndisplay_name = "Entity {number}"\ncolor = "169080199"\n'
        f'model = "played"\nbase_url = "http://127.0.0.1:1"\nconcurrency = {concurrency}\n'
    )
