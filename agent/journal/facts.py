"""Facts of upstreams: texts by owner and name, for `agent.facts`."""

from __future__ import annotations

import sqlite3


def recall(connection: sqlite3.Connection, owner: str) -> dict[str, str]:
    return {
        row[0]: row[1] for row in connection.execute("SELECT fact, value FROM upstream_fact WHERE owner = ?", (owner,))
    }


def remember(connection: sqlite3.Connection, owner: str, fact: str, value: str | None) -> None:
    """None forgets it."""
    if value is None:
        connection.execute("DELETE FROM upstream_fact WHERE owner = ? AND fact = ?", (owner, fact))
        return
    connection.execute(
        "INSERT INTO upstream_fact VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        (owner, fact, value),
    )
