"""What the dialects share: gateway, settings, devices, and who is connected."""

from __future__ import annotations

import asyncio
from dataclasses import field

from agent.accounts import Accounts
from agent.gateway import Gateway
from agent.upstreams.local.devices import Devices
from agent.upstreams.local.settings import LocalSettings
from agent.upstreams.local.slowing import Attempts
from drivers.values import dataclass


@dataclass(slots=True)
class Local:
    """One per upstream. `last_seen` is per device in UTC ms, in memory only; `stopping` ends event streams;
    `passphrase` opens the owner's encrypted messages, one at a time by `opening`."""

    name: str
    settings: LocalSettings
    gateway: Gateway
    devices: Devices
    last_seen: dict[int, int] = field(default_factory=dict)
    attempts: Attempts = field(default_factory=Attempts)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    passphrase: str | None = field(default=None, repr=False)
    opening: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    @property
    def accounts(self) -> Accounts:
        return self.gateway.accounts

    def saw(self, device: int) -> None:
        self.last_seen[device] = self.gateway.clock.utc_ms()
