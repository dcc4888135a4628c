"""The pace that an upstream's server asks for: delays, messages per window, work hours. Urgent messages ignore it.

A remote message with several recipients counts once, and its recipients follow each other without a delay.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from datetime import tzinfo

from agent import pacing
from agent.clock import Instant
from agent.model import URGENT_PRIORITY
from drivers.values import dataclass

_KEPT_MS = 25 * 3_600_000
"""Longer than the longest window, which is a day."""


@dataclass(frozen=True, slots=True)
class Pace:
    """`delay_s` between two messages, drawn between the two values where the second is greater; at most
    `limit_messages` in each `limit_window_ms`; nothing outside `work_hours` ("08:00-18:00")."""

    delay_s: float = 0.0
    longest_delay_s: float = 0.0
    limit_messages: int | None = None
    limit_window_ms: int | None = None
    work_hours: str | None = None


def set_pace(connection: sqlite3.Connection, upstream: str, pace: Pace) -> bool:
    """Keep an upstream's pace; whether it changed."""
    wanted = (pace.delay_s, pace.longest_delay_s, pace.limit_messages, pace.limit_window_ms, pace.work_hours)
    return bool(
        connection.execute(
            "UPDATE upstream SET send_delay_s = ?1, longest_delay_s = ?2, limit_messages = ?3, limit_window_ms = ?4, "
            "work_hours = ?5 WHERE name = ?6 AND (send_delay_s, longest_delay_s, limit_messages, limit_window_ms, "
            "work_hours) IS NOT (?1, ?2, ?3, ?4, ?5)",
            (*wanted, upstream),
        ).rowcount
    )


def paced(connection: sqlite3.Connection) -> dict[str, sqlite3.Row]:
    """The upstreams that ask for a pace, by name."""
    rows = connection.execute(
        "SELECT name, send_delay_s, longest_delay_s, limit_messages, limit_window_ms, work_hours FROM upstream "
        "WHERE send_delay_s > 0 OR longest_delay_s > 0 OR limit_messages IS NOT NULL OR work_hours IS NOT NULL"
    )
    return {row["name"]: row for row in rows}


def blocked(
    connection: sqlite3.Connection, paces: Mapping[str, sqlite3.Row], route: str, zone: tzinfo | None, now: Instant
) -> dict[str, int]:
    """Those of `paced` that may not begin a message now: name → ms left. While one of their messages is in the air on
    another route, the end of a delay is not known yet: 0. `zone` None: the clock cannot be trusted for hours."""
    found: dict[str, int] = {}
    for name, row in paces.items():
        longest_s = max(row["send_delay_s"], row["longest_delay_s"])
        last = _last_end(connection, name)
        delay_s = pacing.drawn_delay_s(row["send_delay_s"], longest_s, last)
        left = max(
            pacing.delay_left_ms(delay_s, last, now),
            _window_left_ms(connection, name, row["limit_messages"], row["limit_window_ms"], now),
            0 if zone is None else pacing.outside_left_ms(row["work_hours"], zone, now.utc_ms),
        )
        if left > 0 or (longest_s > 0 and _is_in_air(connection, route, name)):
            found[name] = left
    return found


def begin(connection: sqlite3.Connection, upstream: str, message_id: int, now: Instant) -> None:
    """A message's first part is claimed: note it where the pace of its upstream, one of `paced`, counts messages."""
    connection.execute(
        "INSERT INTO upstream_begun SELECT u.name, coalesce(m.bundle, '#' || m.id), ?, ?, ? "
        "FROM upstream u JOIN message m ON m.id = ? WHERE u.name = ? AND (u.limit_messages IS NOT NULL OR "
        "(m.bundle IS NOT NULL AND (u.send_delay_s > 0 OR u.longest_delay_s > 0 OR u.work_hours IS NOT NULL))) "
        "ON CONFLICT DO NOTHING",
        (now.utc_ms, now.boot_id, now.boot_ms, message_id, upstream),
    )
    connection.execute(
        "DELETE FROM upstream_begun WHERE upstream = ? AND utc_ms < ?", (upstream, now.utc_ms - _KEPT_MS)
    )


def _last_end(connection: sqlite3.Connection, upstream: str) -> Instant | None:
    row = connection.execute(
        "SELECT utc_ms, boot_id, boot_ms FROM pace WHERE key = ?", (f"upstream:{upstream}",)
    ).fetchone()
    return None if row is None else Instant(*row)


def _window_left_ms(
    connection: sqlite3.Connection, upstream: str, messages: int | None, window_ms: int | None, now: Instant
) -> int:
    if messages is None or window_ms is None:
        return 0
    begun = connection.execute(
        "SELECT utc_ms, boot_id, boot_ms FROM upstream_begun WHERE upstream = ? ORDER BY utc_ms DESC LIMIT ?",
        (upstream, messages),
    )
    return pacing.window_left_ms([(window_ms, messages)], [Instant(*row) for row in begun], now)


def _is_in_air(connection: sqlite3.Connection, route: str, upstream: str) -> bool:
    return (
        connection.execute(
            "SELECT 1 FROM attempt a JOIN message m ON m.id = a.message_id "
            "WHERE a.outcome IN ('open', 'unknown') AND a.outcome = 'open' AND a.route != ? AND m.upstream = ? "
            "AND m.priority < ?",
            (route, upstream, URGENT_PRIORITY),
        ).fetchone()
        is not None
    )
