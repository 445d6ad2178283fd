"""A circuit breaker: after some failures in a row a provider is not called for a while, then tried with one request.

From Michael Nygard, "Release It!". Existing libraries wrap a single call, which a streamed answer is not.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

FAILURES = 3
"""Failures in a row that open the circuit."""
PAUSE_SECONDS = 10.0
"""The first pause; it doubles with each further failure."""
MAX_PAUSE_SECONDS = 120.0


class Circuit:
    """The circuit breaker of one provider."""

    def __init__(self) -> None:
        self._failures = 0
        self._open_until = 0.0
        self._trial = asyncio.Lock()
        self.reason = ""
        """Why the last request failed."""

    @property
    def seconds_left(self) -> float:
        """Seconds until the provider may be called again; 0 when it may be called now."""
        return max(self._open_until - time.monotonic(), 0)

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Enter to call the provider: at once, or after the pause and one at a time until a request has worked."""
        if self._failures < FAILURES:
            yield
            return
        async with self._trial:
            await asyncio.sleep(self.seconds_left)
            yield

    def failed(self, reason: str) -> None:
        """Record that a request failed."""
        self.reason = reason
        self._failures += 1
        if self._failures >= FAILURES:
            pause = min(PAUSE_SECONDS * 2 ** (self._failures - FAILURES), MAX_PAUSE_SECONDS)
            self._open_until = time.monotonic() + pause

    def worked(self) -> None:
        """Record that a request worked."""
        self._failures = 0
        self._open_until = 0.0
