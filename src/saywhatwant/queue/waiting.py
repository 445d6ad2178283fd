"""Claims that wait for work: which of them a claimable message wakes.

The object decides it, so that one message wakes one claim, however many gateways serve the bots. A claim that finds nothing
leaves a ticket here; the message that it waits for takes the ticket out, in the commit that makes the message claimable, and
publishes its name. Storage has one row for each ticket, so that any instance of the object knows who waits.

A gateway that dies leaves its tickets behind. They are dropped with the first new ticket of the same gateway, which has started
again by then; else they expire, and a message that one of them takes first is claimed when the other gateways miss its claim.
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec
from msgspec import Struct

from durable_objects import Storage
from saywhatwant.errors import TooManyWaiting
from saywhatwant.limits import MAX_DUE_PER_CALL, MAX_TICKETS, MAX_WAIT_SECONDS
from saywhatwant.queue.tickets import Place, Ticket, Tickets

_PREFIX = "waiting/"

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Ticket).decode


class Wait(Struct, frozen=True):
    """What a claim that may wait brings along."""

    ticket: str
    """Its name: the same for each call of one waiting claim, and for each object that is called.

    ``GATEWAY/LIFE/NUMBER``: the life is a number that grows with each start of the gateway. Other names are allowed.
    """
    left_ms: int
    """How long it still waits; with 0 it leaves no ticket. A duration, since the clocks of gateways and objects may differ."""
    since: int | None = None
    """Its place in the order of arrival, from the event that woke it; None before that."""
    woken_for: tuple[str, ...] = ()
    """The ids of the messages that it was woken for; the next claim is woken for those that this one does not take."""


class WaitingClaims:
    """The claims that wait at this object, in storage and in memory."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._tickets = Tickets()
        self.by_name: Mapping[str, Ticket] = self._tickets.by_name
        """All of them."""
        for name, ticket in sorted(_stored(storage), key=lambda stored: stored[1].since):
            self._tickets.add(name, ticket)

    @property
    def entities(self) -> Iterable[str]:
        """The entities that are waited for by name."""
        return self._tickets.entities

    def check_room(self, wait: Wait, now: int) -> None:
        """Raise ``TooManyWaiting`` when there is no room for one more ticket."""
        if (
            wait.left_ms > 0
            and len(self.by_name) >= MAX_TICKETS
            and wait.ticket not in self._tickets
            and self._tickets.ended(now) is None
        ):
            raise TooManyWaiting(f"{MAX_TICKETS} claims already wait for work")

    def add(self, wait: Wait, entities: tuple[str, ...] | None, now: int) -> None:
        """The claim waits from now on; if it does already, nothing changes."""
        if wait.ticket in self._tickets:
            return
        self.drop_expired(now)
        self.drop_past_lives(wait.ticket)
        if wait.left_ms > 0:
            since = max(now, self._tickets.newest + 1) if wait.since is None else wait.since
            until = now + min(wait.left_ms, MAX_WAIT_SECONDS * 1_000)
            ticket = Ticket(since, until, None if entities is None else tuple(dict.fromkeys(entities)))
            self._storage.put(_PREFIX + wait.ticket, _encode(ticket))
            self._tickets.add(wait.ticket, ticket)

    def drop_past_lives(self, ticket: str) -> None:
        """Remove the tickets of the same gateway from before its last start, up to ``MAX_DUE_PER_CALL``."""
        for past in self._tickets.of_past_lives(ticket)[:MAX_DUE_PER_CALL]:
            self.remove(past)

    def remove(self, name: str) -> None:
        """The claim does not wait any more."""
        if self._tickets.pop(name) is not None:
            self._storage.delete(_PREFIX + name)

    def first(self, now: int, entity: str | None, *, of_any: bool = False) -> Place | None:
        """The place of the claim for ``entity`` that has waited longest; with ``of_any`` for any entity."""
        return self._tickets.first(now, None if of_any else entity)

    def drop_expired(self, now: int) -> None:
        """Remove those that have ended, up to ``MAX_DUE_PER_CALL``; there is no alarm for them."""
        for _ in range(MAX_DUE_PER_CALL):
            ended = self._tickets.ended(now)
            if ended is None:
                break
            self.remove(ended)


def _stored(storage: Storage) -> Iterator[tuple[str, Ticket]]:
    after = ""
    while entries := storage.list(_PREFIX, after=after):
        for after, encoded in entries:
            yield after.removeprefix(_PREFIX), _decode(encoded)
