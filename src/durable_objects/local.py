"""Common to every runtime in one process: find the live instance, run the call, wait until everything it saw is durable."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from durable_objects.alarms import Alarms
from durable_objects.commits import CommitLoop, Loop
from durable_objects.config import check_declared, config_for
from durable_objects.contract import Context, EventStream, Namespace, ObjectT, Replay
from durable_objects.disk import Disk
from durable_objects.errors import (
    CommitFailed,
    DataBusy,
    DurableObjectError,
    ObjectFailed,
    Overloaded,
    RuntimeClosed,
)
from durable_objects.event_streams import Listeners, QueuedEventStream
from durable_objects.inbox import take
from durable_objects.limits import MAX_ALARMS_PER_TURN, MAX_LIVE_OBJECTS, MAX_WAITING_CALLS, READS_PER_TURN
from durable_objects.live import LiveObject
from durable_objects.local_stub import LocalNamespace
from durable_objects.meter import Meter
from durable_objects.names import check_namespace
from durable_objects.outbox import Outboxes, SentCall

if TYPE_CHECKING:
    from msgspec import Struct

log = logging.getLogger("durable_objects")


class LocalRuntime(ABC):
    """The base of a runtime whose objects live in this process: over a disk, with a clock and an event loop of its own.

    A subclass calls ``_start`` when its disk is open, calls ``run_due`` in time (see ``ms_until_due`` and ``_rearm``), calls
    ``evict_idle`` now and then, and ends with ``listeners.end``, ``_outboxes.close`` and ``commits.drain``.

    Args:
        disk: where commits go.
        clock: milliseconds since 1970; may step.
        new_seed: a new seed of 64 bits, for each call that asks for randomness.
        meter: where the disk counts its rows; by default a new one.
    """

    def __init__(
        self, disk: Disk, *, clock: Callable[[], int], new_seed: Callable[[], int], meter: Meter | None = None
    ) -> None:
        self.meter = Meter() if meter is None else meter
        self._disk = disk
        self._clock = clock
        self._new_seed = new_seed
        self._namespaces: dict[str, LocalNamespace[Any]] = {}
        self.listeners = Listeners()
        self._live: OrderedDict[str, LiveObject[Any]] = OrderedDict()
        """The objects in memory, ordered by their last call."""
        self._alarms = Alarms()
        self._running = False
        self.commits: CommitLoop
        self._outboxes: Outboxes

    def _start(self, loop: Loop) -> None:
        """Start with nothing in memory except the durable alarms; overdue ones run at once."""
        self._loop = loop
        self._outboxes = Outboxes(
            self._disk,
            meter=self.meter,
            class_of=lambda name: self._declared(name).cls,
            deliver=self._deliver,
            touch=lambda object_id: self.commits.touch(self._held(object_id)),
            spawn=self._spawn,
            steady_ms=loop.steady_ms,
            new_waiter=self.create_waiter,
        )
        self.commits = CommitLoop(
            self._disk,
            loop,
            meter=self.meter,
            on_committed=self._on_committed,
            on_lost=self._on_lost,
            publish=self.listeners.publish,
            on_sent=self._outboxes.committed,
            removals=self._outboxes.removals,
        )
        self._outboxes.open(self._disk.senders())
        self.listeners.begin()
        self._live.clear()
        self._alarms = Alarms()
        for object_id, at in self._disk.alarms():
            self._alarms.set(object_id, at)
        self._running = True

    @abstractmethod
    def _spawn(self, job: Coroutine[Any, Any, None]) -> None:
        """Run ``job`` beside everything else, to its end or until the runtime stops."""

    @abstractmethod
    def _rearm(self, at: int) -> None:
        """Called when a commit has moved an object's alarm to ``at``; the runtime should call ``run_due`` at that time."""

    def namespace(self, name: str, cls: type[ObjectT], config: "Struct | None" = None) -> Namespace[ObjectT]:
        """See ``contract.Runtime``. Declare every class before the runtime starts, since overdue alarms run at once."""
        check_namespace(name)
        config = config_for(cls, config)
        namespace = self._namespaces.setdefault(name, LocalNamespace(self, name, cls, config))
        check_declared(name, (namespace.cls, namespace.config), (cls, config))
        return namespace

    def find(self, object_id: str) -> LiveObject[Any] | None:
        """The live instance, ready for a call; None when ``load`` must make it or refuse the call."""
        live = self._live.get(object_id)
        if live is None or live.instance is None or not self._running or self.commits.overloaded:
            return None
        live.touched = True
        self._live.move_to_end(object_id)
        return live

    def load(self, object_id: str, name: str, create: Callable[[Context], ObjectT]) -> LiveObject[ObjectT]:
        """The live instance, made from storage if needed.

        Raises ``RuntimeClosed``, ``Overloaded``, ``DataBusy``, or ``ObjectFailed`` when its constructor raises.
        """
        if not self._running:
            raise RuntimeClosed("the runtime is not running")
        if self.commits.waiting_calls >= MAX_WAITING_CALLS:
            raise Overloaded(f"{MAX_WAITING_CALLS} calls already wait for the disk")
        live = self._live.get(object_id) or self._read(object_id, name, create)
        if self.commits.stalled and live.batch is not None:
            raise Overloaded(f"{object_id} has changes that are not durable yet: {self.commits.error}")
        live.touched = True
        self._live.move_to_end(object_id)
        if live.instance is None:
            self.meter.wakes += 1
            live.load()
            self.commits.add(live)
        return live

    def _read(self, object_id: str, name: str, create: Callable[[Context], ObjectT]) -> LiveObject[ObjectT]:
        """Hold an object in memory, whose instance is not made yet."""
        self._make_room()
        try:
            live = self._live[object_id] = LiveObject(
                object_id,
                name,
                create=create,
                snapshot=self._disk,
                clock=self._clock,
                new_seed=self._new_seed,
                meter=self.meter,
                send_call=self._outboxes.add,
            )
        except DataBusy:
            raise
        except Exception as error:
            raise ObjectFailed(f"{object_id} could not be read from its storage: {error!r}") from error
        return live

    def _declared(self, name: str) -> LocalNamespace[Any]:
        namespace = self._namespaces.get(name)
        if namespace is None:
            raise ObjectFailed(f"no class is declared for the namespace {name!r}")
        return namespace

    def _held(self, object_id: str) -> LiveObject[Any]:
        """The object in memory, perhaps without its instance; its class need not be declared."""
        live = self._live.get(object_id)
        if live is not None:
            return live
        namespace, _, name = object_id.partition("/")
        return self._read(object_id, name, lambda ctx: self._declared(namespace).create(ctx))

    def _ready(self, object_id: str) -> LiveObject[Any]:
        """The live instance, ready for a call."""
        found = self.find(object_id)
        if found is not None:
            return found
        namespace, _, name = object_id.partition("/")
        return self.load(object_id, name, self._declared(namespace).create)

    def _make_room(self) -> None:
        """Make room for one more object: at the bound, drop the least recently called one."""
        if len(self._live) < MAX_LIVE_OBJECTS:
            return
        for object_id, live in self._live.items():
            if live.batch is None:
                del self._live[object_id]
                self.meter.evictions += 1
                return
        raise Overloaded(f"{MAX_LIVE_OBJECTS} objects in memory wait for the disk")

    def evict_idle(self) -> int:
        """Drop the objects that had no call since the last ``evict_idle``; returns how many.

        One that read many entries when it woke stays for further turns, as the next wake would hold up all calls.
        """
        idle = [live for live in self._live.values() if not live.touched and live.batch is None and not live.stays]
        for live in idle:
            del self._live[live.object_id]
        for live in self._live.values():
            live.stays = live.wake_reads // READS_PER_TURN if live.touched else max(live.stays - 1, 0)
            live.touched = False
        self.meter.evictions += len(idle)
        return len(idle)

    @property
    def live_objects(self) -> int:
        """How many objects are in memory."""
        return len(self._live)

    def listen(self, object_id: str, since: int | None, replay: Callable[[int], Awaitable[Replay]]) -> EventStream:
        """A stream of an object's events; see ``contract.Stub.events``."""
        stream = QueuedEventStream(
            since,
            replay,
            new_waiter=self.create_waiter,
            on_close=lambda stream: self.listeners.remove(object_id, stream),
        )
        self.listeners.add(object_id, stream)
        return stream

    def create_waiter(self) -> "asyncio.Future[None]":
        """A future for a caller to wait for."""
        return self._loop.create_future()

    def call_soon(self, callback: Callable[[], object]) -> None:
        """Call ``callback`` in the next turn of the loop."""
        asyncio.get_running_loop().call_soon(callback)

    def wrap_disk(self, wrap: Callable[[Disk], Disk]) -> None:
        """Put a layer between the objects and the disk; before the first call."""
        self._disk = wrap(self._disk)
        if self._running:
            self._start(self._loop)

    def drop(self, object_id: str) -> None:
        """Drop an object's instance, which may happen at any time between calls; its next call makes it from storage."""
        live = self._live.get(object_id)
        if live is not None:
            live.instance = live.keys = None
            self.meter.evictions += 1
            if live.batch is None:
                del self._live[object_id]

    def health(self) -> str | None:
        """See ``contract.Runtime``."""
        if not self._running:
            return "the runtime is not running"
        return None if self.commits.error is None else f"the last commit failed: {self.commits.error}"

    async def scrub(self) -> str | None:
        """See ``contract.Runtime``."""
        if not self._running:
            raise RuntimeClosed("the runtime is not running")
        self._outboxes.remove_taken()
        waiters = [self.commits.wait_durable(live) for live in self._live.values() if live.batch is not None]
        for waiter in waiters:
            await waiter
        try:
            return await self._disk.scrub()
        except Exception as error:
            log.warning("traces of what was deleted could not be removed from %s: %s", self._disk, error)
            raise CommitFailed(f"traces of what was deleted could not be removed: {error}") from error

    def run_due(self) -> int:
        """Answer calls that have waited too long, probe a failed disk, deliver again, and run due alarms; returns how many ran.

        It runs up to ``MAX_ALARMS_PER_TURN``. They wait while the disk takes no writes, since they would only fail.
        """
        ran = self.meter.alarms
        self.commits.run_due()
        if self._running and self.commits.error is None:
            self._outboxes.run_due()
            due = list(islice(self._alarms.pop_due(self._clock(), self._loop.steady_ms()), MAX_ALARMS_PER_TURN))
            for object_id in due:
                try:
                    self._run_alarm(object_id)
                except Exception as error:  # noqa: BLE001 - the alarm must not be lost
                    self._retry_alarm(object_id, error)
        return self.meter.alarms - ran

    def ms_until_due(self) -> int | None:
        """Milliseconds until ``run_due`` has work; None if it has none."""
        at = self.commits.due_at()
        waits = [None if at is None else at - self._loop.steady_ms(), self._ms_until_work()]
        return min((max(wait, 0) for wait in waits if wait is not None), default=None)

    def _ms_until_work(self) -> int | None:
        """Milliseconds until an alarm or a delivery is due, negative when one is overdue; None when there is none."""
        if self.commits.error is not None:
            return None
        now, at = self._loop.steady_ms(), self._outboxes.due_at()
        waits = [None if at is None else at - now, self._alarms.wait_ms(self._clock(), now)]
        return min((wait for wait in waits if wait is not None), default=None)

    def _run_alarm(self, object_id: str) -> None:
        live = self._ready(object_id)
        if live.alarm_at is None or live.alarm_at > self._clock():
            # An uncommitted call moved the alarm, and its commit (or failure) re-arms it; or the clock has just stepped back.
            if live.batch is None:
                self._alarms.set(object_id, live.alarm_at)
            return
        self.meter.alarms += 1
        live.run_alarm()
        if not live.changed:
            # It only set itself to the same time again, so no commit will re-arm it.
            self._alarms.succeeded(object_id)
            if live.batch is None:
                self._alarms.set(object_id, live.alarm_at)
        self.commits.add(live, alarm=True)

    def _retry_alarm(self, object_id: str, error: object) -> None:
        failures, delay = self._alarms.failed(object_id, self._loop.steady_ms())
        log.warning("the alarm of %s failed, %d in a row, next attempt in %d ms: %s", object_id, failures, delay, error)

    async def wait_durable(self, object_id: str) -> None:
        """Wait until all changes of an object so far are durable; raises as ``CommitLoop.wait_durable``."""
        live = self._live.get(object_id)
        if live is not None and live.batch is not None:
            await self.commits.wait_durable(live)

    async def settle(self, object_id: str) -> None:
        """See ``contract.Stub``."""
        await self.wait_durable(object_id)
        if not self._running:
            raise RuntimeClosed("the runtime is not running")
        await self._outboxes.settle(object_id)

    async def _deliver(self, sender: str, receiver: str, calls: Sequence[SentCall]) -> int:
        """See ``outbox.Deliver``: between objects of this process these are plain calls, and one wait for the disk."""
        taken = 0
        for call in calls:
            try:
                live = self._ready(receiver)
                self.meter.sends += 1
                take(live, sender, call)
            except DurableObjectError:
                if not taken:
                    raise
                break
            self.commits.add(live)
            taken = call.number
        if live.batch is not None:
            await self.commits.wait_durable(live)
        return taken

    def _on_committed(self, live: LiveObject[Any], alarm: bool) -> None:  # noqa: FBT001 - CommitLoop's
        if alarm:
            self._alarms.succeeded(live.object_id)
        at = live.on_disk.alarm_at
        if self._alarms.set(live.object_id, at) and at is not None:
            self._rearm(at)

    def _on_lost(self, live: LiveObject[Any], alarm: bool) -> None:  # noqa: FBT001 - CommitLoop's
        self.meter.failures += 1
        self._live.pop(live.object_id, None)
        self._outboxes.not_removed(live.object_id, live.storage.in_flight)
        if alarm:
            self._retry_alarm(live.object_id, self.commits.error)
        else:
            self._alarms.set(live.object_id, live.on_disk.alarm_at)
