"""Which entities have answered messages to anyone: the next one is for the entity that had its turn longest ago.

An entity's last turn is the last change of a message that it was assigned, so that a busy entity waits longer, and a clock that
steps changes nothing.
"""

from collections import defaultdict
from collections.abc import Iterable

from sortedcontainers import SortedList

Change = tuple[int, int]
"""(seq of a message's last change, its timestamp)."""


class Assignments:
    """The last changes of the messages that each entity was assigned."""

    def __init__(self) -> None:
        self._changes: dict[str, SortedList[Change]] = {}

    def load(self, turns: Iterable[tuple[str, Change]]) -> None:
        """Start again with these changes."""
        by_entity = defaultdict[str, list[Change]](list)
        for entity, change in turns:
            by_entity[entity].append(change)
        self._changes = {entity: SortedList(changes) for entity, changes in by_entity.items()}

    def add(self, entity: str, change: Change) -> None:
        """A message that the entity was assigned has changed."""
        changes = self._changes.get(entity)
        if changes is None:
            changes = self._changes[entity] = SortedList()
        changes.add(change)

    def remove(self, entity: str, change: Change) -> None:
        """Forget a change that was added."""
        changes = self._changes[entity]
        changes.remove(change)
        if not changes:
            del self._changes[entity]

    def longest_ago(self, entities: Iterable[str]) -> str:
        """The one of ``entities`` that had its turn longest ago; of those that had none, the first."""
        return min(entities, key=self.last)

    def last(self, entity: str) -> Change:
        """The entity's last turn; (-1, 0) if it had none."""
        changes = self._changes.get(entity)
        return changes[-1] if changes else (-1, 0)
