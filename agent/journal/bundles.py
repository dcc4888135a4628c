"""Reading messages as SMSGate counts them: one message is to one or several recipients, and has one id.

An outbound message without a bundle is a message of its own. Lists are by time, either way round; totals are exact up
to MOST_COUNTED.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence

from agent.journal import rows
from agent.model import Event, Message, MessageKind, MessageState
from drivers.values import dataclass

MOST_COUNTED = 10_000
# Of the history so many lines are looked through for one account's.
_MOST_LOGGED = 20_000
_MOST_RECENT = 2_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which messages of whom. `with_unowned` adds those of no account. `devices` are numbers of remote agents: with
    `is_elsewhere` only what goes by them, without only what does not; None: all. Times are UTC ms, both included."""

    account: int
    with_unowned: bool
    direction: str
    from_ms: int | None = None
    to_ms: int | None = None
    states: tuple[MessageState, ...] = ()
    kinds: tuple[MessageKind, ...] = ()
    devices: tuple[int, ...] | None = None
    is_elsewhere: bool = False


def page(
    connection: sqlite3.Connection, wanted: Wanted, *, offset: int, limit: int, is_ascending: bool = False
) -> tuple[int, list[Message]]:
    """How many there are, and some of them: of each bundle its first message."""
    order = "ASC" if is_ascending else "DESC"
    walks = [
        _walk(wanted, account) for account in ((wanted.account, None) if wanted.with_unowned else (wanted.account,))
    ]
    union = " UNION ALL ".join(statement for statement, _ in walks)
    values = [value for _, more in walks for value in more]
    total = connection.execute(f"SELECT count(*) FROM (SELECT 1 FROM ({union}) LIMIT {MOST_COUNTED})", values)
    found = connection.execute(
        f"SELECT {rows.MESSAGE_COLUMNS} FROM (SELECT id, at FROM ({union}) ORDER BY at {order}, id {order} "
        f"LIMIT ? OFFSET ?) AS listed JOIN message m ON m.id = listed.id ORDER BY listed.at {order}, m.id {order}",
        (*values, limit, offset),
    )
    return total.fetchone()[0], [rows.message(row) for row in found]


def recipients(connection: sqlite3.Connection, leaders: Sequence[Message]) -> dict[int, list[Message]]:
    """First message's id → all of its bundle in their order; of one without a bundle itself."""
    found: dict[int, list[Message]] = {}
    for leader in leaders:
        if leader.bundle is None:
            found[leader.id] = [leader]
            continue
        rest = connection.execute(
            f"SELECT {rows.MESSAGE_COLUMNS} FROM message m WHERE m.bundle = ? AND m.account IS ? AND m.upstream IS ? "
            "ORDER BY m.id",
            (leader.bundle, leader.account, leader.upstream),
        )
        found[leader.id] = [rows.message(row) for row in rest]
    return found


def first(connection: sqlite3.Connection, account: int, with_unowned: bool, key: str) -> Message | None:
    """The first message of an account's bundle with this id; else its outbound message with this uid."""
    row = connection.execute(
        f"SELECT {rows.MESSAGE_COLUMNS} FROM message m WHERE (m.bundle = ?1 OR m.uid = ?1) "
        "AND m.direction = 'outbound' AND (m.account = ?2 OR (?3 AND m.account IS NULL)) "
        "ORDER BY m.bundle IS NULL, m.id LIMIT 1",
        (key, account, with_unowned),
    ).fetchone()
    return None if row is None else rows.message(row)


def moves(connection: sqlite3.Connection, ids: Sequence[int]) -> list[Event]:
    """Changes of these messages' states, oldest first."""
    found = connection.execute(
        "SELECT * FROM event WHERE message_id IN (SELECT value FROM json_each(?)) AND state IS NOT NULL ORDER BY id",
        (json.dumps(list(ids)),),
    )
    return [rows.event(row) for row in found]


