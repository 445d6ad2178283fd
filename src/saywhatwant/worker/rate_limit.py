"""How often a client may do something."""

import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from starlette.requests import HTTPConnection

from saywhatwant.errors import TooManyPosts
from saywhatwant.worker.decoders import client_of
from saywhatwant.worker.limits import MAX_RATE_ADDRESSES

WINDOW_SECONDS = 60 - 1e-6
"""A minute, less what keeps a client that waits as long as it was told from being refused for a rounding."""


class RateLimiter:
    """Counts what each client has done in any minute; ``per_minute`` 0 is no limit.

    ``clock`` returns seconds and never steps back.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.per_minute = per_minute
        self._clock = clock
        self._times: OrderedDict[str, deque[float]] = OrderedDict()
        """When each client has done it within the last minute; the client that did it last is at the end."""

    def wait(self, client: str) -> int:
        """The seconds after which this client may do it again; 0 if it may now."""
        times, now = self._times.get(client), self._clock()
        if not self.per_minute or times is None:
            return 0
        while times and times[0] <= now - WINDOW_SECONDS:
            times.popleft()
        return math.ceil(times[0] + WINDOW_SECONDS - now) if len(times) >= self.per_minute else 0

    def count(self, client: str) -> None:
        """This client has done it."""
        if not self.per_minute:
            return
        self._times.setdefault(client, deque()).append(self._clock())
        self._times.move_to_end(client)
        if len(self._times) > MAX_RATE_ADDRESSES:
            self._times.popitem(last=False)


class PostRateLimiter(RateLimiter):
    """Limits the posts of one client. Refused posts do not count."""

    def check(self, connection: HTTPConnection) -> None:
        """Count one post; raises ``TooManyPosts`` beyond the limit."""
        if self.per_minute:
            client = client_of(connection)
            if wait := self.wait(client):
                raise TooManyPosts(self.per_minute, wait)
            self.count(client)
