"""Reading messages and history: newest first, filtered by index, totals from the counters."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from agent.journal import rows
from agent.journal.messages import DAY_MS
from agent.model import Event, Message, MessageState
from drivers.values import dataclass


@dataclass(frozen=True, slots=True)
class Filter:
    """Which messages. None means all; `states` empty means all. `with_unowned` adds those of no account."""

    account: int | None = None
    with_unowned: bool = False
    direction: str | None = None
    states: tuple[MessageState, ...] = ()
    device: int | None = None
    upstream: str | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page, newest first. `page` starts at 1."""

    page: int
    per_page: int
    total: int
    messages: tuple[Message, ...]


@dataclass(frozen=True, slots=True)
class Known:
    """What the journal knows of a server's message, also after it was deleted here."""

    message_id: int | None
    state: MessageState
    error: str | None


@dataclass(frozen=True, slots=True)
class Bundle:
    """One message of a server with several recipients: a message each, and all their events, oldest first."""

    members: tuple[Message, ...]
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True)
class DayFigures:
    """Sums over a span of days. `amount` is the sum of prices of what was accepted."""

    accepted: int
    sent: int
    delivered: int
    failed: int
    received: int
    amount: float


def page(connection: sqlite3.Connection, wanted: Filter, number: int, per_page: int) -> Page:
    """One page; `number` starts at 1."""
    count = total(connection, wanted)
    if (number - 1) * per_page >= count:
        return Page(number, per_page, count, ())
    # One ordered walk along an index per account and state, merged: nothing is sorted that is not shown.
    walks = [_where(part) for part in _parts(wanted)] or [("0", list[str | int]())]
    union = " UNION ALL ".join(f"SELECT m.id FROM message m WHERE {where}" for where, _ in walks)
    found = connection.execute(
        f"SELECT {rows.MESSAGE_COLUMNS} FROM message m WHERE m.id IN "
        f"(SELECT id FROM ({union} ORDER BY 1 DESC LIMIT ? OFFSET ?)) ORDER BY m.id DESC",
        (*(value for _, values in walks for value in values), per_page, (number - 1) * per_page),
    )
    listed = tuple(rows.message(row) for row in found)
    return Page(number, per_page, count, listed)


def total(connection: sqlite3.Connection, wanted: Filter) -> int:
    """How many messages a filter has, from the counters. A filter by upstream is counted row by row."""
    if wanted.upstream is not None:
        where, values = _where(wanted)
        return int(connection.execute(f"SELECT count(*) FROM message m WHERE {where}", values).fetchone()[0])
    clauses, values = ["1"], list[str | int]()
    if wanted.account is not None:
        clauses.append("account IN (?, ?)")
        values.extend((wanted.account, _UNOWNED if wanted.with_unowned else wanted.account))
    for column, value in (
        ("direction", wanted.direction),
        ("device", wanted.device),
    ):
        if value is not None:
            clauses.append(f"{column} = ?")
            values.append(value)
    if wanted.states:
        clauses.append(f"state IN ({', '.join('?' * len(wanted.states))})")
        values.extend(wanted.states)
    statement = f"SELECT coalesce(sum(n), 0) FROM counter WHERE {' AND '.join(clauses)}"
    return int(connection.execute(statement, values).fetchone()[0])


def message(connection: sqlite3.Connection, key: int | str) -> Message | None:
    """By id, or by uid. A string of digits is an id first."""
    column = "id" if isinstance(key, int) or key.isdecimal() else "uid"
    value = int(key) if column == "id" else key
    if column == "id" and int(value) > 2**62:
        return None
    row = connection.execute(f"SELECT {rows.MESSAGE_COLUMNS} FROM message m WHERE m.{column} = ?", (value,)).fetchone()
    return None if row is None else rows.message(row)


def events(connection: sqlite3.Connection, message_id: int) -> list[Event]:
    """A message's history, oldest first."""
    found = connection.execute("SELECT * FROM event WHERE message_id = ? ORDER BY id", (message_id,))
    return [rows.event(row) for row in found]


