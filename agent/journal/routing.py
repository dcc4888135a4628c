"""What the journal keeps of routes: pauses, messages stranded on one, and facts about SIMs."""

from __future__ import annotations

import sqlite3

from agent.clock import Instant
from agent.journal import messages


def set_paused(connection: sqlite3.Connection, name: str, *, is_paused: bool) -> None:
    connection.execute(
        "INSERT INTO route VALUES (?, ?) ON CONFLICT DO UPDATE SET paused = excluded.paused",
        (name, is_paused),
    )
    messages.add_event(connection, 0, "paused" if is_paused else "resumed", route=name)


def paused(connection: sqlite3.Connection) -> set[str]:
    """Names of the routes that a person paused."""
    return {row[0] for row in connection.execute("SELECT name FROM route WHERE paused")}


def move_unbound(connection: sqlite3.Connection, origin: str, target: str, now: Instant) -> int:
    """Messages that wait for `origin` and have no attempt go to `target` (DESIGN decision 9). Returns how many."""
    rows = connection.execute(
        "SELECT message_id FROM queue WHERE route = ? AND iccid IS NULL LIMIT 500", (origin,)
    ).fetchall()
    for (message_id,) in rows:
        connection.execute("UPDATE queue SET route = ? WHERE message_id = ?", (target, message_id))
        connection.execute("UPDATE message SET wanted_route = ? WHERE id = ?", (target, message_id))
        messages.add_event(
            connection,
            now.utc_ms,
            "rerouted",
            message_id=message_id,
            route=target,
            detail=f"{origin} is down",
        )
    return len(rows)


def fail_unbound(connection: sqlite3.Connection, route: str, reason: str, now: Instant) -> int:
    """Fail what waits for a route that has no SIM and was never tried. Returns how many."""
    rows = connection.execute(
        "SELECT message_id FROM queue WHERE route = ? AND iccid IS NULL LIMIT 500", (route,)
    ).fetchall()
    for (message_id,) in rows:
        messages.fail_queued(connection, message_id, now, error=reason)
    return len(rows)


def unroutable(connection: sqlite3.Connection, known: set[str]) -> list[str]:
    """Routes that something waits for and that are not configured any more."""
    rows = connection.execute("SELECT DISTINCT route FROM queue WHERE route != '' AND route NOT LIKE '@%'")
    return [row[0] for row in rows if row[0] not in known]


def recall(connection: sqlite3.Connection, key: str, fact: str) -> str | None:
    """A fact about a SIM (by ICCID) or modem ("imei:…")."""
    row = connection.execute("SELECT value FROM sim_fact WHERE key = ? AND fact = ?", (key, fact)).fetchone()
    return None if row is None else str(row[0])


def remember(connection: sqlite3.Connection, key: str, fact: str, value: str | None) -> None:
    if value is None:
        connection.execute("DELETE FROM sim_fact WHERE key = ? AND fact = ?", (key, fact))
        return
    connection.execute(
        "INSERT INTO sim_fact VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        (key, fact, value),
    )


def born_ms(connection: sqlite3.Connection) -> int:
    """When this journal was made, UTC ms."""
    return int(connection.execute("SELECT value FROM meta WHERE key = 'born_ms'").fetchone()[0])
