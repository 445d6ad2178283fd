"""One object in memory: its instance, its context, and its writes that are not on disk yet."""

from collections.abc import Callable, Sequence
from random import Random
from typing import Any, Generic, NamedTuple, Protocol

from durable_objects.contract import Context, ObjectT
from durable_objects.errors import LimitExceeded, ObjectFailed, Refusal
from durable_objects.limits import MAX_CALL_WRITES, MAX_KEY_BYTES, MAX_LIST_PAGE, MAX_TIME_MS, MAX_VALUE_BYTES
from durable_objects.meter import Meter

Writes = dict[str, bytes | None]
"""Keys with their new value; ``None`` is a delete."""


class Head(NamedTuple):
    """What a runtime keeps of an object beside its entries: its last commit and its alarm."""

    seq: int = 0
    alarm_at: int | None = None


class Disk(Protocol):
    """What is durable, as an object reads it when it wakes."""

    def head(self, object_id: str) -> Head: ...
    def get(self, object_id: str, key: str) -> bytes | None: ...
    def list(self, object_id: str, prefix: str, after: str, limit: int) -> Sequence[tuple[str, bytes]]: ...


class LiveStorage:
    """Storage as the running call sees it: the disk, overlaid by three layers of writes that are not on it yet."""

    __slots__ = ("_disk", "_meter", "_object_id", "call", "flying", "waiting")

    def __init__(self, object_id: str, disk: Disk, meter: Meter) -> None:
        self._object_id = object_id
        self._disk = disk
        self._meter = meter
        self.call: Writes = {}
        self.waiting: Writes = {}
        self.flying: Writes = {}

    def get(self, key: str) -> bytes | None:
        """The value under ``key``, or None."""
        self._meter.reads += 1
        for layer in (self.call, self.waiting, self.flying):
            if key in layer:
                return layer[key]
        return self._disk.get(self._object_id, key)

    def put(self, key: str, value: bytes) -> None:
        """Set ``key`` to ``value``; ``LimitExceeded`` beyond the bounds of ``limits``."""
        if not isinstance(value, bytes):
            raise TypeError(f"the value of {key!r} is {type(value).__name__}, not bytes")
        if len(value) > MAX_VALUE_BYTES:
            raise LimitExceeded(f"the value of {key!r} has {len(value)} bytes; at most {MAX_VALUE_BYTES} are allowed")
        self._meter.writes += 1
        self._change(key, value)

    def delete(self, key: str) -> None:
        """Remove ``key`` if it is there."""
        self._meter.deletes += 1
        self._change(key, None)

    def list(self, prefix: str = "", *, after: str = "", limit: int = MAX_LIST_PAGE) -> Sequence[tuple[str, bytes]]:
        """Up to ``limit`` entries in key order, with ``prefix``, behind ``after``."""
        if not 1 <= limit <= MAX_LIST_PAGE:
            raise LimitExceeded(f"limit is {limit}; 1 to {MAX_LIST_PAGE} are allowed")
        overlay = {
            key: value
            for layer in (self.flying, self.waiting, self.call)
            for key, value in layer.items()
            if key > after and key.startswith(prefix)
        }
        # Each overlaid key can hide one entry of the disk, so the page is read that much longer.
        entries = self._disk.list(self._object_id, prefix, after, limit + len(overlay))
        self._meter.reads += len(entries)
        if not overlay:
            return entries
        merged = {**dict(entries), **overlay}
        return [(key, value) for key in sorted(merged) if (value := merged[key]) is not None][:limit]

    def _change(self, key: str, value: bytes | None) -> None:
        if not 1 <= utf8_length(key) <= MAX_KEY_BYTES:
            raise LimitExceeded(f"a key has {utf8_length(key)} bytes; 1 to {MAX_KEY_BYTES} are allowed")
        if len(self.call) >= MAX_CALL_WRITES and key not in self.call:
            raise LimitExceeded(f"one call writes more than {MAX_CALL_WRITES} keys")
        self.call[key] = value


