"""A circuit breaker: after some failures in a row a model is not called for a while, then tried with one request.

From Michael Nygard, "Release It!". Existing libraries wrap a single call, which a streamed answer is not.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

FAILURES = 3
"""Failures in a row that open the circuit."""
PAUSE_SECONDS = 10.0
"""The first pause; it doubles with each failure after the one that opened the circuit."""
MAX_PAUSE_SECONDS = 120.0


class Circuit:
    """The circuit breaker of one model at one address."""

    def __init__(self) -> None:
        self._failures = 0
        self._rests_until = 0.0
        self._trial = asyncio.Lock()
        self.reason = ""
        """Why the last request failed."""

    @property
    def is_healthy(self) -> bool:
        """Whether the last request worked, or there was none."""
        return self._failures == 0

    @property
    def is_rested(self) -> bool:
        """Whether the pause after its last failure is over; it pauses from the first failure on where others can answer."""
        return time.monotonic() >= self._rests_until

    @property
    def seconds_left(self) -> float:
        """Seconds until an open circuit lets a request through; 0 when the model may be called now."""
        return max(self._rests_until - time.monotonic(), 0) if self._failures >= FAILURES else 0

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Enter to call the model: at once, or after the pause and one at a time until a request has worked."""
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
        pause = min(PAUSE_SECONDS * 2 ** max(self._failures - FAILURES, 0), MAX_PAUSE_SECONDS)
        self._rests_until = time.monotonic() + pause

    def worked(self) -> None:
        """Record that a request worked."""
        self._failures = 0
        self._rests_until = 0.0
