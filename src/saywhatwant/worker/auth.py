"""Who calls: bots and operators by their tokens, operators' browsers by a cookie, and pages of other sites not at all."""

from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from starlette.requests import HTTPConnection

from saywhatwant.addresses import is_loopback
from saywhatwant.errors import CrossSite, NotAllowed, RequestRefused, WrongScope
from saywhatwant.tokens import LOCAL, Scope, Tokens
from saywhatwant.worker.decoders import header
from saywhatwant.worker.sessions import Sessions

_BEARER = b"Bearer "
_NEEDED = "this needs the header 'Authorization: Bearer TOKEN' with a token that is good here"
_OF_PROXIES = (b"x-forwarded-for", b"forwarded", b"via", b"x-real-ip")
"""Headers that proxies add; programs on this machine send none of them."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls.

    Attributes:
        name: of its token; ``local`` where no token is set.
        scopes: what it may do.
        digest: of its token; empty where none is set.
    """

    name: str
    scopes: frozenset[Scope]
    digest: str = ""


_LOCAL = Caller(LOCAL, frozenset({"bot", "operator"}))


class Auth:
    """Lets callers in by token; without any token, everybody except pages of other sites.

    Without a token the server listens on loopback only, but any page in a browser on this machine could send requests to it.
    Browsers name the page's site in ``Origin``; other programs do not. A page whose name was later made to resolve to this
    machine (DNS rebinding) is recognized by that name in ``Host``. What a proxy forwards comes from loopback too, with the
    server's own name in ``Host`` unless the proxy keeps the client's: it is recognized by the headers that proxies add.

    Args:
        tokens: those that are good.
        allowed_origins: of other sites whose pages may post and subscribe; "*" is all.
        sessions: of operators that have signed in with a browser; none if nobody can.
    """

    def __init__(self, tokens: Tokens, allowed_origins: frozenset[str], sessions: Sessions | None = None) -> None:
        self._tokens = tokens
        self._sessions = sessions
        self._allowed_origins = allowed_origins
        # "*" lets every page post and read, but not call the queue.
        self._origins_of_bots = allowed_origins - {"*"}

    def bot(self, connection: HTTPConnection) -> Caller:
        """The bot that calls; raises ``NotAllowed``, ``WrongScope`` or ``CrossSite``."""
        return self._with_scope(connection, "bot")

    def operator(self, connection: HTTPConnection) -> Caller:
        """The operator that calls; raises as ``bot``.

        Where no token is set pages are not let in to change anything, though programs are: a page that should is signed in.
        """
        caller = self._with_scope(connection, "operator")
        is_call = connection.scope["type"] == "http" and _may_change(connection)
        if caller is _LOCAL and is_call and header(connection, b"origin") is not None:
            raise NotAllowed("no token is set here, so pages only look on; sww token add makes one to sign in with")
        return caller

    def anyone(self, connection: HTTPConnection) -> Caller:
        """The bot or operator that calls; raises ``NotAllowed`` or ``CrossSite``."""
        given = header(connection, b"authorization")
        if self._tokens.are_needed(one_is_given=given is not None):
            return self._known(connection, given)
        self._check_is_here(connection)
        return _LOCAL

    def allows(self, connection: HTTPConnection, scope: Scope) -> bool:
        """Whether its caller has this scope."""
        try:
            self._with_scope(connection, scope)
        except RequestRefused:
            return False
        return True

    def is_current(self, caller: Caller) -> bool:
        """Whether the caller would be let in now, too: its token is not revoked."""
        if not caller.digest:
            return not self._tokens.are_needed()
        token = self._tokens.current().get(caller.name)
        return token is not None and token.sha256 == caller.digest and caller.scopes <= set(token.scopes)

    @property
    def may_change(self) -> bool:
        """Whether a caller that is let in now may be none later."""
        return self._tokens.may_change

    def check_page(self, connection: HTTPConnection) -> None:
        """Lets in programs, and pages that may post and subscribe; raises ``CrossSite`` for pages of other sites."""
        check_origin(connection, self._allowed_origins)

    def _with_scope(self, connection: HTTPConnection, scope: Scope) -> Caller:
        caller = self.anyone(connection)
        if scope not in caller.scopes:
            raise WrongScope(scope, caller.name, caller.scopes)
        return caller

    def _known(self, connection: HTTPConnection, given: bytes | None) -> Caller:
        if given is None:
            return self._signed_in(connection)
        found = self._tokens.find(given.removeprefix(_BEARER).decode("latin-1")) if given.startswith(_BEARER) else None
        if found is None:
            raise NotAllowed(_NEEDED)
        name, token = found
        return Caller(name, frozenset(token.scopes), token.sha256)

    def _signed_in(self, connection: HTTPConnection) -> Caller:
        name = None if self._sessions is None else self._sessions.name(connection)
        if name is None:
            raise NotAllowed(_NEEDED)
        if _may_change(connection):
            # Browsers name the page with every such request: one without a name is no browser, and has no cookie to send.
            if header(connection, b"origin") is None:
                raise CrossSite("with a cookie, this takes requests of this server's own pages only")
            check_origin(connection, frozenset())
        token = self._tokens.current().get(name)
        if token is None:  # it was revoked since the look at the cookie
            raise NotAllowed(_NEEDED)
        return Caller(name, frozenset({"operator"}), token.sha256)

    def _check_is_here(self, connection: HTTPConnection) -> None:
        host = header(connection, b"host")
        if host is not None and not _is_here(host):
            raise CrossSite(f"with no token set, this is open to this machine only, not to {host.decode('latin-1')!r}")
        for name in _OF_PROXIES:
            if header(connection, name) is not None:
                raise CrossSite(
                    f"with no token set, this is open to this machine only, not through a proxy (it sent {name.decode()})"
                )
        check_origin(connection, self._origins_of_bots)


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


def _may_change(connection: HTTPConnection) -> bool:
    """Whether the request may change something, or is a WebSocket, which no rule of browsers keeps to one site."""
    return connection.scope.get("method") not in {"GET", "HEAD"}


@lru_cache(maxsize=16)  # few, because clients choose them; a bot sends the same one with every call
def _is_here(host: bytes) -> bool:
    """Whether the header ``Host`` names this machine."""
    try:
        return is_loopback(urlsplit(f"//{host.decode('latin-1')}").hostname or "")
    except ValueError:
        return False
