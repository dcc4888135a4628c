"""Looks at the gateway now and then, raises and clears alerts, and has them told. An uneventful look writes nothing."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import structlog

from agent import pacing
from agent.alerts import rules, telling
from agent.alerts.rules import Facts, Key, RouteFacts, UpstreamFacts
from agent.alerts.settings import AlertSettings
from agent.alerts.telling import Notice, Told
from agent.journal import alerts, listing, observing
from agent.journal.alerts import Alert
from agent.journal.schema import JournalError

if TYPE_CHECKING:
    from agent.gateway import Gateway

_log = structlog.get_logger("alerts")

_HOUR_MS, _DAY_MS = 3_600_000, 86_400_000


class Alerts:
    """One per gateway. `run` until cancelled; `active` is what stands now."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._settings = AlertSettings()
        self._timezone = ZoneInfo("UTC")
        self.active: list[Alert] = []
        self._good_since: Mapping[Key, float] = {}
        self._down_since: dict[str, float] = {}
        self._given_up, self._given_up_at = 0, 0.0

    def gave_up(self, items: int) -> None:
        """So many reports or inbound messages will never be taken."""
        self._given_up, self._given_up_at = items, time.monotonic()

    async def run(self, settings: AlertSettings, timezone: str) -> None:
        """Look, until cancelled."""
        self._settings, self._timezone = settings, ZoneInfo(timezone)
        self.active = await self._gateway.journal.read(alerts.active)
        while True:
            try:
                await self.look()
            except JournalError as error:
                _log.error("alerts_not_kept", reason=str(error))
            await asyncio.sleep(settings.check_interval_s)

    def documents(self) -> list[dict[str, str | int | None]]:
        """What stands now but for muted kinds, as a broker gets it."""
        device_name = self._gateway.settings.device_name
        return [
            Notice(alert.id, "raised", *alert.key, alert.sentence, alert.raised_ms).document(device_name)
            for alert in self.active
            if alert.kind not in self._settings.mute
        ]

    async def standing(self) -> list[Alert]:
        """What stands now, oldest first, as it is kept."""
        return await self._gateway.journal.read(alerts.active)

    async def history(self, limit: int) -> list[Alert]:
        """What was cleared, newest first."""
        return await self._gateway.journal.read(lambda con: alerts.history(con, limit))

    async def test(self) -> list[Told]:
        """Tell a trial on every way, now."""
        sentence = "this is a test alert; all is well"
        notice = Notice(0, telling.TEST, telling.TEST, "", sentence, self._gateway.clock.utc_ms())
        return await telling.tell(self._gateway, self._settings, notice, sms_left=1)

    async def look(self) -> None:
        """One look. Raises: JournalError."""
        now = self._gateway.clock.now()
        decision = rules.decide(
            rules.verdicts(await self._facts(), self._settings),
            self.active,
            self._good_since,
            now_s=time.monotonic(),
            utc_ms=now.utc_ms,
            settings=self._settings,
        )
        self._good_since = decision.good_since
        if decision.raised or decision.cleared:
            self.active = await self._gateway.journal.write(
                lambda con: alerts.change(con, decision.raised, decision.cleared, now)
            )
            for new in decision.raised:
                _log.warning("alert_raised", kind=new.kind, subject=new.subject or None, why=new.sentence)
            for old in decision.cleared:
                _log.info("alert_cleared", kind=old.kind, subject=old.subject or None)
            self._gateway.committed()
        await self._tell()

    # --- pieces -------------------------------------------------------------------------------------

    async def _tell(self) -> None:
        journal, now_ms = self._gateway.journal, self._gateway.clock.utc_ms()
        untold = await journal.read(alerts.untold)
        if not untold:
            return
        lately = await journal.read(lambda con: alerts.told_since(con, now_ms - _HOUR_MS))
        limits = pacing.Limits(
            quiet_hours=pacing.parse_quiet_hours(self._settings.quiet_hours), timezone=self._timezone
        )
        is_quiet = pacing.quiet_left_ms(limits, now_ms) > 0
        for alert, is_clear in rules.to_tell(untold, self._settings, is_quiet=is_quiet, told_last_hour=lately):
            notice = Notice(
                alert.id, "cleared" if is_clear else "raised", alert.kind, alert.subject, alert.sentence,
                alert.cleared_ms if is_clear and alert.cleared_ms is not None else alert.raised_ms,
            )  # fmt: skip
            sent = await self._sms_sent(now_ms)
            await telling.tell(self._gateway, self._settings, notice, sms_left=self._settings.sms_per_day - sent)
            await journal.write(partial(alerts.told, alert_id=alert.id, now_ms=now_ms, is_clear=is_clear))
            self._gateway.committed()

    async def _sms_sent(self, now_ms: int) -> int:
        if not self._settings.sms_to:
            return 0
        return await self._gateway.journal.read(
            lambda con: observing.accepted_since(con, telling.UPSTREAM, now_ms - _DAY_MS)
        )

    async def _facts(self) -> Facts:
        gateway, now_s = self._gateway, time.monotonic()
        problem = await gateway.monitor.journal_problem() or gateway.degraded
        if problem is None and not gateway.journal.has_reserve:
            problem = "the disk is full: nothing is accepted or sent until there is room again"
        queued = await gateway.journal.read(listing.queue_length)
        oldest = await gateway.journal.read(lambda con: observing.oldest_queued_ms(con, [*queued]))
        now_ms = gateway.clock.utc_ms()
        return Facts(
            routes=[self._route(name) for name in gateway.routes],
            upstreams=self._upstreams(now_s),
            oldest_queued_s=max((now_ms - since for since in oldest.values()), default=0) / 1000,
            disk_free_bytes=shutil.disk_usage(gateway.journal.path.parent).free,
            journal_problem=problem,
            given_up=self._given_up,
            given_up_ago_s=now_s - self._given_up_at if self._given_up else None,
        )

    def _route(self, name: str) -> RouteFacts:
        route = self._gateway.routes[name]
        view = route.view()
        link = view.link
        return RouteFacts(
            name=name,
            state=view.state,
            problem=view.problem,
            down_for_s=route.down_for_s(),
            storage_used=link.storage_used if link is not None else None,
            storage_total=link.storage_total if link is not None else None,
            credit=rules.amount((link.credit if link is not None else None) or view.balance),
        )

    def _upstreams(self, now_s: float) -> list[UpstreamFacts]:
        views = [look() for look in self._gateway.upstreams.values()]
        down = {view.name for view in views if view.problem is not None}
        self._down_since = {name: self._down_since.get(name, now_s) for name in down}
        return [
            UpstreamFacts(view.name, view.problem, now_s - self._down_since[view.name] if view.name in down else None)
            for view in views
        ]
