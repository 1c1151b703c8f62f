"""Which addresses are public: the only ones that a caller's URL may lead to."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Final

AddressRule = Callable[[str], bool]
"""Tells whether an address, written as text, may be connected to."""

_CLOSED_4: Final = tuple(
    IPv4Network(each)
    for each in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",  # shared by carriers, and one cloud's metadata
        "127.0.0.0/8",
        "168.63.129.16/32",  # a cloud's host, on an address that looks public
        "169.254.0.0/16",  # link-local, and the metadata of most clouds
        "172.16.0.0/12",
        "192.0.0.0/24",
        "192.0.2.0/24",
        "192.31.196.0/24",
        "192.52.193.0/24",
        "192.88.99.0/24",  # relays into 6to4
        "192.168.0.0/16",
        "192.175.48.0/24",
        "198.18.0.0/15",
        "198.51.100.0/24",
        "203.0.113.0/24",
        "224.0.0.0/4",
        "240.0.0.0/4",
    )
)

_OPEN_6: Final = IPv6Network("2000::/3")
_CLOSED_6: Final = tuple(
    IPv6Network(each)
    for each in (
        "2001::/23",  # Teredo, ORCHID, benchmarks and other protocols' own
        "2001:db8::/32",
        "2002::/16",  # 6to4: an IPv4 address inside, by relays that nobody runs any more
        "2620:4f:8000::/48",
        "3fff::/20",
    )
)
_TRANSLATED: Final = IPv6Network("64:ff9b::/96")
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})


def is_public(text: str) -> bool:
    """Tell whether an address is on the public internet, whatever notation or translation wraps it."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv4Address):
        return _public_4(address)
    if address.scope_id is not None:
        return False
    if address.ipv4_mapped is not None:
        return _public_4(address.ipv4_mapped)
    if address in _TRANSLATED:
        return _public_4(_last_32_bits(address))
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        return False
    return address in _OPEN_6 and not any(address in each for each in _CLOSED_6) and address.is_global


def _public_4(address: IPv4Address) -> bool:
    return address.is_global and not any(address in each for each in _CLOSED_4)


def _last_32_bits(address: IPv6Address) -> IPv4Address:
    return IPv4Address(int(address) & 0xFFFFFFFF)
