"""Which addresses are loopback, and which client an address counts as."""

import pytest

from saywhatwant.addresses import client_network, is_loopback, url_from_here


@pytest.mark.parametrize(
    ("host", "url"),
    [
        ("0.0.0.0", "http://127.0.0.1:8787"),  # noqa: S104 - compared, not bound
        ("::", "http://[::1]:8787"),
        ("127.0.0.1", "http://127.0.0.1:8787"),
        ("::1", "http://[::1]:8787"),
        ("192.0.2.1", "http://192.0.2.1:8787"),
        ("wall.example", "http://wall.example:8787"),
    ],
)
def test_what_listens_everywhere_is_reached_at_loopback(host: str, url: str) -> None:
    assert url_from_here(host, 8787) == url


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1", "[::1]"])
def test_these_are_this_machines_own(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["", "0.0.0.0", "192.0.2.1", "::", "localhost.example"])  # noqa: S104 - compared, not bound
def test_these_are_not(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("unknown", "unknown"),
    ],
)
def test_an_ipv6_client_is_counted_by_its_64_bit_network(host: str, network: str) -> None:
    assert client_network(host) == network
