"""A tab with the page: what it asks for, and when; as the page's own ``connection.js`` and ``entities.js``."""

import asyncio
from functools import lru_cache

import msgspec
from msgspec import Struct

from saywhatwant.cost.counts import PAGES
from saywhatwant.cost.site import Connection, Site

FIRST_PAGE = 50
ENTITIES_SECONDS = 60.0
"""A page that is used asks again who answers, after so long."""
POSTS = "posts"
"""A cause of requests."""


class Tab:
    """One page. It sees every change through its socket, and knows when its own messages are answered."""

    def __init__(self, site: Site, name: str) -> None:
        self._site = site
        self._name = name
        self._connection: Connection | None = None
        self._asked_at = 0.0
        self._since = "0"
        self._posted = 0
        self.seen: set[str] = set()
        """The ids of all messages that it has seen."""
        self._waiting: dict[str, asyncio.Event] = {}

    async def open(self) -> None:
        """Load the page, whose files cost nothing."""
        await self._ask_for_entities()
        response = await self._site.call(PAGES, "GET", f"/api/comments?limit={FIRST_PAGE}")
        self._since = response.headers["etag"].strip('"')
        await self.connect()

    async def connect(self) -> None:
        """Open the socket again where it was."""
        self._connection = await self._site.connect(PAGES, f"/api/ws?since={self._since}", {}, self._receive)

    async def disconnect(self) -> None:
        """The network ends the socket."""
        if self._connection is not None:
            await self._connection.close()

    async def post(self, text: str, entity: str | None) -> str:
        """Use the page, and post; returns the id."""
        if asyncio.get_running_loop().time() - self._asked_at >= ENTITIES_SECONDS:
            await self._ask_for_entities()
        self._posted += 1
        body = {"text": text, "username": self._name, "color": "169080199", "botParams": {"entity": entity}}
        response = await self._site.call(
            POSTS, "POST", "/api/comments", body, **{"Idempotency-Key": f"{self._name} {self._posted}"}
        )
        message_id: str = response.json()["id"]
        return message_id

    async def answered(self, message_id: str) -> None:
        """Return when it has seen an answer to this message."""
        await self._waiting.setdefault(message_id, asyncio.Event()).wait()

    async def _ask_for_entities(self) -> None:
        self._asked_at = asyncio.get_running_loop().time()
        await self._site.call(PAGES, "GET", "/api/entities")

    def _receive(self, text: str | None) -> None:
        if text is None:
            return
        frame = _frame(text)
        self._since = str(frame.seq)
        for event in frame.events:
            if event.message is not None:
                self.seen.add(event.message.id)
                if event.message.reply_to:
                    self._waiting.setdefault(event.message.reply_to, asyncio.Event()).set()


class _Message(Struct, rename="camel"):
    id: str
    reply_to: str | None = None


class _Event(Struct):
    message: _Message | None = None


class _Frame(Struct):
    seq: int | str
    events: list[_Event]


_frame = lru_cache(maxsize=8)(msgspec.json.Decoder(_Frame).decode)  # all tabs get the same text
