"""Which addresses a webhook may lead to. Pure but for `resolved`.

A name is resolved once and the very address that was judged is connected to, so that a name cannot mean something
else a moment later (DNS rebinding).
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from urllib.parse import urlsplit

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_LONGEST_URL_CHARACTERS = 2000
# Services that tell a cloud machine its secrets, where they are not link-local: AWS over IPv6 and inside NAT64,
# Azure's WireServer, Oracle Cloud and Alibaba Cloud.
_METADATA = frozenset(
    ipaddress.ip_address(text) for text in ("fd00:ec2::254", "168.63.129.16", "192.0.0.192", "100.100.100.200")
)
# RFC 6052 §2.1 and RFC 3056 §2: IPv6 addresses that lead to the IPv4 address within.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")


class Forbidden(Exception):
    """No address behind the name may be called. `str()` is one sentence."""


def problem_of(url: str) -> str | None:
    """Why this cannot be called by anybody, as one sentence; None where it can. Pure."""
    if len(url) > _LONGEST_URL_CHARACTERS:
        return f"a webhook address has at most {_LONGEST_URL_CHARACTERS} characters"
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return "it is not a valid address"
    if parts.scheme not in ("http", "https"):
        return "only http:// and https:// addresses are called"
    if not parts.hostname or port == 0 or any(character <= " " for character in url):
        return "it is not a valid address"
    try:
        address = ipaddress.ip_address(parts.hostname)
    except ValueError:
        return None
    return objection(address, is_owner=True)


def host_of(url: str) -> str:
    """Scheme, host and port of a valid address: what is slow or down together."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2].lower()}"


def objection(address: _Address, *, is_owner: bool) -> str | None:
    """Why an address must not be called for this account, None where it may. Loopback and the local network are
    the owner's alone; who else could reach them from outside would do so through us."""
    inner = _within(address)
    if inner is not None:
        return objection(inner, is_owner=is_owner)
    if address in _METADATA:
        return f"{address} tells a cloud machine's secrets and is never called"
    if address.is_link_local or getattr(address, "is_site_local", False):
        return f"{address} is a link-local address and is never called"
    if address.is_unspecified or address.is_multicast or (address.is_reserved and not address.is_loopback):
        return f"{address} is no address of one machine"
    if not is_owner and not address.is_global:
        return f"{address} is not on the internet; only the owner's webhooks may lead into the local network"
    return None


async def resolved(host: str, port: int, *, is_owner: bool) -> list[str]:
    """The addresses of a host that may be called, in the system's order. Raises: Forbidden; OSError."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    objections, allowed = [], list[str]()
    for *_, sockaddr in found:
        text = str(sockaddr[0])
        said = objection(ipaddress.ip_address(text), is_owner=is_owner)
        if said is not None:
            objections.append(said)
        elif text not in allowed:
            allowed.append(text)
    if not allowed:
        raise Forbidden(objections[0] if objections else f"{host} has no address")
    return allowed


def _within(address: _Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address leads to."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.sixtofour if address in _SIX_TO_FOUR else None
