"""Deletes what is older than it is to be kept, in steps of few rows. `look` reads, `delete` writes.

Nothing goes that is still owed: open messages, and reports or inbound that an upstream or a webhook has not had yet.
(upstream, remote id) keys, statistics and bills outlive the messages.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from agent.journal import messages
from agent.model import MessageState
from drivers.values import dataclass

# The kinds.
SENT, FAILED, INBOUND, ATTEMPTS = "sent", "failed", "inbound", "attempts"
EVENTS, HOOKS, REQUESTS = "events", "hooks", "requests"

_STATES: Mapping[str, tuple[tuple[str, MessageState], ...]] = {
    SENT: (("outbound", MessageState.DELIVERED), ("outbound", MessageState.SENT)),
    FAILED: tuple(("outbound", state) for state in (MessageState.FAILED, MessageState.EXPIRED, MessageState.CANCELLED)),
    INBOUND: (("inbound", MessageState.RECEIVED),),
}
# What was read from a SIM is known by its digest at least so long, for the SIM may show it again.
_LEAST_DIGEST_MS = 30 * 86_400_000


@dataclass(frozen=True, slots=True)
class Limits:
    """UTC ms before which a kind goes; a kind that is missing is kept for ever. What is younger than `owed_ms` and
    not delivered yet stays."""

    before_ms: Mapping[str, int]
    owed_ms: int
    now_ms: int


@dataclass(slots=True)
class Place:
    """How far the tables were walked, so that what must stay is not looked at in every step."""

    after: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Batch:
    """What goes in one step: rows of one kind, by id."""

    kind: str
    ids: Sequence[int]


def look(connection: sqlite3.Connection, limits: Limits, place: Place, rows: int) -> Batch | None:
    """The next rows to go, at most so many; None where a whole walk found nothing more."""
    for kind in limits.before_ms:
        for walk in _walks(kind, limits):
            while True:
                ids, last = walk.look(connection, place.after.get(walk.name, -1), rows)
                if last is not None:
                    place.after[walk.name] = last
                if ids:
                    return Batch(walk.name if walk.name in _TABLES else kind, ids)
                if last is None:
                    break
    return None


def delete(connection: sqlite3.Connection, batch: Batch) -> int:
    """Delete a batch. Returns how many rows of its kind went."""
    if batch.kind in _STATES:
        # Whether it may go was asked of a reader; what moved since then is younger than the limit.
        return sum(messages.delete(connection, one) for one in batch.ids)
    table, key = _TABLES[batch.kind]
    marks = ", ".join("?" * len(batch.ids))
    return connection.execute(f"DELETE FROM {table} WHERE {key} IN ({marks})", tuple(batch.ids)).rowcount


def give_back_pages(connection: sqlite3.Connection, pages: int) -> None:
    """Make the file smaller by so many free pages; nothing happens in a file without auto_vacuum."""
    for _ in range(pages):
        # Of a larger number Python's sqlite3 takes one step, which is one page.
        connection.execute("PRAGMA incremental_vacuum(1)").fetchall()


def free_pages(connection: sqlite3.Connection) -> tuple[int, int]:
    """Pages that are free, and all pages of the file."""
    free = connection.execute("PRAGMA freelist_count").fetchone()[0]
    return int(free), int(connection.execute("PRAGMA page_count").fetchone()[0])


def newest_attempt(connection: sqlite3.Connection) -> tuple[int, str, int] | None:
    """(UTC ms, boot id, CLOCK_BOOTTIME ms) of the last submit."""
    row = connection.execute("SELECT at_ms, boot_id, boot_ms FROM attempt ORDER BY id DESC LIMIT 1").fetchone()
    return None if row is None else (row[0], row[1], row[2])


# --- pieces -----------------------------------------------------------------------------------------

_TABLES: Mapping[str, tuple[str, str]] = {
    "attempt": ("attempt", "id"),
    "status_report": ("status_report", "id"),
    "inbound_part": ("inbound_part", "id"),
    "event": ("event", "id"),
    "hook": ("hook", "id"),
    "idempotency": ("idempotency", "created_ms"),
}


@dataclass(frozen=True, slots=True)
class _Walk:
    """One look at the next rows of one table, oldest first."""

    name: str
    statement: str
    before_ms: int
    owed_ms: int
    values: tuple[str, ...] = ()

    def look(self, connection: sqlite3.Connection, after: int, rows: int) -> tuple[list[int], int | None]:
        """Ids that may go, and the last one looked at; None where the rest is too young."""
        values = {
            "after": after,
            "before": self.before_ms,
            "owed": self.owed_ms,
            "rows": rows,
            **{f"v{index}": value for index, value in enumerate(self.values)},
        }
        found = connection.execute(self.statement, values).fetchall()
        return [row["id"] for row in found if row["goes"]], found[-1]["id"] if found else None


def _walks(kind: str, limits: Limits) -> Iterator[_Walk]:
    before_ms = limits.before_ms[kind]
    for direction, state in _STATES.get(kind, ()):
        yield _Walk(f"{direction} {state}", _MESSAGES, before_ms, limits.owed_ms, (direction, state))
    for table, statement, latest_ms in _OTHERS.get(kind, ()):
        yield _Walk(table, statement, min(before_ms, limits.now_ms - latest_ms), limits.owed_ms)


# By the index of direction and state, in the order of ids: it costs what is looked at, whatever the history.
_MESSAGES = """
SELECT m.id, coalesce((SELECT max(at_ms) FROM event WHERE message_id = m.id), m.created_ms) < :before
  AND NOT EXISTS (SELECT 1 FROM undelivered u WHERE u.lane = m.id)
  AND NOT EXISTS (SELECT 1 FROM hook h WHERE h.lane = m.id AND h.state = 'waiting')
  AND NOT EXISTS (SELECT 1 FROM event e JOIN upstream u ON u.name != 'cli'
                  AND (u.name = e.upstream OR (e.kind = 'received' AND u.wants_inbound))
                  WHERE e.message_id = m.id AND e.id > u.cursor AND e.at_ms >= :owed) AS goes
