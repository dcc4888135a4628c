"""Messages that were accepted: the one way in which a part changes state (`move`), and what follows from it."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence

from agent.clock import Instant
from agent.model import PART_MOVES, MessageState, PartState, message_state
from drivers.values import dataclass

DAY_MS = 86_400_000

_DAILY = {
    MessageState.DELIVERED: "delivered",
    MessageState.FAILED: "failed",
    MessageState.EXPIRED: "failed",
}
_ENDED_BADLY = (MessageState.FAILED, MessageState.EXPIRED, MessageState.CANCELLED)


@dataclass(frozen=True, slots=True)
class Binding:
    """What a message's first attempt settles: route, SIM, and the reference of its concatenation."""

    route: str
    iccid: str
    reference: int


class StaleMove(Exception):
    """The part was not in the state that the caller thought."""


def move(
    connection: sqlite3.Connection,
    message_id: int,
    sequence: int,
    origins: Collection[PartState],
    target: PartState,
    *,
    at_ms: int,
    kind: str,
    route: str | None = None,
    detail: str | None = None,
    error: str | None = None,
    is_try: bool = False,
    binding: Binding | None = None,
) -> MessageState | None:
    """Compare-and-set one part, write its event, and bring the message along; with `is_try` the part is tried once
    more, `binding` is written in the same breath.

    Returns the message's new state where it changed. Raises: StaleMove; ValueError for a move that the
    transition table does not have.
    """
    for origin in origins:
        if target not in PART_MOVES[origin]:
            raise ValueError(f"a part cannot move from {origin} to {target}")
    marks = ", ".join("?" * len(origins))
    changed = connection.execute(
        f"UPDATE part SET state = ?, error = coalesce(?, error), tries = tries + ? "
        f"WHERE message_id = ? AND sequence = ? AND state IN ({marks})",
        (target, error, is_try, message_id, sequence, *origins),
    ).rowcount
    if not changed:
        raise StaleMove(f"part {sequence} of message {message_id} is not {'/'.join(origins)}")
    if target in (PartState.FAILED, PartState.UNDELIVERED, PartState.EXPIRED):
        _cancel_siblings(connection, message_id)
    state, upstream = _follow(connection, message_id, at_ms, error, moved=target, binding=binding)
    _write_event(connection, (at_ms, kind, message_id, sequence, route, upstream, state, detail))
    return state


def add_event(
    connection: sqlite3.Connection,
    at_ms: int,
    kind: str,
    *,
    message_id: int | None = None,
    part: int | None = None,
    route: str | None = None,
    state: MessageState | None = None,
    detail: str | None = None,
) -> int:
    """One line of history; returns its id. The origin of the message, if any, is found here."""
    found = connection.execute("SELECT upstream FROM message WHERE id = ?", (message_id,)).fetchone()
    upstream = None if found is None else found[0]
    return _write_event(connection, (at_ms, kind, message_id, part, route, upstream, state, detail))


