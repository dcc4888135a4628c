"""The `[[upstream]]` keys of an SMSGate server."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from agent.upstreams.api import UpstreamSettings
from agent.upstreams.wire import certificate_file, server_address
from drivers.settings import Check, Ge, Le, Len, Secret
from drivers.values import dataclass

_EXAMPLE = "https://api.sms-gate.app/mobile/v1"


def _address(value: str) -> str:
    address = server_address(value, _EXAMPLE)
    if not urlsplit(address).path.endswith("/mobile/v1"):
        raise ValueError(
            f'"{address}" does not end in /mobile/v1; write "{_EXAMPLE}" for the public server, '
            '"https://HOST/api/mobile/v1" for one of your own'
        )
    return address


@dataclass(frozen=True, slots=True, kw_only=True)
class SmsGateSettings(UpstreamSettings):
    """`type = "smsgate"`. How the device registers follows from the keys that are given; with none of them it is
    paired by `phonebridge smsgate code` or `login`."""

    base_url: Annotated[str, Check(_address)]
    register: Literal["anonymous", "token", "login", "code"] | None = None
    private_token: Secret | None = None
    private_token_file: Path | None = None
    username: Annotated[str, Len(1, 100)] | None = None
    password: Secret | None = None
    password_file: Path | None = None
    device_name: Annotated[str, Len(1, 120)] | None = None
    passphrase: Secret | None = None
    passphrase_file: Path | None = None
    signing_key: Secret | None = None
    signing_key_file: Path | None = None
    poll_interval_s: Annotated[float, Ge(1), Le(900)] = 900.0
    poll_without_events_s: Annotated[float, Ge(0.1), Le(900)] = 60.0
    silence_s: Annotated[float, Ge(1), Le(3600)] = 45.0
    ca_file: Annotated[Path | None, Check(certificate_file)] = None
    timeout_s: Annotated[float, Ge(1), Le(300)] = 30.0
    concurrency: Annotated[int, Ge(1), Le(32)] = 4

    def __post_init__(self) -> None:
        has_token = self.private_token is not None or self.private_token_file is not None
        has_password = self.password is not None or self.password_file is not None
        if (self.username is None) == has_password:
            raise ValueError("username and password (or password_file) are given together")
        if has_token and has_password:
            raise ValueError("give either private_token, which makes a new user, or username and password")
        if self.register is not None and self.register != self._implied(has_token, has_password):
            needs = {"token": "private_token", "login": "username and password"}.get(self.register)
            raise ValueError(
                f'register = "{self.register}" needs {needs}' if needs and not (has_token or has_password)
                else f'register = "{self.register}" does not go with the other keys; leave register out'
            )  # fmt: skip

    def _implied(self, has_token: bool, has_password: bool) -> str:
        if has_token:
            return "token"
        if has_password:
            return "login"
        return "anonymous" if self.register == "anonymous" else "code"

    @property
    def way(self) -> str:
        """How a new device registers: "anonymous", "token", "login" or "code"."""
        has_token = self.private_token is not None or self.private_token_file is not None
        has_password = self.password is not None or self.password_file is not None
        return self._implied(has_token, has_password)
