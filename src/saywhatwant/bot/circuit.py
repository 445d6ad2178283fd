"""A circuit breaker: after some failures in a row a provider is left alone for a while, then tried with one request.

After Michael Nygard, "Release It!". The libraries at hand count calls, and a streamed answer is not one.
"""

import time

FAILURES = 3
PAUSE_SECONDS = 10.0
MAX_PAUSE_SECONDS = 300.0


class Circuit:
    """Of one provider."""

    def __init__(self) -> None:
        self._failures = 0
        self._open_until = 0.0

    def closed_in(self) -> float:
        """Seconds until the provider may be asked again; 0 or less when it may be now."""
        return self._open_until - time.monotonic()

    def failed(self) -> None:
        """An answer did not come."""
        self._failures += 1
        if self._failures >= FAILURES:
            pause = min(PAUSE_SECONDS * 2 ** (self._failures - FAILURES), MAX_PAUSE_SECONDS)
            self._open_until = time.monotonic() + pause

    def worked(self) -> None:
        """An answer came."""
        self._failures = 0