def utf8_length(text: str) -> int:
    """Bytes of ``text`` in UTF-8; raises ``LimitExceeded`` for half a surrogate pair, which has no such form."""
    if text.isascii():
        return len(text)
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise LimitExceeded(f"{text!r} can not be written in UTF-8") from None


class LiveObject(Generic[ObjectT]):
    """The one live instance of an id; also the ``Context`` that its object sees.

    ``run`` executes one call to its end and leaves what it changed in ``storage.call``, ``events`` and ``changed``, for the
    group commit to take. ``batch`` is the youngest commit that this object still waits for: while it is set, the gate is shut.
    """

    __slots__ = (
        "_clock", "_create", "_meter", "_now", "_object", "alarm_at", "batch", "before", "events", "name", "object_id",
        "on_disk", "random", "seq", "storage", "used",
    )  # fmt: skip

    def __init__(
        self,
        object_id: str,
        name: str,
        *,
        create: Callable[[Context], ObjectT],
        disk: Disk,
        clock: Callable[[], int],
        random: Random,
        meter: Meter,
    ) -> None:
        self.object_id = object_id
        self.name = name
        self.random = random
        self.storage = LiveStorage(object_id, disk, meter)
        self.on_disk = self.before = disk.head(object_id)
        self.seq, self.alarm_at = self.on_disk
        self.events: list[bytes] = []
        self.batch: object | None = None
        self.used = True
        self._meter = meter
        self._clock = clock
        self._create = create
        self._now = clock()
        self._object: ObjectT | None = None

    def now(self) -> int:
        """Milliseconds since 1970, as of the start of the running call."""
        return self._now

    def set_alarm(self, at: int | None) -> None:
        """Part of this call's changes; nothing to do when it is set so already."""
        if at is not None and not 0 <= at <= MAX_TIME_MS:
            raise LimitExceeded(f"an alarm is to be at {at}; 0 to {MAX_TIME_MS} are allowed")
        self.alarm_at = at

    def publish(self, event: bytes) -> None:
        """Held until the call's changes are durable."""
        self.events.append(event)

    @property
    def asleep(self) -> bool:
        """Whether the object must be made from storage before it can take a call."""
        return self._object is None

    @property
    def changed(self) -> bool:
        """Whether the last call left changes that the group commit has not taken yet."""
        return bool(self.storage.call) or self.alarm_at != self.before.alarm_at

    def wake(self) -> None:
        """Make the object from storage; what its constructor writes is committed like a call's."""
        self._now = self._clock()
        try:
            self._object = self._create(self)
        except Exception as error:
            self.rebuild()
            raise ObjectFailed(f"{self.object_id} could not be made from its storage: {error!r}") from error

    def run(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:  # noqa: ANN401 - typed by Stub.call
        """Run one call; raises its ``Refusal``, or ``ObjectFailed`` with its writes dropped."""
        self._now = self._clock()
        try:
            return getattr(self._object, method)(*args, **kwargs)
        except Refusal:
            if self.changed:
                self.rebuild()
            self.events = []
            raise
        except Exception as error:
            self.rebuild()
            raise ObjectFailed(f"{self.object_id}: {method} failed: {error!r}") from error
        except BaseException:
            self.rebuild()
            raise

    def run_alarm(self) -> None:
        """Run ``alarm()`` as a call that also clears the alarm, so that both become durable together."""
        self.alarm_at = None
        self.run("alarm", (), {})

    def seal(self) -> None:
        """Turn the last call's changes into a commit of their own number, waiting to be written."""
        self.seq += 1
        self.storage.waiting.update(self.storage.call)
        self.storage.call = {}
        self.before = Head(self.seq, self.alarm_at)

    def rebuild(self) -> None:
        """Forget the running call: its writes, alarm and events, and the memory it may have left half changed."""
        self._meter.failures += 1
        self._object = None
        self.storage.call = {}
        self.events = []
        self.seq, self.alarm_at = self.before
