"""The tokens that a server takes: the one of its settings, and those of a file, which ``sww token`` writes.

Only digests are stored. A token of the file is 256 random bits, so nobody finds one by its digest, and no salt is needed.
"""

import hmac
import logging
import secrets
import stat
import time
from collections.abc import Mapping
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Annotated, Literal

from msgspec import Meta, Struct

from saywhatwant import named_tables
from saywhatwant.errors import InvalidField
from saywhatwant.named_tables import ChangingFile, WrongFile

log = logging.getLogger("saywhatwant")

Scope = Literal["bot", "operator"]
"""What a token is good for: to answer messages, or to look after the wall."""

FILE = "tokens.toml"
"""In the data directory."""
BOT_TOKEN = "bot-token"  # noqa: S105 - the name of one
"""The name of the token of the settings, which has both scopes."""
OWN = "own-bot"
"""The name of the token of the bot that runs in the server's process."""
LOCAL = "local"
"""The name of everybody on this machine, where no token is set."""
RESERVED = frozenset({BOT_TOKEN, OWN, LOCAL})
MAX_TOKENS = 100
LOOK_SECONDS = 1.0
"""Seconds, at most, after which a revoked token of the file is refused."""
PREFIX = "sww_"
"""Tokens of the file begin with this, so that programs which look for leaked secrets know one."""
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH
_DIGEST_CHARS = 64


class Token(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is known of a token. Raises ``InvalidField`` for a rule that its types cannot express."""

    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=2)]
    sha256: str
    added: date | None = None

    def __post_init__(self) -> None:
        if len(self.sha256) != _DIGEST_CHARS or not set(self.sha256) <= set("0123456789abcdef"):
            raise InvalidField("sha256", f"must be {_DIGEST_CHARS} hexadecimal digits in lower case")


class WrongTokens(WrongFile):
    """The file of tokens is invalid."""


class Tokens:
    """The tokens that are good at the moment. Raises ``WrongTokens`` when the file is invalid.

    Args:
        bot_token: of the settings.
        path: of the file, which may not be there. It is read again when it changes. While it is invalid its tokens stay, and
            the error is logged once; when it is gone there are none, but they are still needed.
        own: of the bot in this process. It is taken, and does not make tokens necessary.
        look_seconds: how long a change of the file may go unseen; a token that is added is seen at once.
    """

    def __init__(
        self,
        bot_token: str | None = None,
        path: Path | None = None,
        *,
        own: str | None = None,
        look_seconds: float = LOOK_SECONDS,
    ) -> None:
        self._file = None if path is None else ChangingFile(path, WrongTokens)
        self._fixed = {}
        if bot_token is not None:
            self._fixed[BOT_TOKEN] = Token(scopes=["bot", "operator"], sha256=digest(bot_token))
        self._are_set = bool(self._fixed)
        if own is not None:
            self._fixed[OWN] = Token(scopes=["bot"], sha256=digest(own))
        self._known: Mapping[str, Token] = self._fixed
        self._logged = ""
        self._look_seconds = look_seconds
        self._look_at = 0.0
        self._load()

    @property
    def may_change(self) -> bool:
        """Whether there may be a file."""
        return self._file is not None

    def are_needed(self, *, one_is_given: bool = False) -> bool:
        """Whether callers need a token: one is set, or the file was there since the start.

        Who gives a token knows of one, so the file may have been made just now.
        """
        if not self._are_set:
            if one_is_given:
                self._look_at = 0.0
            self._refresh()
        return self._are_set

    def current(self) -> Mapping[str, Token]:
        """The tokens by name."""
        self._refresh()
        return self._known

    def find(self, given: str) -> tuple[str, Token] | None:
        """The token and its name; the time that this takes says nothing about those of other tokens."""
        of_given = digest(given)
        found = _among(self._fixed, of_given) or _among(self.current(), of_given)
        if found is None:
            self._look_at = 0.0  # it may have been added just now
            found = _among(self.current(), of_given)
        return found

    def _refresh(self) -> None:
        # Each call of a bot comes here. A look at the disk lets another thread run, which costs more than the look.
        now = time.monotonic()
        if now < self._look_at:
            return
        self._look_at = now + self._look_seconds
        try:
            self._load()
        except WrongTokens as error:
            if str(error) != self._logged:
                log.error("the tokens stay as they were: %s", error)  # noqa: TRY400 - the message is complete
            self._logged = str(error)

    def _load(self) -> None:
        if self._file is None:
            return
        if not self._file.path.exists():
            self._known = self._fixed
            return
        self._are_set = True  # also while it is invalid: nobody meant to leave the server open
        text = self._file.changed_text()
        if text is None:
            return
        self._known = {**_of_file(self._file.path, text), **self._fixed}
        self._logged = ""


def digest(token: str) -> str:
    """The digest of a token as the file has it; a token may be anything that a header can bring."""
    return sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def _among(tokens: Mapping[str, Token], of_given: str) -> tuple[str, Token] | None:
    found = None
    for name, token in tokens.items():
        if hmac.compare_digest(token.sha256, of_given):
            found = name, token
    return found


def new_token() -> str:
    """A token that nobody knows yet."""
    return PREFIX + secrets.token_urlsafe(32)


def read_tokens(path: Path) -> dict[str, Token]:
    """The tokens of a file; none if it is not there. Raises ``WrongTokens``."""
    if not path.exists():
        return {}
    return _of_file(path, ChangingFile(path, WrongTokens).changed_text() or "")


def _of_file(path: Path, text: str) -> dict[str, Token]:
    if path.stat().st_mode & _OTHERS_WRITE:
        raise WrongTokens(f"{path} may be changed by others than its owner: chmod 600 {path}")
    tokens = named_tables.parse(text, str(path), Token, WrongTokens)
    if taken := sorted(RESERVED & tokens.keys()):
        raise WrongTokens(f"{path}: [{taken[0]}] is a name that the server uses itself; choose another")
    if len(tokens) > MAX_TOKENS:
        raise WrongTokens(f"{path}: must have at most {MAX_TOKENS} tokens")
    return tokens
