"""How long one answer may take: more while its model is being loaded, less once it writes."""

import asyncio
import time
from collections.abc import Awaitable
from typing import TypeVar

T = TypeVar("T")


class Silence(Exception):
    """The provider sent nothing for ``seconds``."""

    def __init__(self, seconds: float) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class TooLong(Silence):
    """The answer was not finished after ``seconds``."""


class Patience:
    """The time limits of one answer.

    Until the first piece, the silence may last ``idle_seconds``, or ``loading_seconds`` for a model that is cold, is being
    loaded, reads a long prompt, or may still be answering others (LM Studio answers one question at a time). After it, each
    silence may last ``idle_seconds``, and the rest of the answer ``total_seconds``.
    """

    def __init__(
        self, *, idle_seconds: float, total_seconds: float, loading_seconds: float, is_cold: bool, is_busy: bool = False
    ) -> None:
        self._idle_seconds = idle_seconds
        self._total_seconds = total_seconds
        self._loading_seconds = loading_seconds
        self._is_loading = is_cold
        self._is_late = is_cold or is_busy
        """Whether the first piece may take longer."""
        self._has_begun = False
        self._start = time.monotonic()

    @property
    def is_waking(self) -> bool:
        """Whether the model may be loading at this moment."""
        return self._is_loading and not self._has_begun

    @property
    def seconds_left(self) -> float:
        """Seconds until the answer must have begun, or ended."""
        return max(self._start + self._bound - time.monotonic(), 0)

    def loads(self) -> bool:
        """The model reports that it is being loaded; returns whether there is time to wait for it."""
        self._is_loading = self._is_late = True
        return time.monotonic() < self._start + self._loading_seconds

    def reads(self) -> None:
        """The model reports that it reads the prompt, so it is loaded."""
        self._is_loading, self._is_late = False, True

    def begins(self) -> None:
        """The first piece is here."""
        if not self._has_begun:
            self._has_begun = True
            self._start = time.monotonic()

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """The result, if it comes in time; raises ``Silence`` or ``TooLong``."""
        silence = max(self._loading_seconds, self._idle_seconds) if self._is_patient else self._idle_seconds
        left = self.seconds_left
        try:
            async with asyncio.timeout(min(silence, left)):
                return await awaitable
        except TimeoutError:
            raise (Silence(silence) if silence < left else TooLong(self._bound)) from None

    @property
    def _bound(self) -> float:
        return self._total_seconds + (self._loading_seconds if self._is_patient else 0)

    @property
    def _is_patient(self) -> bool:
        return self._is_late and not self._has_begun
