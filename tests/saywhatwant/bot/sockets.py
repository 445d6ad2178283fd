"""WebSockets to an app in the process of its test, which may be refused, or cut."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from starlette.types import ASGIApp, Message

from saywhatwant.bot.connection import Connection, SocketEnded, SocketRefused
from saywhatwant.frames import PATH


class InProcess:
    """One socket; the app of the server runs beside it."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self._to_app: asyncio.Queue[Message] = asyncio.Queue()
        self._to_bot: asyncio.Queue[str | None] = asyncio.Queue()
        self.accepted: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """The status of the handshake."""
        self.sent: list[str] = []
        self.received: list[str] = []
        self.is_cut = False
        self.ends_welcomed = False
        """Whether it ends right after the welcome."""
        self.is_late: Callable[[str], bool] = lambda _: False
        """Whether a text of the server is to come later; ``deliver`` brings it."""
        self._late: list[str] = []
        scope: dict[str, Any] = {
            "type": "websocket",
            "path": PATH,
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
            "client": ("127.0.0.1", 1),
            "extensions": {"websocket.http.response": {}},
            "subprotocols": [],
        }
        self._to_app.put_nowait({"type": "websocket.connect"})
        self._task = asyncio.ensure_future(app(scope, self._to_app.get, self._send))

    async def _send(self, message: Any) -> None:
        if message["type"] == "websocket.accept":
            self.accepted.set_result(101)
        elif message["type"] == "websocket.http.response.start":
            self.accepted.set_result(message["status"])
        elif message["type"] == "websocket.send" and not self.is_cut:
            self.received.append(message["text"])
            if self.is_late(message["text"]):
                self._late.append(message["text"])
            else:
                self._to_bot.put_nowait(message["text"])
            if self.ends_welcomed and self.is_welcome:
                self.cut()
        elif message["type"] == "websocket.close":
            self._to_bot.put_nowait(None)

    @property
    def is_welcome(self) -> bool:
        """Whether the bot stands in line."""
        return any('"welcome"' in text for text in self.received)

    def deliver(self) -> None:
        """Bring what is late."""
        for text in self._late:
            self._to_bot.put_nowait(text)
        self._late.clear()

    def cut(self) -> None:
        """End it for both sides, without a word."""
        if not self.is_cut:
            self.is_cut = True
            self._to_app.put_nowait({"type": "websocket.disconnect", "code": 1_006})
            self._to_bot.put_nowait(None)

    async def send(self, text: str) -> None:
        if self.is_cut:
            raise SocketEnded("it was cut")
        self.sent.append(text)
        self._to_app.put_nowait({"type": "websocket.receive", "text": text})

    async def receive(self) -> str | None:
        return await self._to_bot.get()

    async def close(self) -> None:
        self.cut()
        await asyncio.wait([self._task])


class Sockets:
    """Opens them."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.opened: list[InProcess] = []
        self.refusals: list[int] = []
        """Statuses with which the next handshakes are answered; 0 for no answer at all."""
        self.handshakes = 0
        self.brief = 0
        """So many of the next ones end right after their welcome."""

    @property
    def last(self) -> InProcess:
        return self.opened[-1]

    async def connect(self, url: str, headers: Mapping[str, str]) -> Connection:
        """See ``bot.connection.Connect``."""
        assert url.endswith(PATH)
        self.handshakes += 1
        if self.refusals:
            status = self.refusals.pop(0)
            raise SocketRefused(status) if status else SocketEnded("connection refused")
        socket = InProcess(self._app, headers)
        status = await socket.accepted
        if status != 101:
            raise SocketRefused(status)
        self.opened.append(socket)
        if self.brief:
            self.brief -= 1
            socket.ends_welcomed = True
        return socket

    async def until_tried(self, handshakes: int) -> None:
        """Return when the bot has tried so often to open one."""
        while self.handshakes < handshakes:  # noqa: ASYNC110 - as below
            await asyncio.sleep(0.001)

    async def until_open(self, number: int = 1) -> InProcess:
        """The socket with this number, once it has been welcomed."""
        while len(self.opened) < number or not self.opened[number - 1].is_welcome:  # noqa: ASYNC110 - the app sends when it likes
            await asyncio.sleep(0.001)  # there is no event to wait for
        return self.opened[number - 1]
