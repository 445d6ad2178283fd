"""Group commit and the output gate.

At most one commit is in flight. Changes made meanwhile go into the next one, so that a hundred waiting calls cost one fsync.
Every answer that depends on a commit waits for it here.

    stub.call -> add -> (next turn of the loop) _flush -> disk.commit -> _finish -> the callers that waited
"""

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Protocol

from durable_objects.disk import Change, Disk, Head, Writes
from durable_objects.errors import CommitFailed, DurableObjectError, OutcomeUnknown
from durable_objects.limits import MAX_COMMIT_WAIT_SECONDS, MAX_WAITING_CALLS, PROBE_MS
from durable_objects.live import LiveObject
from durable_objects.meter import Meter

log = logging.getLogger("durable_objects")

_MAX_WAIT_MS = MAX_COMMIT_WAIT_SECONDS * 1_000


class Loop(Protocol):
    """The part of an event loop that commits need."""

    def steady_ms(self) -> int:
        """Milliseconds of a clock that never steps."""

    def create_future(self) -> "asyncio.Future[None]": ...

    def start(self, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run ``job`` after everything that is ready to run now."""


Waiters = list[tuple[LiveObject[Any], "asyncio.Future[None]"]]
"""Futures of calls whose answer waits, each with its object."""


class Batch:
    """The changes of some calls, and the futures of calls that wait until they are durable."""

    __slots__ = ("alarms", "events", "failure", "heads", "sent", "since", "waiters")

    def __init__(self) -> None:
        self.since = 0
        """When the first of the calls ran, by the steady clock."""
        self.failure: CommitFailed | None = None
        """Why it was lost; set for callers that did not wait yet when it was lost."""
        self.heads: dict[LiveObject[Any], Head] = {}
        self.alarms: set[LiveObject[Any]] = set()
        self.sent: list[tuple[LiveObject[Any], Sequence[tuple[str, int]]]] = []
        self.waiters: Waiters = []
        self.events: list[tuple[LiveObject[Any], int | None, Sequence[bytes]]] = []
        """What each call published, with its number; signals have none."""

    def changes(self) -> Sequence[Change]:
        """The changes for the disk to write."""
        return [Change(live.object_id, live.storage.in_flight, head) for live, head in self.heads.items()]

    @property
    def is_awaited(self) -> bool:
        """Whether a caller still waits for it."""
        return any(not waiter.done() for _, waiter in self.waiters)


class CommitLoop:
    """Collects the changes of calls, and writes them to ``disk`` together.

    ``on_committed`` is called for each object whose changes became durable, ``on_lost`` for each whose changes are gone; both
    also get whether an alarm was part of them. ``publish`` is called for the events of each call after its commit, ``on_sent``
    for the calls that it has sent. ``removals`` returns rows of an object that the runtime removes with its next commit.
    """

    def __init__(
        self,
        disk: Disk,
        loop: Loop,
        *,
        meter: Meter,
        on_committed: Callable[[LiveObject[Any], bool], None],
        on_lost: Callable[[LiveObject[Any], bool], None],
        publish: Callable[[str, int | None, Sequence[bytes]], None],
        on_sent: Callable[[str, Sequence[tuple[str, int]]], None],
        removals: Callable[[str], Writes],
    ) -> None:
        self._disk = disk
        self._loop = loop
        self._meter = meter
        self._on_committed = on_committed
        self._on_lost = on_lost
        self._publish = publish
        self._on_sent = on_sent
        self._removals = removals
        self._pending = Batch()
        self._in_flight: Batch | None = None
        self._flushing = False
        self._drained: asyncio.Future[None] | None = None
        self._probe_at = 0
        self.error: Exception | None = None
        """Why the disk takes no writes, as of the last commit; None when it does."""
        self.waiting_calls = 0
        """Calls that wait for an unfinished commit, including those that have given up waiting."""
        self.overloaded = False
        """Whether no more calls may wait, because too many do or the disk does not answer."""
        self.stalled = False
        """Whether the commit in flight has taken longer than calls wait for it."""

    def add(self, live: LiveObject[Any], *, alarm: bool = False) -> None:
        """Add the changes and events of the call that just ran to the next commit."""
        if changed := live.stage():
            batch = self._pending
            if not batch.heads:
                batch.since = self._loop.steady_ms()
            batch.heads[live] = live.staged_head
            if alarm:
                batch.alarms.add(live)
            live.batch = batch
            if live.published:
                batch.events.append((live, live.seq, live.published))
                live.published = []
            if live.sent:
                batch.sent.append((live, live.sent))
                live.unsent += len(live.sent)
                live.sent = []
        if live.signals:
            signals, live.signals = live.signals, []
            self._hold(live, signals)
        if changed and not self._flushing:
            self._schedule_flush()

    def touch(self, live: LiveObject[Any]) -> None:
        """Make a commit of ``live`` without a call of it; its number stays as it is."""
        batch = self._pending
        if not batch.heads:
            batch.since = self._loop.steady_ms()
        batch.heads.setdefault(live, live.staged_head)
        live.batch = batch
        if not self._flushing:
            self._schedule_flush()

    def _hold(self, live: LiveObject[Any], signals: Sequence[bytes]) -> None:
        """Publish signals once everything that they may reveal is durable."""
        if live.batch is not None:
            live.batch.events.append((live, None, signals))
        else:
            self._publish(live.object_id, None, signals)

    def wait_durable(self, live: LiveObject[Any]) -> "asyncio.Future[None]":
        """A future that is done once all changes of ``live`` so far are durable; only while ``live.batch`` is set.

        Raises ``CommitFailed`` when it is lost, ``OutcomeUnknown`` when the disk does not answer.
        """
        if live.batch.failure is not None:
            raise live.batch.failure
        waiter = self._loop.create_future()
        live.batch.waiters.append((live, waiter))
        self.waiting_calls += 1
        self.overloaded = self.overloaded or self.waiting_calls >= MAX_WAITING_CALLS
        return waiter

    def _schedule_flush(self) -> None:
        self._flushing = True
        self._loop.start(self._flush)

    async def _flush(self) -> None:
        """Commit the pending batch."""
        batch = self._begin()
        try:
            await self._disk.commit(batch.changes())
        except Exception as error:  # noqa: BLE001 - after any error of the disk, the callers must be answered
            self._lose(batch, error)
        else:
            self._finish(batch)
        if self._pending.heads:
            # The callers that were just released run first, so that their changes are part of the next commit.
            self._schedule_flush()
        else:
            self._flushing = False
            if self._drained is not None and not self._drained.done():
                self._drained.set_result(None)

    def _begin(self) -> Batch:
        batch, self._pending = self._pending, Batch()
        if not batch.heads:
            batch.since = self._loop.steady_ms()
        for live in batch.heads:
            live.storage.in_flight, live.storage.pending = live.storage.pending, {}
            if removals := self._removals(live.object_id):
                live.storage.in_flight.update(removals)
        self._in_flight = batch
        return batch

    def _finish(self, batch: Batch) -> None:
        """The batch is durable: release its callers, then publish its events."""
        self._end(batch.waiters, None)
        calls = 0
        for live, head in batch.heads.items():
            calls += head.seq - live.on_disk.seq
            live.storage.in_flight = {}
            live.on_disk = head
            if live.batch is batch:
                live.batch = None
            self._on_committed(live, live in batch.alarms)
        self._meter.committed(calls)
        for _, waiter in batch.waiters:
            if not waiter.done():
                waiter.set_result(None)
        for live, seq, events in batch.events:
            self._publish(live.object_id, seq, events)
        for live, sent in batch.sent:
            live.unsent -= len(sent)
            self._on_sent(live.object_id, sent)

    def _lose(self, batch: Batch, error: Exception) -> None:
        """The batch was not written: fail its calls, and all later calls that have seen its changes."""
        pending, lost = self._pending, batch.heads
        waiters = batch.waiters + [(live, waiter) for live, waiter in pending.waiters if live in lost]
        self._end(waiters, error)
        self._probe_at = self._loop.steady_ms() + PROBE_MS
        self._meter.commit_failures += 1
        pending.waiters = [(live, waiter) for live, waiter in pending.waiters if live not in lost]
        pending.events = [events for events in pending.events if events[0] not in lost]
        pending.sent = [(live, sent) for live, sent in pending.sent if live not in lost]
        for live in lost:
            pending.heads.pop(live, None)
            self._on_lost(live, live in batch.alarms or live in pending.alarms)
            pending.alarms.discard(live)
        why = f"the data could not be written: {error}"
        batch.failure = CommitFailed(why)
        _fail(waiters, lambda: CommitFailed(why))

    def _end(self, waiters: Waiters, error: Exception | None) -> None:
        self._in_flight = None
        self.stalled = False
        self.waiting_calls -= len(waiters)
        self.overloaded = self.waiting_calls >= MAX_WAITING_CALLS
        if error is not None and self.error is None:
            log.error("the data cannot be written to %s; trying again every second: %s", self._disk, error)
        elif error is None and self.error is not None:
            log.warning("the data can be written to %s again", self._disk)
        self.error = error

    def run_due(self) -> None:
        """Answer the calls that have waited too long, and check whether a failed disk takes writes again."""
        now = self._loop.steady_ms()
        if self._in_flight is not None:
            for batch in (self._in_flight, self._pending):
                if batch.since + _MAX_WAIT_MS <= now:
                    _fail(batch.waiters, _unknown)
            if not self.stalled and self._in_flight.since + _MAX_WAIT_MS <= now:
                self.stalled = self.overloaded = True
                self.error = TimeoutError(f"no answer from the disk for {MAX_COMMIT_WAIT_SECONDS} seconds")
                log.error("the data cannot be written to %s: %s", self._disk, self.error)
        elif self.error is not None and not self._flushing and self._probe_at <= now:
            self._schedule_flush()

    def due_at(self) -> int | None:
        """When ``run_due`` has work next, by the steady clock; None if it has none."""
        if self._in_flight is not None:
            late = [batch.since for batch in (self._in_flight, self._pending) if batch.is_awaited]
            if not self.stalled:
                late.append(self._in_flight.since)
            return min(late) + _MAX_WAIT_MS if late else None
        return self._probe_at if self.error is not None and not self._flushing else None

    async def drain(self) -> None:
        """Wait until everything is durable or lost. Call it when no more calls come."""
        if self._flushing:
            self._drained = self._loop.create_future()
            await self._drained

    @property
    def idle(self) -> bool:
        """Whether everything is durable."""
        return self._in_flight is None and not self._pending.heads


def _fail(waiters: Waiters, error: Callable[[], DurableObjectError]) -> None:
    # A new exception for each waiter, since every raise adds to the traceback.
    for _, waiter in waiters:
        if not waiter.done():
            waiter.set_exception(error())


def _unknown() -> OutcomeUnknown:
    return OutcomeUnknown(
        f"no answer from the disk for {MAX_COMMIT_WAIT_SECONDS} seconds: whether the call's changes become durable is unknown"
    )
