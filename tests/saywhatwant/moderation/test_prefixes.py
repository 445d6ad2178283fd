"""Which addresses are in a network."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from saywhatwant.errors import InvalidField
from saywhatwant.moderation.prefixes import PrefixTable, network_of


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("192.0.2.7", "192.0.2.7/32"),
        ("192.0.2.0/24", "192.0.2.0/24"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:3:4:5:6/128", "2001:db8:1:2:3:4:5:6/128"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
    ],
)
def test_a_network_is_named_by_an_address_or_a_prefix(given: str, meant: str) -> None:
    assert str(network_of(given)) == meant


@pytest.mark.parametrize(
    "text", ["", "everybody", "192.0.2.7/24", "192.0.2.0/33", "10.0.0.0/7", "::/0", "2000::/15", "1.2.3", "fe80::1%eth0/64/3"]
)
def test_p8_what_is_no_network_or_too_large_is_refused_with_the_rule(text: str) -> None:
    with pytest.raises(InvalidField, match="address: must"):
        network_of(text)


_ADDRESSES = st.one_of(st.ip_addresses(v=4), st.ip_addresses(v=6), st.sampled_from(["10.0.0.1", "10.0.0.2", "2001:db8::1"]))


@given(st.lists(st.tuples(_ADDRESSES, st.integers(16, 32)), max_size=8), _ADDRESSES)
def test_an_address_is_found_in_the_networks_that_have_it(wanted: list[tuple[object, int]], address: object) -> None:
    networks = [ipaddress.ip_network(f"{one}/{length}", strict=False) for one, length in wanted]
    table = PrefixTable([(network, str(network)) for network in networks])
    of = ipaddress.ip_address(str(address))
    if isinstance(of, ipaddress.IPv6Address) and of.ipv4_mapped is not None:
        of = of.ipv4_mapped
    found = table.find(str(address))
    assert found in {str(network) for network in networks if of in network} | {None}
    assert (found is None) == (not any(of in network for network in networks))


def test_ipv4_is_found_however_a_socket_writes_it_and_what_is_no_address_is_not() -> None:
    table = PrefixTable([(network_of("192.0.2.0/24"), "here")])
    assert table.find("::ffff:192.0.2.200") == "here"
    assert table.find("192.0.3.1") is table.find("testclient") is None