def recent_events(connection: sqlite3.Connection, after: int, limit: int) -> list[Event]:
    """Events behind an id, oldest first."""
    found = connection.execute("SELECT * FROM event WHERE id > ? ORDER BY id LIMIT ?", (after, limit))
    return [rows.event(row) for row in found]


def known(connection: sqlite3.Connection, upstream: str, remote_ids: Sequence[str]) -> dict[str, Known]:
    """Those of a server's ids that the journal knows."""
    found = connection.execute(
        "SELECT k.remote_id, k.message_id, coalesce(m.state, k.state) AS state, coalesce(m.error, k.error) AS error "
        "FROM remote_key k LEFT JOIN message m ON m.id = k.message_id LEFT JOIN upstream u ON u.name = k.upstream "
        "WHERE k.upstream = ? AND k.remote_id IN (SELECT value FROM json_each(?)) "
        "AND k.generation = coalesce(u.generation, 0)",
        (upstream, json.dumps(list(remote_ids))),
    )
    return {row["remote_id"]: Known(row["message_id"], MessageState(row["state"]), row["error"]) for row in found}


def bundle(connection: sqlite3.Connection, upstream: str, name: str) -> Bundle:
    """All messages of one remote message, in the order of its recipients, with their history.

    The messages may be newer than the history, by a commit between the two, never older.
    """
    events_first = connection.execute(
        "SELECT e.* FROM event e JOIN message m ON m.id = e.message_id WHERE +m.upstream = ? AND m.bundle = ? "
        "ORDER BY e.id",
        (upstream, name),
    ).fetchall()
    found = connection.execute(
        f"SELECT {rows.MESSAGE_COLUMNS} FROM message m WHERE +m.upstream = ? AND m.bundle = ? ORDER BY m.id",
        (upstream, name),
    )
    return Bundle(tuple(rows.message(row) for row in found), tuple(rows.event(row) for row in events_first))


def received_between(connection: sqlite3.Connection, from_ms: int, to_ms: int, after: int, limit: int) -> list[Message]:
    """Inbound messages of a span of time (both ends included) behind an id, oldest first."""
    found = connection.execute(
        f"SELECT {rows.MESSAGE_COLUMNS} FROM message m WHERE m.direction = 'inbound' AND m.id > ? "
        "AND m.created_ms BETWEEN ? AND ? ORDER BY m.id LIMIT ?",
        (after, from_ms, to_ms, limit),
    )
    return [rows.message(row) for row in found]


def newest_known(connection: sqlite3.Connection, upstream: str, prefix: str, since_ms: int) -> str | None:
    """The newest of a server's ids that begins so and came since then."""
    row = connection.execute(
        "SELECT remote_id FROM remote_key WHERE upstream = ? AND remote_id >= ? AND remote_id < ? AND seen_ms >= ? "
        "ORDER BY seen_ms DESC LIMIT 1",
        (upstream, prefix, prefix[:-1] + chr(ord(prefix[-1]) + 1), since_ms),
    ).fetchone()
    return None if row is None else str(row[0])


def last_event_before(connection: sqlite3.Connection, at_ms: int) -> int:
    """Id of the last event before an instant, 0 where there is none. Ids grow with time, so it is searched by halves
    and needs no index."""
    low, high = 0, connection.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()[0]
    while low < high:
        middle = (low + high) // 2
        row = connection.execute("SELECT at_ms FROM event WHERE id > ? ORDER BY id LIMIT 1", (middle,)).fetchone()
        if row is not None and row[0] < at_ms:
            low = middle + 1
        else:
            high = middle
    return int(low)


def untried(connection: sqlite3.Connection, upstream: str) -> dict[str, int]:
    """Remote id → message id of what waits in the queue or is held, and was never on the air."""
    found = connection.execute(
        "SELECT m.remote_id, m.id FROM queue q JOIN message m ON m.id = q.message_id "
        "WHERE q.upstream = ?1 AND m.state = 'queued' AND m.remote_id IS NOT NULL "
        "UNION ALL SELECT m.remote_id, m.id FROM message m WHERE m.direction = 'outbound' AND m.state = 'held' "
        "AND m.upstream = ?1 AND m.remote_id IS NOT NULL",
        (upstream,),
    )
    return {row[0]: row[1] for row in found}


