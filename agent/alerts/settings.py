"""Settings of `[alerts]`. Pure; light, since the configuration check loads it."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from drivers.settings import STRICT, Form, Ge, Gt, Le
from drivers.values import dataclass

Kind = Literal[
    "no_network", "sim_blocked", "storage", "queue", "credit", "disk", "journal", "upstream_down", "given_up"
]
KINDS: dict[str, str] = {
    "no_network": "A route cannot send for want of network, port or modem.",
    "sim_blocked": "A SIM is missing, asks for a PIN or PUK, or its account refuses to send.",
    "storage": "A modem's memory for messages fills up, and nothing comes in once it is full.",
    "queue": "A message has waited too long.",
    "credit": "The balance or credit of a route is low.",
    "disk": "The journal's disk is nearly full.",
    "journal": "The journal does not answer, cannot be written, has no reserve left, or was damaged.",
    "upstream_down": "A server cannot be reached or refuses us.",
    "given_up": "Reports or inbound messages were not taken by their server for `agent.undelivered_days`.",
}
"""Every kind, and what it means. docs/alerts.md is checked against this."""

_Seconds = Annotated[float, Ge(0), Le(30 * 86400)]
_NUMBER = Form("[+]?[0-9]{3,15}", 'a phone number, e.g. "+491701234567"')
_HOURS = Form("([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]", 'two times of day, e.g. "22:00-07:00"')


@dataclass(frozen=True, slots=True, kw_only=True)
class AlertSettings:
    """`[alerts]`."""

    __pydantic_config__: ClassVar = STRICT

    webhook: Annotated[str | None, Form("https?://[^ ]+", "an http:// or https:// address")] = None
    sms_to: tuple[Annotated[str, _NUMBER], ...] = ()
    sms_route: str | None = None
    sms_kinds: tuple[Kind, ...] = ("no_network", "sim_blocked", "credit", "disk", "journal", "upstream_down")
    sms_per_day: Annotated[int, Ge(0), Le(1000)] = 10
    notices_per_hour: Annotated[int, Ge(1), Le(1000)] = 20
    quiet_hours: Annotated[str | None, _HOURS] = None
    mute: tuple[Kind, ...] = ()
    no_network_after_s: _Seconds = 600.0
    sim_blocked_after_s: _Seconds = 60.0
    queue_after_s: _Seconds = 1800.0
    upstream_down_after_s: _Seconds = 900.0
    storage_percent: Annotated[float, Gt(0), Le(100)] = 80.0
    credit_below: Annotated[float | None, Ge(0)] = None
    disk_free_below_mb: Annotated[float, Ge(0)] = 100.0
    clear_after_s: _Seconds = 60.0
    check_interval_s: Annotated[float, Ge(0.1), Le(3600)] = 15.0
