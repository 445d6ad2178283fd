"""Claims that wait for work (long poll)."""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import count
from types import TracebackType
from typing import Any, NamedTuple, Self

import msgspec
from msgspec import Raw, Struct
from sortedcontainers import SortedDict

from saywhatwant.errors import TooManyWaiting
from saywhatwant.schemas import ClaimNextResponse
from saywhatwant.topology import Wall
from saywhatwant.worker.bots import Bots
from saywhatwant.worker.limits import MAX_WAITING_CLAIMS
from saywhatwant.worker.partners import Partners
from saywhatwant.worker.queue_events import QueueEvent, QueueEvents

Disconnected = Callable[[], Coroutine[Any, Any, None]]
"""Returns when the client has gone away."""


class Work(NamedTuple):
    """A message that has become claimable."""

    message_id: str
    entity: str | None
    partner: str | None = None
    """The entity that its author talked with last, if it names none."""


class _Claimed(Struct, frozen=True):
    id: str


_id_of = msgspec.json.Decoder(_Claimed).decode


class Waiter:
    """One waiting claim. It is idle until it is notified of work, and again once it has started to claim that."""

    def __init__(self, waiters: "ClaimWaiters", number: int, worker_id: str, entities: tuple[str, ...] | None) -> None:
        self._waiters = waiters
        self.number = number
        self.worker_id = worker_id
        self.entities = None if entities is None else frozenset(entities)
        self.woken = asyncio.Event()
        self.notified: Work | None = None
        self.looking_for: Work | None = None

    def begin_claim(self) -> None:
        """Clear the notification before claiming, so that later work wakes this waiter again."""
        self.looking_for, self.notified = self.notified, None
        self.woken.clear()
        if self.looking_for is not None:
            self._waiters.add_idle(self)

    def found(self, claimed: list[Raw]) -> None:
        """Called with the claim's result. Work that the waiter was notified of but did not get may still be there."""
        if self.looking_for is not None and (
            not claimed or self.looking_for.message_id in {_id_of(wire).id for wire in claimed}
        ):
            self.looking_for = None

    def __enter__(self) -> Self:
        self._waiters.enter(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._waiters.leave(self)


Idle = SortedDict[int, Waiter]
"""Waiters that have not been notified, by number, which is their order of arrival."""


class ClaimWaiters:
    """For each message that becomes claimable, notifies the claim for its entity that has waited longest.

    For a message to anyone it is one for the entity that its author talked with last, else the one that has waited longest.
    """

    def __init__(self, wall: Wall, queue_events: QueueEvents) -> None:
        self._wall = wall
        self._events = queue_events
        self._waiters: dict[Waiter, None] = {}
        self._idle: Idle = SortedDict()
        self._idle_for_any: Idle = SortedDict()
        """The idle waiters that take work of every entity."""
        self._idle_by_entity: dict[str, Idle] = {}
        self._partners = Partners()
        self._numbers = count()
        self._unsubscribe: Callable[[], None] | None = None
        self._closed = False
        queue_events.on_lost(self._wake_all)
        self.bots = Bots()
        """The bots that claim here."""

    def __len__(self) -> int:
        return len(self._waiters)

    async def claim(
        self,
        worker_id: str,
        entities: tuple[str, ...] | None,
        limit: int,
        wait: float,
        disconnected: Disconnected,
        *,
        also: tuple[str, ...] = (),
        context: int = 0,
    ) -> ClaimNextResponse:
        """Claim at once, or wait up to ``wait`` seconds for something to claim; empty when nothing came.

        ``entities``, ``also`` and ``context`` are those of ``MessageQueue.claim_next``.

        Claims nothing for a client that has gone away. Raises ``TooManyWaiting`` at ``MAX_WAITING_CLAIMS``.
        """

        def claim_now() -> Coroutine[Any, Any, ClaimNextResponse]:
            return self._wall.claim_next(worker_id, entities, limit, also=also, context=context)

        if not wait:
            return await claim_now()
        deadline = asyncio.get_running_loop().time() + wait
        await self._events.start()
        gone = asyncio.create_task(disconnected())
        try:
            with Waiter(self, next(self._numbers), worker_id, entities) as waiter:
                while not gone.done():
                    waiter.begin_claim()
                    found = await claim_now()
                    waiter.found(found.messages)
                    if found.messages or self._closed or not await _woken(waiter, gone, deadline):
                        return found
                return ClaimNextResponse([])
        finally:
            # After a restart the bot's new claim may be here before the end of the old one.
            if gone.done() and not any(waiter.worker_id == worker_id for waiter in self._waiters):
                self.bots.leaves(worker_id)
            gone.cancel()

    def close(self) -> None:
        """The server stops: every waiting claim returns."""
        self._closed = True
        self._wake_all()

    def _wake_all(self) -> None:
        for waiter in self._waiters:
            waiter.woken.set()

    def enter(self, waiter: Waiter) -> None:
        """Add an idle waiter."""
        if len(self._waiters) >= MAX_WAITING_CLAIMS:
            raise TooManyWaiting(f"{MAX_WAITING_CLAIMS} claims already wait for work")
        if self._unsubscribe is None:
            self._unsubscribe = self._events.subscribe(self._on_event)
        self._waiters[waiter] = None
        self.add_idle(waiter)

    def leave(self, waiter: Waiter) -> None:
        """Remove a waiter; the next one is notified of work that it has not claimed."""
        del self._waiters[waiter]
        if waiter.notified is None:
            self.remove_idle(waiter)
        for work in (waiter.looking_for, waiter.notified):
            if work is not None:
                self._notify(work)
        if not self._waiters and self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def add_idle(self, waiter: Waiter) -> None:
        """Make the waiter idle, so that it can be notified; it keeps its place."""
        self._idle[waiter.number] = waiter
        if waiter.entities is None:
            self._idle_for_any[waiter.number] = waiter
            return
        for entity in waiter.entities:
            if entity not in self._idle_by_entity:
                self._idle_by_entity[entity] = SortedDict()
            self._idle_by_entity[entity][waiter.number] = waiter

    def remove_idle(self, waiter: Waiter) -> None:
        """Remove the waiter from the idle ones."""
        del self._idle[waiter.number]
        if waiter.entities is None:
            del self._idle_for_any[waiter.number]
            return
        for entity in waiter.entities:
            of_entity = self._idle_by_entity[entity]
            del of_entity[waiter.number]
            if not of_entity:
                del self._idle_by_entity[entity]

    def _on_event(self, event: QueueEvent) -> None:
        message = event.decoded.message
        if message is None:
            return
        self._partners.note(message)
        if message.claimable:
            self._notify(Work(message.id, message.bot_params.entity, self._partners.of(message)))

    def _notify(self, work: Work) -> None:
        waiter = self._first_for(work.entity or work.partner)
        if waiter is None and work.entity is None and self._idle:
            waiter = self._idle.peekitem(0)[1]
        if waiter is not None:
            self.remove_idle(waiter)
            waiter.notified = work
            waiter.woken.set()

    def _first_for(self, entity: str | None) -> Waiter | None:
        """The first that claims for this entity."""
        if entity is None:
            return None
        idle = (self._idle_for_any, self._idle_by_entity.get(entity))
        firsts = [waiters.peekitem(0)[1] for waiters in idle if waiters]
        return min(firsts, key=lambda waiter: waiter.number, default=None)


async def _woken(waiter: Waiter, gone: asyncio.Task[None], deadline: float) -> bool:
    """Wait for a notification; False when the time is up or the client is gone (the waiter then keeps a notification)."""
    woken = asyncio.create_task(waiter.woken.wait())
    try:
        timeout = deadline - asyncio.get_running_loop().time()
        await asyncio.wait({woken, gone}, timeout=max(timeout, 0), return_when=asyncio.FIRST_COMPLETED)
    finally:
        woken.cancel()
    return waiter.woken.is_set() and not gone.done()
