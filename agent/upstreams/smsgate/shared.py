"""What all devices of one upstream share: the server, the account, and the settings its owner made there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import structlog

from agent.config import ConfigError, secret
from agent.gateway import Gateway
from agent.upstreams.smsgate import preferences
from agent.upstreams.smsgate.client import Client
from agent.upstreams.smsgate.credentials import Credentials
from agent.upstreams.smsgate.preferences import Merged, Preferences
from agent.upstreams.smsgate.reporter import Reporter
from agent.upstreams.smsgate.settings import SmsGateSettings
from drivers.settings import Secret

_log = structlog.get_logger("smsgate")


class Shared:
    """One per upstream. `load` before anything else is used."""

    def __init__(self, settings: SmsGateSettings, gateway: Gateway, name: str, owner: str) -> None:
        """Raises: ConfigError where a secret or `ca_file` cannot be used."""
        self.settings = settings
        self.gateway = gateway
        self.name = name
        self.owner = owner
        self.preferences: Preferences = preferences.read({})
        self.has_settings = False
        """Whether the server's settings were ever read."""
        self._passphrase = self._secret("passphrase", settings.passphrase, settings)
        self._signing_key = self._secret("signing_key", settings.signing_key, settings)
        self._made_key = ""
        self._merged: Merged = {}
        self.client = client_of(settings, name, settings.timeout_s)
        self.credentials = Credentials(
            settings, self.client, gateway, owner,
            private_token=self._secret("private_token", settings.private_token, settings),
            password=self._secret("password", settings.password, settings),
        )  # fmt: skip
        self.reporter = Reporter(self.client, gateway, name, self.credentials)
        self._is_loaded = False

    async def load(self) -> None:
        """Read what the journal keeps; once."""
        if self._is_loaded:
            return
        facts = await self.credentials.load()
        self._made_key = await self.credentials.signing_key(facts)
        if "settings" in facts:
            self._merged = json.loads(facts["settings"])
            self.preferences = preferences.read(self._merged)
            self.has_settings = True
        await self.gateway.set_pace(self.name, self.preferences.pace)
        self._is_loaded = True

    async def take(self, document: Mapping[str, Any]) -> None:
        """Apply the server's settings, at once."""
        merged = preferences.merged(self._merged, document)
        if merged != self._merged or not self.has_settings:
            await self.gateway.facts.remember(self.owner, "settings", json.dumps(merged))
            self._merged = merged
            self.preferences = preferences.read(merged)
            _log.info("settings_applied", upstream=self.name, sections=sorted(merged))
        self.has_settings = True
        await self.gateway.set_pace(self.name, self.preferences.pace)

    @property
    def passphrase(self) -> str | None:
        return self._passphrase or self.preferences.passphrase

    @property
    def signing_key(self) -> str:
        return self._signing_key or self.preferences.signing_key or self._made_key

    def _secret(self, key: str, value: Secret | None, settings: SmsGateSettings) -> str | None:
        file = getattr(settings, f"{key}_file")
        found = secret(value, file, f"upstream[{self.name}].{key}")
        if found is not None and (not found or not found.isprintable()):
            raise ConfigError(f"upstream[{self.name}].{key}: it is empty or has characters that cannot be printed")
        return found


def client_of(settings: SmsGateSettings, name: str, timeout_s: float) -> Client:
    """A client of the configured server. Raises: ConfigError where `ca_file` cannot be used."""
    try:
        return Client(settings.base_url, ca_file=settings.ca_file, timeout_s=min(timeout_s, settings.timeout_s))
    except OSError as error:  # ssl.SSLError is one
        where = f"upstream[{name}].ca_file"
        raise ConfigError(f"{where}: {settings.ca_file} holds no usable certificate") from error
