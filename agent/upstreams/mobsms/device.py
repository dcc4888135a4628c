"""Our row among the server's devices: found, registered where that is possible, re-read, and obeyed."""

from __future__ import annotations

import asyncio

import structlog

from agent.gateway import Gateway
from agent.upstreams.api import UpstreamDown
from agent.upstreams.mobsms import rows
from agent.upstreams.mobsms.client import Client
from agent.upstreams.mobsms.offer import Offer
from agent.upstreams.mobsms.rows import Device
from agent.upstreams.mobsms.settings import MobSmsSettings
from agent.upstreams.wire import quoted

_log = structlog.get_logger("mobsms")

# Someone is probably creating the device right now; later the usual interval is often enough.
_MISSING_FIRST_S = 15.0
_SHOWN_IDS = 5


class DeviceRow:
    """`device` is what the server last said, None before and where it has none; `problem` says what to do."""

    def __init__(self, settings: MobSmsSettings, client: Client, gateway: Gateway, name: str, device_id: str) -> None:
        self.device: Device | None = None
        self.problem: str | None = None
        self.is_missing = False
        self._settings = settings
        self._client = client
        self._gateway = gateway
        self._name = name
        self._device_id = device_id
        self._registration = Offer()
        self._due = 0.0
        self._wait_missing_s = _MISSING_FIRST_S

    async def keep_fresh(self) -> Device | None:
        """Re-read the row when it is time; the device that we may pull for, None where there is none.

        Raises: UpstreamDown.
        """
        if asyncio.get_running_loop().time() >= self._due:
            await self._read()
        return self.device if self.device is not None and self.device.is_active else None

    def forget(self) -> None:
        """The server denies the row: look at once."""
        self._due = 0.0

    def next_look_s(self) -> float:
        """Seconds until `keep_fresh` asks again."""
        return max(0.0, self._due - asyncio.get_running_loop().time())

    async def _read(self) -> None:
        loop = asyncio.get_running_loop()
        found = await self._client.vouch()
        device = rows.own_device(found, self._device_id)
        if device is None:
            device, found = await self._register(found)
        if device is None:
            self._missing(rows.device_ids(found))
            self._due = loop.time() + self._wait_missing_s
            self._wait_missing_s = min(2 * self._wait_missing_s, max(_MISSING_FIRST_S, self._settings.device_refresh_s))
            return
        await self._obey(device)
        self._wait_missing_s = _MISSING_FIRST_S
        self._due = loop.time() + self._settings.device_refresh_s

    async def _register(self, found: tuple[rows.Row, ...]) -> tuple[Device | None, tuple[rows.Row, ...]]:
        """Ask the server to make the row, where it can be asked. Raises: UpstreamDown."""
        if self._registration.is_missing():
            return None, found
        path = self._settings.register_path
        body = {"device_id": self._device_id, "device_name": self._gateway.settings.device_name}
        numbers = (view.sim.number for view in self._gateway.route_views() if view.sim is not None)
        if (number := next(filter(None, numbers), None)) is not None:
            body["phone_number"] = number
        answer = await self._client.ask("POST", path, body=body)
        if answer.is_no_such_path:
            self._registration.found_missing()
            return None, found
        if not answer.is_ok:
            raise self._client.refusal(answer, "POST", path)
        found = await self._client.vouch()
        device = rows.own_device(found, self._device_id)
        if device is not None:
            _log.info("device_registered", upstream=self._name, device=self._device_id, number=device.number)
        return device, found

    async def _obey(self, device: Device) -> None:
        kept = (await self._gateway.device(self._name)).keep_inbound
        await self._gateway.set_device(
            self._name,
            send_delay_s=device.send_delay_s,
            default_sim_slot=None if self._settings.sim_choice == "any" else device.default_sim_slot,
            is_active=device.is_active,
            keep_inbound=await self._keep_inbound(kept),
        )
        if self.device is None or self.device.number != device.number:
            _log.info("device_found", upstream=self._name, device=self._device_id, number=device.number)
        if not device.is_active and (self.device is None or self.device.is_active):
            _log.warning("device_switched_off", upstream=self._name, device=self._device_id)
        self.device = device
        self.is_missing = False
        self.problem = None
        if not device.is_active:
            self.problem = f'{self._client.host} has switched device "{self._device_id}" off; activate it there'

    async def _keep_inbound(self, before: bool) -> bool:
        """The account's setting; as before where the server does not tell."""
        try:
            answer = await self._client.ask("GET", "/api/settings")
        except UpstreamDown:
            # The row itself was read: a fault of this one answer is no reason not to pull.
            return before
        kept = answer.data.get("keep_inbound") if answer.is_ok and isinstance(answer.data, dict) else None
        return kept if isinstance(kept, bool) else before

    def _missing(self, others: tuple[str, ...]) -> None:
        self.device = None
        self.is_missing = True
        shown = ", ".join(f'"{quoted(other)}"' for other in others[:_SHOWN_IDS])
        problem = (
            f'{self._client.host} has no device "{self._device_id}" and cannot be asked to make one: '
            "add a device with this ID there"
            + (f", or set device_id of this upstream to one of the account's: {shown}" if shown else "")
        )
        if problem != self.problem:
            _log.error("device_missing", upstream=self._name, reason=problem)
        self.problem = problem
