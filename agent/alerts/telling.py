"""Brings one notice to everybody who is to have it: webhook, SMS by another route, and whoever asked the gateway.

Putting it in twice is harmless: webhook and SMS know the alert's id. What cannot be told is logged and left.
"""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING

import structlog

from agent.alerts.settings import AlertSettings
from agent.clock import iso_utc
from agent.hooks import Call, problem_of
from agent.journal.schema import JournalError
from agent.model import URGENT_PRIORITY, Job, RouteState
from drivers.values import dataclass

if TYPE_CHECKING:
    from agent.gateway import Gateway

_log = structlog.get_logger("alerts")

UPSTREAM = "alerts"
"""The journal's name of the sender of SMS to the owner."""
TEST = "test"
_ONE_SMS_CHARACTERS = 160


@dataclass(frozen=True, slots=True)
class Notice:
    """What the owner is told: `event` is "raised", "cleared" or "test"."""

    id: int
    event: str
    kind: str
    subject: str
    sentence: str
    at_ms: int

    def document(self, device_name: str) -> dict[str, str | int | None]:
        """As a webhook and a broker get it."""
        return {
            "event": "alert",
            "id": self.id,
            "state": self.event,
            "kind": self.kind,
            "subject": self.subject or None,
            "message": self.sentence,
            "device": device_name,
            "timestamp": iso_utc(self.at_ms),
        }


@dataclass(frozen=True, slots=True)
class Told:
    """What became of a notice on one way."""

    channel: str
    ok: bool
    detail: str


async def tell(gateway: Gateway, settings: AlertSettings, notice: Notice, *, sms_left: int) -> list[Told]:
    """On every way that is configured."""
    found = []
    for take in gateway.alert_takers:
        take(notice)
    if settings.webhook is not None:
        found.append(await _webhook(gateway, settings.webhook, notice))
    if settings.sms_to and notice.event != "cleared":
        if notice.event != TEST and notice.kind not in settings.sms_kinds:
            return found
        if sms_left <= 0:
            found.append(Told("sms", False, f"alerts.sms_per_day ({settings.sms_per_day}) is used up"))
        else:
            found.append(await _sms(gateway, settings, notice))
    for told in found:
        if not told.ok:
            _log.warning("alert_not_told", channel=told.channel, kind=notice.kind, reason=told.detail)
    return found


async def _webhook(gateway: Gateway, url: str, notice: Notice) -> Told:
    if (problem := problem_of(url)) is not None:
        return Told("webhook", False, problem)
    try:
        owner = await gateway.accounts.owner()
        body = json.dumps(notice.document(gateway.settings.device_name), ensure_ascii=False)
        if notice.event == TEST:
            done = await gateway.hooks.test(owner, url, body)
            said = f"HTTP {done.last_status}" if done.last_status else str(done.last_error)
            return Told("webhook", done.state == "done", said)
        await gateway.hooks.add([Call(f"alert:{notice.id}:{notice.event}", 0, owner, url, body)])
    except JournalError as error:
        return Told("webhook", False, str(error))
    return Told("webhook", True, "queued")


async def _sms(gateway: Gateway, settings: AlertSettings, notice: Notice) -> Told:
    route = _route(gateway, settings, notice)
    if route is None:
        return Told("sms", False, "no other route can send now")
    text = _plain(f"{gateway.settings.device_name}: {notice.sentence}")[:_ONE_SMS_CHARACTERS]
    jobs = [
        Job(
            number,
            text,
            route=route,
            priority=URGENT_PRIORITY,
            remote_id=None if notice.event == TEST else f"{notice.id}:{notice.event}:{number}",
        )
        for number in settings.sms_to
    ]
    try:
        await gateway.ensure_upstream(UPSTREAM, UPSTREAM)
        accepted = await gateway.accept(UPSTREAM, jobs)
    except JournalError as error:
        return Told("sms", False, str(error))
    faults = [one.error for one in accepted if one.error]
    return Told("sms", not faults, faults[0] if faults else f"by {route} to {len(jobs)} number(s)")


def _route(gateway: Gateway, settings: AlertSettings, notice: Notice) -> str | None:
    """One that can send and is not the one that the notice is about; the configured one where it can."""
    fit = [
        view.name
        for view in gateway.route_views()
        if view.state is RouteState.READY and (view.name != notice.subject or notice.event == TEST)
    ]
    if settings.sms_route in fit:
        return settings.sms_route
    return fit[0] if fit else None


def _plain(text: str) -> str:
    """In ASCII, so that one part of GSM 7-bit holds 160 characters."""
    plain = unicodedata.normalize("NFKD", text.replace("…", "...").replace("—", "-"))
    return plain.encode("ascii", "ignore").decode()
