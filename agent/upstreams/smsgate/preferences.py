"""The settings that an account's owner makes on the server, as what they mean here. Pure.

A key that is missing leaves what was set before; null sets it back to its default. What a gateway has rules of its
own for (how long messages and logs are kept, how notifications arrive) is taken and has no effect.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from agent.journal.upstream_pace import Pace
from agent.upstreams.wire import storable
from drivers.values import dataclass

_MINUTE_MS = 60_000
_PERIODS_MS = {
    "PerMinute": _MINUTE_MS,
    "Per30Minutes": 30 * _MINUTE_MS,
    "PerHour": 60 * _MINUTE_MS,
    "PerDay": 1440 * _MINUTE_MS,
}
_TIME_OF_DAY = re.compile(r"([01]\d|2[0-3]):[0-5]\d")
_RETRIES = 15

Merged = dict[str, dict[str, Any]]
"""Section → key → value: everything that was ever set and not set back."""


class SimSelection(StrEnum):
    """Which SIM takes a message that names none."""

    OS_DEFAULT = "OSDefault"
    ROUND_ROBIN = "RoundRobin"
    RANDOM = "Random"


@dataclass(frozen=True, slots=True)
class Preferences:
    """`ping_s` None: no pings. `passphrase` and `signing_key` are what the server gave, which is unusual."""

    pace: Pace
    sim_selection: SimSelection
    ping_s: float | None
    hook_retries: int
    passphrase: str | None
    signing_key: str | None


def merged(before: Mapping[str, Any], document: Mapping[str, Any]) -> Merged:
    """What was set before with a new document on top."""
    result: Merged = {section: dict(keys) for section, keys in before.items() if isinstance(keys, dict)}
    for section, keys in document.items():
        if keys is None:
            result.pop(section, None)
        if not isinstance(keys, dict):
            continue
        own = result.setdefault(section, {})
        for key, value in keys.items():
            if value is None:
                own.pop(key, None)
            else:
                own[key] = value
    return {section: keys for section, keys in result.items() if keys}


def read(settings: Mapping[str, Mapping[str, Any]]) -> Preferences:
    """Values that make no sense count as not set."""
    messages, webhooks = settings.get("messages", {}), settings.get("webhooks", {})
    shortest_s = _at_least_one(messages.get("send_interval_min"))
    longest_s = _at_least_one(messages.get("send_interval_max"))
    return Preferences(
        pace=Pace(
            delay_s=shortest_s or longest_s or 0.0,
            longest_delay_s=max(shortest_s or 0.0, longest_s or 0.0) if shortest_s and longest_s else 0.0,
            **_limit(messages),
            work_hours=_work_hours(messages),
        ),
        sim_selection=_selection(messages.get("sim_selection_mode")),
        ping_s=_at_least_one(settings.get("ping", {}).get("interval_seconds")),
        hook_retries=int(_at_least_one(webhooks.get("retry_count")) or _RETRIES),
        passphrase=_text(settings.get("encryption", {}).get("passphrase")),
        signing_key=_text(webhooks.get("signing_key")),
    )


# --- pieces -----------------------------------------------------------------------------------------


def _limit(messages: Mapping[str, Any]) -> dict[str, int | None]:
    period, count = messages.get("limit_period"), _at_least_one(messages.get("limit_value"))
    window_ms = _PERIODS_MS.get(period) if isinstance(period, str) else None
    if window_ms is None or count is None:
        return {"limit_messages": None, "limit_window_ms": None}
    return {"limit_messages": int(count), "limit_window_ms": window_ms}


def _work_hours(messages: Mapping[str, Any]) -> str | None:
    start, end = messages.get("work_hours_start"), messages.get("work_hours_end")
    if messages.get("work_hours_enabled") is not True or not isinstance(start, str) or not isinstance(end, str):
        return None
    if not _TIME_OF_DAY.fullmatch(start) or not _TIME_OF_DAY.fullmatch(end):
        return None
    return f"{start}-{end}"


def _selection(value: object) -> SimSelection:
    return next((mode for mode in SimSelection if mode == value), SimSelection.OS_DEFAULT)


def _at_least_one(value: object) -> float | None:
    """Numbers may arrive as floats."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 1 <= value <= 10**9:
        return None
    return float(value)


def _text(value: object) -> str | None:
    return storable(value) if isinstance(value, str) and value else None
