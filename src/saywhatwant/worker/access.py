"""Who may do what: the bot token, other sites' pages, and how often one address may post."""

import hmac
import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.requests import Request

from saywhatwant.errors import CrossSite, NotAllowed, TooManyPosts


class BotAccess:
    """Lets bots in: by token, or, where none is set, everybody but pages of other sites.

    Without a token the server listens on loopback only, yet any page that the same person's browser shows could send
    requests there. A browser names the page's site in ``Origin``, and other programs have no reason to.
    """

    def __init__(self, token: str | None, allowed_origins: frozenset[str]) -> None:
        self._expected = f"Bearer {token}".encode() if token else None
        self._allowed_origins = allowed_origins

    def check(self, request: Request) -> None:
        """Raises ``NotAllowed`` or ``CrossSite``."""
        if self._expected is not None:
            given = request.headers.get("authorization", "").encode("latin-1")
            if not hmac.compare_digest(given, self._expected):
                raise NotAllowed("this needs the header 'Authorization: Bearer TOKEN' with the bot token")
        else:
            origin = request.headers.get("origin")
            own = (f"http://{request.headers.get('host')}", f"https://{request.headers.get('host')}")
            if origin is not None and origin not in own and origin not in self._allowed_origins:
                raise CrossSite(f"with no bot token set, pages of {origin} may not do this")


class PostRate:
    """Limits the posts of one client address in any minute; 0 is no limit."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._item = RateLimitItemPerMinute(max(per_minute, 1))
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def check(self, request: Request) -> None:
        """Count one post; raises ``TooManyPosts`` when it is one too many."""
        if not self._per_minute:
            return
        address = request.client.host if request.client else ""
        if not self._limiter.hit(self._item, address):
            reset = self._limiter.get_window_stats(self._item, address).reset_time
            raise TooManyPosts(self._per_minute, max(math.ceil(reset - time.time()), 1))
