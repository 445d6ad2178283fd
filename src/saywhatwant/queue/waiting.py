"""Claims that wait for work: which of them a claimable message wakes.

The object decides it, so that one message wakes one claim, however many gateways serve the bots. A claim that finds nothing
leaves a ticket here; the message that it waits for takes the ticket out, in the commit that makes the message claimable, and
publishes its name. Storage has one row for each ticket, so that any instance of the object knows who waits.

A gateway that dies leaves its tickets behind. They are dropped with the first new ticket of the same gateway, which has started
again by then; else they expire, and a message that one of them takes first is claimed when the other gateways miss its claim.
"""

from collections.abc import Iterable, Iterator
from itertools import islice, takewhile

import msgspec
from msgspec import Struct
from sortedcontainers import SortedList

from durable_objects import Storage
from saywhatwant.errors import TooManyWaiting
from saywhatwant.limits import MAX_DUE_PER_CALL, MAX_TICKETS, MAX_WAIT_SECONDS

_PREFIX = "waiting/"

WOKEN_MS = 2_000
"""How long a message is left to the claim that was woken for it. Kept in memory only: without it, a claim may come in vain."""


class Wait(Struct, frozen=True):
    """What a claim that may wait brings along."""

    ticket: str
    """Its name: the same for each call of one waiting claim, and for each object that is called.

    ``GATEWAY/LIFE/NUMBER``: the life is a number that grows with each start of the gateway. Other names are allowed.
    """
    left_ms: int
    """How long it still waits. A duration, since the clocks of gateways and objects may differ."""
    since: int | None = None
    """Its place in the order of arrival, from the event that woke it; None before that."""
    woken_for: tuple[str, ...] = ()
    """The ids of the messages that it was woken for; the next claim is woken for those that this one does not take."""


class Ticket(Struct, frozen=True):
    """A waiting claim as it is stored."""

    since: int
    """Its place: milliseconds, greater than those of all tickets that were there before."""
    until: int
    """When it ends."""
    entities: tuple[str, ...] | None
    """Whose messages it takes, besides those to anyone; None for all."""


Place = tuple[int, str]
"""A ticket's ``since`` and its name: the order of arrival."""

