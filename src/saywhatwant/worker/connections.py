"""The open HTTP connections of a server: how many there may be, in total and per client, and where they go at its end."""

import ipaddress
from collections import Counter
from collections.abc import Callable
from functools import lru_cache

from saywhatwant.addresses import client_network
from saywhatwant.worker import limits
from saywhatwant.worker.handover import Handover


class Connections:
    """Counts open connections, in total and per client, and lingering ones.

    ``of_one_client`` (0 is no limit) does not apply to ``proxies``, which are addresses and networks separated by commas.
    ``on_refused`` is called with the status of each refusal made before any route. ``handover`` is for the end of the server.
    """

    def __init__(
        self,
        *,
        in_total: int,
        of_one_client: int = 0,
        proxies: str = "",
        on_refused: Callable[[int], None] = lambda _: None,
        handover: Handover | None = None,
    ) -> None:
        self.on_refused = on_refused
        self.handover = handover or Handover()
        self._in_total = in_total
        self._of_one_client = of_one_client
        self._proxies = [ipaddress.ip_network(proxy.strip()) for proxy in proxies.split(",") if proxy.strip()]
        self._is_proxy = lru_cache(maxsize=1_024)(self._in_proxies)
        self._clients: dict[object, str] = {}
        self._by_client: Counter[str] = Counter()
        self._lingering: set[object] = set()

    def add(self, connection: object, host: str | None, in_total: int) -> str | None:
        """Count a connection; ``in_total`` includes it and all WebSockets. Returns why it is refused, or None."""
        if in_total > self._in_total:
            return f"{self._in_total} connections are already open"
        if not self._of_one_client or host is None or self._is_proxy(host):
            return None
        client = client_network(host)
        if self._by_client[client] >= self._of_one_client:
            return f"{self._of_one_client} connections of {client} are already open"
        self._clients[connection] = client
        self._by_client[client] += 1
        return None

    def remove(self, connection: object) -> None:
        """Remove a connection that was closed or became a WebSocket; a repeated call does nothing."""
        self._lingering.discard(connection)
        client = self._clients.pop(connection, None)
        if client is not None:
            self._by_client[client] -= 1
            if not self._by_client[client]:
                del self._by_client[client]

    def may_linger(self, connection: object) -> bool:
        """Whether it may stay open until its client has read the last answer; if so it is counted as lingering."""
        if len(self._lingering) >= limits.MAX_LINGERING:
            return False
        self._lingering.add(connection)
        return True

    def _in_proxies(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            return False
        return any(address in network for network in self._proxies)
