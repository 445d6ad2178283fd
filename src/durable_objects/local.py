"""What every runtime inside one process does: find the live instance, run the call, hold the answer at the gate."""

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from random import Random
from typing import Any, Concatenate, Generic, NamedTuple, cast

from durable_objects.alarms import Alarms
from durable_objects.commits import Change, Gate, GroupCommit
from durable_objects.contract import Context, Listener, Namespace, ObjectT, P, R
from durable_objects.errors import LimitExceeded, ObjectFailed, Overloaded, RuntimeClosed
from durable_objects.limits import MAX_NAME_CHARS, MAX_WAITING_CALLS
from durable_objects.live import Disk, LiveObject, utf8_length
from durable_objects.meter import Meter

log = logging.getLogger("durable_objects")

RETRY_MS = 1_000
"""First delay before an alarm that failed, or whose commit failed, is tried again; doubles up to ``MAX_RETRY_MS``."""

MAX_RETRY_MS = 300_000


def _check_name(kind: str, name: str) -> None:
    utf8_length(name)
    if not 1 <= len(name) <= MAX_NAME_CHARS:
        raise LimitExceeded(f"the name of {kind} has {len(name)} characters; 1 to {MAX_NAME_CHARS} are allowed")


class _AlarmFailure(NamedTuple):
    times: int
    retry_at: int


