"""Address prefixes: networks of clients, such as ``192.0.2.0/24`` and ``2001:db8::/48``."""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache
from typing import Generic, TypeVar

from saywhatwant.errors import InvalidField
from saywhatwant.limits import MIN_PREFIX_V4, MIN_PREFIX_V6

T = TypeVar("T")

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_SUBSCRIBER_V6 = 64
"""Bits of the network that one subscriber has."""
_MAPPED = 96
"""Bits before the IPv4 address in one that is written as IPv6."""


def network_of(text: str, field: str = "address") -> Network:
    """The network that ``text`` names; an IPv6 address without a length means its /64, which belongs to one subscriber.

    IPv4 written as IPv6 (``::ffff:192.0.2.1``) is IPv4. Raises ``InvalidField``, also for a prefix too short to be meant.
    """
    try:
        network = ipaddress.ip_network(text)
    except ValueError:
        raise InvalidField(
            field, "must be an IPv4 or IPv6 address, or a prefix such as 192.0.2.0/24 with no bits set behind its length"
        ) from None
    if isinstance(network, ipaddress.IPv6Network):
        mapped = network.network_address.ipv4_mapped
        if mapped is not None and network.prefixlen >= _MAPPED:
            network = ipaddress.IPv4Network((int(mapped), network.prefixlen - _MAPPED))
        elif "/" not in text:
            network = ipaddress.IPv6Network((int(network.network_address) >> 64 << 64, _SUBSCRIBER_V6))
    least = MIN_PREFIX_V4 if network.version == 4 else MIN_PREFIX_V6  # noqa: PLR2004 - IPv4
    if network.prefixlen < least:
        raise InvalidField(field, f"must have a length of at least /{least}")
    return network


class PrefixTable(Generic[T]):
    """What belongs to networks, found by an address: one look for each length of prefix."""

    def __init__(self, entries: Iterable[tuple[Network, T]]) -> None:
        self._tables: dict[tuple[int, int], dict[int, T]] = {}
        """By version and by the bits behind the prefix: what belongs to each prefix."""
        for network, value in entries:
            behind = network.max_prefixlen - network.prefixlen
            table = self._tables.setdefault((network.version, behind), {})
            table[int(network.network_address) >> behind] = value

    def find(self, host: str) -> T | None:
        """What belongs to a network that this address is in; None too for a host that is no address."""
        known = _number_of(host) if self._tables else None
        if known is None:
            return None
        version, number = known
        for (of_version, behind), table in self._tables.items():
            if of_version == version and (value := table.get(number >> behind)) is not None:
                return value
        return None


@lru_cache(maxsize=1_024)
def _number_of(host: str) -> tuple[int, int] | None:
    """The version and number of an address."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    return address.version, int(address)
