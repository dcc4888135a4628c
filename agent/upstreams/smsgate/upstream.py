"""The SMSGate upstream behind the contract: its devices together, reports and inbound to the right one, pairing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar

from agent.gateway import Gateway
from agent.model import Message, Report
from agent.upstreams.api import Check, LaneBusy, PairingAnswer, UpstreamDown, UpstreamSettings
from agent.upstreams.smsgate import diagnosis, jobs
from agent.upstreams.smsgate.credentials import Account
from agent.upstreams.smsgate.device import DeviceLoop
from agent.upstreams.smsgate.rows import SLOTS
from agent.upstreams.smsgate.settings import SmsGateSettings
from agent.upstreams.smsgate.shared import Shared, client_of

_DIAGNOSE_S = 10.0


class SmsGateUpstream:
    """One account on one server, with a device for every three SIM slots."""

    kind: ClassVar[str] = "smsgate"
    Settings: ClassVar[type[UpstreamSettings]] = SmsGateSettings

    def __init__(self, settings: SmsGateSettings, gateway: Gateway) -> None:
        """Raises: ConfigError where a secret or `ca_file` cannot be used."""
        self.wants_inbound = True
        self._settings = settings
        self._gateway = gateway
        self._name = settings.name or self.kind
        self._shared = Shared(settings, gateway, self._name, f"{self._name} {self.identity()}")
        self._loops: dict[int, DeviceLoop] = {}
        self._add_loops()
        self._loading = asyncio.Lock()

    @property
    def concurrency(self) -> int:
        return self._settings.concurrency

    @staticmethod
    async def diagnose(settings: SmsGateSettings, device_name: str) -> Sequence[Check]:
        """See `upstreams.api.Diagnosable`. Raises: ConfigError."""
        return await diagnosis.diagnose(client_of(settings, settings.name or SmsGateUpstream.kind, _DIAGNOSE_S))

    def identity(self) -> str:
        return f"{self._settings.base_url} smsgate"

    async def run(self) -> None:
        """Register, listen and pull until cancelled. Raises: JournalError."""
        self._gateway.pairings[self._name] = self
        self._gateway.can_be_asked(self._name, self.refresh)
        try:
            await self._load()
            async with asyncio.TaskGroup() as group:
                await self._run_loops(group)
        finally:
            if self._gateway.pairings.get(self._name) is self:
                del self._gateway.pairings[self._name]
            await self._shared.client.close()

    async def report(self, report: Report) -> None:
        await self._load()
        device_id, message_id = jobs.parts_of(report.message.bundle or "")
        loop = self._loop_of(device_id)
        if report.message.bundle is not None:
            sim_number = None if loop is None else loop.sim_numbers().get(report.message.route or "")
            tells = None if loop is None else loop.tells
            if tells is not None:
                await tells.state(report, device_id, message_id, sim_number)
        first = next(iter(self._loops.values())).device
        if report.message.bundle is None and first is None:
            raise UpstreamDown(self._problem() or "this device is not registered yet")
        await self._shared.reporter.report(report, first)
        if loop is not None:
            loop.reported()

    async def deliver(self, inbound: Message) -> None:
        await self._load()
        loop = next((one for one in self._loops.values() if inbound.route in one.sim_numbers()), None)
        loop = loop or next(iter(self._loops.values()))
        device = self._shared.credentials.device(loop.index)
        if device is None or not loop.knows_webhooks:
            raise LaneBusy(self._problem() or "the server did not yet say which webhooks there are")
        await loop.tells.received(inbound, device.id, loop.sim_numbers().get(inbound.route or ""))

    async def refresh(self) -> None:
        """Cancellations come as events; only without them is the list looked at."""
        for loop in self._loops.values():
            if not loop.is_listening and loop.problem is None:
                try:
                    await loop.look()
                except UpstreamDown:
                    return

    def status(self) -> dict[str, str | int | float | bool | None]:
        loops, now = list(self._loops.values()), asyncio.get_running_loop().time()
        looked = [loop.looked_at for loop in loops if loop.looked_at is not None]
        account, preferences = self._shared.credentials.account, self._shared.preferences
        return {
            "server": self._settings.base_url,
            "devices": ", ".join(loop.device.id for loop in loops if loop.device is not None) or None,
            "login": None if account is None else account.login,
            "events": sum(loop.is_listening for loop in loops),
            "webhooks": sum(len(loop.tells.webhooks) for loop in loops),
            "pending": sum(loop.listed for loop in loops),
            "work_hours": preferences.pace.work_hours,
            "limit_messages": preferences.pace.limit_messages,
            "send_delay_s": preferences.pace.delay_s,
            "ping_s": preferences.ping_s,
            "last_poll_s": round(now - min(looked), 1) if looked else None,
            "problem": self._problem(),
        }

    # --- pairing ------------------------------------------------------------------------------------

    async def pair_by_code(self, code: str) -> PairingAnswer:
        """The first device that is not registered, else the first of all."""
        await self._load()
        credentials = self._shared.credentials
        index = next((one for one in self._loops if credentials.device(one) is None), next(iter(self._loops)))
        await credentials.pair(index, self._loops[index].cards(), code=code)
        self._loops[index].paired()
        return self._pairing()

    async def pair_by_login(self, login: str, password: str) -> PairingAnswer:
        """All devices, anew."""
        await self._load()
        for index, loop in self._loops.items():
            await self._shared.credentials.pair(index, loop.cards(), account=Account(login, password))
            loop.paired()
        return self._pairing()

    async def one_time_code(self) -> PairingAnswer:
        """For another phone or gateway of the same account."""
        await self._load()
        code, valid_until = await self._shared.credentials.one_time_code()
        return {"code": code, "valid_until": valid_until}

    async def account(self) -> PairingAnswer:
        """With its secrets: for the person who holds the control socket."""
        await self._load()
        account = self._shared.credentials.account
        return self._pairing() | {
            "login": None if account is None else account.login,
            "password": None if account is None else account.password,
            "signing_key": self._shared.signing_key,
        }

    # --- pieces -------------------------------------------------------------------------------------

    def _add_loops(self) -> None:
        """A device for each three slots that there are; one goes on when its routes are gone."""
        slots = [view.sim_slot for view in self._gateway.route_views() if view.sim_slot is not None]
        for index in sorted({slot // SLOTS for slot in slots} or ({0} - self._loops.keys())):
            if index not in self._loops:
                self._loops[index] = DeviceLoop(self._shared, index, lambda: len(self._loops) == 1)

    async def _run_loops(self, group: asyncio.TaskGroup) -> None:
        """Run the devices, also those of routes that come with a changed configuration."""
        changed, running = asyncio.Event(), set[int]()
        self._gateway.watch(changed)
        try:
            while True:
                changed.clear()
                self._add_loops()
                for index in self._loops.keys() - running:
                    running.add(index)
                    group.create_task(self._loops[index].run(), name=f"{self._name} device {index}")
                await changed.wait()
        finally:
            self._gateway.unwatch(changed)

    async def _load(self) -> None:
        async with self._loading:
            await self._shared.load()

    def _loop_of(self, device_id: str) -> DeviceLoop | None:
        device = self._shared.credentials.by_id(device_id)
        return None if device is None else self._loops.get(self._shared.credentials.index_of(device))

    def _pairing(self) -> PairingAnswer:
        devices = [self._shared.credentials.device(index) for index in self._loops]
        return {
            "upstream": self._name,
            "server": self._settings.base_url,
            "devices": ", ".join(device.id for device in devices if device is not None) or None,
        }

    def _problem(self) -> str | None:
        return next((loop.problem for loop in self._loops.values() if loop.problem is not None), None)
