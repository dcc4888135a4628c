"""Reads the whole history in order, a stretch of ids at a time, so that no read is long whatever is asked for."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from agent.journal import rows
from agent.model import Event, Message
from drivers.values import dataclass


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which: `direction` None is both; times are UTC ms, from inclusive, to exclusive."""

    direction: str | None = None
    from_ms: int | None = None
    to_ms: int | None = None
    route: str | None = None

    def is_in(self, at_ms: int, route: str | None) -> bool:
        return (
            (self.from_ms is None or at_ms >= self.from_ms)
            and (self.to_ms is None or at_ms < self.to_ms)
            and (self.route is None or route == self.route)
        )


def messages(
    connection: sqlite3.Connection, wanted: Wanted, after: int, count: int
) -> tuple[Sequence[Message], int | None]:
    """Those wanted of the next `count` messages behind id `after`, and the last id looked at; None at the end."""
    found = connection.execute(
        f"SELECT {rows.MESSAGE_COLUMNS} FROM message m WHERE m.id > ? ORDER BY m.id LIMIT ?", (after, count)
    ).fetchall()
    listed = [
        rows.message(row)
        for row in found
        if wanted.direction in (None, row["direction"]) and wanted.is_in(row["created_ms"], row["route"])
    ]
    return listed, found[-1]["id"] if found else None


def events(
    connection: sqlite3.Connection, wanted: Wanted, after: int, count: int
) -> tuple[Sequence[Event], int | None]:
    """The same of events."""
    found = connection.execute("SELECT * FROM event WHERE id > ? ORDER BY id LIMIT ?", (after, count)).fetchall()
    listed = [rows.event(row) for row in found if wanted.is_in(row["at_ms"], row["route"])]
    return listed, found[-1]["id"] if found else None
