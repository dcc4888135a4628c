"""Settings of the local server. Pure; light, since the configuration check loads it."""

from __future__ import annotations

import ipaddress
from dataclasses import field
from pathlib import Path
from typing import Annotated, Literal

from agent import binding
from agent.upstreams.api import UpstreamSettings
from drivers.settings import Check, Form, Ge, Le, Len, Secret
from drivers.values import dataclass

_Amount = Annotated[float, Ge(0), Le(1e9)]
_CODE = Form("[A-Za-z0-9_-]{3,64}", "3 to 64 letters, digits, _ or -")


def _no_empty_key(value: Secret) -> Secret:
    if not value.get_secret_value().strip():
        raise ValueError("is empty; remove it to have a key generated")
    return value


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value)
    except ValueError as error:
        raise ValueError(f'"{value}" is no address or network, e.g. "192.168.1.5" or "10.0.0.0/24"') from error
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings(UpstreamSettings):
    """Keys of `[[upstream]]` with type = "local"."""

    bind: Annotated[str, Check(binding.check)] = "127.0.0.1:8080"
    api_key: Annotated[Secret | None, Check(_no_empty_key)] = None
    api_key_file: Path | None = None
    registration: Literal["closed", "open"] = "closed"
    passphrase: Secret | None = None
    passphrase_file: Path | None = None
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[Annotated[str, Check(_network, "an address or a network")], ...] = ("127.0.0.1", "::1")
    sms_rate: _Amount = 0.0
    prices: dict[str, _Amount] = field(default_factory=dict)
    currency: Annotated[str, Form("[A-Z]{3}", 'three capital letters, e.g. "EUR"')] = "USD"
    credit: _Amount = 0.0
    organization: Annotated[str, Len(1, 100)] = "phonebridge"
    organization_credit: _Amount = 0.0
    promo_codes: tuple[Annotated[str, _CODE], ...] = ()
    promo_days: Annotated[int, Ge(1), Le(36500)] = 365
    premium_monthly: _Amount = 0.0
    premium_yearly: _Amount = 0.0
    payment_wallet_address: str = ""
    payment_asset: str = ""
    payment_network: str = ""
    payment_admin_telegram: str = ""
    google_client_id: Annotated[str | None, Len(1, 255)] = None
    google_tokeninfo_url: Annotated[str, Form("https?://[^ ]+", "an http:// or https:// address")] = (
        "https://oauth2.googleapis.com/tokeninfo"
    )
    app_release_file: Path | None = None
    agent_absent_after_s: Annotated[float, Ge(1), Le(86400)] = 60.0
    claim_expires_after_s: Annotated[float, Ge(1), Le(86400 * 30)] = 3600.0
    longest_event_stream_s: Annotated[float, Ge(0.1), Le(86400)] = 3600.0

    def __post_init__(self) -> None:
        if not self.is_loopback and self.api_key is None and self.api_key_file is None:
            raise ValueError(
                f"bind {self.bind} can be reached from other machines: set api_key or api_key_file, "
                'or bind = "127.0.0.1:8080"'
            )

    @property
    def host(self) -> str:
        """The address to bind, without brackets."""
        return binding.host(self.bind)

    @property
    def port(self) -> int:
        """0: any free one."""
        return binding.port(self.bind)

    @property
    def is_loopback(self) -> bool:
        return binding.is_loopback(self.host)

    @property
    def is_wildcard(self) -> bool:
        """Whether it binds all addresses of the machine."""
        return binding.is_wildcard(self.host)
