"""Which network addresses belong to the public internet, and which to this machine."""

from __future__ import annotations

import ipaddress

# All of the public IPv6 internet. What lies outside is local, or wraps an IPv4 address (::ffff:0:0/96, 64:ff9b::/96).
_GLOBAL_UNICAST = ipaddress.IPv6Network("2000::/3")
# Teredo and 6to4 lead to whatever IPv4 address they have inside.
_TUNNELS = (ipaddress.IPv6Network("2001::/32"), ipaddress.IPv6Network("2002::/16"))


def is_public(address: str) -> bool:
    """Whether `address`, in numbers, is a host of the public internet.

    False for loopback, private, link-local (where clouds keep their metadata service), shared, reserved and multicast
    addresses (RFC 6890), for every address that wraps another one, and for text that is no address.
    """
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return False
    if parsed.is_multicast or not parsed.is_global:
        return False
    if isinstance(parsed, ipaddress.IPv4Address):
        return True
    return parsed in _GLOBAL_UNICAST and not any(parsed in tunnel for tunnel in _TUNNELS)


def is_loopback(host: str) -> bool:
    """Whether `host`, by name or number, is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
