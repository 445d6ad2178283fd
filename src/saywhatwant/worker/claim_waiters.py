"""Claims that wait for work (long poll): each has a ticket at the wall's objects, which decide whom work wakes."""

import asyncio
import secrets
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from itertools import count
from typing import Any

from durable_objects import DurableObjectError
from saywhatwant.errors import TooManyWaiting
from saywhatwant.queue import events
from saywhatwant.queue.waiting import Wait
from saywhatwant.schemas import ClaimNextResponse
from saywhatwant.topology import Wall
from saywhatwant.worker.bots import Bots
from saywhatwant.worker.limits import MAX_WAITING_CLAIMS
from saywhatwant.worker.queue_events import QueueEvent, QueueEvents
from saywhatwant.worker.unclaimed import CallLater, Unclaimed, call_later

Disconnected = Callable[[], Coroutine[Any, Any, None]]
"""Returns when the client has gone away."""


class Waiter:
    """One claim that may wait.

    Attributes:
        is_ticket_left: whether its ticket may be at an object, and must be cancelled.
    """

    def __init__(self, ticket: str, worker_id: str, entities: tuple[str, ...] | None) -> None:
        self.ticket = ticket
        self.worker_id = worker_id
        self._entities = entities
        self._since: int | None = None
        self._woken_for: dict[str, None] = {}
        self._claims_for: tuple[str, ...] = ()
        """What the running call was woken for."""
        self.is_ticket_left = False
        self.woken = asyncio.Event()

    def wants(self, entity: str | None) -> bool:
        """Whether it takes messages to this entity."""
        return self._entities is None or entity is None or entity in self._entities

    def wake(self, message_id: str, since: int | None = None) -> None:
        """There is a message for it; ``since`` is its place, from the event."""
        self._woken_for[message_id] = None
        self._since = self._since or since
        self.woken.set()

    def begin_claim(self, left_seconds: float) -> Wait:
        """What to claim with; later work wakes it again."""
        self._claims_for, self._woken_for = (*self._claims_for, *self._woken_for), {}
        self.woken.clear()
        self.is_ticket_left = True
        return Wait(self.ticket, max(round(left_seconds * 1_000), 0), self._since, self._claims_for)

    def end_claim(self, found: ClaimNextResponse) -> None:
        """The call has its answer: the object has passed on what the claim did not take."""
        self._claims_for = ()
        self.is_ticket_left = not found.messages

    @property
    def missed(self) -> tuple[str, ...]:
        """The messages that it was woken for and that no call has looked for."""
        return (*self._claims_for, *self._woken_for)


