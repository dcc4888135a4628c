"""Alerts as they are kept: raised once, cleared once, told once each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable

from agent.clock import Instant
from agent.journal import routing
from drivers.values import dataclass

# The history reaches back so far; one row is some hundred octets.
_KEPT_MS = 90 * 86_400_000
_COLUMNS = "id, kind, subject, sentence, raised_ms, cleared_ms, raise_told_ms, clear_told_ms"


@dataclass(frozen=True, slots=True)
class Alert:
    """One line. Times are UTC ms; `cleared_ms` is None while it stands."""

    id: int
    kind: str
    subject: str
    sentence: str
    raised_ms: int
    cleared_ms: int | None
    raise_told_ms: int | None
    clear_told_ms: int | None

    @property
    def key(self) -> tuple[str, str]:
        """What it is about: at most one stands for each."""
        return self.kind, self.subject


@dataclass(frozen=True, slots=True)
class NewAlert:
    """One to be raised."""

    kind: str
    subject: str
    sentence: str


def active(connection: sqlite3.Connection) -> list[Alert]:
    """What stands now, oldest first."""
    return _rows(connection, "WHERE cleared_ms IS NULL ORDER BY id")


def history(connection: sqlite3.Connection, limit: int) -> list[Alert]:
    """What was cleared, newest first."""
    return _rows(connection, "WHERE cleared_ms IS NOT NULL ORDER BY id DESC LIMIT ?", limit)


def untold(connection: sqlite3.Connection) -> list[Alert]:
    """What somebody is still to be told of, oldest first."""
    return _rows(
        connection,
        "WHERE (raise_told_ms IS NULL AND cleared_ms IS NULL) "
        "OR (clear_told_ms IS NULL AND cleared_ms IS NOT NULL AND raise_told_ms IS NOT NULL) ORDER BY id",
    )


def told_since(connection: sqlite3.Connection, since_ms: int) -> int:
    """How many notices went out since then."""
    return int(
        connection.execute(
            "SELECT (SELECT count(*) FROM alert WHERE raise_told_ms > ?1) "
            "+ (SELECT count(*) FROM alert WHERE clear_told_ms > ?1)",
            (since_ms,),
        ).fetchone()[0]
    )


def change(
    connection: sqlite3.Connection, raised: Iterable[NewAlert], cleared: Iterable[Alert], now: Instant
) -> list[Alert]:
    """Raise and clear in one go, with a line of history each. Returns what stands then."""
    for new in raised:
        connection.execute(
            "INSERT INTO alert (kind, subject, sentence, raised_ms) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (new.kind, new.subject, new.sentence, now.utc_ms),
        )
        routing.note(connection, new.subject, "alert", f"{new.kind}: {new.sentence}", now)
    for alert in cleared:
        connection.execute("UPDATE alert SET cleared_ms = ? WHERE id = ?", (now.utc_ms, alert.id))
        routing.note(connection, alert.subject, "alert_cleared", alert.kind, now)
    connection.execute("DELETE FROM alert WHERE cleared_ms < ?", (now.utc_ms - _KEPT_MS,))
    return active(connection)


def told(connection: sqlite3.Connection, alert_id: int, now_ms: int, *, is_clear: bool) -> None:
    """Write down that the owner was told."""
    column = "clear_told_ms" if is_clear else "raise_told_ms"
    connection.execute(f"UPDATE alert SET {column} = ? WHERE id = ?", (now_ms, alert_id))


def _rows(connection: sqlite3.Connection, clause: str, *arguments: int) -> list[Alert]:
    return [Alert(*row) for row in connection.execute(f"SELECT {_COLUMNS} FROM alert {clause}", arguments)]
