"""People who post at a fixed rate, however long the answers take, with readers and a bot; none repeats a failed request."""

import asyncio
import random
import secrets
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from types import TracebackType
from typing import Any, NoReturn, Self

import msgspec
import structlog
from msgspec import Struct
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from benchmarks.bots import ENTITY, Instant
from benchmarks.http_connection import Answer, HttpConnection
from saywhatwant.bot import Bot
from saywhatwant.client import WallClient
from saywhatwant.entities import Entities

KEPT = 64
"""Connections of people that are kept open; more are closed after their answer."""
NEW_EACH = 10
"""One post of so many opens a connection."""
ASKS_EACH = 10
"""One of so many asks for an answer."""
POLLERS, READERS = 4, 8
POLL_SECONDS = 0.25
ANSWER_SECONDS = 30.0
"""A request that takes longer has failed."""
PAGE = 200
OK = 200
FEED = "/api/comments"
TOLD = 160
"""Characters of an answer that are shown with a failure."""


@dataclass
class Post:
    """One post: when it was due, when its answer came, and its id. Without an answer it has failed."""

    number: int
    due: float
    answered: float | None = None
    id: str = ""

    @property
    def asks(self) -> bool:
        """Whether it wants an answer of the bot."""
        return self.number % ASKS_EACH == 0


class Seen(Struct, frozen=True, rename="camel"):
    """A message, as far as it is looked at."""

    id: str
    timestamp: int
    text: str
    message_type: str
    reply_to: str | None = None
    seq: int | str | None = None


class _Event(Struct, frozen=True):
    message: Seen | None = None


class _Frame(Struct, frozen=True):
    seq: int | str
    events: list[_Event]


class _Posted(Struct, frozen=True):
    id: str


_frame = msgspec.json.Decoder(_Frame).decode
decode_page = msgspec.json.Decoder(list[Seen]).decode
_posted = msgspec.json.Decoder(_Posted).decode


def _drop(_: object, __: str, ___: object) -> NoReturn:
    raise structlog.DropEvent


class Reader:
    """What one reader has got."""

    def __init__(self) -> None:
        self.ids: set[str] = set()
        self.doubled = 0
        self._states: set[tuple[str, int | str | None]] = set()

    def take(self, message: Seen) -> None:
        """A message has come."""
        state = message.id, message.seq
        self.doubled += state in self._states
        self._states.add(state)
        self.ids.add(message.id)


