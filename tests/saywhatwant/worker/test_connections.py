"""Which connections are accepted, and which may linger."""

import pytest

from saywhatwant.worker.connections import Connections
from saywhatwant.worker.limits import MAX_LINGERING


def test_p8_connections_are_bounded_in_total() -> None:
    connections = Connections(in_total=2)
    assert connections.add("a", "192.0.2.1", 2) is None
    assert connections.add("b", "192.0.2.2", 3) == "2 connections are already open"


def test_p8_connections_of_one_address_are_bounded_until_one_is_closed() -> None:
    connections = Connections(in_total=100, of_one_client=2)
    assert [connections.add(name, "192.0.2.1", 1) for name in "ab"] == [None, None]
    assert connections.add("c", "192.0.2.1", 1) == "2 connections of 192.0.2.1 are already open"
    assert connections.add("d", "192.0.2.2", 1) is None, "another address has its own"
    connections.remove("c")
    assert connections.add("e", "192.0.2.1", 1) is not None, "a refused one was not counted"
    connections.remove("a")
    connections.remove("a")
    assert connections.add("f", "192.0.2.1", 1) is None
    assert connections.add("g", "192.0.2.1", 1) is not None


def test_p8_all_addresses_of_an_ipv6_network_count_as_one() -> None:
    connections = Connections(in_total=100, of_one_client=1)
    assert connections.add("a", "2001:db8:0:1::1", 1) is None
    assert connections.add("b", "2001:db8:0:1:ffff::2", 1) == "1 connections of 2001:db8:0:1::/64 are already open"
    assert connections.add("c", "2001:db8:0:2::1", 1) is None


@pytest.mark.parametrize("proxy", ["192.0.2.1", "198.51.100.0/24, 192.0.2.0/24"])
def test_connections_of_a_trusted_proxy_are_many_peoples(proxy: str) -> None:
    connections = Connections(in_total=100, of_one_client=1, proxies=proxy)
    assert [connections.add(number, "192.0.2.1", 1) for number in range(5)] == [None] * 5
    assert [connections.add(number, "203.0.113.1", 1) is None for number in range(5)] == [True, False, False, False, False]


@pytest.mark.parametrize("host", [None, "", "testclient"])
def test_connections_without_an_address_are_bounded_in_total_only(host: str | None) -> None:
    connections = Connections(in_total=100, proxies="192.0.2.1")
    assert [connections.add(number, host, 1) for number in range(5)] == [None] * 5


def test_p8_lingering_connections_are_bounded_until_one_is_closed() -> None:
    connections = Connections(in_total=10_000)
    assert all(connections.may_linger(number) for number in range(MAX_LINGERING))
    assert not connections.may_linger("one too many")
    connections.remove(0)
    assert connections.may_linger("another")
