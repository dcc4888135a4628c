"""Webhook calls that are owed, in order per message and address. Times are UTC ms."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

BEHIND_MS = 1 << 53
"""`due_ms` of a call that waits for an earlier one of its lane. A number that JSON and SQLite keep exactly."""


@dataclass(frozen=True, slots=True)
class NewHook:
    """A call to be made. `event_key` with `url` makes putting it in idempotent; `host` is who shares a fate."""

    event_key: str
    lane: int
    account: int
    url: str
    host: str
    body: str


@dataclass(frozen=True, slots=True)
class Hook:
    """A call that is due. `tries` were made before."""

    id: int
    lane: int
    url: str
    host: str
    body: str
    tries: int


def add(connection: sqlite3.Connection, hooks: Sequence[NewHook], now_ms: int) -> int:
    """Put calls in; one that is known already is left alone. Returns how many are new."""
    added = 0
    for hook in hooks:
        is_behind = connection.execute(
            "SELECT 1 FROM hook WHERE lane = ? AND url = ? AND state = 'waiting' LIMIT 1", (hook.lane, hook.url)
        ).fetchone()
        added += connection.execute(
            "INSERT INTO hook (event_key, lane, account, url, host, body, state, due_ms, created_ms) "
            "VALUES (?, ?, ?, ?, ?, ?, 'waiting', ?, ?) ON CONFLICT DO NOTHING",
            (
                hook.event_key, hook.lane, hook.account, hook.url, hook.host, hook.body,
                BEHIND_MS if is_behind else now_ms, now_ms,
            ),
        ).rowcount  # fmt: skip
    return added


def hosts(connection: sqlite3.Connection) -> dict[str, int]:
    """Hosts that something waits for, with the time at which their first call is due. Jumps along the index."""
    found: dict[str, int] = {}
    host = ""
    while True:
        row = connection.execute(
            "SELECT host, due_ms FROM hook WHERE state = 'waiting' AND host > ? ORDER BY host, due_ms LIMIT 1",
            (host,),
        ).fetchone()
        if row is None:
            return found
        host = row["host"]
        found[host] = row["due_ms"]


def due(connection: sqlite3.Connection, host: str, now_ms: int, limit: int) -> list[Hook]:
    """The calls to one host that are due, longest due first."""
    found = connection.execute(
        "SELECT id, lane, url, host, body, tries FROM hook "
        "WHERE state = 'waiting' AND host = ? AND due_ms <= ? ORDER BY due_ms, id LIMIT ?",
        (host, now_ms, limit),
    )
    return [Hook(*row) for row in found]


def next_due(connection: sqlite3.Connection, host: str, after_ms: int) -> int | None:
    """When the next call to a host is due that is not yet."""
    row = connection.execute(
        "SELECT min(due_ms) FROM hook WHERE state = 'waiting' AND host = ? AND due_ms > ?", (host, after_ms)
    ).fetchone()
    found: int | None = row[0]
    return found


def done(connection: sqlite3.Connection, hook_id: int, status: int, now_ms: int) -> None:
    """The call was taken; the next of its lane may go."""
    _end(connection, hook_id, state="done", status=status, error=None, now_ms=now_ms)


def failed(
    connection: sqlite3.Connection,
    hook_id: int,
    *,
    status: int | None,
    error: str,
    due_ms: int | None,
    now_ms: int,
) -> None:
    """The call was not taken: again at `due_ms`, or given up where that is None."""
    if due_ms is None:
        _end(connection, hook_id, state="given_up", status=status, error=error, now_ms=now_ms)
        return
    connection.execute(
        "UPDATE hook SET tries = tries + 1, due_ms = ?, last_status = ?, last_error = ? WHERE id = ?",
        (due_ms, status, error, hook_id),
    )


def rebase(connection: sqlite3.Connection, latest_ms: int) -> None:
    """No call waits longer than the longest back-off, whatever the wall clock did meanwhile."""
    connection.execute(
        "UPDATE hook SET due_ms = ?1 WHERE state = 'waiting' AND due_ms > ?1 AND due_ms < ?2",
        (latest_ms, BEHIND_MS),
    )


def has_waits_beyond(connection: sqlite3.Connection, latest_ms: int) -> bool:
    """Whether `rebase` would change anything."""
    row = connection.execute(
        "SELECT 1 FROM hook WHERE state = 'waiting' AND due_ms > ? AND due_ms < ? LIMIT 1", (latest_ms, BEHIND_MS)
    ).fetchone()
    return row is not None


def has_ended_before(connection: sqlite3.Connection, before_ms: int) -> bool:
    """Whether `forget` would remove anything."""
    row = connection.execute(
        "SELECT 1 FROM hook WHERE state != 'waiting' AND done_ms < ? LIMIT 1", (before_ms,)
    ).fetchone()
    return row is not None


def forget(connection: sqlite3.Connection, before_ms: int) -> int:
    """Remove calls that ended before. Returns how many."""
    return connection.execute("DELETE FROM hook WHERE state != 'waiting' AND done_ms < ?", (before_ms,)).rowcount


def figures(connection: sqlite3.Connection) -> tuple[int, int]:
    """How many calls wait, and how many were given up."""
    row = connection.execute(
        "SELECT (SELECT count(*) FROM hook WHERE state = 'waiting'), "
        "(SELECT count(*) FROM hook WHERE state = 'given_up')"
    ).fetchone()
    return row[0], row[1]


def _end(
    connection: sqlite3.Connection,
    hook_id: int,
    *,
    state: str,
    status: int | None,
    error: str | None,
    now_ms: int,
) -> None:
    row = connection.execute(
        "UPDATE hook SET state = ?, tries = tries + 1, last_status = ?, last_error = ?, done_ms = ? "
        "WHERE id = ? AND state = 'waiting' RETURNING lane, url",
        (state, status, error, now_ms, hook_id),
    ).fetchone()
    if row is not None:
        connection.execute(
            "UPDATE hook SET due_ms = ? WHERE id = (SELECT min(id) FROM hook WHERE lane = ? AND url = ? "
            "AND state = 'waiting')",
            (now_ms, row["lane"], row["url"]),
        )
