"""Why a message still waits, in words: what `dispatch.claim` goes by, asked without claiming."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime

from agent import pacing
from agent.clock import Instant
from agent.journal import dispatch, upstream_pace
from agent.journal.dispatch import RouteCall
from agent.model import URGENT_PRIORITY


def holds(connection: sqlite3.Connection, calls: Mapping[str, RouteCall], now: Instant) -> dict[str, pacing.Hold]:
    """Per route what its limits hold up, where they do."""
    return {name: held for name, call in calls.items() if (held := dispatch.hold(connection, call, now))}


def reasons(
    connection: sqlite3.Connection,
    message_ids: Sequence[int],
    calls: Mapping[str, RouteCall],
    problems: Mapping[str, str],
    now: Instant,
) -> dict[int, str]:
    """Message → why it waits; nothing for what is not in the queue, or simply next in line. `problems` says per
    route why nothing at all goes out by it."""
    # One look: what is claimed in between must not count against itself.
    connection.execute("BEGIN")
    try:
        return _reasons(connection, message_ids, calls, problems, now)
    finally:
        connection.execute("COMMIT")


def _reasons(
    connection: sqlite3.Connection,
    message_ids: Sequence[int],
    calls: Mapping[str, RouteCall],
    problems: Mapping[str, str],
    now: Instant,
) -> dict[int, str]:
    found = connection.execute(
        "SELECT q.*, (SELECT count(*) FROM part p WHERE p.message_id = q.message_id AND p.state = 'queued') AS parts, "
        "EXISTS (SELECT 1 FROM attempt a WHERE a.recipient = q.recipient AND a.outcome IN ('open', 'unknown') "
        "AND a.outcome = 'unknown') AS is_unclear, "
        "EXISTS (SELECT 1 FROM queue e WHERE e.recipient = q.recipient AND e.message_id < q.message_id "
        "AND e.priority = q.priority AND e.due_boot_ms > ?) AS is_behind "
        "FROM queue q WHERE q.message_id IN (SELECT value FROM json_each(?))",
        (now.boot_ms, json.dumps(list(message_ids))),
    ).fetchall()
    result = {row["message_id"]: _reason(connection, row, calls, problems, now) for row in found}
    return {key: why for key, why in result.items() if why is not None}


def _reason(
    connection: sqlite3.Connection,
    row: sqlite3.Row,
    calls: Mapping[str, RouteCall],
    problems: Mapping[str, str],
    now: Instant,
) -> str | None:
    names = [row["route"]] if row["route"] else [name for name, call in calls.items() if call.takes_any]
    known = {name: calls[name] for name in names if name in calls}
    own = _own_reason(row, known, now)
    if own is not None or not known:
        return own
    able = [name for name in known if name not in problems]
    if not able:
        return "; ".join(f"route {name}: {problems[name]}" for name in known)
    if row["priority"] >= URGENT_PRIORITY:
        return None
    paces = {} if row["follows"] else upstream_pace.paced(connection)
    if paces and all(row["upstream"] in dispatch.blocked_by_pace(connection, paces, calls[name], now) for name in able):
        return f"the pace that {row['upstream']} asks for"
    held = {name: dispatch.hold(connection, calls[name], now, parts=row["parts"]) for name in able}
    waits = [(one.wait_ms, f"route {name}: {one.why}") for name, one in held.items() if one is not None]
    return min(waits)[1] if len(waits) == len(able) else None


def _own_reason(row: sqlite3.Row, calls: Mapping[str, RouteCall], now: Instant) -> str | None:
    """What the message itself or others to its number have to do with it."""
    zone = next((call.limits.timezone for call in calls.values()), None)
    if row["starts_ms"] is not None and row["starts_ms"] > now.utc_ms:
        return f"it is to start on {datetime.fromtimestamp(row['starts_ms'] / 1000, zone):%Y-%m-%d at %H:%M}"
    if row["due_boot_ms"] > now.boot_ms:
        at = datetime.fromtimestamp((now.utc_ms + row["due_boot_ms"] - now.boot_ms) / 1000, zone)
        return f"it could not be sent yet, next try at {at:%H:%M:%S}"
    if row["is_unclear"]:
        return "an earlier message to this number has an unknown outcome, which is waited for"
    if row["is_behind"]:
        return "an earlier message to this number waits for its next try"
    if row["iccid"] is not None and all(call.iccid != row["iccid"] for call in calls.values()):
        return f"it is bound to the SIM that ends in {row['iccid'][-4:]}, which is not here now"
    return None
