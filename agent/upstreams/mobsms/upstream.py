"""The MobSMS upstream behind the contract: when to look, and what `status` says.

It polls: quickly while something changes, slowly while nothing does, and less and less often while the server is
out of reach. Everything about one server's answers is in the modules beside it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

import structlog

from agent.config import ConfigError, secret
from agent.gateway import Gateway
from agent.model import Message, MessageKind, Report
from agent.supervise import backoff_s
from agent.upstreams.api import Check, LaneBusy, UpstreamDown, UpstreamSettings
from agent.upstreams.mobsms import diagnosis
from agent.upstreams.mobsms.client import Client, KeyRefused
from agent.upstreams.mobsms.device import DeviceRow
from agent.upstreams.mobsms.events import Events
from agent.upstreams.mobsms.inbound import InboundDelivery
from agent.upstreams.mobsms.pull import Pull, Seen
from agent.upstreams.mobsms.report import Reporter
from agent.upstreams.mobsms.settings import MobSmsSettings

_log = structlog.get_logger("mobsms")

_SLOWER = 1.5
"""Factor from one poll without a change to the next."""
_JITTER = 0.1
_LONGEST_DOWN_S = 60.0
_MOST_FAILURES_OF_A_REACHABLE = 3
"""A server that answers now and then is asked again within seconds: a look of several requests must get through."""
# Perhaps the server was set up anew and does not know our device any more: begin with that again.
_FAILURES_BEFORE_DEVICE = 5
# With a rate limit, polling takes at most every third request and leaves the others to reports.
_SHARE_OF_LIMIT = 3
# A look that takes longer than this is no quick answer any more: the send goes on without it.
_SLOW_LOOK_S = 1.0


_DIAGNOSE_S = 10.0


class MobSmsUpstream:
    """One server and one device on it."""

    kind: ClassVar[str] = "mobsms"
    Settings: ClassVar[type[UpstreamSettings]] = MobSmsSettings

    def __init__(self, settings: MobSmsSettings, gateway: Gateway) -> None:
        """Raises: ConfigError where the key or `ca_file` cannot be used."""
        name = settings.name or self.kind
        device_id = settings.device_id or gateway.settings.device_name
        self.wants_inbound = True
        self._settings = settings
        self._gateway = gateway
        self._name = name
        self._device_id = device_id
        self._client = _client(settings, name)
        self._row = DeviceRow(settings, self._client, gateway, name, device_id)
        self._reporter = Reporter(self._client, name)
        self._pull = Pull(self._client, gateway, name, device_id, self._reporter)
        self._inbound = InboundDelivery(self._client, gateway, name, device_id, settings.inbound_path)
        self._wake = asyncio.Event()
        self._events = Events(self._client, name, self._pull.can_claim, lambda: self._row.device, self._wake.set)
        self._waiting: list[asyncio.Future[None]] = []
        self._looking_since: float | None = None
        self._is_polling = False
        self._failures = 0
        self._failed_looks = 0
        self._answers_before_pull: int | None = None
        self._problem: str | None = None
        self._looked_at: float | None = None
        self._listed = 0
        self._interval_s = settings.poll_interval_s

    @property
    def concurrency(self) -> int:
        return self._settings.concurrency

    @staticmethod
    async def diagnose(settings: MobSmsSettings, device_name: str) -> Sequence[Check]:
        """See `upstreams.api.Diagnosable`. Raises: ConfigError."""
        short = replace(settings, timeout_s=min(settings.timeout_s, _DIAGNOSE_S))
        return await diagnosis.diagnose(
            lambda: _client(short, settings.name or "mobsms"), settings.device_id or device_name
        )

    def identity(self) -> str:
        return f"{self._settings.base_url} device {self._device_id}"

    async def run(self) -> None:
        """Pull until cancelled. Raises: JournalError."""
        self._gateway.can_be_asked(self._name, self.refresh)
        self._is_polling = True
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._poll(), name=f"{self._name} poll")
                group.create_task(self._events.run(), name=f"{self._name} events")
        finally:
            self._is_polling = False
            self._answer_waiting()
            await self._client.close()

    async def report(self, report: Report) -> None:
        await self._reporter.report(report)

    async def deliver(self, inbound: Message) -> None:
        if inbound.kind is not MessageKind.TEXT:
            return  # as on the phone: the app is told of texts only
        device = self._row.device
        if device is None and not self._row.is_missing:
            # Before the first look: the server's number of this device is not known yet.
            if self._failures:
                raise UpstreamDown(self._problem or f"{self._client.host} did not answer yet")
            raise LaneBusy(f"{self._client.host} was not asked for this device yet")
        await self._inbound.deliver(inbound, device)

    async def refresh(self) -> None:
        """One look for all who ask at the same time; none while the server is out of reach or slow."""
        now = asyncio.get_running_loop().time()
        is_slow = self._looking_since is not None and now - self._looking_since > _SLOW_LOOK_S
        if not self._is_polling or self._failures or is_slow:
            return
        done = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._wake.set()
        try:
            await done
        finally:
            if done in self._waiting:
                self._waiting.remove(done)

    def status(self) -> dict[str, str | int | float | bool | None]:
        device = self._row.device
        looked_s = None
        if self._looked_at is not None:
            looked_s = round(asyncio.get_running_loop().time() - self._looked_at, 1)
        mode = "claim" if self._pull.can_claim.is_set() else "list"
        return {
            "server": self._settings.base_url,
            "device": self._device_id,
            "device_number": None if device is None else device.number,
            "active": None if device is None else device.is_active,
            "send_delay_s": None if device is None else device.send_delay_s,
            "sim_slot": "any" if self._settings.sim_choice == "any" or device is None else device.default_sim_slot,
            "mode": f"{mode} with events" if self._events.is_open else mode,
            "inbound": self._inbound.where,
            "pending": self._listed,
            "last_poll_s": looked_s,
            "problem": self._problem,
        }

    # --- polling ------------------------------------------------------------------------------------

    async def _poll(self) -> None:
        while True:
            self._wake.clear()
            requests = self._client.requests
            self._answers_before_pull = None
            self._looking_since = asyncio.get_running_loop().time()
            try:
                wait_s = self._paced(await self._look(), self._client.requests - requests)
            except UpstreamDown as error:
                wait_s = self._failed(error)
            finally:
                self._looking_since = None
                self._answer_waiting()
            await self._pause(wait_s)

    async def _look(self) -> Seen | None:
        """One look at the server; None where there is no device to pull for."""
        device = await self._row.keep_fresh()
        self._answers_before_pull = self._client.answers
        seen = None if device is None else await self._pull.look(device)
        if seen is not None:
            self._listed = seen.listed
            self._looked_at = asyncio.get_running_loop().time()
        self._failures = self._failed_looks = 0
        if self._problem is not None and self._row.problem is None:
            _log.info("server_answers", upstream=self._name)
        self._problem = self._row.problem
        return seen

    def _paced(self, seen: Seen | None, requests: int) -> float:
        """Seconds until the next look: short while something changes, longer while nothing does."""
        fastest, slowest = self._settings.poll_interval_s, self._settings.idle_poll_interval_s
        if seen is None:
            return self._row.next_look_s() + random.uniform(0, 0.5)
        if seen.at_once:
            return 0.0
        self._interval_s = fastest if seen.changed else min(max(fastest, slowest), self._interval_s * _SLOWER)
        wait_s = self._interval_s * random.uniform(1 - _JITTER, 1 + _JITTER)
        if (limit := self._client.requests_per_minute) is not None:
            wait_s = max(wait_s, requests * _SHARE_OF_LIMIT * 60 / limit)
        return wait_s

    def _failed(self, error: UpstreamDown) -> float:
        """Note a failed look; seconds until the next, soon where a part of the pull was answered."""
        before = self._answers_before_pull
        if before is not None and self._client.answers > before:
            self._failures = min(self._failures, _MOST_FAILURES_OF_A_REACHABLE - 1)
        self._failures += 1
        self._failed_looks += 1
        if self._failed_looks % _FAILURES_BEFORE_DEVICE == 0:
            self._row.forget()
        if self._problem != str(error):
            level = _log.error if isinstance(error, KeyRefused) else _log.warning
            level("server_fails", upstream=self._name, reason=str(error))
        self._problem = str(error)
        self._interval_s = self._settings.poll_interval_s
        return max(backoff_s(self._failures, longest_s=_LONGEST_DOWN_S), error.retry_after_s or 0.0)

    async def _pause(self, wait_s: float) -> None:
        """Wait, less when woken; a server that is out of reach is left alone all the same."""
        if self._failures:
            await asyncio.sleep(wait_s)
            return
        try:
            async with asyncio.timeout(wait_s):
                await self._wake.wait()
        except TimeoutError:
            pass

    def _answer_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for done in waiting:
            if not done.done():
                done.set_result(None)


def _client(settings: MobSmsSettings, name: str) -> Client:
    try:
        return Client(
            settings.base_url,
            _key(settings, name),
            ca_file=settings.ca_file,
            timeout_s=settings.timeout_s,
            concurrency=settings.concurrency,
        )
    except OSError as error:  # ssl.SSLError is one
        raise ConfigError(f"upstream[{name}].ca_file: {settings.ca_file} holds no usable certificate") from error


def _key(settings: MobSmsSettings, name: str) -> str:
    where = f"upstream[{name}].api_key"
    key = secret(settings.api_key, settings.api_key_file, where) or ""
    if not key or not key.isascii() or not key.isprintable() or " " in key:
        raise ConfigError(f"{where}: this is not an API key; copy it from the server as one line")
    return key
