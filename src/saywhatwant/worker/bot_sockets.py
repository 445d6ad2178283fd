"""The endpoint of ``GET /api/queue/ws`` on a server: bots' WebSockets, each with a session."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from durable_objects import Meter
from saywhatwant.worker.auth import Auth, Caller
from saywhatwant.worker.bot_admission import BotAdmission
from saywhatwant.worker.bot_desk import BotDesk
from saywhatwant.worker.bot_session import BotSession
from saywhatwant.worker.extensions import ABORT, ROOM
from saywhatwant.worker.limits import (
    CLOSE_SECONDS,
    MAX_BEHIND_BOT_CHARS,
    MAX_BOT_CALLS,
    REVOKED_SECONDS,
)
from saywhatwant.worker.metrics import Metrics
from saywhatwant.worker.subscriber import POLICY_VIOLATION, SERVICE_RESTART, TOO_SLOW


class BotSockets:
    """Accepts the sockets of bots, and gives each a session.

    Args:
        desk: has the sessions.
        auth: knows who is a bot; the sockets of one whose token is revoked end.
        max_frame_bytes: of one frame of a bot.
        metrics: count handshakes and ends.
        meter: counts the time in which frames are handled.
    """

    def __init__(self, desk: BotDesk, *, auth: Auth, max_frame_bytes: int, metrics: Metrics, meter: Meter) -> None:
        self._desk = desk
        self._auth = auth
        self._admission = BotAdmission(desk, auth=auth, metrics=metrics)
        self._max_frame_bytes = max_frame_bytes
        self._meter = meter
        self._callers: dict[_Connection, Caller] = {}
        self._look: asyncio.TimerHandle | None = None
        """At the tokens of those."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One socket, from its handshake to its end."""
        socket = WebSocket(scope, receive, send)
        caller = await self._admission.admit(socket)
        if caller is None:
            return
        await socket.accept()
        extensions = scope.get("extensions", {})
        extensions.get(ROOM, lambda _: None)(self._max_frame_bytes)
        connection = _Connection(socket, self._desk, extensions.get(ABORT, lambda: None), self._meter)
        self._callers[connection] = caller
        self._look_later()
        try:
            code = await connection.serve()
        finally:
            del self._callers[connection]
        self._admission.leave(code)

    def _look_later(self) -> None:
        """While there are bots whose tokens may be revoked, look whether they are."""
        if self._look is None and self._callers and self._auth.may_change:
            self._look = asyncio.get_running_loop().call_later(REVOKED_SECONDS, self._end_revoked)

    def _end_revoked(self) -> None:
        self._look = None
        for connection, caller in list(self._callers.items()):
            if not self._auth.is_current(caller):
                connection.close(POLICY_VIOLATION)
        self._look_later()


class _Connection:
    """One socket: its frames in, and those that wait to go out."""

    def __init__(
        self,
        socket: WebSocket,
        desk: BotDesk,
        abort: Callable[[], None],
        meter: Meter,
    ) -> None:
        self._socket = socket
        self._desk = desk
        self._abort = abort
        self._meter = meter
        self._waiting: deque[str] = deque()
        self._chars = 0
        self._more = asyncio.Event()
        self._close_code: int | None = None
        self._calls = asyncio.Semaphore(MAX_BOT_CALLS)
        self._running: set[asyncio.Task[None]] = set()

    async def serve(self) -> int | None:
        """Until the socket ends; returns the code with which the server has closed it."""
        session = self._desk.open(self._push)
        writing = asyncio.create_task(self._write())
        give_back = True
        try:
            give_back = await self._read(session) != SERVICE_RESTART
        finally:
            writing.cancel()
            await session.end(give_back=give_back)
        return self._close_code

    async def _read(self, session: BotSession) -> int | None:
        """Take frames until the socket ends; returns the code of its end."""
        while True:
            message = await self._socket.receive()
            if message["type"] == "websocket.disconnect":
                code: int | None = message.get("code")
                return code
            text = message.get("text")
            if text is None:
                self.close(POLICY_VIOLATION)
                continue
            await self._calls.acquire()
            self._meter.begin()
            task = asyncio.create_task(session.receive(text))
            self._running.add(task)
            task.add_done_callback(self._end_call)

    def _end_call(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._meter.end()
        self._calls.release()

    def _push(self, frame: str) -> None:
        if self._close_code is not None:
            return
        self._waiting.append(frame)
        self._chars += len(frame)
        if self._chars > MAX_BEHIND_BOT_CHARS and len(self._waiting) > 1:
            self.close(TOO_SLOW)
        self._more.set()

    def close(self, code: int) -> None:
        """Close it with this code."""
        if self._close_code is None:
            self._close_code = code
            self._waiting.clear()
            self._more.set()
            asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._abort)

    async def _write(self) -> None:
        """Send what waits, all of it in one text frame."""
        with suppress(WebSocketDisconnect, RuntimeError):  # it has ended, which ``_read`` sees too
            while self._close_code is None:
                await self._more.wait()
                self._more.clear()
                if self._waiting:
                    frames = list(self._waiting)
                    self._waiting.clear()
                    await self._socket.send_text("\n".join(frames))
                    self._chars -= sum(map(len, frames))
            await self._socket.close(self._close_code)
