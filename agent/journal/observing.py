"""Figures read from the journal's history for /metrics and alerts. Reads only: a scrape costs no commit."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import field

from drivers.values import dataclass

# What is told of single parts and of single messages from the SIM; the rest is told by the message's state.
_KINDS = ("delivered", "undelivered", "received", "resend")
_CHUNK_EVENTS = 20_000


@dataclass(slots=True)
class Seen:
    """What events in a stretch of history say. Keys are (route or '', word); latencies are (route or '', seconds)."""

    upto: int
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    delivered_after_s: list[tuple[str, float]] = field(default_factory=list)


def newest_event(connection: sqlite3.Connection) -> int:
    """The id of the last event there ever was; 0 in a new journal."""
    row = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'event'").fetchone()
    return 0 if row is None else int(row[0])


def seen_after(connection: sqlite3.Connection, after: int) -> Seen:
    """Events behind an id, at most so many that a reader is not held up; `upto` is where the next call begins."""
    newest = newest_event(connection)
    upto = min(newest, after + _CHUNK_EVENTS)
    found = Seen(upto)
    marks = ", ".join("?" * len(_KINDS))
    for route, kind, count in connection.execute(
        "SELECT coalesce(e.route, m.route, ''), e.kind, count(*) "
        "FROM event e LEFT JOIN message m ON m.id = e.message_id "
        f"WHERE e.id > ? AND e.id <= ? AND e.kind IN ({marks}) GROUP BY 1, 2",
        (after, upto, *_KINDS),
    ):
        found.kinds[route, kind] += count
    for state, count in connection.execute(
        "SELECT state, count(*) FROM event WHERE id > ? AND id <= ? AND state IS NOT NULL GROUP BY 1", (after, upto)
    ):
        found.states[state] += count
    for route, sent_ms, delivered_ms in connection.execute(
        "SELECT coalesce(m.route, ''), m.sent_ms, m.delivered_ms FROM event e JOIN message m ON m.id = e.message_id "
        "WHERE e.id > ? AND e.id <= ? AND e.state = 'delivered' "
        "AND m.sent_ms IS NOT NULL AND m.delivered_ms IS NOT NULL",
        (after, upto),
    ):
        found.delivered_after_s.append((route, (delivered_ms - sent_ms) / 1000))
    return found


def accepted_since(connection: sqlite3.Connection, upstream: str, since_ms: int) -> int:
    """How many messages a sender gave since then; for one that gives few."""
    row = connection.execute(
        "SELECT count(*) FROM remote_key k JOIN message m ON m.id = k.message_id WHERE k.upstream = ? "
        "AND m.created_ms > ?",
        (upstream, since_ms),
    ).fetchone()
    return int(row[0])


def oldest_queued_ms(connection: sqlite3.Connection, routes: Sequence[str]) -> dict[str, int]:
    """Since when (UTC ms) the message that has waited longest could have gone, per route ('' is any): its acceptance,
    or its start where that is later. What is due later by a retry counts too, what is held or starts later does not.
    `routes` names those worth asking for."""
    found: dict[str, int] = {}
    for route in ("", *routes):
        row = connection.execute(
            "SELECT m.created_ms FROM queue q JOIN message m ON m.id = q.message_id "
            "WHERE q.route = ? AND q.starts_ms IS NULL ORDER BY q.message_id LIMIT 1",
            (route,),
        ).fetchone()
        if row is not None:
            found[route] = int(row[0])
    return found
