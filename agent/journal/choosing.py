"""Which message a route takes next: priority first, then upstreams in turns, then age; per recipient always in order.

Among messages of equal priority the upstream goes first that was served longest ago, so another's campaign of any
length costs a message one wait per route. Each upstream's own messages keep their order.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from agent.clock import Instant
from agent.model import URGENT_PRIORITY

if TYPE_CHECKING:
    from agent.journal.dispatch import RouteCall


class Turns:
    """Who was served when, in this process's life: all routes share it. Used in the journal's thread."""

    def __init__(self) -> None:
        self._served: dict[str, int] = {}
        self._count = 0

    def last(self, upstream: str) -> int:
        """0 for one that was not served yet; the greater, the later."""
        return self._served.get(upstream, 0)

    def take(self, upstream: str) -> None:
        self._count += 1
        self._served[upstream] = self._count


ELDER_PATIENCE_MS = 60_000
"""An elder message to the same number that only another SIM may send, since that one tried it, has so long to go first.
A SIM that does not come back must not hold up the others for ever."""
_ELSEWHERE = f"(e.iccid != :iccid AND max(e.accepted_boot_ms, e.due_boot_ms) > :now - {ELDER_PATIENCE_MS})"

_MAY_GO = f"""
q.due_boot_ms <= :now AND (q.iccid IS NULL OR q.iccid = :iccid)
  AND (q.starts_ms IS NULL OR q.starts_ms <= :utc)
  AND (q.follows OR q.priority >= :urgent OR (NOT :blocked AND (q.upstream NOT IN ({{blocked}}) OR EXISTS (
       SELECT 1 FROM message m JOIN upstream_begun b ON b.upstream = m.upstream AND b.remote = m.bundle
       WHERE m.id = q.message_id))))
  AND NOT EXISTS (SELECT 1 FROM attempt a WHERE a.recipient = q.recipient AND a.outcome IN ('open', 'unknown')
                  AND a.outcome = 'unknown')
  AND NOT EXISTS (SELECT 1 FROM queue e WHERE e.recipient = q.recipient AND e.message_id < q.message_id
                  AND e.priority = q.priority AND (e.due_boot_ms > :now OR {_ELSEWHERE}))
"""

_COLUMNS = """q.message_id, q.upstream, q.priority, q.follows, q.accepted_boot_ms, q.recipient,
  (SELECT count(*) FROM part p WHERE p.message_id = q.message_id AND p.state = 'queued') AS parts"""

_OLDEST = f"""
SELECT {_COLUMNS} FROM queue q INDEXED BY queue_turn
WHERE q.route = :route AND q.upstream = :upstream AND {_MAY_GO}
ORDER BY q.follows DESC, q.priority DESC, q.message_id LIMIT 1
"""

_ELDER = f"""
SELECT {_COLUMNS} FROM queue q INDEXED BY queue_recipient
WHERE q.recipient = :recipient AND q.message_id < :message AND q.priority = :priority
  AND q.upstream != :upstream AND (q.route = :route OR (:takes_any AND q.route = '')) AND {_MAY_GO}
ORDER BY q.message_id LIMIT 1
"""


def candidate(
    connection: sqlite3.Connection,
    call: RouteCall,
    now: Instant,
    turns: Turns,
    *,
    is_route_blocked: bool,
    blocked: Mapping[str, int],
) -> sqlite3.Row | None:
    """The queue row to take. `blocked` are upstreams whose delay is running, `is_route_blocked` the route's own."""
    names = {f"b{index}": name for index, name in enumerate(blocked)}
    marks = ", ".join(f":{key}" for key in names) or "''"
    values: dict[str, Any] = {
        "now": now.boot_ms,
        # No schedule fires on a clock that may be wrong (DESIGN decision 10).
        "utc": now.utc_ms if call.clock_is_right else -1,
        "iccid": call.iccid,
        "urgent": URGENT_PRIORITY,
        "blocked": is_route_blocked,
        **names,
    }
    oldest = _OLDEST.format(blocked=marks)
    found = []
    for route in (call.name, "") if call.takes_any else (call.name,):
        for upstream in _waiting(connection, route):
            row = connection.execute(oldest, {**values, "route": route, "upstream": upstream}).fetchone()
            if row is not None:
                found.append(row)
    chosen = _first(found, turns)
    if chosen is None or len({row["upstream"] for row in found}) == 1:
        return chosen
    # It would overtake another upstream's earlier message to the same number: that one goes in its place.
    elder = connection.execute(
        _ELDER.format(blocked=marks),
        {
            **values,
            "route": call.name,
            "takes_any": call.takes_any,
            "recipient": chosen["recipient"],
            "message": chosen["message_id"],
            "priority": chosen["priority"],
            "upstream": chosen["upstream"],
        },
    ).fetchone()
    return chosen if elder is None or chosen["follows"] else elder


def has_elder_elsewhere(connection: sqlite3.Connection, iccid: str, now: Instant) -> bool:
    """Whether something may wait for an elder that another SIM is about to send."""
    query = f"SELECT 1 FROM queue e WHERE e.iccid IS NOT NULL AND {_ELSEWHERE} LIMIT 1"
    return connection.execute(query, {"iccid": iccid, "now": now.boot_ms}).fetchone() is not None


def _waiting(connection: sqlite3.Connection, route: str) -> Iterator[str]:
    """Upstreams with something in a route's queue: one jump along the index for each, however many messages wait."""
    query = "SELECT min(upstream) FROM queue WHERE route = ? AND upstream > ?"
    name: str | None = connection.execute(query, (route, "")).fetchone()[0]
    while name is not None:
        yield name
        name = connection.execute(query, (route, name)).fetchone()[0]


def _first(rows: Iterable[sqlite3.Row], turns: Turns) -> sqlite3.Row | None:
    def order(row: sqlite3.Row) -> tuple[int, int, int, int]:
        return -row["follows"], -row["priority"], turns.last(row["upstream"]), row["message_id"]

    return min(rows, key=order, default=None)
