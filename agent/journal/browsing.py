"""Messages for a person who leafs through them: newest first, by a cursor, so that each page costs the same however
deep it is. A search looks at a bounded number of messages and says where it stopped.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from agent.journal import rows
from agent.model import Message, MessageState
from drivers.values import dataclass

NEWEST = 1 << 62
"""The cursor in front of everything."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Whose messages, and which. `accounts` holds None for those of nobody; without `states`: all of both
    directions."""

    accounts: tuple[int | None, ...]
    states: tuple[MessageState, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """What a search found. `reached` is the id of the oldest message that was looked at, None at the very end;
    `reached_ms` its time."""

    messages: tuple[Message, ...]
    reached: int | None
    reached_ms: int | None


def leaf(connection: sqlite3.Connection, shown: Shown, before: int, limit: int) -> list[Message]:
    """At most `limit` messages with an id below `before`, newest first."""
    walk, values = _walk(shown, before)
    found = connection.execute(
        f"SELECT {rows.MESSAGE_COLUMNS} FROM message m WHERE m.id IN ({walk}) ORDER BY m.id DESC", (*values, limit)
    )
    return [rows.message(row) for row in found]


def search(connection: sqlite3.Connection, shown: Shown, words: str, before: int, look_at: int) -> Found:
    """Those of the next `look_at` messages whose text or number contains `words`, in any case of any script."""
    wanted = words.casefold()
    walk, values = _walk(shown, before)
    seen = connection.execute(
        f"SELECT m.id, m.number, m.text FROM message m WHERE m.id IN ({walk}) ORDER BY m.id DESC", (*values, look_at)
    ).fetchall()
    hits = [row[0] for row in seen if wanted in row[2].casefold() or wanted in row[1]]
    found = connection.execute(
        f"SELECT {rows.MESSAGE_COLUMNS} FROM message m WHERE m.id IN (SELECT value FROM json_each(?)) "
        "ORDER BY m.id DESC",
        (json.dumps(hits),),
    )
    messages = tuple(rows.message(row) for row in found)
    if len(seen) < look_at:
        return Found(messages, None, None)
    reached = seen[-1][0]
    (reached_ms,) = connection.execute("SELECT created_ms FROM message WHERE id = ?", (reached,)).fetchone()
    return Found(messages, reached, reached_ms)


def with_number(
    connection: sqlite3.Connection, accounts: Sequence[int | None], number: str, before: int, limit: int
) -> list[Message]:
    """Both directions with one number, newest first, along the index by number."""
    legs: list[str] = []
    values: list[str | int | None] = []
    for direction in ("outbound", "inbound"):
        marks = " OR ".join("m.account IS ?" for _ in accounts)
        legs.append(f"SELECT m.id FROM message m WHERE m.number = ? AND m.direction = ? AND m.id < ? AND ({marks})")
        values += (number, direction, before, *accounts)
    found = connection.execute(
        f"SELECT {rows.MESSAGE_COLUMNS} FROM message m WHERE m.id IN "
        f"(SELECT id FROM ({' UNION ALL '.join(legs)} ORDER BY 1 DESC LIMIT ?)) ORDER BY m.id DESC",
        (*values, limit),
    )
    return [rows.message(row) for row in found]


def _walk(shown: Shown, before: int) -> tuple[str, list[str | int | None]]:
    """A selection of ids, newest first, that lacks only the value of its limit. Each leg of it is a walk along an
    index; they are merged, and what is not shown is not read."""
    legs: list[str] = []
    values: list[str | int | None] = []
    for account in shown.accounts:
        for state in shown.states or (None,):
            where = "" if state is None else " AND m.direction = ? AND m.state = ?"
            legs.append(f"SELECT m.id FROM message m WHERE m.account IS ?{where} AND m.id < ?")
            values.append(account)
            if state is not None:
                values += ("inbound" if state is MessageState.RECEIVED else "outbound", state)
            values.append(before)
    return f"SELECT id FROM ({' UNION ALL '.join(legs)} ORDER BY 1 DESC LIMIT ?)", values
