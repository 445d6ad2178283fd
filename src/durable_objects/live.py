"""One object in memory: its instance, its context, and the changes of its calls that are not on disk yet."""

from collections.abc import Callable, Mapping
from typing import Any, Concatenate, Generic, TypeVar

from msgspec import ValidationError

from durable_objects.call_random import CallRandom
from durable_objects.contract import Context, DurableObject, ObjectId, ObjectT, P
from durable_objects.disk import Head, Snapshot
from durable_objects.errors import DataBusy, LimitExceeded, ObjectFailed, Overloaded, Refusal
from durable_objects.idempotency import IdempotencyKeys, fingerprint_of
from durable_objects.limits import MAX_TIME_MS
from durable_objects.meter import Meter
from durable_objects.methods import Method, functions_of, methods_of, reads_of
from durable_objects.storage import LiveStorage

ReceiverT = TypeVar("ReceiverT", bound=DurableObject)

SendCall = Callable[["LiveObject[Any]", ObjectId, Callable[..., object], tuple[Any, ...], dict[str, Any]], None]
"""Adds a call to another object to the running call's changes; see ``contract.Context.send``."""


class LiveObject(Generic[ObjectT]):
    """The one live instance of an id; also the ``Context`` that its object sees.

    ``run`` executes one call to its end and leaves its changes in ``storage.call``, ``alarm_at``, ``published``, ``sent`` and
    ``signals``; ``stage`` adds them to the next commit. ``batch`` is the latest unfinished commit of this object; answers wait
    while it is set. ``on_disk`` is the head as of the last finished commit, ``staged_head`` as of the last call. ``instance``
    is the user's object, None until it is made from storage; ``names`` are its public methods, ``reads`` the names of those
    that change nothing.
    """

    __slots__ = (
        "_clock", "_create", "_meter", "_now", "_send_call", "alarm_at", "batch", "instance", "keys", "methods", "name",
        "names", "object_id", "on_disk", "published", "random", "reads", "sent", "seq", "signals", "staged_head", "stays",
        "storage", "touched", "unsent", "wake_reads",
    )  # fmt: skip

    def __init__(
        self,
        object_id: str,
        name: str,
        *,
        create: Callable[[Context], ObjectT],
        snapshot: Snapshot,
        clock: Callable[[], int],
        new_seed: Callable[[], int],
        meter: Meter,
        send_call: SendCall,
    ) -> None:
        self.object_id = object_id
        self.name = name
        self.storage = LiveStorage(object_id, snapshot, meter)
        self.on_disk = self.staged_head = snapshot.head(object_id)
        self.seq, self.alarm_at = self.on_disk.seq, self.on_disk.alarm_at
        self.published: list[bytes] = []
        self.signals: list[bytes] = []
        self.sent: list[tuple[str, int]] = []
        """The calls that the running call has sent: the receiver's id, and the call's number."""
        self.unsent = 0
        """How many calls earlier calls have sent whose commits have not finished."""
        self._send_call = send_call
        self.batch: Any = None
        self.touched = True
        self.wake_reads = 0
        """How many entries it read to be made."""
        self.stays = 0
        """For how many more turns of ``evict_idle`` it stays in memory without a call."""
        self._meter = meter
        self._clock = clock
        self._create = create
        self._now = clock()
        self.random = CallRandom(new_seed)
        """Randomness of the running call."""
        self.instance: ObjectT | None = None
        self.keys: IdempotencyKeys | None = None
        """None until a call has a key."""
        self.names: Mapping[Callable[..., object], str] = {}
        self.reads: frozenset[str] = frozenset()
        self.methods: Mapping[str, Method] = {}

    def now(self) -> int:
        """Milliseconds since 1970, as of the start of the running call."""
        return self._now

    def set_alarm(self, at: int | None) -> None:
        """Set the alarm; part of the call's changes, unless the alarm has this time already."""
        if at is not None:
            if not isinstance(at, int):
                raise TypeError(f"the alarm is set to {at!r}; a time is a whole number of milliseconds")
            if not 0 <= at <= MAX_TIME_MS:
                raise LimitExceeded(f"the alarm is set to {at}; 0 to {MAX_TIME_MS} are allowed")
        self.alarm_at = at

    def publish(self, event: bytes) -> None:
        """Publish an event, once the call's changes are durable."""
        if not isinstance(event, bytes):
            raise _not_bytes(event)
        self.published.append(event)

    def signal(self, event: bytes) -> None:
        """Send an event that is no change, once everything it may reveal is durable."""
        if not isinstance(event, bytes):
            raise _not_bytes(event)
        self.signals.append(event)

    def send(
        self, to: ObjectId, method: Callable[Concatenate[ReceiverT, P], object], /, *args: P.args, **kwargs: P.kwargs
    ) -> None:
        """Send a call to another object, once the call's changes are durable."""
        self._send_call(self, to, method, args, kwargs)

    @property
    def changed(self) -> bool:
        """Whether the last call left changes that are not staged yet."""
        storage = self.storage
        if storage.call or self.published or storage.runtime.call:
            return True
        return self.alarm_at != self.staged_head.alarm_at

    def load(self) -> None:
        """Make the object from storage; its constructor's writes are committed like a call's."""
        self._now = self._clock()
        self.random.has_seed = False
        reads = self._meter.reads
        try:
            self.instance = self._create(self)
        except BaseException as error:
            self._drop(error, "it cannot be made from its storage")
            raise
        self.wake_reads = self._meter.reads - reads
        cls: Any = type(self.instance)
        self.names, self.reads, self.methods = functions_of(cls), reads_of(cls), methods_of(cls)

    def run(self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], now: int | None = None) -> Any:  # noqa: ANN401 - typed by Stub.call
        """Run one call; raises its ``Refusal``, ``TypeError`` for wrong arguments, or ``ObjectFailed``, its writes dropped."""
        self._now = self._clock() if now is None else now
        self.random.has_seed = False
        try:
            result = getattr(self.instance, method)(*args, **kwargs)
        except Refusal:
            if self.changed:
                self.rebuild()
            self.signals = []
            raise
        except BaseException as error:
            if isinstance(error, TypeError) and _is_of_this_frame(error) and not self.changed:
                raise  # the method does not take these arguments, and has not begun
            self._drop(error, f"{method} failed")
            raise
        if method in self.reads and (self.changed or self.signals):
            self.rebuild()
            raise ObjectFailed(f"{self.object_id}: {method} is marked as a read, but it changed or sent something")
        return result

    def run_once(
        self, method: str, args: tuple[Any, ...], kwargs: dict[str, Any], key: str, fingerprint: bytes | None
    ) -> tuple[Any, bool]:
        """Run one call, or return the first answer to its key; and whether it is that. Raises as ``run`` and for the key."""
        codec = self.methods[method]
        if fingerprint is None:
            fingerprint = fingerprint_of(method, codec.encode_arguments(args, kwargs))
        if self.keys is None:
            self.keys = IdempotencyKeys(self.storage.runtime)
        keys, now = self.keys, self._clock()
        try:
            first = keys.find(key, fingerprint, now)
        except Refusal:
            raise
        except BaseException as error:
            self._drop(error, "the idempotency keys cannot be read")
            raise
        if first is not None:
            return self._kept(codec, first), True
        result = self.run(method, args, kwargs, now)
        try:
            keys.remember(key, fingerprint, codec.encode_result(result))
        except BaseException as error:
            self._drop(error, f"the answer of {method} cannot be kept")
            raise
        return result, False

    def _kept(self, codec: Method, answer: bytes) -> Any:  # noqa: ANN401 - typed by Stub.call
        try:
            return codec.decode_result(answer)
        except ValidationError as error:
            what = "which is of another type, was kept by another version of the program"
            raise ObjectFailed(f"{self.object_id}: the first answer of {codec.name}, {what}: {error}") from error

    def run_alarm(self) -> None:
        """Run ``alarm()`` as a call that also clears the alarm, so that both become durable together."""
        self.alarm_at = None
        self.run("alarm", (), {})

    def stage(self) -> bool:
        """Number the last call's changes as a commit, and add them to the next write; returns whether there are any."""
        storage = self.storage
        # As ``changed``: every call comes here.
        if not (storage.call or self.published or storage.runtime.call) and self.alarm_at == self.staged_head.alarm_at:
            return False
        self.seq += 1
        if self.keys is not None and self.keys.stored_clock != self._now:
            self.keys.store_clock(self._now)
        storage.stage()
        self.staged_head = Head(self.seq, self.alarm_at)
        return True

    def _drop(self, error: BaseException, what: str) -> None:
        """Drop what the running call did, after an unexpected error; raises ``ObjectFailed`` where a caller should get that."""
        self.rebuild()
        if isinstance(error, Exception) and not isinstance(error, DataBusy | Overloaded):
            raise ObjectFailed(f"{self.object_id}: {what}: {error!r}") from error

    def rebuild(self) -> None:
        """Drop the running call's writes, alarm and events, and the instance, whose state may be half changed."""
        self._meter.failures += 1
        self.instance = self.keys = None
        self.storage.drop()
        self.published, self.signals, self.sent = [], [], []
        self.seq, self.alarm_at = self.staged_head.seq, self.staged_head.alarm_at


def _not_bytes(event: object) -> TypeError:
    return TypeError(f"an event is {type(event).__name__}, not bytes")


def _is_of_this_frame(error: BaseException) -> bool:
    """Whether ``error`` was raised where it was caught, and not in a function that was called there."""
    return error.__traceback__ is not None and error.__traceback__.tb_next is None
