"""The tickets of waiting claims in memory: in the order of arrival for each entity, and by their ends and gateways."""

from collections import OrderedDict
from collections.abc import Iterable
from heapq import heapify, heappop, heappush

from msgspec import Struct

Place = tuple[int, str]
"""A ticket's ``since`` and its name: the order of arrival."""

MIN_COMPACTED = 64


class Ticket(Struct, frozen=True):
    """A waiting claim as it is stored."""

    since: int
    """Its place: milliseconds, greater than those of all tickets that were there before."""
    until: int
    """When it ends."""
    entities: tuple[str, ...] | None
    """Whose messages it takes, besides those to anyone; None for all."""


class _Line(OrderedDict[Place, None]):
    """Tickets in the order of arrival. Nearly every one joins at the end, and the first one is the next to leave."""

    def join(self, place: Place) -> None:
        is_last = not self or next(reversed(self)) < place
        self[place] = None
        if not is_last:  # it was woken in vain, and gets its place back
            for known in sorted(self):
                self.move_to_end(known)


class Tickets:
    """All tickets, by name."""

    def __init__(self) -> None:
        self.by_name: dict[str, Ticket] = {}
        self._for_any = _Line()
        """Those that take the messages of every entity."""
        self._by_entity: dict[str, _Line] = {}
        self._ends: list[tuple[int, str]] = []
        """A heap of when each ends; outdated entries are skipped, and removed when they are the majority."""
        self._lives: dict[str, dict[int, int]] = {}
        """How many tickets each life of each gateway has."""
        self.newest = 0
        """The greatest ``since`` so far."""

    def __len__(self) -> int:
        return len(self.by_name)

    def __contains__(self, name: str) -> bool:
        return name in self.by_name

    @property
    def entities(self) -> Iterable[str]:
        """The entities that are waited for by name."""
        return self._by_entity

    def add(self, name: str, ticket: Ticket) -> None:
        """Add a ticket, which must be new."""
        self.by_name[name] = ticket
        place = (ticket.since, name)
        self.newest = max(self.newest, ticket.since)
        if ticket.entities is None:
            self._for_any.join(place)
        for entity in ticket.entities or ():
            line = self._by_entity.get(entity)
            if line is None:
                line = self._by_entity[entity] = _Line()
            line.join(place)
        heappush(self._ends, (ticket.until, name))
        gateway, life = gateway_of(name)
        lives = self._lives.setdefault(gateway, {})
        lives[life] = lives.get(life, 0) + 1

    def pop(self, name: str) -> Ticket | None:
        """Remove a ticket, if it is there."""
        ticket = self.by_name.pop(name, None)
        if ticket is None:
            return None
        place = (ticket.since, name)
        if ticket.entities is None:
            del self._for_any[place]
        for entity in ticket.entities or ():
            line = self._by_entity[entity]
            del line[place]
            if not line:
                del self._by_entity[entity]
        if len(self._ends) > 2 * len(self.by_name) + MIN_COMPACTED:
            self._ends = [(known.until, other) for other, known in self.by_name.items()]
            heapify(self._ends)
        gateway, life = gateway_of(name)
        lives = self._lives[gateway]
        lives[life] -= 1
        if not lives[life]:
            del lives[life]
        if not lives:
            del self._lives[gateway]
        return ticket

    def first(self, now: int, entity: str | None = None) -> Place | None:
        """The ticket for ``entity`` that came first and has not ended; None for the one of all."""
        lines = self._by_entity.values() if entity is None else filter(None, [self._by_entity.get(entity)])
        firsts = [self._first_of(line, now) for line in (self._for_any, *lines)]
        return min(filter(None, firsts), default=None)

    def ended(self, now: int) -> str | None:
        """A ticket that has ended, the one that ended first."""
        while self._ends and self._ends[0][0] <= now:
            until, name = self._ends[0]
            ticket = self.by_name.get(name)
            if ticket is not None and ticket.until == until:
                return name
            heappop(self._ends)
        return None

    def of_past_lives(self, name: str) -> list[str]:
        """The tickets of the same gateway from before its last start, as far as ``name`` shows."""
        gateway, life = gateway_of(name)
        if life <= min(self._lives.get(gateway, ()), default=life):
            return []
        known = [(other, *gateway_of(other)) for other in self.by_name]
        return [other for other, its_gateway, its_life in known if its_gateway == gateway and its_life < life]

    def _first_of(self, line: _Line, now: int) -> Place | None:
        return next((place for place in line if self.by_name[place[1]].until > now), None)


def gateway_of(name: str) -> tuple[str, int]:
    """The gateway of a ticket, and its life; 0 for a name of another form."""
    gateway, _, rest = name.partition("/")
    life = rest.partition("/")[0]
    return gateway, int(life) if life.isdecimal() else 0