FROM message m WHERE m.direction = :v0 AND m.state = :v1 AND m.id > :after AND m.created_ms < :before
ORDER BY m.id LIMIT :rows
"""
_ATTEMPTS = """
SELECT a.id, a.outcome NOT IN ('open', 'unknown') AND m.state IN
  ('sent', 'delivered', 'failed', 'expired', 'cancelled') AS goes
FROM attempt a JOIN message m ON m.id = a.message_id WHERE a.id > :after AND a.at_ms < :before ORDER BY a.id LIMIT :rows
"""
_REPORTS = """
SELECT id, 1 AS goes FROM status_report WHERE id > :after AND received_ms < :before ORDER BY id LIMIT :rows
"""
_PARTS = """
SELECT p.id, p.message_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM message m WHERE m.id = p.message_id) AS goes
FROM inbound_part p WHERE p.id > :after AND p.received_ms < :before ORDER BY p.id LIMIT :rows
"""
_EVENTS = """
SELECT id, 1 AS goes FROM event WHERE message_id IS NULL AND id > :after AND at_ms < :before ORDER BY id LIMIT :rows
"""
# These all go, and so the next ones are always the first.
_HOOKS = """
SELECT id, 1 AS goes FROM (SELECT id FROM hook WHERE state = 'done' AND done_ms < :before ORDER BY done_ms LIMIT :rows)
UNION ALL
SELECT id, 1 FROM (SELECT id FROM hook WHERE state = 'given_up' AND done_ms < :before ORDER BY done_ms LIMIT :rows)
"""
_REQUESTS = """
SELECT created_ms AS id, 1 AS goes FROM idempotency WHERE created_ms > :after AND created_ms < :before
ORDER BY created_ms LIMIT :rows
"""
_OTHERS: Mapping[str, tuple[tuple[str, str, int], ...]] = {
    ATTEMPTS: (("attempt", _ATTEMPTS, 0), ("status_report", _REPORTS, _LEAST_DIGEST_MS)),
    INBOUND: (("inbound_part", _PARTS, _LEAST_DIGEST_MS),),
    EVENTS: (("event", _EVENTS, 0),),
    HOOKS: (("hook", _HOOKS, 0),),
    REQUESTS: (("idempotency", _REQUESTS, 0),),
}
