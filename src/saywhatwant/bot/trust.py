"""Whether a bot should try a WebSocket again, or claim with long polls for a while."""

POLL_SECONDS = 600.0
"""Seconds of long polls where there are no WebSockets: an old server, or a proxy without them."""
RETRY_SECONDS = 5.0
"""Seconds of long polls after a socket could not be opened: the server may be starting, and they wait for it."""
SHORT_SECONDS = 30.0
"""A socket that ended sooner was cut."""
MANY_CUTS = 3
"""After so many in a row sockets are cut by a proxy, and long polls do better."""


class Trust:
    """What the sockets so far have shown. Each method but ``opened`` returns for how many seconds to poll; 0 for a socket."""

    def __init__(self) -> None:
        self._opened_at = 0.0
        self._cuts = 0

    def opened(self, now: float) -> None:
        """A socket is open."""
        self._opened_at = now

    def ended(self, now: float) -> float:
        """It has ended."""
        self._cuts = self._cuts + 1 if now - self._opened_at < SHORT_SECONDS else 0
        if self._cuts < MANY_CUTS:
            return 0
        self._cuts = 0
        return POLL_SECONDS

    def refused(self) -> float:
        """The handshake was answered with no WebSocket."""
        return POLL_SECONDS

    def failed(self) -> float:
        """It could not be opened."""
        return RETRY_SECONDS
