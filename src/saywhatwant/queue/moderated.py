"""How operators hide messages, show them again, and erase their texts for good.

A message that is hidden keeps its id, its place and its answer. If it is work, that ends: no bot gets it, and the one that
holds it is refused. So no answer appears to a hidden question, except the one that was there before.
"""

from msgspec import UNSET, Raw

import durable_objects
from saywhatwant.errors import WrongState
from saywhatwant.message import Message
from saywhatwant.moderation.schemas import HiddenMessage, ModerationResponse
from saywhatwant.queue import erased as erased_ids
from saywhatwant.queue import lease
from saywhatwant.queue.erased import Erased
from saywhatwant.queue.hidden import ENDED, NAMELESS
from saywhatwant.queue.memory import forget_in_contexts
from saywhatwant.queue.messages import is_unfinished
from saywhatwant.queue.reviewed import Reviewed


class Moderated(Reviewed):
    """The calls of those who moderate. Each may be repeated: it returns the message as everybody sees it now."""

    def hide(self, message_id: str, reason: str = "", *, name: bool = False, by: str | None = None) -> ModerationResponse:
        """The operator ``by`` hides the text of a message, and with ``name`` who wrote it. Raises ``UnknownMessage``.

        A message that is unfinished fails, or is complete if it has an answer. ``reason`` is for operators.
        """
        now = self._now()
        message = self._known(message_id)
        if message.erased is not UNSET or (message.hidden is not UNSET and not name):
            return self._unchanged(message)
        self._audit(by, "hide", [message_id], reason)
        return self._changed(self._ended(self._hidden.hide(message, now, reason, name=name), now))

    def restore(self, message_id: str, reason: str = "", *, by: str | None = None) -> ModerationResponse:
        """Show a hidden message again; its work does not go on unless it is retried.

        Raises ``UnknownMessage``, or ``WrongState`` when it is erased.
        """
        self._now()
        message = self._known(message_id)
        if message.erased is not UNSET:
            raise WrongState("the message is erased: nobody has its text any more")
        if message.hidden is UNSET:
            return self._unchanged(message)
        self._audit(by, "restore", [message_id], reason)
        return self._changed(self._hidden.restore(message))

    def erase(self, message_id: str, reason: str = "", *, name: bool = False, by: str | None = None) -> ModerationResponse:
        """Remove the text of a message, and with ``name`` who wrote it, and what is stored beside it.

        Its id is kept, for backups that have the text. What contexts quote of it stays (``forget_in_contexts``), and so do
        traces on the disk (``Runtime.scrub``). Raises ``UnknownMessage``.
        """
        now = self._now()
        message = self._known(message_id)
        erased = self._hidden.erase(message, name=name)
        at = max(now, message.timestamp)
        erased_ids.keep(self.ctx.storage, Erased(message_id, at, name=erased.username == NAMELESS))
        if erased == message:
            return self._unchanged(message)
        self._audit(by, "erase", [message_id], reason)
        self._details.drop(message)
        return self._changed(self._ended(erased, now))

    def forget_in_contexts(self, text: str, after: int = 0) -> int | None:
        """Remove the strings that have this text from some contexts: those of the messages after this time.

        Returns the time to go on from; None when there are no more.
        """
        return forget_in_contexts(self.ctx.storage, text, after) if self._index.counts.contexts else None

    @durable_objects.read
    def hidden(self, message_id: str) -> HiddenMessage:
        """What a hidden message says, for operators. Raises ``UnknownMessage``, or ``WrongState`` when it is not hidden."""
        message = self._known(message_id)
        known = self._hidden.get(message)
        if known is None:
            state = "not hidden" if message.hidden is UNSET else "erased: nobody has its text any more"
            raise WrongState(f"the message is {state}")
        return HiddenMessage(
            Raw(self._index.encoded(message_id)),
            text=known.text,
            username=message.username if known.name is None else known.name.username,
            reason=known.reason,
            hidden_at=known.at,
        )

    # -- Helpers

    def _ended(self, message: Message, now: int) -> Message:
        """The message, whose work ends because it is hidden."""
        return lease.fail(message, ENDED, now, self._config, retry=False) if is_unfinished(message) else message

    def _changed(self, message: Message) -> ModerationResponse:
        return ModerationResponse(Raw(self._save(message)))

    def _unchanged(self, message: Message) -> ModerationResponse:
        return ModerationResponse(Raw(self._index.encoded(message.id)))
