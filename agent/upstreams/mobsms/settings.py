"""The `[[upstream]]` keys of a MobSMS server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from agent.upstreams.api import UpstreamSettings
from agent.upstreams.wire import certificate_file, server_address
from drivers.settings import Check, Form, Ge, Le, Len, Secret
from drivers.values import dataclass


def _address(value: str) -> str:
    return server_address(value, "https://api.mobsms.cloud")


_PATH = Form("/.*", 'a path that begins with "/"')


@dataclass(frozen=True, slots=True, kw_only=True)
class MobSmsSettings(UpstreamSettings):
    """`type = "mobsms"`. `device_id` defaults to `agent.device_name`."""

    base_url: Annotated[str, Check(_address)] = "https://api.mobsms.cloud"
    api_key: Secret | None = None
    api_key_file: Path | None = None
    device_id: Annotated[str, Len(1, 255)] | None = None
    poll_interval_s: Annotated[float, Ge(0.1), Le(3600)] = 2.0
    idle_poll_interval_s: Annotated[float, Ge(0.1), Le(3600)] = 15.0
    device_refresh_s: Annotated[float, Ge(1), Le(86400)] = 180.0
    register_path: Annotated[str, _PATH] = "/api/devices"
    inbound_path: Annotated[str, _PATH] = "/api/sms/inbound"
    sim_choice: Literal["server", "any"] = "server"
    ca_file: Annotated[Path | None, Check(certificate_file)] = None
    timeout_s: Annotated[float, Ge(1), Le(300)] = 20.0
    concurrency: Annotated[int, Ge(1), Le(32)] = 4

    def __post_init__(self) -> None:
        if (self.api_key is None) == (self.api_key_file is None):
            raise ValueError("give the server's API key as api_key or in a file named by api_key_file")
