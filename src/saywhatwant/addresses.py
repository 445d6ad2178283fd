"""Network addresses: loopback addresses, URLs of servers, and the network of a client for limits."""

import ipaddress
from functools import lru_cache
from urllib.parse import urlsplit


def is_loopback(host: str) -> bool:
    """Whether a name or address (also in brackets) is this machine's own."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host == "localhost"


def host_and_port(address: str) -> tuple[str, int]:
    """The two parts of HOST:PORT, the host without brackets."""
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def url_from_here(host: str, port: int) -> str:
    """The URL at which this machine reaches a server on ``host`` (no brackets) and ``port``, also on a wildcard address."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


@lru_cache(maxsize=1_024)
def client_network(host: str) -> str:
    """The key of limits per client: the IPv4 address, or the /64 network of an IPv6 address, which belongs to one subscriber.

    An IPv4 address written as IPv6 (``::ffff:192.0.2.1``) counts as IPv4; a host that is not an address is returned unchanged.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) >> 64 << 64, 64)))


def is_http_url(url: str) -> bool:
    """Whether ``url`` is an http or https URL with a host."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:  # half an IPv6 address, or not a port
        return False
    has_gaps = " " in url or not url.isprintable()
    return parts.scheme in {"http", "https"} and bool(parts.hostname) and port != 0 and not has_gaps
