"""A reply on its way: sends progress for readers, and heartbeats that keep the lease."""

import asyncio
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from saywhatwant.bot.calls import Calls
from saywhatwant.client import ServerRefused, ServerUnavailable
from saywhatwant.message import Message, without_controls
from saywhatwant.schemas import ExtendRequest, ProgressRequest, ProgressState

PROGRESS_SECONDS = 0.1
"""The shortest time between two progress calls."""
SOCKET_PROGRESS_SECONDS = 0.25
"""The same over a socket, whose frames some platforms bill."""
HEARTBEATS = 3
"""Heartbeats per lease, so that two may get lost."""


class ReplyStream:
    """While entered, it sends progress and heartbeats; when the lease is lost, the body raises ``ServerRefused``."""

    def __init__(self, calls: Calls, message: Message, worker_id: str) -> None:
        self._calls = calls
        self._message = message
        self._worker_id = worker_id
        self._changed = asyncio.Event()
        self._lost: ServerRefused | None = None
        self._body: asyncio.Task[object] | None = None
        self._progress: asyncio.Task[None]
        self._heartbeat: asyncio.Task[None]
        self._began = time.monotonic()
        self._text = ""
        self._state: ProgressState = "writing"

    @property
    def seconds(self) -> float:
        """Seconds since the stream began."""
        return round(time.monotonic() - self._began, 2)

    def show(self, text: str, state: ProgressState) -> None:
        """Show the whole text so far, and what its model does."""
        if (text, state) != (self._text, self._state):
            self._text, self._state = text, state
            self._changed.set()

    def lose(self, error: ServerRefused) -> None:
        """The bot does not hold the message any more: the body is cancelled, and raises ``error``."""
        self._lost = error
        if self._body is not None:
            self._body.cancel()

    def stop_progress(self) -> None:
        """Stop sending progress, since the whole reply comes next."""
        self._progress.cancel()

    async def __aenter__(self) -> Self:
        body = asyncio.current_task()
        assert body is not None  # noqa: S101 - there is always one in a coroutine
        if self._lost is not None:
            raise self._lost
        self._body = body
        self._progress = asyncio.create_task(self._send_progress())
        self._heartbeat = asyncio.create_task(self._send_heartbeats())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._body = None
        self._progress.cancel()
        self._heartbeat.cancel()
        await asyncio.gather(self._progress, self._heartbeat, return_exceptions=True)
        if self._lost is not None and isinstance(error, asyncio.CancelledError):
            body = asyncio.current_task()
            if body is not None:
                body.uncancel()
            raise self._lost from None

    async def _send_progress(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            text, state = without_controls(self._text), self._state
            if text or state != "writing":
                # A refusal is ignored here: a heartbeat detects a lost lease.
                with suppress(ServerRefused, ServerUnavailable):
                    await self._calls.progress(
                        ProgressRequest(
                            message_id=self._message.id,
                            worker_id=self._worker_id,
                            attempt=self._message.bot_params.attempt,
                            text=text,
                            state=state,
                        )
                    )
            await asyncio.sleep(SOCKET_PROGRESS_SECONDS if self._calls.is_on_socket else PROGRESS_SECONDS)

    async def _send_heartbeats(self) -> None:
        params = self._message.bot_params
        lease_seconds = ((params.lease_expires_at or 0) - (params.claimed_at or 0)) / 1_000
        while True:
            await asyncio.sleep(lease_seconds / HEARTBEATS)
            try:
                await self._calls.extend(
                    ExtendRequest(message_id=self._message.id, worker_id=self._worker_id, attempt=params.attempt)
                )
            except ServerRefused as error:
                self.lose(error)
                return
            except ServerUnavailable:
                continue
