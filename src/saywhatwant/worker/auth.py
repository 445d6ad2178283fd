"""Who may do what: the bot token, other sites' pages, and how often one address may post."""

import hmac
import math
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection, Request
from throttled import MemoryStore, Throttled
from throttled.rate_limiter import per_min

from saywhatwant.addresses import is_loopback
from saywhatwant.errors import CrossSite, NotAllowed, TooManyPosts

MAX_ADDRESSES = 65_536
"""Client addresses whose posts are counted."""


class BotAuth:
    """Lets bots in: by token, or, where none is set, everybody but pages of other sites.

    Without a token the server listens on loopback only, yet any page that the same person's browser shows could send
    requests there. A browser names the page's site in ``Origin``, and other programs have no reason to. A page whose name was
    made to lead here afterwards (DNS rebinding) gives itself away by that name in ``Host``.
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
            return
        host = request.headers.get("host")
        if host is not None and not is_loopback(_hostname(host)):
            raise CrossSite(f"with no bot token set, this is open to this machine only, not to {host!r}")
        check_origin(request, self._allowed_origins)


def check_origin(connection: HTTPConnection, allowed: frozenset[str]) -> None:
    """Lets in pages of this server's own and of ``allowed`` sites, and programs; raises ``CrossSite`` for other pages."""
    host, origin = connection.headers.get("host"), connection.headers.get("origin")
    if origin not in {None, f"http://{host}", f"https://{host}", *allowed}:
        raise CrossSite(f"pages of {origin} may not do this here")


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


class PostRateLimiter:
    """Limits the posts of one client address in any minute; 0 is no limit.

    Remembers the addresses that posted last, ``MAX_ADDRESSES`` of them.
    """

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        quota = per_min(max(per_minute, 1))
        self._limiter = Throttled(using="sliding_window", quota=quota, store=MemoryStore(options={"MAX_SIZE": MAX_ADDRESSES}))

    def check(self, request: Request) -> None:
        """Count one post; raises ``TooManyPosts`` when it is one too many."""
        if not self._per_minute:
            return
        result = self._limiter.limit(request.client.host if request.client else "unknown")
        if result.limited:
            raise TooManyPosts(self._per_minute, max(math.ceil(result.state.retry_after), 1))