def log(
    connection: sqlite3.Connection, account: int, *, is_owner: bool, from_ms: int, to_ms: int, limit: int
) -> list[Event]:
    """The newest lines of history of a span of time, newest first: the owner's are all, others' those of their
    messages."""
    found = connection.execute(
        f"SELECT e.* FROM (SELECT * FROM event ORDER BY id DESC LIMIT {_MOST_LOGGED}) e "
        "LEFT JOIN message m ON m.id = e.message_id WHERE e.at_ms BETWEEN ? AND ? AND (? OR m.account = ?) "
        "ORDER BY e.id DESC LIMIT ?",
        (from_ms, to_ms, is_owner, account, limit),
    )
    return [rows.event(row) for row in found]


def outcomes(connection: sqlite3.Connection, since_ms: int) -> tuple[int, int]:
    """How many of the newest messages since then failed, and how many were sent. One that was refused before any SIM
    tried it tells nothing of the gateway."""
    row = connection.execute(
        "SELECT count(*) FILTER (WHERE state IN ('failed', 'expired') AND iccid IS NOT NULL), "
        "count(*) FILTER (WHERE state IN ('sent', 'delivered')) FROM (SELECT state, iccid, created_ms FROM message "
        f"WHERE direction = 'outbound' ORDER BY id DESC LIMIT {_MOST_RECENT}) WHERE created_ms >= ?",
        (since_ms,),
    ).fetchone()
    return row[0], row[1]


def _walk(wanted: Wanted, account: int | None) -> tuple[str, list[str | int | None]]:
    """One walk along the index by time. A bundle's states are looked at only where one is asked for."""
    clauses = ["m.account IS ?", "m.direction = ?"]
    values: list[str | int | None] = [account, wanted.direction]
    for condition, value in (("m.created_ms >= ?", wanted.from_ms), ("m.created_ms <= ?", wanted.to_ms)):
        if value is not None:
            clauses.append(condition)
            values.append(value)
    if wanted.direction == "outbound":
        clauses.append(
            "(m.bundle IS NULL OR m.id = (SELECT min(f.id) FROM message f WHERE f.bundle = m.bundle "
            "AND f.account IS m.account AND f.upstream IS m.upstream))"
        )
    if wanted.states:
        marks = ", ".join("?" * len(wanted.states))
        clauses.append(f"(CASE WHEN m.bundle IS NULL THEN m.state ELSE ({_BUNDLE_STATE}) END) IN ({marks})")
        values.extend(wanted.states)
    if wanted.kinds:
        clauses.append(f"m.kind IN ({', '.join('?' * len(wanted.kinds))})")
        values.extend(wanted.kinds)
    if wanted.devices is not None:
        listed = "SELECT value FROM json_each(?)"
        is_there = (
            f"m.device IN ({listed})" if wanted.is_elsewhere else f"(m.device IS NULL OR m.device NOT IN ({listed}))"
        )
        clauses.append(is_there)
        values.append(json.dumps(wanted.devices))
    return f"SELECT m.id AS id, m.created_ms AS at FROM message m WHERE {' AND '.join(clauses)}", values


# The state that stands for a whole bundle, as SMSGate's app makes it: what is least advanced, but failed or delivered
# only where all are.
_BUNDLE_STATE = (
    "SELECT CASE WHEN sum(s.state IN ('queued', 'held')) THEN 'queued' "
    "WHEN sum(s.state = 'cancelled') THEN 'cancelled' "
    "WHEN sum(s.state IN ('sending', 'unknown')) THEN 'sending' WHEN sum(s.state NOT IN ('failed', 'expired')) = 0 "
    "THEN 'failed' WHEN sum(s.state != 'delivered') = 0 THEN 'delivered' ELSE 'sent' END "
    "FROM message s WHERE s.bundle = m.bundle AND s.account IS m.account AND s.upstream IS m.upstream"
)
