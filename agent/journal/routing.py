"""What the journal keeps of routes: pauses, messages stranded on one, and facts about SIMs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from agent.clock import Instant
from agent.journal import messages, rows
from drivers.api import PlannedPart, PlanOptions
from drivers.values import dataclass


def set_paused(connection: sqlite3.Connection, name: str, *, is_paused: bool) -> None:
    connection.execute(
        "INSERT INTO route VALUES (?, ?) ON CONFLICT DO UPDATE SET paused = excluded.paused",
        (name, is_paused),
    )
    messages.add_event(connection, 0, "paused" if is_paused else "resumed", route=name)


def note(connection: sqlite3.Connection, route: str, kind: str, detail: str, now: Instant) -> None:
    """A line of history that is about the route and no message: recovery, call, balance, SIM."""
    messages.add_event(connection, now.utc_ms, kind, route=route, detail=detail)


def paused(connection: sqlite3.Connection) -> set[str]:
    """Names of the routes that a person paused."""
    return {row[0] for row in connection.execute("SELECT name FROM route WHERE paused")}


@dataclass(frozen=True, slots=True)
class Unbound:
    """A message that waits for a route and has no attempt."""

    message_id: int
    text: str
    route: str
    options: PlanOptions


@dataclass(frozen=True, slots=True)
class Move:
    """A message to be moved; `parts` where the other route's driver plans otherwise."""

    message_id: int
    parts: tuple[PlannedPart, ...] | None


_UNTRIED = (
    "q.iccid IS NULL AND NOT EXISTS (SELECT 1 FROM attempt a WHERE a.message_id = q.message_id "
    "AND a.outcome != 'not_sent')"
)


def unbound(
    connection: sqlite3.Connection, route: str, after: int, limit: int, *, only_free: bool = False
) -> list[Unbound]:
    """Messages behind id `after` that wait for `route` and have no attempt, oldest first; `only_free` those that
    nobody asked to go by it."""
    found = connection.execute(
        "SELECT q.message_id, m.text, q.route, m.number, m.details FROM queue q JOIN message m ON m.id = q.message_id "
        f"WHERE q.route = ? AND q.message_id > ? AND {_UNTRIED} AND m.is_free >= ? ORDER BY q.message_id LIMIT ?",
        (route, after, only_free, limit),
    )
    return [_unbound(row) for row in found]


def away(connection: sqlite3.Connection, home: str, after: int, limit: int) -> list[Unbound]:
    """Messages behind id `after` that were moved away from route `home` and have no attempt, oldest first."""
    found = connection.execute(
        "SELECT q.message_id, m.text, q.route, m.number, m.details FROM queue q JOIN message m ON m.id = q.message_id "
        f"WHERE m.home_route = ? AND q.message_id > ? AND {_UNTRIED} ORDER BY q.message_id LIMIT ?",
        (home, after, limit),
    )
    return [_unbound(row) for row in found]


def _unbound(row: sqlite3.Row) -> Unbound:
    options = rows.plan_options(row["number"], row["details"])
    return Unbound(row["message_id"], row["text"], row["route"], options)


def homes(connection: sqlite3.Connection) -> set[str]:
    """Routes from which something that still waits was moved away."""
    rows = connection.execute(
        "SELECT DISTINCT m.home_route FROM queue q JOIN message m ON m.id = q.message_id WHERE m.home_route IS NOT NULL"
    )
    return {row[0] for row in rows}


def move_unbound(
    connection: sqlite3.Connection,
    moves: Sequence[Move],
    *,
    origin: str,
    target: str,
    home: str | None,
    why: str,
    now: Instant,
) -> int:
    """Those that still wait for `origin` without an attempt go to `target` (DESIGN decision 9). Returns how many.

    `home` is the route that they were meant for first, None where they are back there.
    """
    moved = 0
    for move in moves:
        where = connection.execute(
            f"SELECT 1 FROM queue q WHERE q.message_id = ? AND q.route = ? AND {_UNTRIED}", (move.message_id, origin)
        ).fetchone()
        if where is None:
            continue
        moved += 1
        # A wait that the other route asked for is no reason to wait here.
        connection.execute(
            "UPDATE queue SET route = ?, due_boot_ms = 0, wait_ms = 0 WHERE message_id = ?", (target, move.message_id)
        )
        connection.execute(
            "UPDATE message SET wanted_route = nullif(?1, ''), "
            "home_route = CASE WHEN ?2 IS NULL THEN NULL ELSE coalesce(home_route, ?2) END WHERE id = ?3",
            (target, home, move.message_id),
        )
        if move.parts is not None:
            _replace_parts(connection, move.message_id, move.parts)
        messages.add_event(
            connection, now.utc_ms, "rerouted", message_id=move.message_id, route=target or None, detail=why
        )
    return moved


def _replace_parts(connection: sqlite3.Connection, message_id: int, parts: tuple[PlannedPart, ...]) -> None:
    connection.execute("DELETE FROM part WHERE message_id = ?", (message_id,))
    for sequence, part in enumerate(parts, start=1):
        connection.execute(
            "INSERT INTO part (message_id, sequence, state, alphabet, body, header, message_class) "
            "VALUES (?, ?, 'queued', ?, ?, ?, ?)",
            (message_id, sequence, part.alphabet, part.body, part.header, part.message_class),
        )
    connection.execute("UPDATE message SET parts = ? WHERE id = ?", (len(parts), message_id))


def fail_unbound(
    connection: sqlite3.Connection,
    route: str,
    reason: str,
    now: Instant,
    *,
    ids: Sequence[int] | None = None,
    spared: Sequence[int] = (),
) -> int:
    """Fail what waits for a route that has no SIM and was never tried: all but the spared, or those named. Returns
    how many."""
    rows = connection.execute(
        "SELECT message_id FROM queue WHERE route = ?1 AND iccid IS NULL "
        "AND (?2 IS NULL OR message_id IN (SELECT value FROM json_each(?2))) "
        "AND message_id NOT IN (SELECT value FROM json_each(?3)) LIMIT 500",
        (route, None if ids is None else json.dumps(list(ids)), json.dumps(list(spared))),
    ).fetchall()
    for (message_id,) in rows:
        messages.fail_queued(connection, message_id, now, error=reason)
    return len(rows)


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
