"""A wall on the platform, as its clients reach it."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import Path

import httpx
import msgspec

from durable_objects.cloudflare import CloudflareRuntime
from saywhatwant.cloudflare.bridge import Answer
from saywhatwant.cloudflare.settings import load
from saywhatwant.cloudflare.wall import WallObject
from saywhatwant.cost.platform import Platform, ServerSocket
from saywhatwant.cost.storage import Life

URL = "http://127.0.0.1"
Receive = Callable[[str | None], None]
"""Called with each frame that a socket gets, and with None when it has ended."""


class SiteRequest:
    """``bridge.Request``, from a client of this process."""

    def __init__(
        self, platform: Platform[WallObject], method: str, path: str, body: bytes, headers: Mapping[str, str], receive: Receive
    ) -> None:
        self.method = method
        self.url = f"{URL}{path}"
        self.headers: Sequence[tuple[bytes, bytes]] = [
            (name.lower().encode(), value.encode()) for name, value in {**headers, "CF-Connecting-IP": "127.0.0.1"}.items()
        ]
        self.socket: ServerSocket | None = None
        self._platform = platform
        self._body = body
        self._receive = receive
        self._is_gone = asyncio.Event()

    async def body(self) -> AsyncGenerator[bytes]:
        """All of it at once."""
        if self._body:
            yield self._body

    async def gone(self) -> None:
        """The client has stopped waiting."""
        await self._is_gone.wait()

    def leave(self) -> None:
        """The client stops waiting."""
        self._is_gone.set()

    def accept(self, tag: str) -> ServerSocket:
        """Accept it as a WebSocket."""
        self.socket = self._platform.accept(tag, self._receive)
        return self.socket


class Refused(Exception):
    """The wall has refused what a workload does, which is a mistake in the workload."""


class Connection:
    """A client's end of a socket; also a ``bot.connection.Connection``."""

    def __init__(self, platform: Platform[WallObject]) -> None:
        self._platform = platform
        self._frames: asyncio.Queue[str | None] = asyncio.Queue()
        self._sending: set[asyncio.Task[None]] = set()
        self.socket: ServerSocket

    def put(self, text: str | None) -> None:
        """A frame has come, or the end."""
        self._frames.put_nowait(text)

    async def send(self, text: str) -> None:
        """Send a frame, and do not wait until it is handled."""
        task = asyncio.create_task(self._platform.message(self.socket, text))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)

    async def receive(self) -> str | None:
        """The next frame; None at the end."""
        return await self._frames.get()

    async def close(self) -> None:
        """Close it."""
        await self._platform.close(self.socket)
        self.put(None)


class Site:
    """A wall on the platform.

    Args:
        variables: its settings, ``SWW_*``.
    """

    def __init__(self, variables: Mapping[str, str]) -> None:
        self._settings = load({"SWW_BIND": "127.0.0.1:1", "SWW_RATE_LIMIT": "0", **variables}, Path())
        self.platform = Platform(self._wake)

    async def _wake(self, storage: Life, platform: Platform[WallObject]) -> WallObject:
        runtime = CloudflareRuntime(storage, clock=platform.now_ms, meter=platform.meter)
        return WallObject(runtime, self._settings, platform.sockets)

    async def call(self, cause: str, method: str, path: str, body: object = None, **headers: str) -> httpx.Response:
        """The answer to a request; raises ``Refused``."""
        content = b"" if body is None else msgspec.json.encode(body)
        response = await self.exchange(cause, method, path, content, headers)
        if response.is_error:
            raise Refused(response.text)
        return response

    async def exchange(self, cause: str, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> httpx.Response:
        """The answer to a request, encoded. Cancelled, it has gone away."""
        request = SiteRequest(self.platform, method, path, body, headers, lambda _: None)
        asked = asyncio.ensure_future(self.platform.request(cause, lambda wall: wall.fetch(request)))
        try:
            answer = await asyncio.shield(asked)
        except asyncio.CancelledError:
            request.leave()
            await asked
            raise
        return _response(answer)

    async def connect(self, cause: str, path: str, headers: Mapping[str, str], receive: Receive | None = None) -> Connection:
        """Open a WebSocket; ``receive`` gets the frames in place of ``Connection.receive``. Raises ``Refused``."""
        connection = Connection(self.platform)
        given = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13", **headers}
        request = SiteRequest(self.platform, "GET", path, b"", given, receive or connection.put)
        answer = await self.platform.request(cause, lambda wall: wall.fetch(request))
        if request.socket is None:
            raise Refused(f"the socket {path} was not opened: {_response(answer).text}")
        connection.socket = request.socket
        return connection


class SiteTransport(httpx.AsyncBaseTransport):
    """The wall for clients that use httpx."""

    def __init__(self, site: Site, cause: str) -> None:
        self._site = site
        self._cause = cause

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """See httpx."""
        body = await request.aread()
        path = request.url.raw_path.decode("ascii")
        return await self._site.exchange(self._cause, request.method, path, body, dict(request.headers))


def _response(answer: Answer | None) -> httpx.Response:
    if answer is None:
        raise Refused("a request became a socket")
    return httpx.Response(answer.status, headers=answer.headers, content=answer.body)
