"""A reply being written: shown to those who watch, and the signs of life that keep its message ours."""

import asyncio
import time
from contextlib import suppress
from types import TracebackType
from typing import Self

from saywhatwant.client import ServerRefused, ServerUnavailable, WallClient
from saywhatwant.message import Message, without_controls
from saywhatwant.schemas import ExtendRequest, ProgressRequest

SHOW_SECONDS = 0.1
"""The shortest time between two showings."""


class ReplyStream:
    """While entered, it shows what was added and extends the lease; when that is lost, the body raises ``ServerRefused``."""

    def __init__(self, client: WallClient, message: Message, worker_id: str) -> None:
        self._client = client
        self._message = message
        self._worker_id = worker_id
        self._changed = asyncio.Event()
        self._lost: ServerRefused | None = None
        self._showing: asyncio.Task[None]
        self._living: asyncio.Task[None]
        self._began = time.monotonic()
        self.text = ""
        self.pieces = 0

    @property
    def seconds(self) -> float:
        """Since the beginning."""
        return round(time.monotonic() - self._began, 2)

    def add(self, piece: str) -> None:
        """One more piece of the text."""
        self.text += piece
        self.pieces += 1
        self._changed.set()

    def stop_progress(self) -> None:
        """Show nothing more, since the whole text is about to be there."""
        self._showing.cancel()

    async def __aenter__(self) -> Self:
        body = asyncio.current_task()
        assert body is not None  # noqa: S101 - there is always one in a coroutine
        self._showing = asyncio.create_task(self._show())
        self._living = asyncio.create_task(self._stay_alive(body))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._showing.cancel()
        self._living.cancel()
        await asyncio.gather(self._showing, self._living, return_exceptions=True)
        if self._lost is not None and isinstance(error, asyncio.CancelledError):
            body = asyncio.current_task()
            if body is not None:
                body.uncancel()
            raise self._lost from None

    async def _show(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            if text := without_controls(self.text):
                # Only a showing: whether the message is still ours, the signs of life find out.
                with suppress(ServerRefused, ServerUnavailable):
                    await self._client.progress(
                        ProgressRequest(
                            message_id=self._message.id,
                            worker_id=self._worker_id,
                            attempt=self._message.bot_params.attempt,
                            text=text,
                        )
                    )
            await asyncio.sleep(SHOW_SECONDS)

    async def _stay_alive(self, body: asyncio.Task[object]) -> None:
        params = self._message.bot_params
        lease_seconds = ((params.lease_expires_at or 0) - (params.claimed_at or 0)) / 1_000
        while True:
            await asyncio.sleep(lease_seconds / 3)
            try:
                await self._client.extend(
                    ExtendRequest(message_id=self._message.id, worker_id=self._worker_id, attempt=params.attempt)
                )
            except ServerRefused as error:
                self._lost = error
                body.cancel()
                return
            except ServerUnavailable:
                continue
