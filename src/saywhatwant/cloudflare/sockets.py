"""What this package needs of Cloudflare's hibernating WebSockets, as plain Python: ``entry`` gives it, and so can a test.

The platform holds such a socket while the object sleeps, and wakes the object for a message. Nothing of it may wait in Python:
no task, no timer.
"""

from collections.abc import Callable, Iterable
from typing import Protocol

MAX_ATTACHMENT_BYTES = 2_048
"""What the platform keeps with a socket while the object sleeps."""

TOO_BIG = 1_009
"""The code of a close because of a frame that is too long."""

HIBERNATE = "saywhatwant.hibernate"
"""The extension of a socket's scope: an ``Accept``, instead of the messages that ASGI has for it."""


class Socket(Protocol):
    """The server's end of a WebSocket."""

    @property
    def tag(self) -> str:
        """The tag that it was accepted with."""

    def send(self, text: str) -> None:
        """Send a frame; never waits. Raises ``ConnectionError`` when the socket has ended."""

    def close(self, code: int) -> None:
        """Close it; harmless when it has ended."""

    def attach(self, text: str) -> None:
        """Keep up to ``MAX_ATTACHMENT_BYTES`` with the socket, in place of what was kept before."""

    def attachment(self) -> str:
        """What is kept; empty for nothing."""


Accept = Callable[[str], Socket]
"""Accepts the handshake, and makes the socket one of those with this tag, 1 to 256 characters."""

OpenSockets = Callable[[str], Iterable[Socket]]
"""All sockets with a tag that are open."""
