"""An object's storage: what is durable, under the writes that are not on disk yet.

Keys that begin with U+0001 are the runtime's own rows: idempotency keys, and calls to other objects. They are part of the same
commits, and the object sees none of them.
"""

from collections.abc import Iterable, Sequence
from typing import Final

from durable_objects.disk import Snapshot, Writes
from durable_objects.errors import LimitExceeded
from durable_objects.limits import MAX_CALL_WRITES, MAX_KEY_BYTES, MAX_LIST_PAGE, MAX_VALUE_BYTES
from durable_objects.meter import Meter

RUNTIME_PREFIX = "\x01"
"""The first character of the runtime's own keys."""
OUTBOX: Final = f"{RUNTIME_PREFIX}out/"
"""What the keys of calls begin with that were sent to other objects and may not be taken yet."""
_AFTER_RUNTIME = RUNTIME_PREFIX + "\U0010ffff" * (MAX_KEY_BYTES // 4)
"""Greater than every key of the runtime, less than every later one."""


class LiveStorage:
    """Storage as the running call sees it: the durable data under three layers of writes that are not durable yet.

    ``in_flight`` is being committed, ``pending`` goes into the next commit, ``call`` belongs to the running call. ``runtime``
    has the runtime's own rows.
    """

    __slots__ = ("_meter", "_object_id", "_snapshot", "call", "in_flight", "pending", "runtime")

    def __init__(self, object_id: str, snapshot: Snapshot, meter: Meter) -> None:
        self._object_id = object_id
        self._snapshot = snapshot
        self._meter = meter
        self.call: Writes = {}
        self.pending: Writes = {}
        self.in_flight: Writes = {}
        self.runtime = RuntimeRows(object_id, snapshot, meter, self)

    def get(self, key: str) -> bytes | None:
        """The value under ``key``, or None."""
        if RUNTIME_PREFIX <= key < "\x02":
            raise _not_yours(key)
        self._meter.reads += 1
        for layer in (self.call, self.pending, self.in_flight):
            if key in layer:
                return layer[key]
        return self._snapshot.get(self._object_id, key)

    def put(self, key: str, value: bytes) -> None:
        """Set ``key`` to ``value``; ``LimitExceeded`` beyond the bounds of ``limits``."""
        if not isinstance(value, bytes):
            raise TypeError(f"the value of {key!r} is {type(value).__name__}, not bytes")
        if len(value) > MAX_VALUE_BYTES:
            raise LimitExceeded(f"the value of {key!r} has {len(value)} bytes; at most {MAX_VALUE_BYTES} are allowed")
        if not (key >= "\x02" and key.isascii() and len(key) <= MAX_KEY_BYTES and len(self.call) < MAX_CALL_WRITES):
            self._check(key)
        self._meter.writes += 1
        self.call[key] = value

    def delete(self, key: str) -> None:
        """Remove ``key`` if it is there."""
        if not (key >= "\x02" and key.isascii() and len(key) <= MAX_KEY_BYTES and len(self.call) < MAX_CALL_WRITES):
            self._check(key)
        self._meter.deletes += 1
        self.call[key] = None

    def list(self, prefix: str = "", *, after: str = "", limit: int = MAX_LIST_PAGE) -> Sequence[tuple[str, bytes]]:
        """Up to ``limit`` entries in key order whose key starts with ``prefix`` and is greater than ``after``."""
        if not 1 <= limit <= MAX_LIST_PAGE:
            raise LimitExceeded(f"limit is {limit}; 1 to {MAX_LIST_PAGE} are allowed")
        if prefix:
            return [] if prefix[0] == RUNTIME_PREFIX else self._list(prefix, after, limit)
        before = self._list("\x00", after, limit) if after < RUNTIME_PREFIX else ()
        if len(before) == limit:
            return before
        return [*before, *self._list("", max(after, _AFTER_RUNTIME), limit - len(before))]

    def stage(self) -> None:
        """The call is over: its writes, and the runtime's beside it, go into the next commit."""
        if self.pending:
            self.pending.update(self.call)
        else:
            self.pending = self.call
        self.call = {}
        if self.runtime.call:
            self.pending.update(self.runtime.call)
            self.runtime.call = {}

    def drop(self) -> None:
        """Forget the call's writes, and the runtime's beside it."""
        self.call = {}
        self.runtime.call = {}

    def _list(self, prefix: str, after: str, limit: int) -> Sequence[tuple[str, bytes]]:
        layers = (self.in_flight, self.pending, self.call)
        return _entries(self._snapshot, self._object_id, self._meter, layers, prefix, after, limit)

    def _check(self, key: str) -> None:
        """Raise ``LimitExceeded`` for a key that may not be written; not called for those that obviously may."""
        if "\x02" > key >= RUNTIME_PREFIX:
            raise _not_yours(key)
        size = utf8_length(key)
        if not 1 <= size <= MAX_KEY_BYTES:
            raise LimitExceeded(f"a key has {size} bytes; 1 to {MAX_KEY_BYTES} are allowed")
        if len(self.call) >= MAX_CALL_WRITES and key not in self.call:
            raise LimitExceeded(f"one call writes more than {MAX_CALL_WRITES} keys")


class RuntimeRows:
    """The runtime's own rows of one object, as a ``Storage`` whose keys all begin with ``RUNTIME_PREFIX``.

    They are written between the calls of the object, or during one; they do not count for ``MAX_CALL_WRITES``.
    """

    __slots__ = ("_beside", "_meter", "_object_id", "_snapshot", "call")

    def __init__(self, object_id: str, snapshot: Snapshot, meter: Meter, beside: LiveStorage) -> None:
        self._object_id = object_id
        self._snapshot = snapshot
        self._meter = meter
        self._beside = beside
        self.call: Writes = {}

    def get(self, key: str) -> bytes | None:
        """The value under ``key``, or None."""
        self._meter.reads += 1
        beside = self._beside
        for layer in (self.call, beside.pending, beside.in_flight):
            if key in layer:
                return layer[key]
        return self._snapshot.get(self._object_id, key)

    def put(self, key: str, value: bytes) -> None:
        """Set ``key`` to ``value``; ``LimitExceeded`` for a value beyond its bound."""
        if len(value) > MAX_VALUE_BYTES:
            raise LimitExceeded(f"{len(value)} bytes are too many; at most {MAX_VALUE_BYTES} are allowed")
        self._meter.writes += 1
        self.call[key] = value

    def delete(self, key: str) -> None:
        """Remove ``key`` if it is there."""
        self._meter.deletes += 1
        self.call[key] = None

    def list(self, prefix: str = RUNTIME_PREFIX, *, after: str = "", limit: int = MAX_LIST_PAGE) -> Sequence[tuple[str, bytes]]:
        """Up to ``limit`` entries in key order whose key starts with ``prefix`` and is greater than ``after``."""
        layers = (self._beside.in_flight, self._beside.pending, self.call)
        return _entries(self._snapshot, self._object_id, self._meter, layers, prefix, after, limit)


def _entries(
    snapshot: Snapshot, object_id: str, meter: Meter, layers: Iterable[Writes], prefix: str, after: str, limit: int
) -> Sequence[tuple[str, bytes]]:
    """The durable entries of ``Snapshot.list`` under ``layers``, the later ones above the earlier."""
    overlay = {key: value for layer in layers for key, value in layer.items() if key > after and key.startswith(prefix)}
    # Each overlaid key can hide one durable entry, so read one more for each.
    entries = snapshot.list(object_id, prefix, after, limit + len(overlay))
    meter.reads += len(entries)
    if not overlay:
        return entries
    merged = {**dict(entries), **overlay}
    return [(key, value) for key in sorted(merged) if (value := merged[key]) is not None][:limit]


def _not_yours(key: str) -> LimitExceeded:
    return LimitExceeded(f"the key {key!r} begins with U+0001; those keys are the runtime's")


def utf8_length(text: str) -> int:
    """Bytes of ``text`` in UTF-8; raises ``LimitExceeded`` for half a surrogate pair, which UTF-8 cannot encode."""
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise LimitExceeded(f"{text!r} cannot be written in UTF-8") from None
