"""Claims that wait for work (long poll)."""

import asyncio
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

from msgspec import Raw

from durable_objects import Stub
from saywhatwant.errors import TooManyWaiting
from saywhatwant.queue import MessageQueue
from saywhatwant.queue.events import claimable_entity

MAX_WAITING = 1_000
"""Claims that may wait at one time."""

Disconnected = Callable[[], Coroutine[Any, Any, None]]
"""Returns when the client has gone away."""


class Waiter:
    """One claim's place in the room; ``offered`` says for which entity it was woken."""

    def __init__(self, room: "ClaimWaiters", entities: tuple[str, ...] | None) -> None:
        self._room = room
        self._entities = entities
        self.woken = asyncio.Event()
        self.offered: tuple[str | None] | None = None

    def wants(self, entity: str | None) -> bool:
        return self.offered is None and (self._entities is None or entity is None or entity in self._entities)

    def offer(self, entity: str | None) -> None:
        self.offered = (entity,)
        self.woken.set()

    def take_offer(self) -> tuple[str | None] | None:
        """About to claim: what was offered so far will be seen by that, what comes meanwhile wakes it again."""
        offered, self.offered = self.offered, None
        self.woken.clear()
        return offered

    def __enter__(self) -> Self:
        self._room.enter(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._room.leave(self)


class ClaimWaiters:
    """Gives each piece of new work to the claim that has waited longest for such, and wakes no other."""

    def __init__(self, queue: Stub[MessageQueue]) -> None:
        self._queue = queue
        self._places: dict[Waiter, None] = {}
        self._unsubscribe: Callable[[], None] | None = None
        self._closed = False

    def __len__(self) -> int:
        return len(self._places)

    async def claim(
        self,
        worker_id: str,
        entities: tuple[str, ...] | None,
        limit: int,
        wait: float,
        disconnected: Disconnected,
    ) -> list[Raw]:
        """Claim at once, or wait up to ``wait`` seconds for something to claim; empty when nothing came.

        Claims nothing for a client that has gone away. Raises ``TooManyWaiting`` when the room is full.
        """
        if not wait:
            return await self._queue.call(MessageQueue.claim_next, worker_id, entities, limit)
        deadline = asyncio.get_running_loop().time() + wait
        gone = asyncio.create_task(disconnected())
        try:
            with Waiter(self, entities) as place:
                while not gone.done():
                    offered = place.take_offer()
                    try:
                        found = await self._queue.call(MessageQueue.claim_next, worker_id, entities, limit)
                    except BaseException:
                        # What it was woken for is still there: leaving passes it on.
                        place.offered = place.offered or offered
                        raise
                    if found:
                        # It may have claimed something more urgent than it was woken for: leaving passes that on too.
                        place.offered = place.offered or offered
                    if found or self._closed or not await _woken(place, gone, deadline):
                        return found
                return []
        finally:
            gone.cancel()

    def close(self) -> None:
        """The server stops: every waiting claim returns."""
        self._closed = True
        for place in self._places:
            place.woken.set()

    def enter(self, place: Waiter) -> None:
        if len(self._places) >= MAX_WAITING:
            raise TooManyWaiting(f"{MAX_WAITING} claims wait for work already")
        if self._unsubscribe is None:
            self._unsubscribe = self._queue.subscribe(self._on_event)
        self._places[place] = None

    def leave(self, place: Waiter) -> None:
        del self._places[place]
        if place.offered is not None:
            self._offer(*place.offered)
        if not self._places and self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None

    def _on_event(self, event: bytes) -> None:
        if claimable := claimable_entity(event):
            self._offer(*claimable)

    def _offer(self, entity: str | None) -> None:
        for place in self._places:
            if place.wants(entity):
                place.offer(entity)
                return


async def _woken(place: Waiter, gone: asyncio.Task[None], deadline: float) -> bool:
    """Wait for an offer; False when the time is up or the client gone (an offer stays with the place then)."""
    woken = asyncio.create_task(place.woken.wait())
    try:
        timeout = deadline - asyncio.get_running_loop().time()
        await asyncio.wait({woken, gone}, timeout=max(timeout, 0), return_when=asyncio.FIRST_COMPLETED)
    finally:
        woken.cancel()
    return place.woken.is_set() and not gone.done()
