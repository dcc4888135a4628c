"""One registration at work: it registers, listens, pulls, and keeps what the server says of webhooks and settings."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import deque
from collections.abc import Callable
from dataclasses import asdict

import structlog

from agent.supervise import backoff_s
from agent.upstreams.api import UpstreamDown
from agent.upstreams.smsgate import health as health_of
from agent.upstreams.smsgate import jobs, rows
from agent.upstreams.smsgate.client import Answer
from agent.upstreams.smsgate.credentials import Device, NotPaired
from agent.upstreams.smsgate.events import Events
from agent.upstreams.smsgate.export import Export, Wanted, wanted
from agent.upstreams.smsgate.jobs import SlotChooser
from agent.upstreams.smsgate.pull import Pull
from agent.upstreams.smsgate.rows import SLOTS, Listed, SimCard
from agent.upstreams.smsgate.shared import Shared
from agent.upstreams.smsgate.telling import Telling
from agent.upstreams.wire import storable

_log = structlog.get_logger("smsgate")

_SHORTEST_DOWN_S, _LONGEST_DOWN_S = 2.0, 60.0
_REFRESH_S = 86_400.0
_FULL_S = 15.0
_REPORTS_BEFORE_PULL = 25
"""Behind a full list, so many reports make it worth while to look for what was hidden."""
_SETTLE_S = 2.0
"""SIMs come up one after the other; the server is told of them together."""

_PULL, _SETTINGS, _WEBHOOKS, _DEVICE = "pull", "settings", "webhooks", "device"


class DeviceLoop:
    """One per registration. `run` until cancelled. `problem` is one sentence, or None."""

    def __init__(self, shared: Shared, index: int, is_only: Callable[[], bool]) -> None:
        """`is_only` tells whether the gateway has no other device."""
        self.index = index
        self.problem: str | None = None
        self.device: Device | None = None
        self.listed = 0
        self.looked_at: float | None = None
        self.tells = Telling(shared.gateway, shared.name)
        self.knows_webhooks = False
        self._shared = shared
        self._is_only = is_only
        self._chooser = SlotChooser()
        self._pull = Pull(
            shared.client, shared.gateway, shared.name, shared.credentials, shared.reporter,
            choose_slot=self._slot_for, passphrase=lambda: shared.passphrase,
        )  # fmt: skip
        self._export = Export(shared.gateway, self.tells)
        self._events = Events(
            shared.client, shared.credentials, shared.name, silence_s=shared.settings.silence_s,
            missed=self._missed, heard=self._heard, ended=self._soon,
        )  # fmt: skip
        self._due: set[str] = set()
        self._cancels: deque[str] = deque()
        self._exports: deque[Wanted] = deque()
        self._wake = asyncio.Event()
        self._paired = asyncio.Event()
        self._news = asyncio.Event()
        self._told_cards: list[SimCard] | None = None
        self._has_started = False
        self._is_full = False
        self._reports = 0
        self._refreshed_at = 0.0

    @property
    def is_listening(self) -> bool:
        return self._events.is_open

    def paired(self) -> None:
        """A person has just paired this device."""
        self._paired.set()
        self._news.set()
        self._wake.set()

    def reported(self) -> None:
        """A report of one of its messages was told."""
        self._reports += 1
        if self._is_full and self._reports >= _REPORTS_BEFORE_PULL:
            self._soon(_PULL)

    def sim_numbers(self) -> dict[str, int]:
        """The server's simNumber by route, for the routes of this device."""
        views = self._shared.gateway.route_views()
        return {
            view.name: view.sim_slot % SLOTS + 1
            for view in views
            if view.sim_slot is not None and view.sim_slot // SLOTS == self.index
        }

    def cards(self) -> list[SimCard]:
        """The SIMs of this device that are there now."""
        found = []
        for view in self._shared.gateway.route_views():
            if view.sim_slot is None or view.sim_slot // SLOTS != self.index or view.sim is None:
                continue
            # Where a SIM's ICCID cannot be read, the gateway names it by its modem.
            iccid = view.sim.iccid if ":" not in view.sim.iccid else None
            operator = None if view.link is None else view.link.operator
            found.append(SimCard(view.sim_slot % SLOTS, view.sim.number, operator, iccid))
        return sorted(found, key=lambda card: card.slot)

    async def look(self) -> None:
        """Pull now, for somebody who waits for it. Raises: UpstreamDown."""
        if self.device is not None:
            await self._look(self.device)

    async def run(self) -> None:
        """Raises: JournalError."""
        await self._load_webhooks()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch_cards(), name=f"{self._shared.name} SIMs {self.index}")
            group.create_task(self._ping(), name=f"{self._shared.name} pings {self.index}")
            await self._work(group)

    # --- the loop -----------------------------------------------------------------------------------

    async def _work(self, group: asyncio.TaskGroup) -> None:
        failures = 0
        listening: asyncio.Task[None] | None = None
        while True:
            self._wake.clear()
            self._paired.clear()
            self._news.clear()
            try:
                device = await self._shared.credentials.ensure(self.index, self.cards())
                if self.device != device:
                    self._begin(device)
                    if listening is not None:
                        listening.cancel()
                        listening = None
                if listening is None or listening.done():
                    listening = group.create_task(self._events.run(device), name=f"{self._shared.name} events")
                await self._do_due(device)
                if self.problem is not None:
                    _log.info("server_answers", upstream=self._shared.name, device=device.id)
                failures, self.problem = 0, None
                await self._pause(self._interval_s(), self._wake)
            except UpstreamDown as error:
                failures += 1
                self._say(error)
                await self._back_off(failures, error)

    def _begin(self, device: Device) -> None:
        """A registration that is new to this process: everything is to be asked and told."""
        self.device = device
        self._told_cards = None
        self._due |= {_PULL, _SETTINGS, _WEBHOOKS, _DEVICE}

    async def _do_due(self, device: Device) -> None:
        now = asyncio.get_running_loop().time()
        if now - self._refreshed_at > _REFRESH_S:
            self._due |= {_SETTINGS, _WEBHOOKS}
        if self.looked_at is None or now - self.looked_at >= self._interval_s():
            self._due.add(_PULL)
        while self._cancels:
            await self._pull.cancel(jobs.bundle_of(device.id, self._cancels.popleft()))
        # What was set there counts before the first message goes; later, messages come before everything.
        has_settings = self._shared.has_settings
        order = (_PULL, _SETTINGS, _WEBHOOKS, _DEVICE) if has_settings else (_SETTINGS, _WEBHOOKS, _PULL, _DEVICE)
        steps = {_PULL: self._look, _SETTINGS: self._settings, _WEBHOOKS: self._webhooks, _DEVICE: self._tell_cards}
        for step in order:
            if step in self._due:
                self._due.discard(step)
                try:
                    await steps[step](device)
                except UpstreamDown:
                    self._due.add(step)
                    raise
        while self._exports:
            count = await self._export.run(self._exports.popleft(), device.id, self.sim_numbers())
            _log.info("inbox_exported", upstream=self._shared.name, messages=count)
        await self._say_started(device)

    def _interval_s(self) -> float:
        """The slow look beneath the events; quicker without them, and while more is hidden behind a full list."""
        settings, ping_s = self._shared.settings, self._shared.preferences.ping_s
        slow_s = settings.poll_interval_s
        if not self._events.is_open:
            slow_s = min(slow_s, settings.poll_without_events_s)
        if self._is_full:
            slow_s = min(slow_s, _FULL_S)
        return slow_s if ping_s is None else min(slow_s, ping_s)

    async def _pause(self, wait_s: float, woken: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(wait_s):
                await woken.wait()
        except TimeoutError:
            pass

    async def _back_off(self, failures: int, error: UpstreamDown) -> None:
        """Leave a server alone that fails, as long as it wishes; what it says on the stream meanwhile, or a person
        who pairs this device, shortens what is our own guess."""
        wait_s = backoff_s(failures, longest_s=_LONGEST_DOWN_S)
        if error.retry_after_s is not None:
            await self._pause(max(wait_s, error.retry_after_s), self._paired)
            return
        await self._pause(min(wait_s, _SHORTEST_DOWN_S), self._paired)
        await self._pause(max(0.0, wait_s - _SHORTEST_DOWN_S), self._news)

    def _say(self, error: UpstreamDown) -> None:
        if self.problem != str(error):
            level = _log.error if isinstance(error, NotPaired) else _log.warning
            level("server_fails", upstream=self._shared.name, reason=str(error))
        self.problem = str(error)

    def _soon(self, *what: str) -> None:
        self._due.update(what)
        self._wake.set()

    # --- what is heard ------------------------------------------------------------------------------

    def _missed(self) -> None:
        self._news.set()
        self._soon(_PULL, _SETTINGS, _WEBHOOKS)

    def _heard(self, event: str, data: str) -> None:
        self._news.set()
        if event == "MessageEnqueued":
            self._soon(_PULL)
        elif event == "MessageCancelled":
            message_id = _field(data, "messageId")
            if message_id is not None:
                self._cancels.append(message_id)
            self._soon(_PULL)
        elif event == "WebhooksUpdated":
            self._soon(_WEBHOOKS)
        elif event == "SettingsUpdated":
            self._soon(_SETTINGS)
        elif event == "MessagesExportRequested":
            request = wanted(data)
            if request is not None:
                self._exports.append(request)
                self._wake.set()

    # --- what is due --------------------------------------------------------------------------------

    async def _look(self, device: Device) -> None:
        seen = await self._pull.look(device)
        self.looked_at = asyncio.get_running_loop().time()
        self.listed, self._is_full, self._reports = seen.listed, seen.is_full, 0
        if self._is_only():
            self._shared.gateway.saw_pending(self._shared.name)

    async def _settings(self, device: Device) -> None:
        document = (await self._ask("GET", "/settings", device)).document
        # The account's settings are the same for all its devices.
        if isinstance(document, dict):
            await self._shared.take(document)
            self._set_up_hooks()
        self._refreshed_at = asyncio.get_running_loop().time()

    async def _webhooks(self, device: Device) -> None:
        answer = await self._ask("GET", "/webhooks", device)
        try:
            found = rows.webhooks(answer.document)
        except rows.Malformed as error:
            raise self._shared.client.malformed(error) from error
        if found != tuple(self.tells.webhooks) or not self.knows_webhooks:
            kept = json.dumps([asdict(hook) for hook in found])
            await self._shared.gateway.facts.remember(self._shared.owner, f"webhooks:{self.index}", kept)
        self.tells.webhooks = found
        self.knows_webhooks = True
        self._set_up_hooks()

    async def _tell_cards(self, device: Device) -> None:
        cards = self.cards()
        body = {"id": device.id, "simCards": rows.sim_cards(cards)}
        await self._ask("PATCH", "/device", device, body=body)
        self._told_cards = cards

    async def _say_started(self, device: Device) -> None:
        if not self._has_started and self.knows_webhooks:
            self._has_started = True
            payload = {"simCards": rows.sim_cards(self.cards())}
            await self.tells.tell("app:started", payload, device.id, key=f"started:{uuid.uuid4()}")

    async def _ask(self, method: str, path: str, device: Device, body: object = None) -> Answer:
        answer = await self._shared.client.ask(method, path, device.authorization, body=body)
        if answer.is_unauthorized:
            raise await self._shared.credentials.doubt(self.index, device)
        if not answer.is_ok:
            raise self._shared.client.refusal(answer, f"{method} {path}")
        return answer

    # --- SIMs, pings and webhooks -------------------------------------------------------------------

    def _slot_for(self, listed: Listed) -> int | None:
        if listed.sim_number is not None:
            return self.index * SLOTS + listed.sim_number - 1
        slots = [self.index * SLOTS + card.slot for card in self.cards()]
        return self._chooser.choose(self._shared.preferences.sim_selection, slots, is_only_device=self._is_only())

    async def _watch_cards(self) -> None:
        """Tell the server when a SIM comes, goes, or is in another network."""
        changed = asyncio.Event()
        self._shared.gateway.watch(changed)
        try:
            while True:
                await changed.wait()
                await asyncio.sleep(_SETTLE_S)
                changed.clear()
                if self._told_cards is not None and self.cards() != self._told_cards:
                    self._soon(_DEVICE)
        finally:
            self._shared.gateway.unwatch(changed)

    async def _ping(self) -> None:
        while True:
            ping_s = self._shared.preferences.ping_s
            # A new interval counts within a minute.
            began = asyncio.get_running_loop().time()
            while ping_s is None or asyncio.get_running_loop().time() - began < ping_s:
                left_s = 60.0 if ping_s is None else ping_s - (asyncio.get_running_loop().time() - began)
                await asyncio.sleep(min(60.0, max(0.01, left_s)))
                ping_s = self._shared.preferences.ping_s
            await self._tell_ping()

    async def _tell_ping(self) -> None:
        if self.device is None:
            return
        gateway = self._shared.gateway
        views, now_ms = gateway.route_views(), gateway.clock.utc_ms()
        in_network = sum(view.link is not None and view.link.registration.has_service for view in views)
        figures = await gateway.figures(None, now_ms, now_ms)
        document = health_of.health(in_network, [view.name for view in views], figures)
        await self.tells.tell("system:ping", {"health": document}, self.device.id, key=f"ping:{uuid.uuid4()}")

    async def _load_webhooks(self) -> None:
        facts = await self._shared.gateway.facts.recall(self._shared.owner)
        kept = facts.get(f"webhooks:{self.index}")
        if kept is not None:
            self.tells.webhooks = tuple(rows.Webhook(**row) for row in json.loads(kept))
            self.knows_webhooks = True
        self._set_up_hooks()

    def _set_up_hooks(self) -> None:
        self.tells.retries = self._shared.preferences.hook_retries
        self.tells.signing_key = self._shared.signing_key


def _field(data: str, key: str) -> str | None:
    """One text of an event's data."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    value = found.get(key) if isinstance(found, dict) else None
    return storable(value) if isinstance(value, str) else None
