"""All open HTTP connections: how many there may be, and how many of one client."""

import ipaddress
from collections import Counter
from collections.abc import Callable
from functools import lru_cache

from saywhatwant.addresses import client_network
from saywhatwant.worker import limits


class Connections:
    """Counts open connections, by client too, and those that linger.

    ``of_one_client`` (0 is no limit) does not hold for ``proxies``, which are addresses and networks with commas between.
    ``on_refused`` gets the status of each refusal that no route has made.
    """

    def __init__(
        self,
        *,
        in_total: int,
        of_one_client: int = 0,
        proxies: str = "",
        on_refused: Callable[[int], None] = lambda _: None,
    ) -> None:
        self.on_refused = on_refused
        self._in_total = in_total
        self._of_one_client = of_one_client
        self._proxies = [ipaddress.ip_network(proxy.strip()) for proxy in proxies.split(",") if proxy.strip()]
        self._is_proxy = lru_cache(maxsize=1_024)(self._in_proxies)
        self._clients: dict[object, str] = {}
        self._by_client: Counter[str] = Counter()
        self._lingering: set[object] = set()

    def add(self, connection: object, host: str | None, in_total: int) -> str | None:
        """Count one more, which makes ``in_total`` with all WebSockets; why it is one too many, or None."""
        if in_total > self._in_total:
            return f"{self._in_total} connections are open already"
        if not self._of_one_client or host is None or self._is_proxy(host):
            return None
        client = client_network(host)
        if self._by_client[client] >= self._of_one_client:
            return f"{self._of_one_client} connections of {client} are open already"
        self._clients[connection] = client
        self._by_client[client] += 1
        return None

    def remove(self, connection: object) -> None:
        """It is closed, or a WebSocket now; a second time does nothing."""
        self._lingering.discard(connection)
        client = self._clients.pop(connection, None)
        if client is not None:
            self._by_client[client] -= 1
            if not self._by_client[client]:
                del self._by_client[client]

    def may_linger(self, connection: object) -> bool:
        """Whether it may stay open for its client to read the last answer; if so it is counted as lingering."""
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
