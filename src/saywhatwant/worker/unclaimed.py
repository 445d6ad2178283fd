"""Messages that stay unclaimed though a claim waits for them: the sign that the event which wakes it has not arrived.

The gateway that owned the event's ticket may have died, or the events have been interrupted.
"""

import asyncio
from collections.abc import Callable

from saywhatwant.queue.events import ChangedMessage
from saywhatwant.worker.limits import UNCLAIMED_SECONDS

CallLater = Callable[[float, Callable[[], None]], object]
"""Calls a function after some seconds."""


def call_later(seconds: float, callback: Callable[[], None]) -> object:
    """That of the running event loop."""
    return asyncio.get_running_loop().call_later(seconds, callback)


class Unclaimed:
    """Reports each message that is claimable, and not claimed within ``UNCLAIMED_SECONDS`` to twice that.

    Args:
        report: called with the message.
        call_later: the event loop's.
    """

    def __init__(self, report: Callable[[ChangedMessage], None], call_later: CallLater = call_later) -> None:
        self._report = report
        self._call_later = call_later
        self._new: dict[str, ChangedMessage] = {}
        self._old: dict[str, ChangedMessage] = {}
        """Those that were claimable at the last look already."""
        self._looks = False

    def note(self, message: ChangedMessage) -> None:
        """A message has changed."""
        self._old.pop(message.id, None)
        if not message.claimable:
            self._new.pop(message.id, None)
            return
        self._new[message.id] = message
        if not self._looks:
            self._look_later()

    def clear(self) -> None:
        """Forget all of them."""
        self._new, self._old = {}, {}

    def _look_later(self) -> None:
        self._looks = bool(self._new or self._old)
        if self._looks:
            self._call_later(UNCLAIMED_SECONDS, self._look)

    def _look(self) -> None:
        old, self._old, self._new = self._old, self._new, {}
        for message in old.values():
            self._report(message)
        self._look_later()
