"""The addresses that a key set may be fetched from, checked on the resolver's answer and never on text."""

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass

from changegate.errors import JwksFetchFailed

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

# `is_global` of the standard library differs between patch releases and includes multicast, translated, and
# cloud-internal addresses. An address must pass both: `is_global` and these tables.
_BLOCKED_V4 = tuple(
    ipaddress.IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12",
        "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15",
        "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
)  # fmt: skip
_GLOBAL_V6 = ipaddress.IPv6Network("2000::/3")
_BLOCKED_V6 = tuple(
    # In this order: protocol assignments (with Teredo), documentation, documentation, 6to4.
    ipaddress.IPv6Network(network)
    for network in ("2001::/23", "2001:db8::/32", "3fff::/20", "2002::/16")
)
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_ISATAP = (0x00005EFE, 0x02005EFE)
_METADATA = frozenset(
    ipaddress.ip_address(address)
    for address in (
        "169.254.169.254", "169.254.170.2", "169.254.170.23", "100.100.100.200", "168.63.129.16",
        "192.0.0.192", "fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254",
    )
)  # fmt: skip


class AddressRefused(JwksFetchFailed):
    """A host has an address that the server must not connect to."""


@dataclass(frozen=True, slots=True)
class FetchPolicy:
    """What the site's administrator allows in addition to https to public addresses.

    `allow_loopback` allows http and loopback addresses, for development. `allowed_networks` allows addresses of
    internal networks, by https. `ca_file` (PEM) is trusted in addition to the system's certificate authorities.
    """

    allow_loopback: bool = False
    allowed_networks: tuple[Network, ...] = ()
    ca_file: str | None = None


def parse_address(text: str) -> Address | None:
    """Parse an IP address; return an IPv4-mapped IPv6 address as IPv4, and None if the text is not an address."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    # The system connects to the IPv4 address, so that the tables for IPv4 must decide.
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address


def require_address(address: Address, policy: FetchPolicy) -> None:
    """Raise `AddressRefused` unless the policy allows a connection to the address."""
    # First, so that no setting can allow it: these services hand out the machine's credentials to every process that
    # asks.
    if _is_metadata(address):
        raise AddressRefused(f"{address} is a cloud's metadata service.")
    if is_named_by_policy(address, policy) or _is_public(address):
        return
    if address.is_loopback:
        raise AddressRefused(f"{address} is this machine itself (see CHANGEGATE_JWKS_ALLOW_LOOPBACK).")
    raise AddressRefused(
        f"{address} is not a public address. If it is your own provider's, "
        "name its network in CHANGEGATE_JWKS_ALLOWED_NETWORKS."
    )


def is_named_by_policy(address: Address, policy: FetchPolicy) -> bool:
    """Return whether a setting of the administrator allows the address."""
    # A zone names an interface of this machine. No network in a setting can mean it.
    if _is_metadata(address) or getattr(address, "scope_id", None):
        return False
    if address.is_loopback and policy.allow_loopback:
        return True
    return any(address in network for network in policy.allowed_networks)


def _is_metadata(address: Address) -> bool:
    """Return whether the address is a cloud's metadata service, also behind an IPv6 translation gateway."""
    return address in _METADATA or (
        isinstance(address, ipaddress.IPv6Address) and not _METADATA.isdisjoint(_translations(address))
    )


def _translations(address: ipaddress.IPv6Address) -> Iterator[ipaddress.IPv4Address]:
    """Yield each IPv4 address that may be embedded in the address, whichever network it is in."""
    # IPv4-mapped, IPv4-compatible, ISATAP, and NAT64 with a 96-bit prefix.
    yield _last_32_bits(address)
    # NAT64 with a 48-bit prefix; bits 64 to 71 between the two halves are always zero (RFC 6052 §2.2).
    yield ipaddress.IPv4Address((int(address) >> 64 & 0xFFFF) << 16 | int(address) >> 40 & 0xFFFF)
    if address.sixtofour:
        yield address.sixtofour
    yield from address.teredo or ()


def _is_public(address: Address) -> bool:
    if isinstance(address, ipaddress.IPv4Address):
        return _is_public_v4(address)
    # Routers forward NAT64 and ISATAP addresses to the IPv4 address inside, which must be public itself.
    if address in _NAT64:
        return _is_public_v4(_last_32_bits(address))
    if int(address) >> 32 & 0xFFFFFFFF in _ISATAP and not _is_public_v4(_last_32_bits(address)):
        return False
    if address not in _GLOBAL_V6 or not address.is_global:
        return False
    return not any(address in network for network in _BLOCKED_V6)


def _is_public_v4(address: ipaddress.IPv4Address) -> bool:
    if address in _METADATA or not address.is_global:
        return False
    return not any(address in network for network in _BLOCKED_V4)


def _last_32_bits(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address:
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
