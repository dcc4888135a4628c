"""The keys of the configuration and what it is once it is checked; `config` reads it. Drivers, upstreams, alerts and
metrics declare their own beside their code."""

from __future__ import annotations

import socket
from dataclasses import field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from agent.alerts.settings import AlertSettings
from agent.choice import Policy
from agent.metrics.settings import MetricsSettings
from agent.prefixes import checked as checked_prefixes
from drivers.settings import STRICT, Check, Form, Ge, Gt, Le, Len
from drivers.values import dataclass


def _zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise ValueError(f'"{value}" is not a time zone; use a name such as "Europe/Berlin"') from error
    return value


def _two_times(value: str) -> str:
    start, _, end = value.partition("-")
    if start == end:
        raise ValueError(f"begins and ends at {start}; give two different times, or pause the route")
    return value


_Prefixes = Annotated[tuple[str, ...], Check(checked_prefixes)]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentSettings:
    """`[agent]`."""

    __pydantic_config__: ClassVar = STRICT

    state_dir: Path = Path("/var/lib/phonebridge")
    device_name: Annotated[str, Len(1, 100)] = field(default_factory=socket.gethostname)
    default_region: Annotated[str | None, Form("[A-Z]{2}", 'two capital letters, e.g. "DE"')] = None
    timezone: Annotated[str, Check(_zone)] = "UTC"
    allow_prefixes: _Prefixes = ()
    deny_prefixes: _Prefixes = ()
    choice: Policy = "least_busy"
    on_unknown: Literal["resend", "fail"] = "resend"
    unknown_wait_s: Annotated[float, Ge(0), Le(86400)] = 120.0
    max_parts: Annotated[int, Ge(1), Le(255)] = 25
    max_backlog_age_h: Annotated[float, Ge(0)] = 24.0
    undelivered_days: Annotated[float, Gt(0)] = 30.0
    clock: Literal["auto", "trusted"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    log_numbers: Literal["masked", "plain"] = "masked"


_NAME = Form("[A-Za-z0-9][A-Za-z0-9_.-]{0,31}", 'up to 32 letters, digits, "_", "." or "-", e.g. "sim0"')
_HOURS = Form("([01][0-9]|2[0-3]):[0-5][0-9]-([01][0-9]|2[0-3]):[0-5][0-9]", 'two times of day, e.g. "22:00-07:00"')


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteSettings:
    """The `[[route]]` keys that every driver shares."""

    __pydantic_config__: ClassVar = STRICT

    name: Annotated[str, _NAME]
    driver: str = "at"
    sim_slot: Annotated[int, Ge(0), Le(63)] | None = None
    send_delay_s: Annotated[float, Ge(0), Le(86400)] = 0.0
    rate_per_minute: Annotated[int, Ge(1)] | None = None
    rate_per_hour: Annotated[int, Ge(1)] | None = None
    rate_per_day: Annotated[int, Ge(1)] | None = None
    rate_per_month: Annotated[int, Ge(1)] | None = None
    month_starts_on: Annotated[int, Ge(1), Le(28)] = 1
    quiet_hours: Annotated[str | None, _HOURS, Check(_two_times)] = None
    prefixes: _Prefixes = ()
    allow_prefixes: _Prefixes = ()
    deny_prefixes: _Prefixes = ()
    cost: Annotated[float, Ge(0)] = 0.0
    costs: Annotated[dict[str, Annotated[float, Ge(0)]], Check(checked_prefixes)] = field(default_factory=dict)
    fallback: str | None = None
    fallback_after_s: Annotated[float, Ge(0)] = 60.0
    status_reports: bool = True


@dataclass(frozen=True, slots=True)
class RouteConfig:
    """One route: the shared keys, and those of its driver."""

    settings: RouteSettings
    driver: Any

    @property
    def name(self) -> str:
        return self.settings.name


def _days(value: float) -> float:
    if 0 < value < 1:
        raise ValueError(f"should be 0, which keeps for ever, or at least 1 day, not {value:g}")
    return value


_Days = Annotated[float, Ge(0), Le(36500), Check(_days)]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionSettings:
    """`[retention]`."""

    __pydantic_config__: ClassVar = STRICT

    partial_after_h: Annotated[float, Gt(0), Le(24 * 30)] = 24.0
    sent_days: _Days = 365.0
    failed_days: _Days = 365.0
    inbound_days: _Days = 365.0
    attempts_days: _Days = 90.0
    events_days: _Days = 90.0
    hooks_days: _Days = 30.0
    requests_days: _Days = 30.0


@dataclass(frozen=True, slots=True)
class Config:
    """The whole configuration, checked. `upstreams` hold each upstream's own settings."""

    agent: AgentSettings
    routes: tuple[RouteConfig, ...]
    upstreams: tuple[Any, ...]
    retention: RetentionSettings
    metrics: MetricsSettings = field(default_factory=MetricsSettings)
    alerts: AlertSettings = field(default_factory=AlertSettings)
    warnings: tuple[str, ...] = ()
