"""The audit log: what operators have done. A ring: beyond ``MAX_AUDIT`` the oldest entry makes room for the next one."""

from functools import cached_property

import msgspec
from msgspec import Struct

from durable_objects import Storage
from saywhatwant.limits import MAX_AUDIT

_ENTRIES = "audit/"
_LAST = "audited"


class AuditEntry(Struct, frozen=True, kw_only=True, rename="camel"):
    """Something that an operator has done."""

    number: int
    """1 for the first entry ever; each has one more than the one before."""
    at: int
    """Milliseconds since 1970."""
    by: str
    """The operator: the name of a token, or ``local`` where none is set."""
    action: str
    about: str
    """The person, the phrase, or the ids of the messages that it was done to."""
    reason: str


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(AuditEntry).decode


class AuditLog:
    """That of one ``Moderation``."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    @cached_property
    def _last(self) -> int:
        """The number of the last entry."""
        return int(self._storage.get(_LAST) or 0)

    def add(self, by: str, action: str, about: str, reason: str, now: int) -> None:
        """Write an entry."""
        self._last += 1
        entry = AuditEntry(number=self._last, at=now, by=by, action=action, about=about, reason=reason)
        self._storage.put(_key(self._last), _encode(entry))
        self._storage.put(_LAST, b"%d" % self._last)
        if self._last > MAX_AUDIT:
            self._storage.delete(_key(self._last - MAX_AUDIT))

    def newest(self, limit: int, before: int | None = None) -> list[AuditEntry]:
        """Up to ``limit`` entries with numbers below ``before``, newest first."""
        end = self._last + 1 if before is None else min(before, self._last + 1)
        start = max(end - limit, self._last - MAX_AUDIT + 1, 1)
        if start >= end:
            return []
        stored = self._storage.list(_ENTRIES, after=_key(start - 1), limit=end - start)
        return [_decode(value) for _, value in reversed(stored)]


def _key(number: int) -> str:
    return f"{_ENTRIES}{number:015d}"
