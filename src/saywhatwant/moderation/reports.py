"""Reports: what visitors say of messages. Who says it is kept as a keyed hash of the address, which nobody reads."""

from collections.abc import Iterator
from functools import cached_property

import msgspec
from msgspec import Struct

from durable_objects import Storage
from saywhatwant.errors import ReportsFull
from saywhatwant.limits import MAX_REPORTED, MAX_REPORTS_DROPPED, MAX_REPORTS_OF_ONE, REPORT_SECONDS

_REPORTS = "report/"
_ORDER = "reported/"
_COUNT = "reports"
_KEY = "reports-key"


class Reported(Struct, frozen=True, kw_only=True):
    """The reports of one message. Times are milliseconds since 1970."""

    message_id: str
    first_at: int
    last_at: int
    clients: list[str]
    """A keyed hash of the address of each who has reported it."""
    reasons: list[str]
    """Of those who gave one, in the order in which they came."""


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Reported).decode


class Reports:
    """Those of one ``Moderation``."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage

    def __len__(self) -> int:
        """How many messages have reports."""
        return self._count

    @cached_property
    def _count(self) -> int:
        return int(self._storage.get(_COUNT) or 0)

    def key(self, offered: str) -> str:
        """The key of the hashes: ``offered`` if there is none yet."""
        stored = self._storage.get(_KEY)
        if stored is None:
            stored = offered.encode()
            self._storage.put(_KEY, stored)
        return stored.decode()

    def oldest(self, limit: int, now: int) -> Iterator[Reported]:
        """Those of up to ``limit`` messages, the one that was reported first first."""
        for key, _ in self._storage.list(_ORDER, after=_after(_too_old(now)), limit=limit):
            reported = self._get(key.rpartition("/")[2])
            assert reported is not None  # noqa: S101 - both are put and deleted together
            yield reported

    def add(self, message_id: str, client: str, reason: str, now: int) -> bool:
        """Keep a report; False if this client has reported the message before. Raises ``ReportsFull``."""
        known = self._get(message_id)
        if known is not None and known.first_at <= _too_old(now):
            self.drop(message_id)
            known = None
        if known is None:
            self.drop_old(now)
            if self._count >= MAX_REPORTED:
                raise ReportsFull(f"{MAX_REPORTED} messages are reported already; the operator has to look at those first")
            known = Reported(message_id=message_id, first_at=now, last_at=now, clients=[], reasons=[])
            self._storage.put(_order(now, message_id), b"")
            self._change_count(1)
        elif client in known.clients:
            return False
        elif len(known.clients) >= MAX_REPORTS_OF_ONE:
            raise ReportsFull(f"this message is reported {MAX_REPORTS_OF_ONE} times already")
        reasons = [*known.reasons, reason] if reason else known.reasons
        changed = msgspec.structs.replace(known, last_at=now, clients=[*known.clients, client], reasons=reasons)
        self._storage.put(_REPORTS + message_id, _encode(changed))
        return True

    def drop(self, message_id: str) -> bool:
        """The reports of a message are done with; False if it has none."""
        known = self._get(message_id)
        if known is None:
            return False
        self._storage.delete(_REPORTS + message_id)
        self._storage.delete(_order(known.first_at, message_id))
        self._change_count(-1)
        return True

    def drop_old(self, now: int) -> None:
        """Drop what is too old, of up to ``MAX_REPORTS_DROPPED`` messages."""
        limit = _too_old(now)
        for at, message_id in map(_parts, self._storage.list(_ORDER, limit=MAX_REPORTS_DROPPED)):
            if at <= limit:
                self.drop(message_id)

    def end_at(self) -> int | None:
        """When the reports that are dropped next are too old."""
        first = self._storage.list(_ORDER, limit=1)
        return _parts(first[0])[0] + REPORT_SECONDS * 1_000 if first else None

    def _get(self, message_id: str) -> Reported | None:
        stored = self._storage.get(_REPORTS + message_id)
        return None if stored is None else _decode(stored)

    def _change_count(self, change: int) -> None:
        self._count += change
        self._storage.put(_COUNT, b"%d" % self._count)


def _too_old(now: int) -> int:
    return max(now - REPORT_SECONDS * 1_000, 0)


def _after(at: int) -> str:
    """A key after those of this time and before all later ones."""
    return f"{_ORDER}{at:015d}0"  # "0" comes after "/"


def _parts(row: tuple[str, bytes]) -> tuple[int, str]:
    at, _, message_id = row[0].removeprefix(_ORDER).partition("/")
    return int(at), message_id


def _order(first_at: int, message_id: str) -> str:
    return f"{_ORDER}{first_at:015d}/{message_id}"
