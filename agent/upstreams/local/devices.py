"""Devices of the local server: our own routes and remote agents, and which of them a message takes."""

from __future__ import annotations

from collections.abc import Mapping

from agent.accounts import Caller, Device
from agent.gateway import Gateway
from drivers.values import dataclass

ACTIVE = "active"
"""The `device_id` that stands for all active devices."""

# A modem that resets is back within this; until then its route takes messages, which the journal holds.
_MAY_RETURN_S = 60.0
# Words of a route's state: it works, or will soon by itself; and its SIM may not send.
_WORKING = frozenset({"ready", "no service", "starting", "retrying", "resting"})
_REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class DeviceView:
    """A device as an account sees it. `route` is None for a remote agent; `is_enabled` is its switch, `is_active`
    whether it is on and working."""

    number: int
    device_id: str
    name: str
    phone_number: str | None
    route: str | None
    is_enabled: bool
    is_active: bool
    sms_rate: float
    send_delay_s: float
    default_sim_slot: int | None
    pool: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Where a message goes: a device, or with `device` None any route of ours."""

    device: DeviceView | None


class NoSuchDevice(LookupError):
    """The caller has no such device."""


class NoActiveDevice(LookupError):
    """Nothing could send now."""


class Devices:
    """One per upstream."""

    def __init__(self, gateway: Gateway, sms_rate: float, prices: Mapping[str, float]) -> None:
        """`prices` are by name of a route or `device_id`; `sms_rate` is the price where neither they nor the device
        itself have one."""
        self._gateway = gateway
        self._sms_rate = sms_rate
        self._prices = prices
        self._turn = 0

    async def visible(self, caller: Caller) -> list[DeviceView]:
        """Routes that are configured, and the caller's remote agents."""
        return [self._view(device) for device in await self._found(caller)]

    async def find(self, caller: Caller, reference: str) -> DeviceView:
        """By number, else by the string that the device chose. Raises: NoSuchDevice."""
        devices = await self.visible(caller)
        for device in devices:
            if str(device.number) == reference:
                return device
        for device in devices:
            if device.device_id == reference:
                return device
        raise NoSuchDevice(reference)

    async def choose(self, caller: Caller, reference: str | None, sim_slot: int | None, count: int) -> list[Target]:
        """A target for each of `count` messages. Raises: NoSuchDevice; NoActiveDevice.

        Without a reference the account's default device where it is active, else any active route, else an active
        remote agent; with "active", one active device after the other; a named device also while it does not
        work, since what waits for it is kept. A SIM slot without a device means our own.
        """
        if reference == ACTIVE and count > 1:
            return await self._round_robin(caller, count)
        if reference is None or reference == ACTIVE:
            return [await self._any(caller, is_default_meant=reference is None, sim_slot=sim_slot)] * count
        device = await self.find(caller, reference)
        if not device.is_enabled:
            raise NoActiveDevice(reference)
        return [Target(device)] * count

    # --- pieces -------------------------------------------------------------------------------------

    async def _any(self, caller: Caller, *, is_default_meant: bool, sim_slot: int | None) -> Target:
        account = await self._gateway.accounts.account(caller.account)
        default = None if account is None or not is_default_meant else account.default_device
        devices = await self._found(caller)
        for device in devices:
            if device.id == default and self._is_active(device) and (device.route is None or sim_slot is None):
                return Target(self._view(device))
        # One look at a route is enough, most often: there may be many.
        if any(device.route is not None and self._is_active(device) for device in devices):
            return Target(None)
        for device in devices:
            if self._is_active(device):
                return Target(self._view(device))
        raise NoActiveDevice(ACTIVE)

    async def _found(self, caller: Caller) -> list[Device]:
        found = await self._gateway.accounts.devices(caller.account)
        return [device for device in found if device.route is None or device.route in self._gateway.routes]

    async def _round_robin(self, caller: Caller, count: int) -> list[Target]:
        active = [device for device in await self.visible(caller) if device.is_active]
        if not active:
            raise NoActiveDevice(ACTIVE)
        first, self._turn = self._turn, (self._turn + count) % len(active)
        return [Target(active[(first + index) % len(active)]) for index in range(count)]

    def _view(self, device: Device) -> DeviceView:
        route = None if device.route is None else self._gateway.route(device.route)
        number = device.phone_number
        delay_s, slot = device.send_delay_s, device.default_sim_slot
        if route is not None:
            sim = route.view().sim
            number = number or (None if sim is None else sim.number)
            delay_s, slot = route.config.settings.send_delay_s, route.slot
        return DeviceView(
            number=device.id,
            device_id=device.device_id,
            name=device.name,
            phone_number=number,
            route=device.route,
            is_enabled=device.is_active,
            is_active=self._is_active(device),
            sms_rate=self._prices.get(device.route or device.device_id, device.sms_rate or self._sms_rate),
            send_delay_s=delay_s,
            default_sim_slot=slot,
            pool=device.pool,
        )

    def _is_active(self, device: Device) -> bool:
        """Whether it is on and working, or will soon."""
        if device.route is None or not device.is_active:
            return device.is_active
        route = self._gateway.route(device.route)
        if route.is_paused:
            return False
        state = route.state.value
        return state in _WORKING or (state != _REFUSED and route.down_for_s() < _MAY_RETURN_S)
