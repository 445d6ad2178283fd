"""How many messages there are: of each status, of each entity, and with a context."""

from collections import Counter
from collections.abc import Iterable
from itertools import islice

from msgspec import UNSET
from sortedcontainers import SortedDict

from saywhatwant.message import BotParams, Status


class Counts:
    """Counts of all messages; an entity's name is empty for messages that name none."""

    def __init__(self) -> None:
        self.total: Counter[Status] = Counter({"pending": 0, "processing": 0, "complete": 0, "failed": 0})
        """How many messages there are of each status."""
        self.contexts = 0
        """How many messages have a context."""
        self._depth: SortedDict[str, Counter[Status]] = SortedDict()
        self._contexts: Counter[str] = Counter()

    def add(self, params: BotParams, change: int = 1) -> None:
        """Count a message, or with -1 one less."""
        name, status = params.entity or "", params.status
        of_entity = self._depth.get(name)
        if of_entity is None:
            of_entity = self._depth[name] = Counter()
        left = of_entity[status] = of_entity[status] + change
        self.total[status] += change
        if params.has_context is not UNSET:
            self._count_context(name, change)
        if not left and not any(of_entity.values()):
            del self._depth[name]

    def add_some(self, entity: str | None, status: Status, change: int) -> None:
        """Count messages without a context."""
        self.total[status] += change
        self.add_to_entity(entity, status, change)

    def add_to_entity(self, entity: str | None, status: Status, change: int) -> None:
        """Count messages that are part of the total already."""
        name = entity or ""
        of_entity = self._depth.get(name)
        if of_entity is None:
            of_entity = self._depth[name] = Counter()
        left = of_entity[status] = of_entity[status] + change
        if not left and not any(of_entity.values()):
            del self._depth[name]

    def forget_entities(self) -> None:
        """Forget how many messages each entity has."""
        self._depth.clear()

    def change(self, old: BotParams, new: BotParams) -> None:
        """A message has another status; its entity is always the same."""
        name = new.entity or ""
        of_entity, total = self._depth[name], self.total
        of_entity[old.status] -= 1
        total[old.status] -= 1
        of_entity[new.status] += 1
        total[new.status] += 1
        if old.has_context is not new.has_context:
            self._count_context(name, 1 if new.has_context else -1)

    def _count_context(self, name: str, change: int) -> None:
        self.contexts += change
        self._contexts[name] += change
        if not self._contexts[name]:
            del self._contexts[name]

    def unfinished(self, entity: str | None) -> int:
        """Messages to this entity whose work is not finished; with None, messages that name no entity."""
        depth = self._depth.get(entity or "")
        return depth["pending"] + depth["processing"] if depth else 0

    def contexts_of(self, entity: str | None) -> int:
        """Messages with a context to this entity; with None, those that name no entity."""
        return self._contexts[entity or ""]

    def depths(self, limit: int, first: Iterable[str] = ()) -> dict[str, Counter[Status]]:
        """The number of messages of each status: for the entities ``first``, then others by name, up to ``limit``.

        The empty name is for messages that name no entity.
        """
        names = dict.fromkeys([name for name in ("", *first) if name in self._depth])
        names |= dict.fromkeys(islice(self._depth, limit))
        return {name: Counter(self._depth[name]) for name in islice(names, limit)}