class LocalStub(Generic[ObjectT]):
    """A handle on one object of this process."""

    __slots__ = ("_create", "_name", "_object_id", "_runtime")

    def __init__(self, runtime: "LocalRuntime", object_id: str, name: str, create: Callable[[Context], ObjectT]) -> None:
        self._runtime = runtime
        self._object_id = object_id
        self._name = name
        self._create = create

    async def call(self, method: Callable[Concatenate[ObjectT, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        """See ``contract.Stub``. With nothing uncommitted this is a plain call: it never suspends."""
        runtime = self._runtime
        live = runtime.find(self._object_id) or runtime.wake(self._object_id, self._name, self._create)
        runtime.meter.calls += 1
        try:
            result = live.run(method.__name__, args, kwargs)
        finally:
            # A refusal, too, may tell of changes that are not durable yet: it waits at the same gate.
            runtime.commits.take(live)
            if live.batch is not None:
                await runtime.commits.settled(live)
        return cast("R", result)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """See ``contract.Stub``."""
        return self._runtime.subscribe(self._object_id, listener)


class LocalNamespace(Generic[ObjectT]):
    """All objects of one class in this process's runtime."""

    def __init__(self, runtime: "LocalRuntime", name: str, create: Callable[[Context], ObjectT]) -> None:
        self._runtime = runtime
        self._name = name
        self.create = create

    def get(self, name: str) -> LocalStub[ObjectT]:
        """A handle on the object called ``name``; nothing happens before its first call."""
        _check_name("an object", name)
        return LocalStub(self._runtime, f"{self._name}/{name}", name, self.create)


class LocalRuntime(ABC):
    """The common part of the embedded and the simulated runtime; they differ in clock, disk and what waits."""

    def __init__(self, disk: Disk) -> None:
        self.meter = Meter()
        self._disk = disk
        self._namespaces: dict[str, LocalNamespace[Any]] = {}
        self._running = False
        self._begin()

    def _begin(self) -> None:
        """Start with nothing in memory."""
        self.commits = GroupCommit(
            meter=self.meter,
            new_gate=self._new_gate,
            depart=self._depart,
            write=self._write,
            landed=self._landed,
            broken=self._broken,
            deliver=self._deliver,
        )
        self._alarms = Alarms()
        self._alarm_failures: dict[str, _AlarmFailure] = {}
        self._live: dict[str, LiveObject[Any]] = {}
        self._listeners: dict[str, dict[object, Listener]] = {}

    @abstractmethod
    def _clock(self) -> int:
        """Milliseconds since 1970."""

    @abstractmethod
    def _seed(self) -> Random:
        """The randomness of an object that wakes."""

    @abstractmethod
    def _new_gate(self) -> Gate:
        """Something that calls can wait on."""

    @abstractmethod
    def _depart(self) -> None:
        """Have ``commits.start()`` called soon."""

    @abstractmethod
    def _write(self, changes: list[Change]) -> None:
        """Begin to make ``changes`` durable; ``commits.finish()`` tells the end."""

    @abstractmethod
    def _rearm(self) -> None:
        """Have ``fire_due()`` called when the earliest alarm is due."""

    def namespace(self, name: str, create: Callable[[Context], ObjectT]) -> Namespace[ObjectT]:
        """See ``contract.Runtime``. Declare every class before the runtime starts, so that overdue alarms find theirs."""
        _check_name("a namespace", name)
        if "/" in name:
            raise LimitExceeded(f"the name of a namespace is {name!r}; a slash is not allowed")
        self._namespaces[name] = namespace = LocalNamespace(self, name, create)
        return namespace

    def _set_alarms(self, alarms: Iterable[tuple[str, int]]) -> None:
        """Take over the alarms that were durable when this process started; overdue ones fire at once."""
        for object_id, at in alarms:
            self._alarms.set(object_id, at)
        self._rearm()

    def find(self, object_id: str) -> LiveObject[Any] | None:
        """The live instance, ready to take a call; None when it must be woken first."""
        live = self._live.get(object_id)
        if live is None or live.asleep or not self._running or self.commits.waiting_calls >= MAX_WAITING_CALLS:
            return None
        live.used = True
        return live

    def wake(self, object_id: str, name: str, create: Callable[[Context], ObjectT]) -> LiveObject[ObjectT]:
        """The live instance, made from storage where needed.

        Raises ``RuntimeClosed``, ``Overloaded``, or ``ObjectFailed`` when its constructor raises.
        """
        if not self._running:
            raise RuntimeClosed("the runtime is not running")
        if self.commits.waiting_calls >= MAX_WAITING_CALLS:
            raise Overloaded(f"{MAX_WAITING_CALLS} calls wait for the disk already")
        live = self._live.get(object_id)
        if live is None:
            try:
                live = LiveObject(
                    object_id,
                    name,
                    create=create,
                    disk=self._disk,
                    clock=self._clock,
                    random=self._seed(),
                    meter=self.meter,
                )
            except Exception as error:
                raise ObjectFailed(f"{object_id} could not be read from its storage: {error!r}") from error
            self._live[object_id] = live
        if live.asleep:
            self.meter.wakes += 1
            live.wake()
            self.commits.take(live)
        return live

    def subscribe(self, object_id: str, listener: Listener) -> Callable[[], None]:
        """Add a listener; the returned function removes it, once or more often."""
        listeners = self._listeners.setdefault(object_id, {})
        subscription = object()
        listeners[subscription] = listener

        def unsubscribe() -> None:
            listeners.pop(subscription, None)
            if not listeners and self._listeners.get(object_id) is listeners:
                del self._listeners[object_id]

        return unsubscribe

    def fire_due(self) -> None:
        """Call ``alarm()`` of every object whose alarm is due; one that fails is tried again later."""
        now = self._clock()
        for object_id in self._alarms.pop_due(now):
            try:
                self._fire(object_id)
            except Exception as error:  # noqa: BLE001 - whatever it is, the alarm must not be lost
                times = self._alarm_failures[object_id].times + 1 if object_id in self._alarm_failures else 1
                delay = min(RETRY_MS << min(times - 1, 16), MAX_RETRY_MS)
                log.warning("the alarm of %s failed, %d in a row, next try in %d ms: %s", object_id, times, delay, error)
                self._alarm_failures[object_id] = _AlarmFailure(times, now + delay)
                self._arm(object_id, now + delay)
        self._rearm()

    def _fire(self, object_id: str) -> None:
        namespace_name, _, name = object_id.partition("/")
        namespace = self._namespaces.get(namespace_name)
        if namespace is None:
            raise ObjectFailed(f"no class is declared for the namespace {namespace_name!r}")
        live = self.find(object_id) or self.wake(object_id, name, namespace.create)
        if live.alarm_at is None or live.alarm_at > self._clock():
            # A call whose commit has yet to land has cleared or moved it; that commit sets the alarm anew, or its failure does.
            # (Or the clock has just stepped back, and it is not due any more.)
            self._arm_if_settled(live)
            return
        self.meter.alarms += 1
        live.run_alarm()
        self._alarm_failures.pop(object_id, None)
        self.commits.take(live)
        # An alarm that set itself again, and nothing else, has changed nothing that a commit would tell of.
        self._arm_if_settled(live)

    def _arm_if_settled(self, live: LiveObject[Any]) -> None:
        if live.batch is None:
            self._arm(live.object_id, live.alarm_at)

    def _arm(self, object_id: str, at: int | None) -> None:
        """Set the alarm in memory, no sooner than the next try of one that has failed."""
        if at is None:
            self._alarm_failures.pop(object_id, None)
        elif failure := self._alarm_failures.get(object_id):
            at = max(at, failure.retry_at)
        self._alarms.set(object_id, at)

    def evict_idle(self) -> int:
        """Drop the objects not called since the last time this was called; returns how many."""
        idle = [live for live in self._live.values() if not live.used and live.batch is None]
        for live in idle:
            del self._live[live.object_id]
        for live in self._live.values():
            live.used = False
        self.meter.evictions += len(idle)
        return len(idle)

    @property
    def live_objects(self) -> int:
        """How many objects are in memory."""
        return len(self._live)

    def _landed(self, live: LiveObject[Any]) -> None:
        self._arm(live.object_id, live.on_disk.alarm_at)
        self._rearm()

    def _broken(self, live: LiveObject[Any]) -> None:
        self.meter.failures += 1
        self._live.pop(live.object_id, None)
        if live.on_disk.alarm_at is not None:
            self._arm(live.object_id, max(live.on_disk.alarm_at, self._clock() + RETRY_MS))
            self._rearm()

    def _deliver(self, object_id: str, event: bytes) -> None:
        for listener in tuple(self._listeners.get(object_id, {}).values()):
            try:
                listener(event)
            except Exception:
                log.exception("a listener of %s failed", object_id)
