"""The objects of a wall, and which of them has a message.

The ``Directory`` lists the objects. A gateway keeps the list, which only grows: at any call that waits, for any caller. So who
depends on it compares what it has used with what is known afterwards.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import NamedTuple, TypeVar

from durable_objects import EventStream, Namespace, Stub
from saywhatwant.errors import UnknownMessage
from saywhatwant.limits import ID_LENGTH
from saywhatwant.queue.directory import ANYONE, Directory, Place
from saywhatwant.queue.shard import ROUTE_LENGTH, QueueShard, Selection, route_of
from saywhatwant.topology.together import together
from saywhatwant.topology.wall import Answer

T = TypeVar("T")

NOTHING = Selection(limit=0)


class Shard(NamedTuple):
    """One object of the wall."""

    source: int
    name: str
    stub: Stub[QueueShard]


class Shards:
    """The objects that this gateway knows."""

    def __init__(self, directory: Stub[Directory], queues: Namespace[QueueShard], served: Iterable[str]) -> None:
        self.directory = directory
        self._queues = queues
        self._served = frozenset(served)
        self.all: tuple[Shard, ...] = ()
        """In the order of their numbers."""
        self._by_name: dict[str, Shard] = {}
        self._by_source: dict[int, Shard] = {}
        self._by_route: dict[str, list[Shard]] = {}
        self._open: set[int] = set()
        self._known = 0
        """How many of the first ones are known: what comes as an event may be a later one."""

    async def refresh(self) -> None:
        """Get to know all objects that there are."""
        known = self._known
        self._take(known, await self.directory.call(Directory.places, known))

    def add(self, places: Iterable[Place]) -> None:
        """Get to know these."""
        for place in places:
            if place.is_open:
                self._open.add(place.source)
            if place.source not in self._by_source:
                shard = Shard(place.source, place.name, self._queues.get(place.name))
                self._by_name[shard.name] = self._by_source[shard.source] = shard
                self._by_route.setdefault(route_of(shard.name), []).append(shard)
        if len(self._by_source) > len(self.all):
            self.all = tuple(self._by_source[source] for source in sorted(self._by_source))

    def _take(self, known: int, places: Sequence[Place]) -> None:
        """Get to know what the directory has answered: the places after the first ``known``."""
        self.add(places)
        self._known = max(self._known, known + len(places))

    def events(self) -> EventStream:
        """The places as they are registered."""
        return self.directory.events()

    # -- By entity

    async def of(self, entity: str | None) -> Shard:
        """The object of an entity's messages.

        Each entity that answers here has one. All others share that of the messages that name none, so that their number is
        bounded, and so that together they are one group (see ``queue.backlog``).
        """
        shard = self._by_name.get(ANYONE + (entity or ""))
        if shard is None:
            name = entity if entity in self._served else ""
            known = self._known
            self._take(known, await self.directory.call(Directory.place, name or "", known))
            shard = self._by_name.get(ANYONE + (name or "")) or self._by_name[ANYONE]
        if shard.source not in self._open:
            await self._continue_timestamps(shard)
        return shard

    async def for_work(self, entities: tuple[str, ...] | None) -> tuple[Shard, ...]:
        """The objects that may have work for these entities, or for all."""
        if entities is None:
            await self.refresh()
            return self.all or (await self.of(None),)
        found = [await self.of(entity) for entity in (None, *entities)]
        return tuple(dict.fromkeys(found))

    async def _continue_timestamps(self, shard: Shard) -> None:
        """Before its first message, raise the object's floor to that of the others.

        A reader of a page looks for new objects after that. So it knows this one, or this one begins after that page.
        """
        heads = await together([other.stub.call(QueueShard.head) for other in self.all if other != shard])
        floor = max((head.floor for head in heads), default=0)
        await shard.stub.call(QueueShard.fence, floor, NOTHING)
        await self.directory.call(Directory.open, shard.source)
        self._open.add(shard.source)

    # -- By id

    async def ask(self, message_id: str, call: Callable[[Shard], Answer[T]], field: str = "messageId") -> T:
        """The answer of the object that has this message: its id shows it, or the directory knows it.

        Raises ``UnknownMessage``, and what ``call`` raises.
        """
        asked, known = self.all, self._known
        for shard in self._candidates(message_id):
            with suppress(UnknownMessage):
                return await call(shard)
        found = await self.directory.call(Directory.find, message_id, known)
        self._take(known, found.places)
        if self.all != asked:
            return await self.ask(message_id, call, field)
        if found.source is not None:
            with suppress(UnknownMessage):
                return await call(self._by_source[found.source])
        raise UnknownMessage(field, message_id)

    async def holder(self, message_id: str, field: str) -> Shard:
        """The object that has this message; raises ``UnknownMessage``."""

        async def known(shard: Shard) -> Shard:
            await shard.stub.call(QueueShard.work, message_id)
            return shard

        return await self.ask(message_id, known, field)

    async def numbered(self, source: int) -> Shard:
        """The object with this number, which is registered."""
        if source not in self._by_source:
            await self.refresh()
        return self._by_source[source]

    async def has_made(self, message_id: str, but: Shard) -> bool:
        """Whether another object than ``but`` has a message whose id it has made like this."""
        for shard in self._candidates(message_id):
            if shard != but:
                with suppress(UnknownMessage):
                    await shard.stub.call(QueueShard.work, message_id)
                    return True
        return False

    def _candidates(self, message_id: str) -> list[Shard]:
        """The objects that may have made this id."""
        return self._by_route.get(message_id[:ROUTE_LENGTH], []) if len(message_id) == ID_LENGTH else []
