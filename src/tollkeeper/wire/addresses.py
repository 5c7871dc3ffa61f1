"""Where an outgoing webhook may not go: a table of networks that are not the public Internet.

Law: a deny table, not `is_global`, which calls multicast and a translated loopback global. An
address that carries another inside (mapped, translated) is judged by what it carries. The table is
drawn from IANA's special-purpose registries for IPv4 and IPv6 (RFC 6890 and its updates).
"""

from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

DENIED: Final[dict[str, str]] = {
    "0.0.0.0/8": "this network",
    "10.0.0.0/8": "private",
    "100.64.0.0/10": "shared by carriers",
    "127.0.0.0/8": "loopback",
    "169.254.0.0/16": "link-local, where clouds serve their metadata",
    "172.16.0.0/12": "private",
    "192.0.0.0/24": "protocol assignments",
    "192.0.2.0/24": "documentation",
    "192.31.196.0/24": "AS112",
    "192.52.193.0/24": "automatic multicast tunneling",
    "192.88.99.0/24": "6to4 relays",
    "192.168.0.0/16": "private",
    "192.175.48.0/24": "AS112",
    "198.18.0.0/15": "benchmarking",
    "198.51.100.0/24": "documentation",
    "203.0.113.0/24": "documentation",
    "224.0.0.0/4": "multicast",
    "240.0.0.0/4": "reserved",
    "2001::/23": "protocol assignments, Teredo among them",
    "2001:db8::/32": "documentation",
    "2002::/16": "6to4",
    "2620:4f:8000::/48": "AS112",
    "3fff::/20": "documentation",
}
"""Network to what it is, first match counts."""

PUBLIC_IPV6: Final = IPv6Network("2000::/3")
"""Global unicast is given out from here alone; loopback, private, link-local, multicast and the
local translation prefix 64:ff9b:1::/48 lie outside."""

TRANSLATED: Final = IPv6Network("64:ff9b::/96")
"""NAT64 (RFC 6052): the last 32 bits are the IPv4 address that is reached."""

_NETWORKS: Final[tuple[tuple[IPv4Network | IPv6Network, str], ...]] = tuple(
    (ip_network(network), what) for network, what in DENIED.items()
)


def prohibited(address: str) -> str | None:
    """Why `address` (as text) must not be connected to, or None for a public one."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return "not an address"
    return _reason(parsed)


def prohibited_but_loopback(address: str) -> str | None:
    """Like `prohibited`, for a service that may call receivers on its own machine."""
    return None if is_loopback(address) else prohibited(address)


def anything_but_loopback(address: str) -> str | None:
    """Why `address` must not be talked to without TLS: only this machine may."""
    return None if is_loopback(address) else "not this machine, and without TLS"


def is_loopback(address: str) -> bool:
    """Whether `address` is plainly this machine; a mapped or translated loopback is not plain."""
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    mapped = isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None
    return parsed.is_loopback and not mapped


def _reason(address: IPv4Address | IPv6Address) -> str | None:
    if isinstance(address, IPv6Address):
        if (carried := _carried(address)) is not None:
            return _reason(carried)
        if address.scope_id is not None or address not in PUBLIC_IPV6:
            return "not global unicast"
    return next((what for network, what in _NETWORKS if address in network), None)


def _carried(address: IPv6Address) -> IPv4Address | None:
    """The IPv4 address that is reached through `address`, if it is one of those forms."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in TRANSLATED:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return None