def count_day(connection: sqlite3.Connection, at_ms: int, account: int | None, kind: str, amount: float = 0.0) -> None:
    """Add one to a day's figure."""
    connection.execute(
        "INSERT INTO daily VALUES (?, ?, ?, 1, ?) ON CONFLICT DO UPDATE SET n = n + 1, amount = amount + ?",
        (at_ms // DAY_MS, account or 0, kind, amount, amount),
    )


def cancel(
    connection: sqlite3.Connection, message_id: int, now: Instant, *, why: str, forbids_resend: bool = True
) -> bool:
    """Cancel a message of which no part has an attempt. Otherwise only forbid any resend, and return False."""
    state = connection.execute(
        "SELECT state FROM message WHERE id = ? AND direction = 'outbound'", (message_id,)
    ).fetchone()
    if state is None:
        return False
    tried = connection.execute(
        "SELECT 1 FROM attempt WHERE message_id = ? AND outcome NOT IN ('not_sent') LIMIT 1", (message_id,)
    ).fetchone()
    if tried or state[0] not in (MessageState.QUEUED, MessageState.HELD):
        if forbids_resend:
            connection.execute("UPDATE message SET cancel_asked = 1 WHERE id = ?", (message_id,))
        return False
    connection.execute("UPDATE part SET state = 'cancelled', error = ? WHERE message_id = ?", (why, message_id))
    connection.execute("DELETE FROM queue WHERE message_id = ?", (message_id,))
    changed, _ = _follow(connection, message_id, now.utc_ms, why)
    add_event(connection, now.utc_ms, "cancelled", message_id=message_id, state=changed, detail=why)
    return True


def fail_queued(connection: sqlite3.Connection, message_id: int, now: Instant, *, error: str) -> bool:
    """Fail a message that was never tried, e.g. because its slot has no SIM. False where it was."""
    part = connection.execute(
        "SELECT min(sequence) FROM part WHERE message_id = ? AND state = 'queued'", (message_id,)
    ).fetchone()[0]
    if part is None:
        return False
    move(
        connection,
        message_id,
        part,
        (PartState.QUEUED,),
        PartState.FAILED,
        at_ms=now.utc_ms,
        kind="failed",
        detail=error,
        error=error,
    )
    return True


def release(connection: sqlite3.Connection, message_ids: Sequence[int] | None, now: Instant) -> int:
    """Let held messages go: those named, or all. Returns how many. One of which a part left keeps its SIM.

    A report may have moved a held message of several parts on to "sending", where nothing is in the air.
    """
    rows = connection.execute(
        "SELECT id, EXISTS (SELECT 1 FROM attempt a WHERE a.message_id = m.id "
        "AND a.outcome NOT IN ('not_sent', 'refused')) AS is_bound FROM message m WHERE direction = 'outbound' AND "
        "(state = 'held' OR (state IN ('queued', 'sending') "
        "AND EXISTS (SELECT 1 FROM part p WHERE p.message_id = m.id AND p.state = 'queued') "
        "AND NOT EXISTS (SELECT 1 FROM part p WHERE p.message_id = m.id AND p.state IN ('sending', 'unknown')) "
        "AND NOT EXISTS (SELECT 1 FROM queue q WHERE q.message_id = m.id))) ORDER BY id"
    ).fetchall()
    wanted = None if message_ids is None else set(message_ids)
    released = 0
    for message_id, is_bound in rows:
        if wanted is not None and message_id not in wanted:
            continue
        connection.execute("UPDATE message SET state = 'queued' WHERE id = ?", (message_id,))
        requeue(connection, message_id, now=now, is_bound=bool(is_bound))
        add_event(connection, now.utc_ms, "released", message_id=message_id, state=MessageState.QUEUED)
        released += 1
    return released


def delete(connection: sqlite3.Connection, message_id: int) -> bool:
    """Remove a message with its history. Its (upstream, remote id) stays known."""
    connection.execute(
        "UPDATE remote_key SET state = m.state, error = m.error, message_id = NULL FROM message m "
        "WHERE m.id = ? AND remote_key.upstream = m.upstream AND remote_key.remote_id = m.remote_id "
        "AND remote_key.message_id = m.id",
        (message_id,),
    )
    return connection.execute("DELETE FROM message WHERE id = ?", (message_id,)).rowcount > 0


def requeue(
    connection: sqlite3.Connection,
    message_id: int,
    *,
    now: Instant,
    wait_ms: int = 0,
    follows: bool = False,
    is_bound: bool = True,
) -> None:
    """Put a message that has a queued part in line, due after `wait_ms`.

    One that is bound keeps its SIM and no longer expires here, since a part of it may have left.
    """
    connection.execute(
        "INSERT INTO queue (message_id, route, iccid, follows, upstream, recipient, priority, accepted_boot_ms, "
        "due_boot_ms, since_utc_ms, wait_ms, expires_ms, starts_ms) "
        "SELECT id, CASE WHEN ? THEN coalesce(route, wanted_route, '') ELSE coalesce(wanted_route, '') END, "
        "iccid, ?, upstream, number, priority, ?, ?, ?, ?, CASE WHEN ? THEN NULL ELSE expires_ms END, starts_ms "
        "FROM message WHERE id = ? "
        "ON CONFLICT (message_id) DO UPDATE SET route = excluded.route, iccid = excluded.iccid, "
        "follows = excluded.follows, due_boot_ms = excluded.due_boot_ms, since_utc_ms = excluded.since_utc_ms, "
        "wait_ms = excluded.wait_ms, expires_ms = excluded.expires_ms",
        (
            is_bound,
            follows,
            now.boot_ms,
            now.boot_ms + wait_ms if wait_ms else 0,
            now.utc_ms,
            wait_ms,
            is_bound,
            message_id,
        ),
    )


# --- pieces -----------------------------------------------------------------------------------------


def _cancel_siblings(connection: sqlite3.Connection, message_id: int) -> None:
    """A part that fails for good takes its unsent siblings out of the queue."""
    connection.execute("UPDATE part SET state = 'cancelled' WHERE message_id = ? AND state = 'queued'", (message_id,))
    connection.execute("DELETE FROM queue WHERE message_id = ?", (message_id,))


def _follow(
    connection: sqlite3.Connection,
    message_id: int,
    at_ms: int,
    error: str | None,
    *,
    moved: PartState | None = None,
    binding: Binding | None = None,
) -> tuple[MessageState | None, str | None]:
    """Set the message's state from its parts', of which one has `moved`. Returns it where it changed, and the
    message's origin."""
    old = connection.execute(
        "SELECT state, account, sent_ms, parts, upstream FROM message WHERE id = ?", (message_id,)
    ).fetchone()
    if moved is not None and old["parts"] == 1:
        states = [moved]
    else:
        rows = connection.execute("SELECT DISTINCT state FROM part WHERE message_id = ?", (message_id,))
        states = [PartState(row[0]) for row in rows]
    new = message_state(states)
    changes = {} if old["state"] == new else _changes(new, old["sent_ms"], at_ms, error)
    columns = [f"{name} = ?" for name in changes]
    values = list(changes.values())
    if binding is not None:
        columns += ["route = ?", "iccid = ?", "reference = ?"]
        columns.append("device = coalesce((SELECT id FROM device WHERE device.route = ?), device)")
        values += [binding.route, binding.iccid, binding.reference, binding.route]
    if columns:
        # Only what changes, so that no other column's index is touched.
        connection.execute(f"UPDATE message SET {', '.join(columns)} WHERE id = ?", (*values, message_id))
    if not changes:
        return None, old["upstream"]
    if "sent_ms" in changes:
        count_day(connection, at_ms, old["account"], "sent")
    if kind := _DAILY.get(new):
        count_day(connection, at_ms, old["account"], kind)
    return new, old["upstream"]


def _changes(new: MessageState, sent_ms: int | None, at_ms: int, error: str | None) -> dict[str, str | int | None]:
    """Columns of a message that comes to a new state."""
    changes: dict[str, str | int | None] = {"state": new}
    if new in _ENDED_BADLY:
        if error is not None:
            changes["error"] = error
    elif new in (MessageState.SENT, MessageState.DELIVERED):
        changes["error"] = None
        if sent_ms is None:
            changes["sent_ms"] = at_ms
    if new is MessageState.DELIVERED:
        changes["delivered_ms"] = at_ms
    return changes


def _write_event(connection: sqlite3.Connection, values: tuple[str | int | None, ...]) -> int:
    """`values` are those of all columns behind the id."""
    written = connection.execute(
        "INSERT INTO event (at_ms, kind, message_id, part, route, upstream, state, detail) VALUES "
        "(?, ?, ?, ?, ?, ?, ?, ?)",
        values,
    )
    return int(written.lastrowid or 0)
