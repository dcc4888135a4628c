"""What each upstream is still to be told: a cursor over the event table, and the few items left behind it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Sequence

from agent.journal import rows
from agent.model import REPORTABLE, Message, MessageState, Report
from drivers.values import dataclass


@dataclass(frozen=True, slots=True)
class FeedItem:
    """One event for one upstream: `report` for a message of its own, `inbound` for one that came in."""

    event_id: int
    lane: int
    tries: int
    since_ms: int
    report: Report | None
    inbound: Message | None


@dataclass(frozen=True, slots=True)
class LeftBehind:
    """An item that the cursor passes although it is not delivered."""

    event_id: int
    lane: int
    tries: int
    parked: bool
    error: str
    since_ms: int


@dataclass(frozen=True, slots=True)
class UpstreamRow:
    """What the journal keeps of an upstream. Delays in seconds."""

    name: str
    identity: str
    cursor: int
    send_delay_s: float
    default_sim_slot: int | None
    is_active: bool
    keep_inbound: bool


_COLUMNS = f"{rows.MESSAGE_COLUMNS}, e.id AS event_id, e.at_ms, e.kind, e.state AS event_state"
_ITEM = f"SELECT {_COLUMNS} FROM event e JOIN message m ON m.id = e.message_id "
_BEHIND = (
    f"SELECT {_COLUMNS}, u.tries, u.since_ms FROM undelivered u JOIN event e ON e.id = u.event_id "
    "JOIN message m ON m.id = e.message_id WHERE u.upstream = ? AND NOT u.parked "
)
_STATES = ", ".join(f"'{state}'" for state in sorted(REPORTABLE))
# Not what another server gave under the same name.
_IS_ITS_OWN = """(m.remote_id IS NULL OR EXISTS (SELECT 1 FROM remote_key k WHERE k.upstream = m.upstream
  AND k.remote_id = m.remote_id AND k.message_id = m.id AND k.generation = ?6))"""
_TAKEN = {"accepted": MessageState.QUEUED, "held": MessageState.HELD}
"""Events that say only that we have a message, for upstreams that tell so: kind → state."""
_TAKEN_KINDS = ", ".join(f"'{kind}'" for kind in sorted(_TAKEN))


def register(connection: sqlite3.Connection, name: str, identity: str, *, wants_inbound: bool) -> UpstreamRow:
    """The upstream's row; a new one starts at now. Another address or device under the same name is a new one,
    and what the old one was not told is dropped with it. What that one gave is sent all the same; the new one is told
    of it only where it lists the same message, see `acceptance`."""
    found = connection.execute("SELECT identity, generation FROM upstream WHERE name = ?", (name,)).fetchone()
    generation = 0
    if found is not None and found["identity"] != identity:
        generation = found["generation"] + 1
        _retire(connection, name)
        found = None
    if found is None:
        newest = connection.execute("SELECT coalesce(max(id), 0) FROM event").fetchone()[0]
        connection.execute(
            "INSERT INTO upstream (name, identity, cursor, wants_inbound, generation) VALUES (?, ?, ?, ?, ?)",
            (name, identity, newest, wants_inbound, generation),
        )
    else:
        connection.execute("UPDATE upstream SET wants_inbound = ? WHERE name = ?", (wants_inbound, name))
    return upstream(connection, name)


def upstream(connection: sqlite3.Connection, name: str) -> UpstreamRow:
    row = connection.execute("SELECT * FROM upstream WHERE name = ?", (name,)).fetchone()
    return UpstreamRow(
        name=row["name"],
        identity=row["identity"],
        cursor=row["cursor"],
        send_delay_s=row["send_delay_s"],
        default_sim_slot=row["default_sim_slot"],
        is_active=bool(row["is_active"]),
        keep_inbound=bool(row["keep_inbound"]),
    )


def set_device(
    connection: sqlite3.Connection,
    name: str,
    *,
    send_delay_s: float,
    default_sim_slot: int | None,
    is_active: bool,
    keep_inbound: bool,
) -> None:
    """What the server said about its device."""
    connection.execute(
        "UPDATE upstream SET send_delay_s = ?, default_sim_slot = ?, is_active = ?, keep_inbound = ? WHERE name = ?",
        (send_delay_s, default_sim_slot, is_active, keep_inbound, name),
    )


def retire_absent(connection: sqlite3.Connection, names: Sequence[str]) -> list[str]:
    """Upstreams in the journal that are no longer configured (they keep what they are owed)."""
    known = [row[0] for row in connection.execute("SELECT name FROM upstream")]
    return [name for name in known if name not in names]


def left_behind(connection: sqlite3.Connection, name: str, limit: int) -> list[FeedItem]:
    """Items behind the cursor that are not parked, the least tried first."""
    found = connection.execute(_BEHIND + "ORDER BY u.tries, e.id LIMIT ?", (name, limit))
    return [_item(row, row["tries"], row["since_ms"]) for row in found]


def left_behind_of(connection: sqlite3.Connection, name: str, lanes: Iterable[int]) -> list[FeedItem]:
    """The same of these messages alone, the eldest first."""
    found = connection.execute(
        _BEHIND + "AND u.lane IN (SELECT value FROM json_each(?)) ORDER BY e.id", (name, json.dumps(list(lanes)))
    )
    return [_item(row, row["tries"], row["since_ms"]) for row in found]


def after(
    connection: sqlite3.Connection,
    name: str,
    event_id: int,
    limit: int,
    *,
    wants_inbound: bool,
    wants_accepted: bool = False,
) -> tuple[list[FeedItem], int]:
    """The next items for an upstream behind `event_id`, and up to which event was looked."""
    newest, generation = connection.execute(
        "SELECT coalesce(max(id), 0), (SELECT generation FROM upstream WHERE name = ?) FROM event", (name,)
    ).fetchone()
    found = connection.execute(
        _ITEM + f"WHERE e.id > ?1 AND ((e.upstream = ?2 AND (e.state IN ({_STATES}) "
        f"OR (?5 AND e.kind IN ({_TAKEN_KINDS}))) AND (NOT ?6 OR {_IS_ITS_OWN})) OR (?3 AND e.kind = 'received')) "
        "ORDER BY e.id LIMIT ?4",
        (event_id, name, wants_inbound, limit, wants_accepted, generation or 0),
    ).fetchall()
    items = [_item(row, 0, row["at_ms"]) for row in found]
    if len(items) == limit:
        return items, items[-1].event_id
    # A commit between the two statements may have brought an item that is newer than `newest`.
    return items, max(newest, items[-1].event_id if items else 0)


def again(connection: sqlite3.Connection, message_id: int, *, wants_accepted: bool = False) -> FeedItem | None:
    """The last reportable state of a message, to be told once more."""
    row = connection.execute(
        _ITEM + f"WHERE e.message_id = ?1 AND (e.state IN ({_STATES}) OR (?2 AND e.kind IN ({_TAKEN_KINDS}))) "
        "ORDER BY e.id DESC LIMIT 1",
        (message_id, wants_accepted),
    ).fetchone()
    return None if row is None else _item(row, 0, row["at_ms"])


def advance(
    connection: sqlite3.Connection,
    name: str,
    cursor: int,
    left: Sequence[LeftBehind],
    settled: Sequence[int],
) -> None:
    """Move the cursor; `left` stays behind it, `settled` events no longer do."""
    connection.execute("UPDATE upstream SET cursor = max(cursor, ?) WHERE name = ?", (cursor, name))
    connection.executemany(
        "INSERT INTO undelivered VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
        "tries = excluded.tries, parked = excluded.parked, error = excluded.error",
        [(name, i.event_id, i.lane, i.tries, i.parked, i.error, i.since_ms) for i in left],
    )
    connection.executemany(
        "DELETE FROM undelivered WHERE upstream = ? AND event_id = ?",
        [(name, event_id) for event_id in settled],
    )


def parked(connection: sqlite3.Connection, name: str) -> tuple[int, str | None]:
    """How many items are parked, and the newest reason."""
    row = connection.execute(
        "SELECT count(*) AS n, (SELECT error FROM undelivered WHERE upstream = ?1 AND parked "
        "ORDER BY event_id DESC LIMIT 1) AS error FROM undelivered WHERE upstream = ?1 AND parked",
        (name,),
    ).fetchone()
    return row["n"], row["error"]


def has_undelivered(connection: sqlite3.Connection) -> bool:
    """Whether anything stands behind a cursor."""
    return connection.execute("SELECT 1 FROM undelivered").fetchone() is not None


def drop_stale(connection: sqlite3.Connection, older_than_ms: int) -> int:
    """Give up what could not be delivered for too long. Returns how many."""
    return connection.execute("DELETE FROM undelivered WHERE since_ms < ?", (older_than_ms,)).rowcount


def _retire(connection: sqlite3.Connection, name: str) -> None:
    """Nothing more is owed to it."""
    connection.execute("DELETE FROM undelivered WHERE upstream = ?", (name,))
    connection.execute("DELETE FROM upstream WHERE name = ?", (name,))


def _item(row: sqlite3.Row, tries: int, since_ms: int) -> FeedItem:
    message = rows.message(row)
    if row["kind"] == "received":
        return FeedItem(row["event_id"], message.id, tries, since_ms, None, message)
    report = Report(
        event_id=row["event_id"],
        at_ms=row["at_ms"],
        state=_TAKEN.get(row["kind"]) or MessageState(row["event_state"]),
        error=message.error,
        message=message,
    )
    return FeedItem(row["event_id"], message.id, tries, since_ms, report, None)
