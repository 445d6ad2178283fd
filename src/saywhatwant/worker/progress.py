"""Replies that are being written: bots send the whole text so far, subscribers get the new part."""

from collections import OrderedDict

import msgspec

from saywhatwant.queue.events import ChangedMessage
from saywhatwant.worker.limits import MAX_PROGRESS_CHARS


class ProgressTexts:
    """The latest text of each reply, up to ``MAX_PROGRESS_CHARS`` together.

    Beyond that the ones unchanged for longest are dropped; the next piece of a dropped reply is its whole text.
    """

    def __init__(self) -> None:
        self._texts: OrderedDict[str, tuple[int, str]] = OrderedDict()
        self._chars = 0

    def __len__(self) -> int:
        return len(self._texts)

    def delta(self, message_id: str, attempt: int, text: str) -> bytes:
        """The event that turns the last text of this attempt into ``text``."""
        known_attempt, known = self._texts.get(message_id, (attempt, ""))
        offset = len(known) if known_attempt == attempt and text.startswith(known) else 0
        self._forget(message_id)
        self._texts[message_id] = (attempt, text)
        self._chars += len(text)
        while self._chars > MAX_PROGRESS_CHARS:
            self._forget(next(iter(self._texts)))
        return _event(message_id, attempt, offset, text[offset:])

    def on_change(self, message: ChangedMessage) -> None:
        """Forget the reply of an attempt that is over."""
        known = self._texts.get(message.id)
        if known is not None and (message.bot_params.status != "processing" or message.bot_params.attempt != known[0]):
            self._forget(message.id)

    def snapshot(self) -> list[bytes]:
        """Events with every reply so far, for a new subscriber."""
        return [_event(message_id, attempt, 0, text) for message_id, (attempt, text) in self._texts.items()]

    def clear(self) -> None:
        """Forget all."""
        self._texts.clear()
        self._chars = 0

    def _forget(self, message_id: str) -> None:
        if message_id in self._texts:
            self._chars -= len(self._texts.pop(message_id)[1])


def _event(message_id: str, attempt: int, offset: int, text: str) -> bytes:
    event = {"type": "progress", "id": message_id, "attempt": attempt, "offset": offset, "text": text}
    return msgspec.json.encode(event)
