"""Which entity each visitor talked with last, as this process knows it: a hint which bot a message to anyone should wake."""

from collections import OrderedDict

from saywhatwant.queue.events import ChangedMessage
from saywhatwant.worker.limits import MAX_PARTNERS

Visitor = tuple[str, str, str | None, str | None]
"""Name, color with its tail, session."""


class Partners:
    """The last entities of up to ``MAX_PARTNERS`` visitors; beyond it those quiet longest are forgotten.

    The queue knows them all and decides by that. But it can only choose among the entities of the claim that comes.
    """

    def __init__(self) -> None:
        self._entities: OrderedDict[Visitor, str] = OrderedDict()

    def note(self, message: ChangedMessage) -> None:
        """Remember which entity the author of this message talks with."""
        entity = message.bot_params.entity or message.bot_params.assigned_entity
        if entity is None or message.message_type != "human":
            return
        visitor = _visitor_of(message)
        self._entities[visitor] = entity
        self._entities.move_to_end(visitor)
        if len(self._entities) > MAX_PARTNERS:
            self._entities.popitem(last=False)

    def of(self, message: ChangedMessage) -> str | None:
        """The entity that the author of this message talked with last."""
        return self._entities.get(_visitor_of(message))


def _visitor_of(message: ChangedMessage) -> Visitor:
    return (message.username, message.color, message.color_tail, message.bot_params.session_id)
