"""One request of the platform as ASGI has it, and the app's answer.

Why not the SDK's own bridge (``workers.asgi``): it reads the whole body before the app may refuse it, however large (P8); it
starts and stops a lifespan for each request; the app learns neither who asks nor that a waiting client has gone; and it accepts
every WebSocket itself, before the app may refuse it, in a way that keeps the object awake.
"""

from collections.abc import AsyncGenerator, Sequence
from typing import Any, NamedTuple, Protocol
from urllib.parse import unquote, urlsplit

from starlette.types import ASGIApp, Message, Scope

from saywhatwant.cloudflare.nesting import Nesting
from saywhatwant.cloudflare.sockets import HIBERNATE, Socket

_CLIENT = b"cf-connecting-ip"
"""The header with the client's address. The platform sets it, and lets no client do so."""


class Request(Protocol):
    """A request as it came in."""

    @property
    def method(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def headers(self) -> Sequence[tuple[bytes, bytes]]:
        """Their names are in lower case."""

    def body(self) -> AsyncGenerator[bytes]:
        """The pieces of the body; closing it drops the rest. Raises ``ConnectionError`` when the body does not come."""

    async def gone(self) -> None:
        """Return when the client has gone away; perhaps never."""

    def accept(self, tag: str) -> Socket:
        """Accept it as a WebSocket that hibernates, one of those with this tag."""


class Answer(NamedTuple):
    """A whole response."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes


async def ask(app: ASGIApp, request: Request) -> Answer | None:
    """The app's answer; None for a WebSocket that it has accepted. The app must send its answer whole, and not late."""
    exchange = _Exchange(request)
    try:
        await app(_scope(request), exchange.receive, exchange.send)
    finally:
        await exchange.body.aclose()
    return exchange.answer()


def _scope(request: Request) -> Scope:
    url = urlsplit(request.url)
    headers = dict(request.headers)
    client = headers.get(_CLIENT)
    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": url.scheme,
        "path": unquote(url.path),
        "raw_path": url.path.encode("ascii"),
        "query_string": url.query.encode("ascii"),
        "root_path": "",
        "headers": [*request.headers] if b"host" in headers else [*request.headers, (b"host", url.netloc.encode("ascii"))],
        "client": None if client is None else (client.decode("latin-1"), 0),
    }
    if request.method == "GET" and headers.get(b"upgrade", b"").lower() == b"websocket":
        scope["type"] = "websocket"
        scope["subprotocols"] = []
        scope["extensions"] = {"websocket.http.response": {}, HIBERNATE: request.accept}
    return scope


class _Exchange:
    """What goes between the app and one client."""

    def __init__(self, request: Request) -> None:
        self.body = request.body()
        self._request = request
        self._nesting = Nesting()
        self._is_read = False
        self._start: Message | None = None
        self._sent: list[bytes] = []

    async def receive(self) -> Message:
        """The next piece of the body; behind the last one, that the client has gone. Raises ``MalformedBody``."""
        if self._is_read:
            await self._request.gone()
            return {"type": "http.disconnect"}
        try:
            piece = await anext(self.body, None)
        except ConnectionError:
            return {"type": "http.disconnect"}
        self._is_read = piece is None
        if piece is not None:
            self._nesting.check(piece)
        return {"type": "http.request", "body": piece or b"", "more_body": not self._is_read}

    async def send(self, message: Message) -> None:
        """Take a part of the answer, also of the one that denies a WebSocket."""
        if message["type"].endswith("http.response.start"):
            self._start = message
        else:
            self._sent.append(bytes(message.get("body", b"")))

    def answer(self) -> Answer | None:
        """All of it."""
        if self._start is None:
            return None
        body = b"" if self._request.method == "HEAD" else b"".join(self._sent)
        return Answer(self._start["status"], [*self._start["headers"]], body)
