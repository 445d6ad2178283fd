"""Which entities have answered messages to anyone: the next one is for the entity that had its turn longest ago.

An entity's last turn is the last change of a message that it was assigned, so that a busy entity waits longer, and a clock that
steps changes nothing.
"""

from collections.abc import Iterable

from msgspec import UNSET
from sortedcontainers import SortedList

from saywhatwant.message import Message

Change = tuple[int, int]
"""(seq of a message's last change, its timestamp)."""


class Assignments:
    """The last changes of the messages that each entity was assigned."""

    def __init__(self) -> None:
        self._changes: dict[str, SortedList[Change]] = {}

    def add(self, message: Message) -> None:
        """Add a message; one without an assigned entity is ignored."""
        entity = message.bot_params.assigned_entity
        if entity is UNSET:
            return
        changes = self._changes.get(entity)
        if changes is None:
            changes = self._changes[entity] = SortedList()
        changes.add((message.seq, message.timestamp))

    def remove(self, message: Message) -> None:
        """Forget a message in this state."""
        entity = message.bot_params.assigned_entity
        if entity is UNSET:
            return
        changes = self._changes[entity]
        changes.remove((message.seq, message.timestamp))
        if not changes:
            del self._changes[entity]

    def longest_ago(self, entities: Iterable[str]) -> str:
        """The one of ``entities`` that had its turn longest ago; of those that had none, the first."""
        return min(entities, key=self._last)

    def _last(self, entity: str) -> Change:
        changes = self._changes.get(entity)
        return changes[-1] if changes else (-1, 0)
