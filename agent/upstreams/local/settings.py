"""Settings of the local server. Pure; light, since the configuration check loads it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from agent.upstreams.api import UpstreamSettings
from drivers.settings import Check, Ge, Le, Secret


def _address(value: str) -> str:
    try:
        parts = urlsplit(f"//{value}")
        is_good = bool(parts.hostname) and parts.port is not None and value == parts.netloc and "@" not in value
    except ValueError:
        is_good = False
    if not is_good:
        raise ValueError(f'"{value}" is not HOST:PORT; write for example "127.0.0.1:8080" or "[::1]:8080"')
    return value


def _no_empty_key(value: Secret) -> Secret:
    if not value.get_secret_value().strip():
        raise ValueError("is empty; remove it to have a key generated")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings(UpstreamSettings):
    """Keys of `[[upstream]]` with type = "local"."""

    bind: Annotated[str, Check(_address)] = "127.0.0.1:8080"
    api_key: Annotated[Secret | None, Check(_no_empty_key)] = None
    api_key_file: Path | None = None
    registration: Literal["closed", "open"] = "closed"
    allowed_hosts: tuple[str, ...] = ()
    sms_rate: Annotated[float, Ge(0), Le(1e9)] = 0.0

    def __post_init__(self) -> None:
        if not self.is_loopback and self.api_key is None and self.api_key_file is None:
            raise ValueError(
                f"bind {self.bind} can be reached from other machines: set api_key or api_key_file, "
                'or bind = "127.0.0.1:8080"'
            )

    @property
    def host(self) -> str:
        """The address to bind, without brackets."""
        return urlsplit(f"//{self.bind}").hostname or ""

    @property
    def port(self) -> int:
        """0: any free one."""
        return urlsplit(f"//{self.bind}").port or 0

    @property
    def is_loopback(self) -> bool:
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def is_wildcard(self) -> bool:
        """Whether it binds all addresses of the machine."""
        try:
            return ipaddress.ip_address(self.host).is_unspecified
        except ValueError:
            return False