class Crowd:
    """Begins when its block is entered, and ends with it.

    Args:
        url: of the wall.
        rate: posts a second.
        token: of the bot, if the wall asks for one.

    Attributes:
        posts: in the order in which they were due.
        failures: each request that failed, and why.
        readers: those who poll, then those with sockets.
        latest_begin: the most that a post was begun after it was due, in seconds: what this program was late by itself.
    """

    def __init__(self, url: str, rate: float, token: str | None = None) -> None:
        self.posts: list[Post] = []
        self.failures: list[str] = []
        self.readers: list[Reader] = []
        self.latest_begin = 0.0
        self.rate = rate
        self._url, self._token = url, token
        self._name = secrets.token_hex(4)
        self._random = random.Random(1)  # noqa: S311 - repeatable on purpose
        self._kept: list[HttpConnection] = []
        self._open: set[asyncio.Task[None]] = set()
        self._stops_posting = asyncio.Event()
        self._posting: asyncio.Task[None]
        self._others: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        self._begin(self._answer())
        for _ in range(POLLERS):
            self._begin_reader(self._poll)
        for _ in range(READERS):
            self._begin_reader(self._watch)
        self._posting = asyncio.create_task(self._post_all())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in (self._posting, *self._open, *self._others):
            task.cancel()
        await asyncio.gather(self._posting, *self._open, *self._others, return_exceptions=True)
        for connection in self._kept:
            connection.end()

    def _begin_reader(self, read: Callable[[Reader], Coroutine[Any, Any, None]]) -> None:
        self.readers.append(Reader())
        self._begin(read(self.readers[-1]))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        self._others.append(asyncio.create_task(work))

    def check(self) -> None:
        """Raise what has ended a reader, the bot or the schedule: a mistake of this program."""
        for task in (self._posting, *self._others):
            if task.done() and not task.cancelled():
                task.result()

    async def stop_posting(self) -> None:
        """Return when each post has its answer or has failed."""
        self._stops_posting.set()
        await self._posting
        await asyncio.gather(*self._open)

    # -- People

    async def _post_all(self) -> None:
        began = time.perf_counter()
        while not self._stops_posting.is_set():
            post = Post(len(self.posts), began + len(self.posts) / self.rate)
            await asyncio.sleep(max(0.0, post.due - time.perf_counter()))
            self.latest_begin = max(self.latest_begin, time.perf_counter() - post.due)
            self.posts.append(post)
            task = asyncio.create_task(self._post(post))
            self._open.add(task)
            task.add_done_callback(self._open.discard)

    async def _post(self, post: Post) -> None:
        params: dict[str, object] = {"entity": "bench"} if post.asks else {"answer": False}
        fields = {
            "text": str(post.number),
            "username": f"Bench {post.number % KEPT}",
            "color": "169080199",
            "botParams": params,
        }
        header = ""
        if post.number % 2:
            header = f"Idempotency-Key: {self._name}-{post.number}\r\n"
        else:
            fields["id"] = f"{self._name}{post.number}"

        opens = post.number % NEW_EACH == 0
        answer = await self._ask(f"post {post.number}", "POST", FEED, msgspec.json.encode(fields), header, opens=opens)
        if answer is not None:
            post.answered = time.perf_counter()
            post.id = _posted(answer.body).id

    async def _ask(
        self, what: str, method: str, target: str, body: bytes = b"", header: str = "", *, opens: bool = False
    ) -> Answer | None:
        """The answer, if it is a 200; else a failure is noted. ``opens`` demands a new connection."""
        connection = kept = None if opens else self._kept_connection()
        answer: Answer | None = None
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                connection = kept or await HttpConnection.connect(self._url)
                answer = await connection.request(method, target, body, header)
        except (OSError, EOFError) as error:  # a timeout is an OSError
            what_failed = f"{type(error).__name__} {error}"
        else:
            what_failed = f"{answer.status} {answer.body[:TOLD].decode(errors='replace')}"
        finally:
            if connection is not None:
                self._put_back(connection, is_done=answer is not None)
        if answer is not None and answer.status == OK:
            return answer
        self.failures.append(f"{what}, on a {'new' if kept is None else 'kept'} connection: {what_failed}")
        return None

    def _kept_connection(self) -> HttpConnection | None:
        while self._kept:
            connection = self._kept.pop(self._random.randrange(len(self._kept)))
            if connection.goes_on:
                return connection
            connection.end()
        return None

    def _put_back(self, connection: HttpConnection, *, is_done: bool) -> None:
        if is_done and connection.goes_on and len(self._kept) < KEPT:
            self._kept.append(connection)
        else:
            connection.end()

    # -- Readers and a bot

    async def _poll(self, reader: Reader) -> None:
        since = 0
        while True:
            answer = await self._ask("poll", "GET", f"{FEED}?since={since}&order=asc&limit={PAGE}")
            messages = [] if answer is None else decode_page(answer.body)
            for message in messages:
                reader.take(message)
                since = message.timestamp
            if len(messages) < PAGE:
                await asyncio.sleep(POLL_SECONDS)

    async def _watch(self, reader: Reader) -> None:
        token: int | str = 0
        url = self._url.replace("http", "ws", 1)
        while True:
            try:
                where = f"{url}/api/ws?since={token}"
                async with connect(where, compression=None, proxy=None, max_size=None, open_timeout=ANSWER_SECONDS) as socket:
                    with suppress(ConnectionClosed):
                        async for text in socket:
                            frame = _frame(text)
                            for event in frame.events:
                                if event.message is not None:
                                    reader.take(event.message)
                            token = frame.seq
            except (OSError, EOFError, InvalidHandshake, ConnectionClosed) as error:
                self.failures.append(f"handshake: {type(error).__name__} {error}")
                await asyncio.sleep(POLL_SECONDS)

    async def _answer(self) -> None:
        structlog.configure(processors=[_drop])
        with NamedTemporaryFile("w", suffix=".toml") as file:
            file.write(ENTITY)
            file.flush()
            async with WallClient(self._url, self._token) as client:
                await Bot(client, f"bench-{self._name}", Entities(Path(file.name)), Instant()).run()
