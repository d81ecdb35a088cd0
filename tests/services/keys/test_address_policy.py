import ipaddress

import pytest

from changegate.services.keys.address_policy import (
    AddressRefused,
    FetchPolicy,
    parse_address,
    require_address,
)

STRICT = FetchPolicy()
LOOPBACK = FetchPolicy(allow_loopback=True)
INTERNAL = FetchPolicy(allowed_networks=tuple(map(ipaddress.ip_network, ("10.1.0.0/16", "169.254.0.0/16", "fd00::/8"))))

PUBLIC = ["8.8.8.8", "1.1.1.1", "140.82.112.3", "2606:4700::1111", "2a00:1450:4001::200e", "64:ff9b::808:808"]
REFUSED = [
    # this host, private, shared, link-local
    "0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254",
    "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1",
    "100.64.0.1", "100.127.255.255", "169.254.0.1",
    # protocol assignments, documentation, benchmarks, retired relays, multicast, reserved, broadcast
    "192.0.0.1", "192.0.0.9", "192.0.0.10", "192.0.2.1",
    "198.51.100.1", "203.0.113.1", "198.18.0.1", "198.19.255.255",
    "192.88.99.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
    # metadata services
    "169.254.169.254", "169.254.170.2", "169.254.170.23",
    "100.100.100.200", "168.63.129.16", "192.0.0.192",
    "fd00:ec2::254", "fd20:ce::254",
    # IPv6 of the same kinds
    "::", "::1", "fe80::1", "fec0::1", "fc00::1",
    "fd12:3456::1", "ff02::1", "100::1", "2001:db8::1", "3fff::1",
    "5f00::1", "2001:2::1", "2001:10::1", "2001:20::1",
    # an IPv4 address inside: mapped, compatible, translated, 6to4, Teredo, ISATAP
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254",
    "::127.0.0.1", "::8.8.8.8", "::ffff:0:127.0.0.1",
    "64:ff9b::127.0.0.1", "64:ff9b::169.254.169.254",
    "64:ff9b::10.0.0.1", "64:ff9b:1::808:808", "2002:7f00:1::1",
    "2002:808:808::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "2606:4700::5efe:10.0.0.1",
    "2606:4700::200:5efe:169.254.169.254",
]  # fmt: skip


def is_refused(text, policy):
    try:
        require_address(parse_address(text), policy)
    except AddressRefused:
        return True
    return False


@pytest.mark.parametrize("text", PUBLIC)
def test_a_public_address_is_admitted(text):
    assert not is_refused(text, STRICT)


@pytest.mark.parametrize("text", REFUSED)
def test_anything_else_is_refused(text):
    assert is_refused(text, STRICT)


@pytest.mark.parametrize("text", REFUSED)
def test_the_loopback_setting_admits_loopback_and_nothing_else(text):
    is_loopback = text in {"127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1"}
    assert is_refused(text, LOOPBACK) is not is_loopback


@pytest.mark.parametrize("text", ["10.1.2.3", "::ffff:10.1.2.3", "fd12::1", "169.254.7.7"])
def test_a_network_named_in_the_settings_is_admitted(text):
    assert not is_refused(text, INTERNAL)


@pytest.mark.parametrize(
    "text",
    ["10.2.0.1", "127.0.0.1", "64:ff9b::a01:203", "169.254.169.254", "169.254.170.2", "fd00:ec2::254"],
)
def test_a_named_network_admits_no_other_and_no_metadata_service(text):
    assert is_refused(text, INTERNAL)


def test_an_ipv6_address_with_a_scope_id_is_never_admitted():
    policy = FetchPolicy(allowed_networks=(ipaddress.ip_network("fe80::/10"),))
    assert is_refused("fe80::1%2", policy)
    assert not is_refused("fe80::1", policy)


@pytest.mark.parametrize("text", ["127.1", "2130706433", "0x7f.1", "0177.0.0.1", "", "idp.example"])
def test_other_spellings_are_no_addresses(text):
    assert parse_address(text) is None


def test_refusals_name_the_setting_that_would_help():
    with pytest.raises(AddressRefused, match="ALLOWED_NETWORKS"):
        require_address(parse_address("10.0.0.1"), STRICT)
    with pytest.raises(AddressRefused, match="ALLOW_LOOPBACK"):
        require_address(parse_address("::1"), STRICT)
    with pytest.raises(AddressRefused, match="metadata service"):
        require_address(parse_address("169.254.169.254"), STRICT)
