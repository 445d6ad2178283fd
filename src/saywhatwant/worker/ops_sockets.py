"""``GET /api/ops/ws``: the figures once a second, for operators who look at them."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

import msgspec
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from durable_objects import DurableObjectError
from saywhatwant.errors import RequestRefused, TooManyReaders
from saywhatwant.worker.auth import Auth
from saywhatwant.worker.decoders import NO_PARAMETERS
from saywhatwant.worker.extensions import ABORT
from saywhatwant.worker.limits import CLOSE_SECONDS, FIGURES_SECONDS, MAX_LOOKING
from saywhatwant.worker.metrics import Metrics
from saywhatwant.worker.ops_figures import OpsFigures
from saywhatwant.worker.problems import problem
from saywhatwant.worker.subscriber import PING, POLICY_VIOLATION, PONG

log = logging.getLogger("saywhatwant")

_encode = msgspec.json.Encoder().encode


class _Looking:
    """One socket; what it has not sent when there is something newer, it never sends."""

    def __init__(self, socket: WebSocket) -> None:
        self.socket = socket
        self.frame: str | None = None
        self.close_code: int | None = None
        self.changed = asyncio.Event()

    def offer(self, frame: str) -> None:
        """There are new figures."""
        self.frame = frame
        self.changed.set()

    def end(self, code: int) -> None:
        """Close it."""
        self.close_code = code
        self.changed.set()


class OpsSockets:
    """The endpoint, and its sockets. One task makes the figures, once for all, and only while there are sockets."""

    def __init__(
        self,
        figures: OpsFigures,
        *,
        auth: Auth,
        metrics: Metrics,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._figures = figures
        self._auth = auth
        self._metrics = metrics
        self._sleep = sleep
        self._sockets: dict[_Looking, None] = {}
        self._task: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        return len(self._sockets)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One socket, from its handshake to its end."""
        socket = WebSocket(scope, receive, send)
        if not await self._admits(socket):
            return
        await socket.accept()
        looking = _Looking(socket)
        self._sockets[looking] = None
        if self._task is None:
            self._task = asyncio.create_task(self._look())
        writing = asyncio.create_task(self._write(looking))
        try:
            await self._read(looking)
        finally:
            del self._sockets[looking]
            writing.cancel()
            self._metrics.closes["client" if looking.close_code is None else str(looking.close_code)] += 1

    async def _admits(self, socket: WebSocket) -> bool:
        try:
            self._auth.operator(socket)
            NO_PARAMETERS.read(socket)
            if len(self._sockets) >= MAX_LOOKING:
                raise TooManyReaders(f"{MAX_LOOKING} operators look at the figures already")
        except RequestRefused as error:
            refusal = problem(error)
            self._metrics.handshakes[refusal.status_code] += 1
            await socket.send_denial_response(refusal)
            return False
        self._metrics.handshakes[101] += 1
        return True

    async def _look(self) -> None:
        try:
            while self._sockets:
                try:
                    await self._offer()
                except DurableObjectError as error:
                    log.debug("there are no figures: %s", error)  # the page sees that none come
                except Exception:
                    log.exception("there are no figures")
                await self._sleep(FIGURES_SECONDS)
        finally:
            self._task = None

    async def _offer(self) -> None:
        """End those whose operators may not look any more, and give the others new figures."""
        for looking in list(self._sockets):
            if not self._auth.allows(looking.socket, "operator"):
                looking.end(POLICY_VIOLATION)
        frame = _encode(await self._figures.look()).decode()
        for looking in self._sockets:
            looking.offer(frame)

    async def _read(self, looking: _Looking) -> None:
        """Answer pings until the socket ends, also because of anything else, which operators' pages must not send."""
        with suppress(WebSocketDisconnect):
            while (message := await looking.socket.receive())["type"] != "websocket.disconnect":
                if message.get("text") == PING:
                    await looking.socket.send_text(PONG)
                else:
                    looking.end(POLICY_VIOLATION)

    async def _write(self, looking: _Looking) -> None:
        with suppress(WebSocketDisconnect, RuntimeError):  # it has ended, which ``_read`` sees too
            while looking.close_code is None:
                await looking.changed.wait()
                looking.changed.clear()
                frame, looking.frame = looking.frame, None
                if frame is not None:
                    await looking.socket.send_text(frame)
            abort = looking.socket.scope.get("extensions", {}).get(ABORT, lambda: None)
            asyncio.get_running_loop().call_later(CLOSE_SECONDS, abort)
            await looking.socket.close(looking.close_code)
