"""What Cloudflare runs: the Worker, and the Durable Object with the wall. Only this module needs Cloudflare's SDK and Pyodide.

What comes from JavaScript has the type ``Any``, and its names are JavaScript's.
"""

import asyncio
import logging
import sys
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

import js
from pyodide.ffi import JsException, create_proxy, to_js
from workers import DurableObject, WorkerEntrypoint, import_from_javascript

from durable_objects.cloudflare import CloudflareRuntime
from durable_objects.cloudflare.border import JsStorage
from saywhatwant.cloudflare.bridge import Answer
from saywhatwant.cloudflare.settings import load
from saywhatwant.cloudflare.sockets import Socket
from saywhatwant.cloudflare.wall import WallObject
from saywhatwant.errors import NotReady
from saywhatwant.settings import PREFIX, WrongSettings
from saywhatwant.worker.problems import problem
from saywhatwant.worker.subscriber import PING, PONG

NAME = "wall"
"""The name of the one object of the class ``Wall``, which is bound as ``WALL``."""

GOING = 1_000
NO_CODES = (1_005, 1_006)
"""What a close has that had no code, and one that never came: neither can be sent."""

log = logging.getLogger("saywhatwant")


class Default(WorkerEntrypoint):  # type: ignore[misc] # the SDK has no types
    """The Worker: passes every request that is no static file on to the object."""

    async def fetch(self, request: Any) -> Any:  # noqa: ANN401 - JavaScript's
        """The object's answer. Not through the SDK's binding, which would cut the client's signal that it has gone."""
        return await _bindings().WALL.getByName(NAME).fetch(request.js_object)


class Wall(DurableObject):  # type: ignore[misc] # as above
    """The Durable Object. The platform calls its methods by their names in JavaScript."""

    def __init__(self, ctx: Any, env: Any) -> None:  # noqa: ANN401 - as above
        super().__init__(ctx, env)
        self._wall: WallObject | None = None
        ctx.setWebSocketAutoResponse(js.WebSocketRequestResponsePair.new(PING, PONG))

    async def fetch(self, request: Any) -> Any:  # noqa: ANN401 - as above
        """Answer a request."""
        incoming = JsRequest(self.ctx, request.js_object)
        try:
            answer = await self._object().fetch(incoming)
        except WrongSettings as error:
            log.error("the settings are wrong: %s", error)  # noqa: TRY400 - the message is complete
            refusal = problem(NotReady("its settings are wrong: its log says which"))
            answer = Answer(refusal.status_code, refusal.raw_headers, bytes(refusal.body))
        if answer is None:
            return js.Response.new(None, status=101, webSocket=incoming.client)
        headers = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in answer.headers]
        body = to_js(answer.body) if answer.body else None
        # By hand: what has the header Content-Encoding is encoded already.
        return js.Response.new(body, status=answer.status, headers=to_js(headers), encodeBody="manual")

    async def alarm(self, *_: object) -> None:
        """Run what is due."""
        await self._object().alarm()

    async def webSocketMessage(self, socket: Any, message: Any) -> None:  # noqa: ANN401, N802 - as above
        """A client has sent a frame."""
        text, size = (message, 0) if isinstance(message, str) else (None, message.byteLength)
        await self._object().socket_message(JsSocket(self.ctx, socket), text, size)

    async def webSocketClose(self, socket: Any, code: int, *_: object) -> None:  # noqa: ANN401, N802 - as above
        """A client has closed its socket, and waits for the answer to that."""
        closed = JsSocket(self.ctx, socket)
        try:
            await self._object().socket_closed(closed, code)
        finally:
            closed.close(GOING if code in NO_CODES else code)

    async def webSocketError(self, socket: Any, *_: object) -> None:  # noqa: ANN401, N802 - as above
        """A socket has ended in another way."""
        await self._object().socket_closed(JsSocket(self.ctx, socket))

    def _sockets(self, tag: str) -> "Iterator[JsSocket]":
        return (JsSocket(self.ctx, socket) for socket in self.ctx.getWebSockets(tag))

    def _object(self) -> WallObject:
        # Not in the constructor: after an error there, the object would be of no use until it is dropped from memory.
        if self._wall is None:
            settings = load(_variables(), _bundle())
            log.setLevel(settings.log_level.upper())
            runtime = CloudflareRuntime(JsStorage(self.ctx))
            self._wall = WallObject(runtime, settings, self._sockets)
        return self._wall


class JsSocket:
    """A ``sockets.Socket``."""

    def __init__(self, ctx: Any, socket: Any) -> None:  # noqa: ANN401 - as above
        self._ctx = ctx
        self._socket = socket
        self._send = socket.send

    @property
    def tag(self) -> str:
        return str(self._ctx.getTags(self._socket)[0])

    def send(self, text: str) -> None:
        try:
            self._send(text)
        except JsException as error:
            raise ConnectionError(str(error)) from None

    def close(self, code: int) -> None:
        try:
            self._socket.close(code, "")
        except JsException as error:
            log.debug("a socket had ended: %s", error)

    def attach(self, text: str) -> None:
        self._socket.serializeAttachment(text)

    def attachment(self) -> str:
        kept = self._socket.deserializeAttachment()
        return kept if isinstance(kept, str) else ""


class JsRequest:
    """A ``bridge.Request``."""

    def __init__(self, ctx: Any, request: Any) -> None:  # noqa: ANN401 - as above
        self._ctx = ctx
        self._request = request
        self.method: str = request.method
        self.url: str = request.url
        self.headers = [(name.encode(), value.encode()) for name, value in _pairs(request.headers)]
        self.client: Any = None
        """The client's end of the socket, once it is accepted."""

    async def body(self) -> AsyncGenerator[bytes]:
        if not self._request.body:
            return
        reader = self._request.body.getReader()
        is_complete = False
        try:
            while True:
                piece = await self._read(reader)
                if piece.done:
                    is_complete = True
                    return
                yield piece.value.to_bytes()
        finally:
            if not is_complete:
                await reader.cancel()

    async def _read(self, reader: Any) -> Any:  # noqa: ANN401 - as above
        try:
            return await reader.read()
        except JsException as error:
            raise ConnectionError(str(error)) from None

    async def gone(self) -> None:
        signal = self._request.signal
        if signal.aborted:
            return
        future = asyncio.get_running_loop().create_future()

        def notice(_: object) -> None:
            if not future.done():
                future.set_result(None)

        on_abort = create_proxy(notice)
        signal.addEventListener("abort", on_abort)
        try:
            await future
        finally:
            signal.removeEventListener("abort", on_abort)
            on_abort.destroy()

    def accept(self, tag: str) -> Socket:
        self.client, server = js.WebSocketPair.new().object_values()
        self._ctx.acceptWebSocket(server, to_js([tag]))
        return JsSocket(self._ctx, server)


def _bindings() -> Any:  # noqa: ANN401 - as above
    return import_from_javascript("cloudflare:workers").env


def _bundle() -> Path:
    """The directory of ``main.py``, and of the files beside it."""
    return Path(getattr(sys.modules.get("main"), "__file__", None) or "main.py").parent


def _variables() -> dict[str, object]:
    """The variables and secrets that are settings."""
    bindings = _bindings()
    found = {name: getattr(bindings, name) for name in js.Object.keys(bindings).to_py() if name.startswith(PREFIX)}
    return {name: value.to_py() if hasattr(value, "to_py") else value for name, value in found.items()}


def _pairs(headers: Any) -> Iterator[tuple[str, str]]:  # noqa: ANN401 - as above
    return iter(js.Object.fromEntries(headers).to_py().items())
