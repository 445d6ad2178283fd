"""Messages that stay unclaimed though a claim waits for them: the sign that the event which wakes it has not arrived.

The gateway that owned the event's ticket may have died, or the events have been interrupted.
"""

import asyncio
from collections.abc import Callable

from saywhatwant.worker.limits import MAX_LOOKS, UNCLAIMED_SECONDS

CallLater = Callable[[float, Callable[[], None]], object]
"""Calls a function after some seconds."""


def call_later(seconds: float, callback: Callable[[], None]) -> object:
    """That of the running event loop."""
    return asyncio.get_running_loop().call_later(seconds, callback)


class Unclaimed:
    """Looks after claimable messages: one that nobody claims within ``UNCLAIMED_SECONDS``, up to twice as many, is offered.

    Args:
        offer: called with a message's id and entity; returns whether a claim here wants it, which it then wakes.
        call_later: the event loop's.
    """

    def __init__(self, offer: Callable[[str, str | None], bool], call_later: CallLater = call_later) -> None:
        self._offer = offer
        self._call_later = call_later
        self._new: dict[str, tuple[str | None, int]] = {}
        """The entities of the messages, and how often each is still offered: one may be removed without an event."""
        self._old: dict[str, tuple[str | None, int]] = {}
        """Those that were claimable at the last look already."""
        self._looks = False

    def note(self, message_id: str, entity: str | None) -> None:
        """A message to this entity can be claimed."""
        self._old.pop(message_id, None)
        self._new[message_id] = (entity, MAX_LOOKS)
        if not self._looks:
            self._look_later()

    def forget(self, message_id: str) -> None:
        """A message cannot be claimed any more."""
        self._old.pop(message_id, None)
        self._new.pop(message_id, None)

    def clear(self) -> None:
        """Forget all of them."""
        self._new, self._old = {}, {}

    def _look_later(self) -> None:
        self._looks = bool(self._new or self._old)
        if self._looks:
            self._call_later(UNCLAIMED_SECONDS, self._look)

    def _look(self) -> None:
        old, self._old, self._new = self._old, self._new, {}
        for message_id, (entity, looks) in old.items():
            if self._offer(message_id, entity) and looks > 1:
                self._old[message_id] = (entity, looks - 1)
        self._look_later()