def queue_length(connection: sqlite3.Connection) -> dict[str, int]:
    """Messages waiting per route; '' is any route."""
    return {row[0]: row[1] for row in connection.execute("SELECT route, count(*) FROM queue GROUP BY route")}


# More than that is busy, whatever the number.
_MOST_LOAD = 10_000


def loads(connection: sqlite3.Connection, names: Sequence[str]) -> dict[str, int]:
    """How many messages wait for each route, counted to a bound."""
    return {
        name: connection.execute(
            "SELECT count(*) FROM (SELECT 1 FROM queue WHERE route = ? LIMIT ?)", (name, _MOST_LOAD)
        ).fetchone()[0]
        for name in names
    }


def last_routes(connection: sqlite3.Connection, numbers: Sequence[str]) -> dict[str, str]:
    """Number → the route by which it was last in touch, either way, as far as history is kept."""
    found = {}
    for number in set(numbers):
        row = connection.execute(
            "SELECT max(id), route FROM (SELECT * FROM (SELECT id, route FROM message WHERE number = ?1 "
            "AND direction = 'inbound' AND route IS NOT NULL ORDER BY id DESC LIMIT 1) UNION ALL "
            "SELECT * FROM (SELECT id, coalesce(route, wanted_route) AS route FROM message WHERE number = ?1 "
            "AND direction = 'outbound' AND coalesce(route, wanted_route) IS NOT NULL ORDER BY id DESC LIMIT 1))",
            (number,),
        ).fetchone()
        if row[0] is not None:
            found[number] = str(row[1])
    return found


def figures(connection: sqlite3.Connection, account: int | None, from_ms: int, to_ms: int) -> DayFigures:
    """Sums of the UTC days from `from_ms` to `to_ms`, both included."""
    clause = "" if account is None else "AND account = ?"
    found = connection.execute(
        f"SELECT kind, sum(n), sum(amount) FROM daily WHERE day BETWEEN ? AND ? {clause} GROUP BY kind",
        (from_ms // DAY_MS, to_ms // DAY_MS, *(() if account is None else (account,))),
    )
    sums = {row[0]: (row[1], row[2]) for row in found}
    counts = {kind: sums.get(kind, (0, 0.0))[0] for kind in ("accepted", "sent", "delivered", "failed", "received")}
    return DayFigures(**counts, amount=sums.get("accepted", (0, 0.0))[1])


_UNOWNED = 0
"""Account of what belongs to none, in counters and here; in the message table it is NULL."""


def _parts(wanted: Filter) -> list[Filter]:
    """The same as filters with one account, and one direction and state each where any of them is asked for."""
    accounts = [wanted.account]
    if wanted.account is not None and wanted.with_unowned:
        accounts.append(_UNOWNED)
    if not wanted.states and wanted.direction is None and wanted.device is None:
        return [replace(wanted, account=account, with_unowned=False) for account in accounts]
    return [
        replace(wanted, account=account, with_unowned=False, direction=_direction(state), states=(state,))
        for account in accounts
        for state in wanted.states or MessageState
        if wanted.direction in (None, _direction(state))
    ]


def _direction(state: MessageState) -> str:
    return "inbound" if state is MessageState.RECEIVED else "outbound"


def _where(wanted: Filter) -> tuple[str, list[str | int]]:
    clauses, values = ["1"], list[str | int]()
    if wanted.account == _UNOWNED:
        clauses.append("m.account IS NULL")
    elif wanted.account is not None:
        clauses.append(f"(m.account = ?{' OR m.account IS NULL' if wanted.with_unowned else ''})")
        values.append(wanted.account)
    for column, value in (
        ("direction", wanted.direction),
        ("device", wanted.device),
        ("upstream", wanted.upstream),
    ):
        if value is not None:
            clauses.append(f"m.{column} = ?")
            values.append(value)
    if wanted.states:
        clauses.append(f"m.state IN ({', '.join('?' * len(wanted.states))})")
        values.extend(wanted.states)
    return " AND ".join(clauses), values
