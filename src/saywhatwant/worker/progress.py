"""Replies on their way: bots send what they do and the whole text so far, subscribers get the new part."""

from collections import OrderedDict
from typing import NamedTuple

import msgspec

from saywhatwant.queue.events import ChangedMessage, Event
from saywhatwant.schemas import ProgressState
from saywhatwant.worker.limits import MAX_PROGRESS_CHARS

ENTRY_CHARS = 100
"""What a reply without text counts as."""


class Progress(NamedTuple):
    """The present state of one reply."""

    attempt: int
    text: str
    state: ProgressState

    @property
    def chars(self) -> int:
        """What it counts as towards the bound."""
        return len(self.text) + ENTRY_CHARS


class ProgressTexts:
    """The present state of each reply on its way, up to ``MAX_PROGRESS_CHARS`` together.

    Beyond that the ones unchanged for longest are dropped; the next piece of a dropped reply is its whole text.
    """

    def __init__(self) -> None:
        self._replies: OrderedDict[str, Progress] = OrderedDict()
        self.chars = 0
        """Of all of them; 0 when there is none."""

    def __len__(self) -> int:
        return len(self._replies)

    def delta(self, event: Event) -> bytes:
        """Take a reply's new state; returns the event that brings a subscriber from the last one to it."""
        known, reply = self._replies.get(event.id), Progress(event.attempt, event.text, event.state)
        offset = 0
        if known is not None and known.attempt == reply.attempt and reply.text.startswith(known.text):
            offset = len(known.text)
        self._forget(event.id)
        self._replies[event.id] = reply
        self.chars += reply.chars
        while self.chars > MAX_PROGRESS_CHARS:
            self._forget(next(iter(self._replies)))
        return _event(event.id, reply, offset)

    def on_change(self, message: ChangedMessage) -> None:
        """Forget the reply of an attempt that is over."""
        known = self._replies.get(message.id)
        if known is not None and (message.bot_params.status != "processing" or message.bot_params.attempt != known.attempt):
            self._forget(message.id)

    def snapshot(self) -> list[bytes]:
        """Events with every reply so far, for a new subscriber."""
        return [_event(message_id, reply, 0) for message_id, reply in self._replies.items()]

    def _forget(self, message_id: str) -> None:
        if message_id in self._replies:
            self.chars -= self._replies.pop(message_id).chars


def _event(message_id: str, reply: Progress, offset: int) -> bytes:
    event = {"type": "progress", "id": message_id, "attempt": reply.attempt, "offset": offset, "text": reply.text[offset:]}
    return msgspec.json.encode(event if reply.state == "writing" else event | {"state": reply.state})
