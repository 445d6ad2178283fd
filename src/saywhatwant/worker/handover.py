"""What a server takes over from the one before it, and leaves to the next one."""

import socket
from collections.abc import Callable, Sequence
from typing import NamedTuple


class Handover(NamedTuple):
    """By default a server begins with nothing, and its connections end with it."""

    listening: Sequence[socket.socket] = ()
    """Sockets that listen already and outlive this server: who connects while no server runs waits in them."""
    connections: Sequence[socket.socket] = ()
    """Open HTTP connections of the server before this one, each between two requests."""
    keep: Callable[[socket.socket], None] | None = None
    """Takes such a connection of this server for the next one, and owns the socket from then on."""
    idle_seconds: float = 0
    """Where nobody takes connections over: how long one without a request stays open for it, when the server stops."""
