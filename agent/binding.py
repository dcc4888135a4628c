"""Where a server listens: "HOST:PORT", checked and taken apart. Pure; light, since the configuration check loads it."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit


def check(value: str) -> str:
    """For `drivers.settings.Check`. Raises: ValueError with the rest of a sentence."""
    try:
        parts = urlsplit(f"//{value}")
        is_good = bool(parts.hostname) and parts.port is not None and value == parts.netloc and "@" not in value
    except ValueError:
        is_good = False
    if not is_good:
        raise ValueError(f'"{value}" is not HOST:PORT; write for example "127.0.0.1:8080" or "[::1]:8080"')
    return value


def host(value: str) -> str:
    """The address to bind, without brackets."""
    return urlsplit(f"//{value}").hostname or ""


def port(value: str) -> int:
    """0: any free one."""
    return urlsplit(f"//{value}").port or 0


def is_loopback(name: str) -> bool:
    """Whether a host name or an address means this machine alone."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def is_wildcard(name: str) -> bool:
    """Whether it means all addresses of the machine."""
    try:
        return ipaddress.ip_address(name).is_unspecified
    except ValueError:
        return False
