"""Cloudflare's side of the border: one object, its storage and its sockets, which outlive the object's memory."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Iterator
from pathlib import Path
from typing import Any, Self

from fake_storage import FakeStorage

from durable_objects.cloudflare import CloudflareRuntime
from saywhatwant.cloudflare.bridge import Answer
from saywhatwant.cloudflare.settings import load
from saywhatwant.cloudflare.sockets import MAX_ATTACHMENT_BYTES, Socket
from saywhatwant.cloudflare.wall import WallObject

TOKEN = "a-token-that-nobody-guesses"  # noqa: S105 - the tests' own

Json = Any


class FakeSocket:
    """Both ends of a WebSocket: a ``sockets.Socket``, and what its client has got."""

    def __init__(self, tag: str) -> None:
        self.tag = tag
        self.received: list[str] = []
        self.close_code: int | None = None
        self.is_open = True
        self._attached = ""

    @property
    def frames(self) -> list[Json]:
        return [json.loads(text) for text in self.received]

    @property
    def texts(self) -> list[str]:
        """Those of the messages that it got, with each change again."""
        events = [event for frame in self.frames for event in frame["events"]]
        return [event["message"]["text"] for event in events if event["type"] == "message"]

    def send(self, text: str) -> None:
        if not self.is_open:
            raise ConnectionError("it has ended")
        self.received.append(text)

    def close(self, code: int) -> None:
        if self.is_open:
            self.is_open, self.close_code = False, code

    def attach(self, text: str) -> None:
        assert len(text.encode()) <= MAX_ATTACHMENT_BYTES
        self._attached = text

    def attachment(self) -> str:
        return self._attached


class FakeRequest:
    """A ``bridge.Request``."""

    def __init__(
        self, platform: "Platform", method: str, path: str, headers: dict[str, str], pieces: Iterable[bytes] = ()
    ) -> None:
        self.method = method
        self.url = f"https://wall.example{path}"
        self.headers = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        self.client_leaves = asyncio.Event()
        self.socket: FakeSocket | None = None
        self.pieces_read = 0
        self._platform = platform
        self._pieces = pieces

    async def body(self) -> AsyncGenerator[bytes]:
        for piece in self._pieces:
            self.pieces_read += 1
            yield piece

    async def gone(self) -> None:
        await self.client_leaves.wait()

    def accept(self, tag: str) -> Socket:
        self.socket = FakeSocket(tag)
        self._platform.sockets.append(self.socket)
        return self.socket


class CountingRuntime(CloudflareRuntime):
    """Counts how often it was entered."""

    entered = 0

    async def __aenter__(self) -> Self:
        self.entered += 1
        return await super().__aenter__()


class Platform:
    """Make it inside a running event loop; ``settings`` are those of the Worker, by name without prefix."""

    def __init__(self, **settings: object) -> None:
        variables = {"bot_token": TOKEN} | settings
        self.settings = load({f"SWW_{name.upper()}": value for name, value in variables.items()}, Path("bundle"))
        self.sockets: list[FakeSocket] = []
        self.storage = FakeStorage()
        self.runtime: CountingRuntime
        self.wall = self._loaded()

    def _loaded(self) -> WallObject:
        self.runtime = CountingRuntime(self.storage, commit_interval_ms=0)
        return WallObject(self.runtime, self.settings, self._open_sockets)

    def _open_sockets(self, tag: str) -> list[FakeSocket]:
        return [socket for socket in self.sockets if socket.is_open and socket.tag == tag]

    async def sleep(self) -> None:
        """Drop the object from memory; its sockets stay open."""
        await self.wall.aclose()
        self.wall = self._loaded()

    def crash(self) -> None:
        """The object is gone in the middle of what it does, as when it is reset; its sockets stay open."""
        self.storage = self.storage.copy()
        self.wall = self._loaded()

    def request(self, method: str, path: str, body: Json = None, *, address: str = "192.0.2.1", **headers: str) -> FakeRequest:
        """``body`` is encoded, unless it is an iterable of pieces."""
        pieces = body if isinstance(body, (list, Iterator)) else [] if body is None else [json.dumps(body).encode()]
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        return FakeRequest(self, method, path, {"host": "wall.example", "cf-connecting-ip": address} | given, pieces)

    async def call(self, method: str, path: str, body: Json = None, **options: str) -> Answer:
        """The answer to a request."""
        answer = await self.wall.fetch(self.request(method, path, body, **options))
        assert answer is not None
        return answer

    async def post(self, text: str, address: str = "192.0.2.1", **more: object) -> Json:
        body = {"text": text, "username": "Human", "color": "169080199"} | more
        return decoded(await self.call("POST", "/api/comments", body, address=address))

    async def bot(self, call: str, **body: object) -> Json:
        """A bot's call."""
        return decoded(await self.call("POST", f"/api/queue/{call}", body, authorization=f"Bearer {TOKEN}"))

    async def open(self, since: int | str = 0, address: str = "192.0.2.1", **headers: str) -> FakeSocket | Answer:
        """A reader's socket, or the refusal."""
        request = self.request("GET", f"/api/ws?since={since}", address=address, upgrade="websocket", **headers)
        answer = await self.wall.fetch(request)
        if answer is not None:
            return answer
        assert request.socket is not None
        return request.socket

    async def reader(self, since: int | str = 0, address: str = "192.0.2.1") -> FakeSocket:
        socket = await self.open(since, address)
        assert isinstance(socket, FakeSocket)
        return socket

    async def leave(self, socket: FakeSocket) -> None:
        """The client closes its socket."""
        socket.is_open = False
        await self.wall.socket_closed(socket)


def decoded(answer: Answer) -> Json:
    """The body of a good answer, which must be JSON."""
    assert answer.status == 200, answer
    return json.loads(answer.body)
