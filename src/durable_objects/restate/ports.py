"""Free ports for servers that must have the same ones again after a restart."""

import random
import socket
from pathlib import Path

_EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
_FIRST = 10_000
_LAST = 32_000
"""The default range; Linux and macOS give higher ports to connections."""
_ATTEMPTS = 1000


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Whether a server could listen on ``port`` now."""
    try:
        _bound(port, host).close()
    except OSError:
        return False
    return True


def claim_port(port: int, host: str = "127.0.0.1") -> socket.socket:
    """A socket that keeps a port for a server that shares ports, which is about to listen on it in this process.

    Such a server would take a port together with any other one, and each would get some of the connections. Raises ``OSError``
    when another process has the port, or the address cannot be used.
    """
    with _bound(port, host):
        pass
    return _bound(port, host, shared=True)


def _bound(port: int, host: str, *, shared: bool = False) -> socket.socket:
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((host, port))
    except OSError:
        bound.close()
        raise
    return bound


def free_port(host: str = "127.0.0.1") -> int:
    """A port that nobody listens on, and that no outgoing connection gets while its server is down for a moment.

    Raises ``OSError`` when none is found.
    """
    last = min(_LAST, int(_EPHEMERAL.read_text().split()[0]) - 1) if _EPHEMERAL.exists() else _LAST
    picks = random.SystemRandom()  # processes that start together must not pick alike
    for _ in range(_ATTEMPTS):
        port = picks.randrange(min(_FIRST, last - 1), last)
        if is_free(port, host):
            return port
    raise OSError(f"no free port between {_FIRST} and {last}")