Life = tuple[int, str]
"""The life of a ticket's gateway, and the ticket's name."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Ticket).decode


class WaitingClaims:
    """The tickets of the claims that wait, in the order in which they came, all and for each entity."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._tickets: dict[str, Ticket] = {}
        self._all: SortedList[Place] = SortedList()
        self._for_any: SortedList[Place] = SortedList()
        """Those that take the messages of every entity."""
        self._by_entity: dict[str, SortedList[Place]] = {}
        self._ends: SortedList[Place] = SortedList()
        """``until`` and name of each."""
        self._lives: dict[str, SortedList[Life]] = {}
        """Those of each gateway."""
        self._woken: dict[str, int] = {}
        """The messages that are left to a woken claim, and until when."""
        for name, ticket in _tickets_in(storage):
            self._index(name, ticket)

    def __len__(self) -> int:
        return len(self._tickets)

    @property
    def entities(self) -> Iterable[str]:
        """The entities that are waited for by name."""
        return self._by_entity

    def check_room(self, wait: Wait, now: int) -> None:
        """Raise ``TooManyWaiting`` when there is no room for one more ticket."""
        if len(self._tickets) >= MAX_TICKETS and wait.ticket not in self._tickets:
            expired = self._ends.bisect_right((now + 1, ""))
            if len(self._tickets) - min(expired, MAX_DUE_PER_CALL) >= MAX_TICKETS:
                raise TooManyWaiting(f"{MAX_TICKETS} claims already wait for work")

    def add(self, wait: Wait, entities: tuple[str, ...] | None, now: int) -> None:
        """The claim waits from now on; if it does already, nothing changes."""
        if wait.ticket in self._tickets:
            return
        self.drop_expired(now)
        self._drop_past_lives(wait.ticket)
        if wait.left_ms > 0:
            newest = self._all[-1][0] if self._all else 0
            since = max(now, newest + 1) if wait.since is None else wait.since
            until = now + min(wait.left_ms, MAX_WAIT_SECONDS * 1_000)
            ticket = Ticket(since, until, None if entities is None else tuple(dict.fromkeys(entities)))
            self._storage.put(_PREFIX + wait.ticket, _encode(ticket))
            self._index(wait.ticket, ticket)

    def remove(self, name: str) -> None:
        """The claim does not wait any more."""
        ticket = self._tickets.pop(name, None)
        if ticket is not None:
            self._storage.delete(_PREFIX + name)
            self._unindex(name, ticket)

    def take(self, message_id: str, entity: str | None, now: int, *, else_any: bool = False) -> Place | None:
        """Take out the claim for ``entity`` that has waited longest; with ``else_any``, if there is none, the one of all."""
        self.drop_expired(now)
        first = None
        if entity is not None:
            places = [self._first(queue, now) for queue in (self._for_any, self._by_entity.get(entity, ()))]
            first = min(filter(None, places), default=None)
        if first is None and else_any:
            first = self._first(self._all, now)
        if first is not None:
            self.remove(first[1])
            self._woken[message_id] = now + WOKEN_MS
        return first

    def is_left_to_another(self, message_id: str, woken_for: tuple[str, ...], now: int) -> bool:
        """Whether a claim is on its way for this message, other than one that was ``woken_for`` it."""
        return self._woken.get(message_id, 0) > now and message_id not in woken_for

    def claimed(self, message_id: str) -> None:
        """A message has been claimed."""
        if self._woken:
            self._woken.pop(message_id, None)

    def drop_expired(self, now: int) -> None:
        """Remove those that have ended, up to ``MAX_DUE_PER_CALL``; there is no alarm for them."""
        ended = takewhile(lambda end: end[0] <= now, self._ends)
        for _, name in list(islice(ended, MAX_DUE_PER_CALL)):
            self.remove(name)
        for message_id in [name for name, until in islice(self._woken.items(), MAX_DUE_PER_CALL) if until <= now]:
            del self._woken[message_id]

    def _drop_past_lives(self, name: str) -> None:
        gateway, life = _gateway_of(name)
        past = takewhile(lambda known: known[0] < life, self._lives.get(gateway, ()))
        for _, old in list(islice(past, MAX_DUE_PER_CALL)):
            self.remove(old)

    def _first(self, queue: Iterable[Place], now: int) -> Place | None:
        return next((place for place in queue if self._tickets[place[1]].until > now), None)

    def _index(self, name: str, ticket: Ticket) -> None:
        self._tickets[name] = ticket
        self._ends.add((ticket.until, name))
        gateway, life = _gateway_of(name)
        self._lives.setdefault(gateway, SortedList()).add((life, name))
        for queue in self._queues_of(ticket):
            queue.add((ticket.since, name))

    def _unindex(self, name: str, ticket: Ticket) -> None:
        self._ends.remove((ticket.until, name))
        gateway, life = _gateway_of(name)
        self._lives[gateway].remove((life, name))
        if not self._lives[gateway]:
            del self._lives[gateway]
        for queue in self._queues_of(ticket):
            queue.remove((ticket.since, name))
        for entity in ticket.entities or ():
            if not self._by_entity[entity]:
                del self._by_entity[entity]

    def _queues_of(self, ticket: Ticket) -> Iterator[SortedList[Place]]:
        yield self._all
        if ticket.entities is None:
            yield self._for_any
        for entity in ticket.entities or ():
            queue = self._by_entity.get(entity)
            if queue is None:
                queue = self._by_entity[entity] = SortedList()
            yield queue


def _gateway_of(name: str) -> tuple[str, int]:
    """The gateway of a ticket, and its life; 0 for a name of another form."""
    gateway, _, rest = name.partition("/")
    life = rest.partition("/")[0]
    return gateway, int(life) if life.isdecimal() else 0


def _tickets_in(storage: Storage) -> Iterator[tuple[str, Ticket]]:
    after = ""
    while entries := storage.list(_PREFIX, after=after):
        for after, encoded in entries:
            yield after.removeprefix(_PREFIX), _decode(encoded)