class ClaimWaiters:
    """The claims that wait at this gateway.

    Args:
        wall: where they claim.
        queue_events: bring the tickets that are woken.
        gateway: the name of this gateway, without a slash; the next one with this name is its successor. By default random.
        life: grows with each start of a gateway of this name.
        call_later: the event loop's.
    """

    def __init__(
        self,
        wall: Wall,
        queue_events: QueueEvents,
        *,
        gateway: str | None = None,
        life: int | None = None,
        call_later: CallLater = call_later,
    ) -> None:
        self._wall = wall
        self.gateway = gateway or secrets.token_hex(8)
        self.life = time.time_ns() if life is None else life
        self._prefix = f"{self.gateway}/{self.life}/"
        self._numbers = count()
        self._waiters: dict[str, Waiter] = {}
        """By their tickets, in order of arrival."""
        self._unclaimed = Unclaimed(self._wake_one, call_later)
        self._cancelling: set[asyncio.Task[None]] = set()
        self._closed = False
        self._events = queue_events
        queue_events.subscribe(self._on_event)
        queue_events.on_lost(self._wake_all)
        self.bots = Bots()
        """The bots that claim here, or have a socket."""
        self.offer_elsewhere: Callable[[str, str | None], bool] | None = None
        """Offers a message that no claim here wants to a bot with a socket; returns whether one wants it."""

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
        if not wait or self._closed:
            return await self._wall.claim_next(worker_id, entities, limit, also=also, context=context)
        now = asyncio.get_running_loop().time
        deadline = now() + wait
        await self._events.start()
        if len(self._waiters) >= MAX_WAITING_CLAIMS:
            raise TooManyWaiting(f"{MAX_WAITING_CLAIMS} claims already wait for work")
        gone = asyncio.create_task(disconnected())
        waiter = Waiter(f"{self._prefix}{next(self._numbers)}", worker_id, entities)
        self._waiters[waiter.ticket] = waiter
        try:
            while not gone.done():
                ticket = waiter.begin_claim(deadline - now())
                found = await self._wall.claim_next(worker_id, entities, limit, also=also, context=context, wait=ticket)
                waiter.end_claim(found)
                if found.messages or self._closed:
                    return found
                if not await _woken(waiter, gone, deadline - now()):
                    waiter.is_ticket_left = gone.done()  # else it ends by itself
                    return found
            return ClaimNextResponse([])
        finally:
            self._end(waiter)
            # After a restart the bot's new claim may be here before the end of the old one.
            if gone.done() and not any(other.worker_id == worker_id for other in self._waiters.values()):
                self.bots.leaves(worker_id)
            gone.cancel()

    async def end_past_lives(self) -> None:
        """No claim waits any more that waited before this gateway was started. Raises as a call of the wall."""
        await self._wall.cancel(f"{self._prefix}none")

    @property
    def is_closed(self) -> bool:
        """Whether the server stops: claims no longer wait."""
        return self._closed

    def close(self) -> None:
        """The server stops: every waiting claim returns."""
        self._closed = True
        self._wake_all()

    def _wake_all(self) -> None:
        self._unclaimed.clear()
        for waiter in self._waiters.values():
            waiter.woken.set()

    def _end(self, waiter: Waiter) -> None:
        del self._waiters[waiter.ticket]
        if waiter.is_ticket_left or waiter.missed:
            self._cancel(waiter.ticket, waiter.missed)

    def _cancel(self, ticket: str, woken_for: tuple[str, ...]) -> None:
        async def cancel() -> None:
            with suppress(DurableObjectError):  # the ticket expires, and other gateways miss the claim of the messages
                await self._wall.cancel(ticket, woken_for)

        task = asyncio.create_task(cancel())
        self._cancelling.add(task)
        task.add_done_callback(self._cancelling.discard)

    def _on_event(self, event: QueueEvent) -> None:
        if events.is_work(event.raw):
            self._on_work(event.decoded)
        elif (self._waiters or self.offer_elsewhere) and (message := event.decoded.message) is not None:
            if message.claimable:
                self._unclaimed.note(message.id, message.bot_params.entity)
            else:
                self._unclaimed.forget(message.id)

    def _on_work(self, work: events.Event) -> None:
        waiter = self._waiters.get(work.ticket)
        if waiter is not None:
            waiter.wake(work.id, work.since)
        elif work.ticket.startswith(self._prefix):
            self._cancel(work.ticket, (work.id,))

    def _wake_one(self, message_id: str, entity: str | None) -> bool:
        """Wake a claim for a message that no other one has taken; False if none here wants it."""
        waiters = [waiter for waiter in self._waiters.values() if waiter.wants(entity)]
        if waiters:
            min(waiters, key=lambda waiter: waiter.woken.is_set()).wake(message_id)
            return True
        return self.offer_elsewhere is not None and self.offer_elsewhere(message_id, entity)


async def _woken(waiter: Waiter, gone: asyncio.Task[None], left_seconds: float) -> bool:
    """Wait for work; False when the time is up or the client is gone."""
    woken = asyncio.create_task(waiter.woken.wait())
    try:
        await asyncio.wait({woken, gone}, timeout=max(left_seconds, 0), return_when=asyncio.FIRST_COMPLETED)
    finally:
        woken.cancel()
    return waiter.woken.is_set() and not gone.done()
