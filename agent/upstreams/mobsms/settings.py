"""The `[[upstream]]` keys of a MobSMS server."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator

from agent.upstreams.api import UpstreamSettings


class MobSmsSettings(UpstreamSettings):
    """`type = "mobsms"`. `device_id` defaults to `agent.device_name`."""

    base_url: str = "https://api.mobsms.cloud"
    api_key: SecretStr | None = None
    api_key_file: Path | None = None
    device_id: str | None = Field(default=None, min_length=1, max_length=255)
    poll_interval_s: float = Field(default=2, ge=0.1, le=3600)
    idle_poll_interval_s: float = Field(default=15, ge=0.1, le=3600)
    device_refresh_s: float = Field(default=180, ge=1, le=86400)
    register_path: str = Field(default="/api/devices", pattern="^/")
    inbound_path: str = Field(default="/api/sms/inbound", pattern="^/")
    sim_choice: Literal["server", "any"] = "server"
    ca_file: Path | None = None
    timeout_s: float = Field(default=20, ge=1, le=300)
    concurrency: int = Field(default=4, ge=1, le=32)

    @field_validator("base_url")
    @classmethod
    def _server_address(cls, value: str) -> str:
        try:
            parts = urlsplit(value.strip())
            is_usable = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) > 0
        except ValueError:
            is_usable = False
        if not is_usable:
            raise ValueError(f'"{value}" is not a server address; write it as "https://api.mobsms.cloud"')
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("give only the server's address, without user, password or anything after ? or #")
        return value.strip().rstrip("/")

    @field_validator("ca_file")
    @classmethod
    def _readable_file(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError(f"{value} is not a file; give the CA's certificate in PEM form")
        return value

    @model_validator(mode="after")
    def _one_key(self) -> Self:
        if (self.api_key is None) == (self.api_key_file is None):
            raise ValueError("give the server's API key as api_key or in a file named by api_key_file")
        return self
