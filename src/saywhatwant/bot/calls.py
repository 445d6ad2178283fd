"""What a bot calls about a message that it holds: through its socket while one is open, else by HTTP."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from msgspec.structs import replace

from saywhatwant import frames, schemas
from saywhatwant.bot.connection import SocketEnded
from saywhatwant.bot.line import Line
from saywhatwant.client import ServerRefused, ServerUnavailable, WallClient

T = TypeVar("T")
RequestT = TypeVar(
    "RequestT",
    schemas.CompleteRequest,
    schemas.ExtendRequest,
    schemas.FailRequest,
    schemas.ReleaseRequest,
    schemas.ProgressRequest,
)

PATIENCE_SECONDS = 30.0
"""Seconds for which a call that the server cannot take at the moment is tried again."""
FIRST_PAUSE_SECONDS = 0.05


class Calls:
    """The calls of one bot. Each raises ``ServerRefused`` or ``ServerUnavailable``.

    A socket that ends under a call leaves its outcome unknown. Then the call waits for the next socket, which says whether the
    bot still has the message, or has it again in another attempt, and is made once more: by the same attempt it gets the first
    answer (P4).
    """

    def __init__(self, client: WallClient, line: Line | None) -> None:
        self.client = client
        self.line = line

    @property
    def is_on_socket(self) -> bool:
        """Whether calls go through a socket."""
        return self.line is not None and self.line.is_open

    async def complete(self, request: schemas.CompleteRequest) -> schemas.CompleteResponse:
        """Finish a message."""

        def frame(now: schemas.CompleteRequest) -> frames.Frame:
            return frames.CompleteFrame(message_id=now.message_id, attempt=now.attempt or 1, reply=now.reply)

        return await self._end_by(request, frame, schemas.CompleteResponse, self.client.complete)

    async def extend(self, request: schemas.ExtendRequest) -> schemas.ExtendResponse:
        """Extend the lease (heartbeat)."""

        def frame(now: schemas.ExtendRequest) -> frames.Frame:
            return frames.ExtendFrame(message_id=now.message_id, attempt=now.attempt)

        return await self._call(request, frame, schemas.ExtendResponse, self.client.extend)

    async def fail(self, request: schemas.FailRequest) -> schemas.FailResponse:
        """Give a message back after a failure, or fail it for good."""

        def frame(now: schemas.FailRequest) -> frames.Frame:
            return frames.FailFrame(
                message_id=now.message_id, attempt=now.attempt, error=now.error, retry=now.retry, detail=now.detail
            )

        return await self._end_by(request, frame, schemas.FailResponse, self.client.fail)

    async def release(self, request: schemas.ReleaseRequest) -> schemas.FailResponse:
        """Give a message back unanswered."""

        def frame(now: schemas.ReleaseRequest) -> frames.Frame:
            return frames.ReleaseFrame(message_id=now.message_id, attempt=now.attempt)

        return await self._end_by(request, frame, schemas.FailResponse, self.client.release)

    async def progress(self, request: schemas.ProgressRequest) -> None:
        """Show a reply being written. Not repeated: the next call has more of it."""
        line = self.line
        if line is not None and line.is_open:
            now = self._as_now(request)
            frame = frames.ProgressFrame(message_id=now.message_id, attempt=now.attempt, text=now.text, state=now.state)
            try:
                await line.call(frame, schemas.Ok)
            except SocketEnded as error:
                raise ServerUnavailable(str(error)) from error
        else:
            await self.client.progress(self._as_now(request))

    async def _end_by(
        self,
        request: RequestT,
        frame: Callable[[RequestT], frames.Frame],
        answer: type[T],
        by_http: Callable[[RequestT], Awaitable[T]],
    ) -> T:
        if self.line is None:
            return await by_http(request)
        with self.line.ending(request.message_id):
            return await self._call(request, frame, answer, by_http, ends=True)

    async def _call(
        self,
        request: RequestT,
        frame: Callable[[RequestT], frames.Frame],
        answer: type[T],
        by_http: Callable[[RequestT], Awaitable[T]],
        *,
        ends: bool = False,
    ) -> T:
        line = self.line
        if line is None:
            return await by_http(request)
        loop = asyncio.get_running_loop()
        until, pause = loop.time() + PATIENCE_SECONDS, FIRST_PAUSE_SECONDS
        while True:
            if not line.is_open:
                await line.reopened()
            now = self._as_now(request)
            if not line.is_open:
                return await by_http(now)
            try:
                return await line.call(frame(now), answer)
            except SocketEnded:
                continue
            except ServerRefused:
                goes_on = ends and line.goes_on(request.message_id)
                if not goes_on and self._as_now(request) == now:
                    raise  # else it was given to this bot again meanwhile
            except ServerUnavailable:
                if loop.time() + pause > until:
                    raise
                await asyncio.sleep(pause)
                pause *= 2

    def _as_now(self, request: RequestT) -> RequestT:
        """The request with the attempt that the bot has now."""
        attempt = None if self.line is None else self.line.attempt_of(request.message_id, request.attempt)
        return request if attempt == request.attempt or attempt is None else replace(request, attempt=attempt)
