"""The queue: claiming the next part for a route. What becomes of a claim is written down by `outcomes`.

Recording the outcome of one part and claiming the next is meant to be one transaction (DESIGN decision 1):
call `outcomes.finish` and `claim` from one write.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import field, replace

from agent import pacing
from agent.clock import Instant
from agent.journal import choosing, evidence, messages, upstream_pace, usage
from agent.journal.choosing import Turns
from agent.model import URGENT_PRIORITY, PartState
from drivers.api import (
    PartToSend,
)
from drivers.values import dataclass

_REFERENCES = 256
# Whether an elder message to the same number has gone is looked at this often.
_ELDER_LOOK_MS = 250
# A scheduled start is looked at this often: the wall clock may be set, or become right, meanwhile.
_LONGEST_START_WAIT_MS = 30_000


@dataclass(frozen=True, slots=True)
class RouteCall:
    """A route asking for work. `may_send` is False while it is paused, parked or without service; `takes_any`
    is False for a route that serves only what is meant for it.

    `views` tells per upstream that can be asked the CLOCK_BOOTTIME (ms) at which we last saw its pending list.
    """

    name: str
    iccid: str
    limits: pacing.Limits
    may_send: bool
    takes_any: bool
    reports_asked: bool
    clock_is_right: bool
    views: Mapping[str, int] = field(default_factory=dict)
    view_age_ms: int = 5_000


@dataclass(frozen=True, slots=True)
class Claim:
    """One part, now SENDING, with its open attempt.

    `tries` counts this one. `waited_ms` is the time since acceptance, None where it is not the message's first submit.
    """

    attempt_id: int
    message_id: int
    upstream: str
    part: PartToSend
    tries: int = 1
    waited_ms: int | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Nothing:
    """No work now. `due_boot_ms` is when there may be some (None: when told). `ask` names an upstream whose
    pending list must be looked at first."""

    due_boot_ms: int | None = None
    ask: str | None = None


def claim(connection: sqlite3.Connection, call: RouteCall, now: Instant, turns: Turns | None = None) -> Claim | Nothing:
    """Take the next part for a route: priority first, then the upstreams in turns, then age; and nothing past a
    waiting elder to the same number."""
    turns = turns or Turns()
    if call.clock_is_right:
        expire(connection, now)
    if not call.may_send:
        return Nothing()
    held = hold(connection, call, now)
    paces = upstream_pace.paced(connection)
    blocked = blocked_by_pace(connection, paces, call, now)
    row = choosing.candidate(connection, call, now, turns, is_route_blocked=held is not None, blocked=blocked)
    if row is None:
        return _next_due(connection, call, now, held, blocked)
    if row["parts"] > 1 and not row["follows"] and row["priority"] < URGENT_PRIORITY:
        # All of a message or nothing: its parts follow each other past every limit.
        held = hold(connection, call, now, parts=row["parts"])
        if held is not None:
            return Nothing(due_boot_ms=now.boot_ms + held.wait_ms)
    upstream = row["upstream"]
    if (
        upstream in call.views
        and not row["follows"]
        and now.boot_ms - row["accepted_boot_ms"] > call.view_age_ms
        and now.boot_ms - call.views[upstream] > call.view_age_ms
    ):
        return Nothing(ask=upstream)
    turns.take(upstream)
    return _take(connection, row, call, now, is_paced=upstream in paces)


def has_work(connection: sqlite3.Connection, call: RouteCall, now: Instant) -> bool:
    """Whether `claim` would find something if the route could send, or an outcome waits for evidence of its SIM."""
    if evidence.has_leftover(connection, call.name):
        return True
    is_held = hold(connection, call, now) is not None
    blocked = blocked_by_pace(connection, upstream_pace.paced(connection), call, now)
    return choosing.candidate(connection, call, now, Turns(), is_route_blocked=is_held, blocked=blocked) is not None


def has_expired(connection: sqlite3.Connection, utc_ms: int) -> bool:
    """Whether `expire` would find something."""
    return connection.execute("SELECT 1 FROM queue WHERE expires_ms <= ?", (utc_ms,)).fetchone() is not None


def expire(connection: sqlite3.Connection, now: Instant) -> None:
    """Expire what nobody tried in time. Only on a clock that is right (DESIGN decision 10)."""
    rows = connection.execute("SELECT message_id FROM queue WHERE expires_ms <= ? LIMIT 100", (now.utc_ms,)).fetchall()
    for (message_id,) in rows:
        first = connection.execute(
            "SELECT min(sequence) FROM part WHERE message_id = ? AND state = 'queued'", (message_id,)
        ).fetchone()[0]
        messages.move(
            connection, message_id, first, (PartState.QUEUED,), PartState.EXPIRED, at_ms=now.utc_ms,
            kind="expired", error="it could not be sent before its validity ended",
        )  # fmt: skip


def rebase(connection: sqlite3.Connection, now: Instant) -> None:
    """At start: turn waits that were counted in another boot into waits of this one (DESIGN decision 10)."""
    known = connection.execute("SELECT value FROM meta WHERE key = 'boot_id'").fetchone()
    if known is not None and known[0] == now.boot_id:
        return
    connection.execute(
        "UPDATE queue SET accepted_boot_ms = ?1, due_boot_ms = CASE WHEN wait_ms = 0 THEN 0 ELSE "
        "?1 + min(wait_ms, max(0, wait_ms - (?2 - since_utc_ms))) END",
        (now.boot_ms, now.utc_ms),
    )
    connection.execute(
        "INSERT INTO meta VALUES ('boot_id', ?) ON CONFLICT DO UPDATE SET value = excluded.value",
        (now.boot_id,),
    )


def hold(connection: sqlite3.Connection, call: RouteCall, now: Instant, *, parts: int = 1) -> pacing.Hold | None:
    """What keeps a route from sending a message of so many parts that is not urgent; None where nothing does."""
    assumed_ms = usage.assumed_now_ms(connection, call.iccid, now.utc_ms, clock_is_right=call.clock_is_right)
    return pacing.hold(
        call.limits,
        usage.of(connection, call.iccid, _last_end(connection, call)),
        now if assumed_ms == now.utc_ms else replace(now, utc_ms=assumed_ms),
        clock_is_right=call.clock_is_right,
        parts=parts,
    )


def blocked_by_pace(
    connection: sqlite3.Connection, paces: Mapping[str, sqlite3.Row], call: RouteCall, now: Instant
) -> dict[str, int]:
    """Those of `upstream_pace.paced` that may not begin a message by this route now, see `upstream_pace.blocked`."""
    zone = call.limits.timezone if call.clock_is_right else None
    return upstream_pace.blocked(connection, paces, call.name, zone, now)


# --- pieces of a claim ------------------------------------------------------------------------------


def _next_due(
    connection: sqlite3.Connection,
    call: RouteCall,
    now: Instant,
    held: pacing.Hold | None,
    blocked: Mapping[str, int],
) -> Nothing:
    """When to ask again: the earliest wait in the queue, or the end of a delay that holds something up."""
    waits = []
    is_held_up = False
    for route in (call.name, "") if call.takes_any else (call.name,):
        due, ready = connection.execute(
            "SELECT min(CASE WHEN due_boot_ms > ?2 THEN due_boot_ms END), "
            "max(due_boot_ms <= ?2 AND (starts_ms IS NULL OR starts_ms <= ?3)) FROM queue WHERE route = ?1",
            (route, now.boot_ms, now.utc_ms if call.clock_is_right else -1),
        ).fetchone()
        if due is not None:
            waits.append(due)
        is_held_up = is_held_up or bool(ready)
    start = connection.execute(
        "SELECT min(starts_ms) FROM queue WHERE starts_ms > ?1", (now.utc_ms if call.clock_is_right else -1,)
    ).fetchone()[0]
    if start is not None:
        # Looked at again soon, since the wall clock may be set meanwhile.
        waits.append(now.boot_ms + min(_LONGEST_START_WAIT_MS, max(0, start - now.utc_ms) or _LONGEST_START_WAIT_MS))
    if is_held_up:
        if choosing.has_elder_elsewhere(connection, call.iccid, now):
            # Nobody tells this route when the other one has taken it.
            waits.append(now.boot_ms + _ELDER_LOOK_MS)
        if held is not None:
            waits.append(now.boot_ms + held.wait_ms)
        waits.extend(now.boot_ms + left for left in blocked.values() if left)
    return Nothing(due_boot_ms=min(waits, default=None))


def _take(
    connection: sqlite3.Connection, queued: sqlite3.Row, call: RouteCall, now: Instant, *, is_paced: bool
) -> Claim:
    """Move a message's next part to SENDING. `queued` is a row of `choosing.candidate`."""
    message_id = queued["message_id"]
    message = connection.execute(
        "SELECT upstream, number, parts, route, iccid, reference, valid_for_ms, expires_ms, starts_ms, wants_report "
        "FROM message WHERE id = ?",
        (message_id,),
    ).fetchone()
    part = connection.execute(
        "SELECT sequence, alphabet, body, header, message_class, tries FROM part "
        "WHERE message_id = ? AND state = 'queued' ORDER BY sequence",
        (message_id,),
    ).fetchall()
    sequence, alphabet, body, header, message_class, tries = part[0]
    waited_ms = None
    if message["iccid"] is None and tries == 0:
        waited_ms = now.boot_ms - queued["accepted_boot_ms"]
    reference = message["reference"]
    binding = None
    if message["route"] is None or message["iccid"] is None:
        reference = _next_reference(connection, call.iccid) if message["parts"] > 1 else 0
        binding = messages.Binding(call.name, call.iccid, reference)
    asks = call.reports_asked and bool(message["wants_report"])
    asks = asks and evidence.can_tell_reports_apart(connection, call.iccid, now)
    attempt_id = connection.execute(
        "INSERT INTO attempt (message_id, sequence, route, iccid, recipient, recipient_tail, at_ms, boot_id, "
        "boot_ms, report_asked, outcome) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open')",
        (
            message_id, sequence, call.name, call.iccid, message["number"],
            evidence.recipient_tail(message["number"]), now.utc_ms, now.boot_id, now.boot_ms, asks,
        ),
    ).lastrowid  # fmt: skip
    if sequence == 1 and is_paced:
        upstream_pace.begin(connection, message["upstream"], message_id, now)
    usage.count(connection, call.iccid, now.utc_ms, clock_is_right=call.clock_is_right)
    # A message in the air leaves the queue, so that only one of its parts is ever claimed; see settle_sent.
    connection.execute("DELETE FROM queue WHERE message_id = ?", (message_id,))
    messages.move(
        connection, message_id, sequence, (PartState.QUEUED,), PartState.SENDING,
        at_ms=now.utc_ms, kind="sending", route=call.name, is_try=True, binding=binding,
    )  # fmt: skip
    valid_for_ms = message["valid_for_ms"]
    if valid_for_ms is not None and message["starts_ms"] is not None:
        valid_for_ms = max(1000, message["expires_ms"] - now.utc_ms)
    return Claim(
        attempt_id=int(attempt_id or 0),
        message_id=message_id,
        upstream=message["upstream"],
        part=PartToSend(
            recipient=message["number"],
            alphabet=alphabet,
            body=body,
            total=message["parts"],
            sequence=sequence,
            reference=reference or 0,
            status_report=asks,
            validity_s=None if valid_for_ms is None else valid_for_ms // 1000,
            more_follow=len(part) > 1,
            header=header,
            message_class=message_class,
        ),
        tries=tries + 1,
        waited_ms=waited_ms,
    )


def _next_reference(connection: sqlite3.Connection, iccid: str) -> int:
    """The next concatenation reference of a SIM: a receiver joins by sender, so it counts per SIM."""
    row = connection.execute(
        "INSERT INTO sim_fact VALUES (?, 'reference', '1') "
        "ON CONFLICT DO UPDATE SET value = (CAST(value AS INTEGER) + 1) % ? RETURNING value",
        (iccid, _REFERENCES),
    ).fetchone()
    return int(row[0])


def _last_end(connection: sqlite3.Connection, call: RouteCall) -> Instant | None:
    """When the route last finished a message; None also where nothing depends on it."""
    if call.limits.send_delay_s <= 0:
        return None
    row = connection.execute(
        "SELECT utc_ms, boot_id, boot_ms FROM pace WHERE key = ?", (f"route:{call.name}",)
    ).fetchone()
    return None if row is None else Instant(*row)
