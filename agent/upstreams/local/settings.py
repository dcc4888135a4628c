"""Settings of the local server. Pure; light, since the configuration check loads it."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from agent.upstreams.api import UpstreamSettings


class LocalSettings(UpstreamSettings):
    """Keys of `[[upstream]]` with type = "local"."""

    bind: str = "127.0.0.1:8080"
    api_key: SecretStr | None = None
    api_key_file: Path | None = None
    registration: Literal["closed", "open"] = "closed"
    allowed_hosts: tuple[str, ...] = ()
    sms_rate: float = Field(default=0, ge=0, le=1e9, allow_inf_nan=False)

    @field_validator("bind")
    @classmethod
    def _is_address(cls, value: str) -> str:
        try:
            parts = urlsplit(f"//{value}")
            is_good = bool(parts.hostname) and parts.port is not None and value == parts.netloc and "@" not in value
        except ValueError:
            is_good = False
        if not is_good:
            raise ValueError(f'"{value}" is not HOST:PORT; write for example "127.0.0.1:8080" or "[::1]:8080"')
        return value

    @field_validator("api_key")
    @classmethod
    def _is_no_empty_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not value.get_secret_value().strip():
            raise ValueError("is empty; remove it to have a key generated")
        return value

    @model_validator(mode="after")
    def _has_key_where_others_reach_it(self) -> Self:
        if not self.is_loopback and self.api_key is None and self.api_key_file is None:
            raise ValueError(
                f"bind {self.bind} can be reached from other machines: set api_key or api_key_file, "
                'or bind = "127.0.0.1:8080"'
            )
        return self

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
