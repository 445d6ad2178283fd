"""Sessions of operators in browsers: a signed cookie, which holds no secret but its signature.

    NAME.DIGEST.UNTIL.SIGNATURE

The token's name and the beginning of its digest, the end in seconds since 1970, and the HMAC-SHA-256 of those. Nothing is kept
in memory, so a restart signs nobody out, and any server with the same key and tokens takes it. It ends with its token.
"""

import hmac
import os
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from starlette.requests import HTTPConnection

from saywhatwant.errors import NoSessionKey, NotAllowed, TooManySignIns, WrongScope
from saywhatwant.tokens import Tokens
from saywhatwant.worker.decoders import client_of, header
from saywhatwant.worker.limits import MAX_WRONG_TOKENS, SESSION_SECONDS
from saywhatwant.worker.rate_limit import RateLimiter

KEY_FILE = "session.key"
"""In the data directory; who has it can sign."""
COOKIE = "sww-operator"
SECURE_COOKIE = f"__Host-{COOKIE}"
"""Over https: browsers take a cookie of this prefix from this host only, not from one beside it."""
_KEY_BYTES = 32
_DIGEST_CHARS = 16
_PARTS = 4


class Sessions:
    """See the module.

    Args:
        tokens: with which operators sign in.
        key: returns the key of signatures, the same at each call; raises ``OSError`` with the file's name if there can be none.
        clock: seconds since 1970.
    """

    def __init__(self, tokens: Tokens, key: Callable[[], bytes], *, clock: Callable[[], float] = time.time) -> None:
        self.tokens = tokens
        self._key = key
        self._clock = clock
        self._failures = RateLimiter(MAX_WRONG_TOKENS)

    def sign_in(self, connection: HTTPConnection, given: str) -> str:
        """The value of the header ``Set-Cookie`` for who gives an operator's token.

        A good token is taken always: who shares an address with somebody that guesses, as behind a proxy, is not kept out.

        Raises ``NotAllowed``, or ``TooManySignIns`` for a client that has tried too many wrong ones; ``WrongScope``, and
        ``NoSessionKey``.
        """
        found = self.tokens.find(given)
        if found is None:
            client = client_of(connection)
            if wait := self._failures.wait(client):
                raise TooManySignIns(MAX_WRONG_TOKENS, wait)
            self._failures.count(client)
            raise NotAllowed("this is no token that is good here")
        name, token = found
        if "operator" not in token.scopes:
            raise WrongScope("operator", name, token.scopes)
        signed = f"{name}.{token.sha256[:_DIGEST_CHARS]}.{int(self._clock()) + SESSION_SECONDS}"
        try:
            signature = self._signature(signed)
        except OSError as error:
            raise NoSessionKey(f"nobody can sign in: {error}") from error
        return _set_cookie(connection, f"{signed}.{signature}", SESSION_SECONDS)

    def sign_out(self, connection: HTTPConnection) -> str:
        """The value of the header ``Set-Cookie`` that removes the cookie."""
        return _set_cookie(connection, "", 0)

    def name(self, connection: HTTPConnection) -> str | None:
        """The name of the token that the request's cookie was made with, if that is still good for operators."""
        cookies = connection.cookies
        parts = (cookies.get(SECURE_COOKIE) or cookies.get(COOKIE, "")).split(".")
        if len(parts) != _PARTS or not parts[2].isdecimal():
            return None
        name, of_token, until, signature = parts
        try:
            expected = self._signature(f"{name}.{of_token}.{until}")
        except OSError:  # nobody can have signed in
            return None
        if not hmac.compare_digest(expected.encode(), signature.encode()):
            return None
        token = self.tokens.current().get(name)
        is_good = token is not None and "operator" in token.scopes and token.sha256.startswith(of_token)
        return name if is_good and self._clock() < int(until) else None

    def _signature(self, signed: str) -> str:
        return hmac.digest(self._key(), signed.encode(), "sha256").hex()


def key_in(data: Path) -> Callable[[], bytes]:
    """The key that a data directory has; it is made when it is first needed."""
    known: list[bytes] = []

    def key() -> bytes:
        if not known:
            known.append(_stored_key(data / KEY_FILE))
        return known[0]

    return key


def key_of(token: str) -> Callable[[], bytes]:
    """A key for servers that have no directory: those who know the token can make it, and nobody else."""
    return lambda: hmac.digest(token.encode(), b"sessions of operators", "sha256")


def _stored_key(path: Path) -> bytes:
    """The key in a file, which appears whole: with half a key anybody could sign. Raises ``OSError``."""
    try:
        key = _made_or_read(path)
    except OSError as error:
        raise OSError(f"{path} cannot be read or made: {error.strerror}") from error
    if len(key) != _KEY_BYTES:
        raise OSError(f"{path} must have {_KEY_BYTES} bytes; remove it, and a new one is made")
    return key


def _made_or_read(path: Path) -> bytes:
    if not path.exists():
        new = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        try:
            with open(new, "xb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
                file.write(secrets.token_bytes(_KEY_BYTES))
                file.flush()
                os.fsync(file.fileno())
            with suppress(FileExistsError):  # another process was faster
                os.link(new, path)
        finally:
            new.unlink(missing_ok=True)
    return path.read_bytes()


def _set_cookie(connection: HTTPConnection, value: str, seconds: int) -> str:
    # Behind a proxy that is not trusted only the browser knows that the page came by https.
    is_secure = connection.url.scheme in {"https", "wss"} or (header(connection, b"origin") or b"").startswith(b"https://")
    name, secure = (SECURE_COOKIE, "; Secure") if is_secure else (COOKIE, "")
    return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"
