"""Authorization: the bot token, pages of other sites, and the rate limit of posts."""

import hmac
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from saywhatwant.addresses import is_loopback
from saywhatwant.errors import CrossSite, NotAllowed, RequestRefused, TooManyPosts
from saywhatwant.worker.decoders import client_of, header
from saywhatwant.worker.limits import MAX_RATE_ADDRESSES

if TYPE_CHECKING:
    from pyrate_limiter import InMemoryBucket

WINDOW_MS = 60_000


class BotAuth:
    """Lets bots in by token; without a token, everybody except pages of other sites.

    Without a token the server listens on loopback only, but any page in a browser on this machine could send requests to it.
    Browsers name the page's site in ``Origin``; other programs do not. A page whose name was later made to resolve to this
    machine (DNS rebinding) is recognized by that name in ``Host``.
    """

    def __init__(self, token: str | None, allowed_origins: frozenset[str]) -> None:
        self._expected = f"Bearer {token}".encode() if token else None
        self._allowed_origins = allowed_origins
        # "*" lets every page post and read, but not call the queue.
        self._origins_of_bots = allowed_origins - {"*"}

    def check(self, connection: HTTPConnection) -> None:
        """Raises ``NotAllowed`` or ``CrossSite``."""
        if self._expected is not None:
            given = connection.headers.get("authorization", "").encode("latin-1")
            if not hmac.compare_digest(given, self._expected):
                raise NotAllowed("this needs the header 'Authorization: Bearer TOKEN' with the bot token")
            return
        host = header(connection, b"host")
        if host is not None and not _is_here(host):
            raise CrossSite(f"with no bot token set, this is open to this machine only, not to {host.decode('latin-1')!r}")
        check_origin(connection, self._origins_of_bots)

    def allows(self, connection: HTTPConnection) -> bool:
        """Whether ``check`` would let it in."""
        try:
            self.check(connection)
        except RequestRefused:
            return False
        return True

    def check_page(self, connection: HTTPConnection) -> None:
        """Lets in programs, and pages that may post and subscribe; raises ``CrossSite`` for pages of other sites."""
        check_origin(connection, self._allowed_origins)


def check_origin(connection: HTTPConnection, allowed: frozenset[str]) -> None:
    """Raises ``CrossSite`` for pages of other sites than this server's and ``allowed`` ones ("*" allows all)."""
    value = header(connection, b"origin")
    if value is None:
        return
    origin = value.decode("latin-1")
    if "*" in allowed or origin in allowed:
        return
    host = connection.headers.get("host")
    if origin not in {f"http://{host}", f"https://{host}"}:
        raise CrossSite(f"pages of {origin} may not do this")


@lru_cache(maxsize=16)  # few, because clients choose them; a bot sends the same one with every call
def _is_here(host: bytes) -> bool:
    """Whether the header ``Host`` names this machine."""
    try:
        return is_loopback(urlsplit(f"//{host.decode('latin-1')}").hostname or "")
    except ValueError:
        return False


class PostRateLimiter:
    """Limits the posts of one client in any minute; ``per_minute`` 0 is no limit.

    ``clock`` returns seconds and never steps back. Refused posts do not count.
    """

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        self._windows: OrderedDict[str, InMemoryBucket] = OrderedDict()
        if per_minute:
            # Most servers on a laptop have no limit, and do not need the import.
            self._rate_limits = import_module("pyrate_limiter")

    def check(self, connection: HTTPConnection) -> None:
        """Count one post; raises ``TooManyPosts`` beyond the limit."""
        if not self._per_minute:
            return
        client = client_of(connection)
        window = self._windows.get(client)
        if window is None:
            window = self._rate_limits.InMemoryBucket([self._rate_limits.Rate(self._per_minute, WINDOW_MS)])
        post = self._rate_limits.RateItem(client, math.floor(self._clock() * 1_000))
        window.leak(post.timestamp)  # the bucket does not expire entries by itself
        if not window.put(post):
            # The library's type also covers asynchronous buckets; this one is not.
            wait_ms = cast("int", window.waiting(post))
            raise TooManyPosts(self._per_minute, max(math.ceil(wait_ms / 1_000), 1))
        self._windows[client] = window
        self._windows.move_to_end(client)
        if len(self._windows) > MAX_RATE_ADDRESSES:
            self._windows.popitem(last=False)
