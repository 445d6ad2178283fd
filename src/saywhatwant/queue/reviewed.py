"""What a queue does at the word of an operator's rule or review; ``moderation`` has those."""

from msgspec import Raw
from msgspec.structs import replace

import durable_objects
from saywhatwant.errors import RefusedByRule
from saywhatwant.message import NewMessage, Posted, Ruling
from saywhatwant.moderation.held import HeldPost
from saywhatwant.moderation.object import MODERATION, Moderation
from saywhatwant.queue.claims import Claims


class Reviewed(Claims):
    """Posts that a rule holds or refuses, reviewed ones, and the audit of what operators do."""

    def post_held(self, new: NewMessage) -> None:
        """See ``TakesReviewed``. It is taken even when the backlog is full: what was accepted is not dropped (P6)."""
        now = self._now()
        if new.id is not None and new.id in self._index:  # chosen by the client of another message, a day later
            new = replace(new, id=None)
        self._add(new, now)

    def end_held(self, message_id: str) -> None:
        """See ``TakesReviewed``."""

    @durable_objects.read
    def message(self, message_id: str) -> Raw:
        """One message; raises ``UnknownMessage``."""
        return Raw(self._index.encoded(self._known(message_id).id))

    def _ruled(self, new: NewMessage, ruling: Ruling, now: int) -> Posted:
        """A post that a rule says something of, and that repeats none: its key would have found the first answer (P7).

        Raises ``RefusedByRule`` if it is refused.
        """
        if ruling.action == "refuse":
            raise RefusedByRule("a rule refuses this post")
        new = replace(new, ruling=None)
        message_id = new.id or self._new_id()
        self.ctx.send(MODERATION, Moderation.take, HeldPost(id=message_id, at=now, phrase=ruling.phrase, new=new))
        return Posted(message_id, now, held=True)

    def _audit(self, by: str | None, action: str, about: list[str], reason: str = "") -> None:
        """Write down what an operator does, in the commit that does it."""
        if by is not None and about:
            self.ctx.send(MODERATION, Moderation.record, by, action, " ".join(about), reason)
