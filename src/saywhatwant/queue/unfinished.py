"""The unfinished messages by urgency, by entity and by deadline. Everything here follows from the messages' states."""

from collections.abc import Callable, Iterable, Iterator
from heapq import merge, nsmallest
from itertools import chain, islice

from sortedcontainers import SortedList

from saywhatwant.message import Message
from saywhatwant.queue.config import QueueConfig
from saywhatwant.queue.deadlines import Deadlines

Urgency = tuple[int, int]
"""Priority and age in one number, then the timestamp: the order of work. Timestamps are unique in an object."""


class Unfinished:
    """The timestamps of unfinished messages, for every order in which they are asked for."""

    def __init__(self, config: QueueConfig) -> None:
        self._aging_ms = config.aging_ms
        self._served = {None, *config.entities}
        self._ready: SortedList[Urgency] | None = None
        """Those of all entities; kept once it has been asked for, since bots usually name theirs."""
        self._ready_by_entity: dict[str | None, SortedList[Urgency]] = {}
        self._by_age: dict[str | None, SortedList[int]] | None = None
        """All of each entity; kept once it has been asked for, which only operators do."""
        self._in_flight: dict[int, int] = {}
        self._delayed: dict[int, int] = {}
        self.deadlines = Deadlines()
        """When the leases, backoffs and waits end."""

    @property
    def delayed_count(self) -> int:
        """Pending messages that back off."""
        return len(self._delayed)

    def add(self, message: Message) -> None:
        """Add a pending or processing message."""
        params, timestamp = message.bot_params, message.timestamp
        if self._by_age is not None:
            self._by_age.setdefault(params.entity, SortedList()).add(timestamp)
        if params.status == "processing":
            end = params.lease_expires_at
            assert end is not None  # noqa: S101 - a message is processing only under a lease
            self._in_flight[timestamp] = end
            self.deadlines.set(timestamp, end)
        elif params.retry_at is not None:
            self._delayed[timestamp] = params.retry_at
            self.deadlines.set(timestamp, params.retry_at)
        else:
            urgency = (params.priority * self._aging_ms + timestamp, timestamp)
            if self._ready is not None:
                self._ready.add(urgency)
            of_entity = self._ready_by_entity.get(params.entity)
            if of_entity is None:
                of_entity = self._ready_by_entity[params.entity] = SortedList()
            of_entity.add(urgency)
            if params.expires_at is not None:
                self.deadlines.set(timestamp, params.expires_at)

    def remove(self, message: Message) -> None:
        """Remove a message, which must be in the state in which it was added."""
        params, timestamp = message.bot_params, message.timestamp
        self.deadlines.clear(timestamp)
        if self._by_age is not None:
            ages = self._by_age[params.entity]
            ages.remove(timestamp)
            if not ages:
                del self._by_age[params.entity]
        if params.status == "processing":
            del self._in_flight[timestamp]
        elif params.retry_at is not None:
            del self._delayed[timestamp]
        else:
            urgency = (params.priority * self._aging_ms + timestamp, timestamp)
            if self._ready is not None:
                self._ready.remove(urgency)
            of_entity = self._ready_by_entity[params.entity]
            of_entity.remove(urgency)
            if not of_entity and params.entity not in self._served:
                del self._ready_by_entity[params.entity]

    def ready(self, limit: int, entities: Iterable[str | None] | None = None) -> list[int]:
        """Up to ``limit`` claimable messages in order of urgency, of all entities or of these."""
        order: Iterable[Urgency]
        if entities is None:
            order = self._all_ready()
        else:
            found = [ready for entity in set(entities) if (ready := self._ready_by_entity.get(entity))]
            order = found[0] if len(found) == 1 else merge(*found)
        return [timestamp for _, timestamp in islice(order, limit)]

    def _all_ready(self) -> "SortedList[Urgency]":
        if self._ready is None:
            self._ready = SortedList(chain.from_iterable(self._ready_by_entity.values()))
        return self._ready

    def in_flight(self, limit: int) -> list[int]:
        """Up to ``limit`` messages that bots hold, ordered by the end of their leases."""
        return _first(self._in_flight, limit)

    def delayed(self, limit: int) -> list[int]:
        """Up to ``limit`` messages that back off, the next one first."""
        return _first(self._delayed, limit)

    def oldest(self, limit: int, entity_of: Callable[[int], str | None]) -> list[tuple[int, str | None]]:
        """The oldest one of up to ``limit`` entities, those with the oldest ones first.

        The first time it asks ``entity_of`` which entity a message names that is not claimable.
        """
        if self._by_age is None:
            times = {entity: [timestamp for _, timestamp in ready] for entity, ready in self._ready_by_entity.items() if ready}
            for timestamp in chain(self._delayed, self._in_flight):
                times.setdefault(entity_of(timestamp), []).append(timestamp)
            self._by_age = {entity: SortedList(found) for entity, found in times.items()}
        return nsmallest(limit, ((ages[0], entity) for entity, ages in self._by_age.items()))

    def all(self, entity: str | None = None) -> Iterator[int]:
        """First the claimable ones by urgency, all or those to ``entity``; then all others."""
        ready = self._all_ready() if entity is None else self._ready_by_entity.get(entity, ())
        return chain((timestamp for _, timestamp in ready), self._delayed, self._in_flight)


def _first(deadlines: dict[int, int], limit: int) -> list[int]:
    return [timestamp for _, timestamp in nsmallest(limit, ((at, stamp) for stamp, at in deadlines.items()))]
