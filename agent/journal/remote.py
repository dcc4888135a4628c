"""Messages of remote agents: claimed before they are handed out, reported by the agent, and what it hands in.

A message for device 7 waits in the queue under the route "@7". Claimed, its parts are SENDING with an open
attempt on that route, so that nobody else takes them and a cancel comes too late; the agent's report or release
ends the attempt. The agent plans parts by itself; here all parts of a message move together.
"""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Sequence
from typing import Literal

from agent.clock import Instant
from agent.journal import dispatch, evidence, inbound, messages, rows
from agent.model import AttemptOutcome, Message, MessageState, PartState
from drivers.values import dataclass

_P = PartState

# What an agent says, as the moves that lead there from each state; a part in another state stays as it is.
_STEPS: dict[PartState, dict[PartState, tuple[PartState, ...]]] = {
    _P.SENT: {
        _P.QUEUED: (_P.SENT,),
        _P.SENDING: (_P.SENT,),
        _P.UNKNOWN: (_P.SENT,),
    },
    _P.DELIVERED: {
        _P.QUEUED: (_P.DELIVERED,),
        _P.SENDING: (_P.SENT, _P.DELIVERED),
        _P.UNKNOWN: (_P.DELIVERED,),
        _P.SENT: (_P.DELIVERED,),
        _P.FAILED: (_P.DELIVERED,),
        _P.UNDELIVERED: (_P.DELIVERED,),
    },
    _P.FAILED: {
        _P.QUEUED: (_P.FAILED,),
        _P.SENDING: (_P.FAILED,),
        _P.UNKNOWN: (_P.FAILED,),
        _P.SENT: (_P.UNDELIVERED,),
    },
}
_OUTCOMES = {
    _P.SENT: AttemptOutcome.SENT,
    _P.DELIVERED: AttemptOutcome.DELIVERED,
    _P.FAILED: AttemptOutcome.REFUSED,
}


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits unclaimed for a device: how many, and the newest one's id (0: none)."""

    count: int
    newest: int


@dataclass(frozen=True, slots=True)
class RemoteDevice:
    """A remote agent, as far as its pool is concerned."""

    number: int
    account: int
    pool: str | None
    is_active: bool


@dataclass(frozen=True, slots=True)
class HandedIn:
    """An inbound message as an agent hands it in. `remote_id` is its fixed id; times are UTC ms."""

    remote_id: str
    sender: str
    text: str
    received_ms: int | None
    account: int
    is_owner: bool
    device: int | None
    sim_slot: int | None


def route_of(device: int) -> str:
    """The name under which a device's messages wait."""
    return f"@{device}"


def waiting(connection: sqlite3.Connection, device: int) -> Waiting:
    """What waits unclaimed for a device."""
    row = connection.execute(
        "SELECT count(*), coalesce(max(message_id), 0) FROM queue WHERE route = ?", (route_of(device),)
    ).fetchone()
    return Waiting(row[0], row[1])


def claimed(connection: sqlite3.Connection, device: int) -> list[Message]:
    """What a device claimed and has not reported yet, oldest first."""
    return _messages(connection, _claimed(connection, route_of(device)))


def claim(
    connection: sqlite3.Connection, device: int, limit: int, now: Instant, *, clock_is_right: bool
) -> list[Message]:
    """Hand out at most `limit` waiting messages. Returns them behind those that were claimed before and not
    reported yet, so that an agent that lost an answer gets them again."""
    route = route_of(device)
    if clock_is_right:
        dispatch.expire(connection, now)
    before = _claimed(connection, route)
    found = connection.execute(
        "SELECT message_id FROM queue WHERE route = ? AND due_boot_ms <= ? AND (starts_ms IS NULL OR starts_ms <= ?) "
        "ORDER BY priority DESC, message_id LIMIT ?",
        (route, now.boot_ms, now.utc_ms if clock_is_right else -1, limit),
    ).fetchall()
    taken = [row[0] for row in found]
    for message_id in taken:
        _take(connection, message_id, route, now)
    return _messages(connection, [*before, *taken])


def claim_these(connection: sqlite3.Connection, device: int, ids: Sequence[int], now: Instant) -> int:
    """Claim those of these messages that still wait for the device: a plain list of pending ones is a pull.
    Returns how many."""
    route = route_of(device)
    found = connection.execute(
        "SELECT message_id FROM queue WHERE route = ? AND message_id IN (SELECT value FROM json_each(?)) "
        "AND (starts_ms IS NULL OR starts_ms <= ?) ORDER BY message_id",
        (route, json.dumps(list(ids)), now.utc_ms),
    ).fetchall()
    for (message_id,) in found:
        _take(connection, message_id, route, now)
    return len(found)


def release(connection: sqlite3.Connection, device: int, ids: Sequence[int], now: Instant) -> list[int]:
    """The agent certainly did not send these: they wait again. Returns which of them were claimed."""
    claimed = set(_claimed(connection, route_of(device)))
    released = [message_id for message_id in dict.fromkeys(ids) if message_id in claimed]
    for message_id in released:
        _end_attempts(connection, message_id, AttemptOutcome.NOT_SENT)
        for sequence, state in _parts(connection, message_id):
            if state is _P.SENDING:
                messages.move(
                    connection, message_id, sequence, (_P.SENDING,), _P.QUEUED, at_ms=now.utc_ms,
                    kind="released", route=route_of(device), detail="the agent gave it back",
                )  # fmt: skip
        asked = connection.execute("SELECT cancel_asked FROM message WHERE id = ?", (message_id,)).fetchone()[0]
        connection.execute("UPDATE message SET route = NULL WHERE id = ?", (message_id,))
        if asked:
            messages.fail_queued(connection, message_id, now, error="cancelled before it could be sent again")
        else:
            messages.requeue(connection, message_id, now=now, is_bound=False)
    return released


def report(
    connection: sqlite3.Connection, message_id: int, said: PartState, error: str | None, now: Instant
) -> MessageState | None:
    """Take an agent's word for SENT, DELIVERED or FAILED. Returns the message's state, None where it was deleted;
    a word that comes too late for the transition table changes nothing."""
    row = connection.execute("SELECT route FROM message WHERE id = ?", (message_id,)).fetchone()
    if row is None:
        return None
    route = row["route"]
    sentence = error or "the device could not send it"
    for sequence, state in _parts(connection, message_id):
        origin = state
        for target in _STEPS[said].get(state, ()):
            is_bad = target in (_P.FAILED, _P.UNDELIVERED)
            messages.move(
                connection, message_id, sequence, (origin,), target, at_ms=now.utc_ms, kind=target.value,
                route=route, detail=sentence if is_bad else None, error=sentence if is_bad else None,
            )  # fmt: skip
            origin = target
        if origin in (_P.FAILED, _P.UNDELIVERED):
            break  # the move has cancelled its siblings
    connection.execute("DELETE FROM queue WHERE message_id = ?", (message_id,))
    _end_attempts(connection, message_id, _OUTCOMES[said])
    row = connection.execute("SELECT state FROM message WHERE id = ?", (message_id,)).fetchone()
    return MessageState(row[0])


def take_inbound(connection: sqlite3.Connection, handed: HandedIn, now: Instant) -> tuple[Message, bool]:
    """Keep an inbound message of an agent, once per fixed id. Whether it is new.

    The remote key is the account's, so that one account cannot guess at another's ids.
    """
    namespace = f"@in:{handed.account}"
    known = connection.execute(
        "SELECT message_id FROM remote_key WHERE upstream = ? AND remote_id = ?", (namespace, handed.remote_id)
    ).fetchone()
    if known is not None:
        found = _messages(connection, [known[0]])
        return (found[0] if found else _gone(handed, now)), False
    account = inbound.account_of(connection, handed.sender, now) if handed.is_owner else handed.account
    attributes: dict[str, str | int] = {}
    if handed.sim_slot is not None:
        attributes["sim_slot"] = handed.sim_slot
    # An agent's clock may be wrong: a time in the future is ours.
    created_ms = now.utc_ms if handed.received_ms is None else min(handed.received_ms, now.utc_ms)
    message_id = int(
        connection.execute(
            "INSERT INTO message (uid, direction, account, device, number, text, state, route, created_ms, attributes) "
            "VALUES (?, 'inbound', ?, ?, ?, ?, 'received', ?, ?, ?)",
            (
                _free_uid(connection, handed.remote_id), account, handed.device, handed.sender, handed.text,
                None if handed.device is None else route_of(handed.device), created_ms, json.dumps(attributes),
            ),
        ).lastrowid
        or 0
    )  # fmt: skip
    connection.execute(
        "INSERT INTO remote_key VALUES (?, ?, ?, 'received', NULL, ?, 0)",
        (namespace, handed.remote_id, message_id, now.utc_ms),
    )
    messages.count_day(connection, now.utc_ms, account, "received")
    messages.add_event(connection, now.utc_ms, "received", message_id=message_id)
    return _messages(connection, [message_id])[0], True


# --- agents that vanished ---------------------------------------------------------------------------


def devices(connection: sqlite3.Connection) -> list[RemoteDevice]:
    """All remote agents of all accounts."""
    found = connection.execute("SELECT id, account, pool, is_active FROM device WHERE route IS NULL ORDER BY id")
    return [RemoteDevice(row[0], row[1], row[2], bool(row[3])) for row in found]


def with_work(connection: sqlite3.Connection) -> list[RemoteDevice]:
    """Those for whom something waits, or who claimed something and did not report it."""
    busy = {
        row[0]
        for row in connection.execute(
            "SELECT DISTINCT route FROM queue WHERE route GLOB '@*' UNION SELECT DISTINCT route FROM attempt "
            "WHERE outcome IN ('open', 'unknown') AND outcome = 'open' AND route GLOB '@*'"
        )
    }
    return [device for device in devices(connection) if route_of(device.number) in busy] if busy else []


def move_unclaimed(connection: sqlite3.Connection, device: int, others: Sequence[int], now: Instant) -> int:
    """What waits unclaimed for a device goes to others, whoever has least first. Returns how many."""
    found = connection.execute(
        "SELECT message_id FROM queue WHERE route = ? ORDER BY message_id LIMIT 500", (route_of(device),)
    ).fetchall()
    load = {other: waiting(connection, other).count for other in others}
    for (message_id,) in found:
        _hand_over(connection, message_id, load, now, why=f"device {device} is gone")
        connection.execute(
            "UPDATE queue SET route = (SELECT wanted_route FROM message WHERE id = ?1) WHERE message_id = ?1",
            (message_id,),
        )
    return len(found)


def settle_claims(
    connection: sqlite3.Connection, device: int, others: Sequence[int], policy: Literal["resend", "fail"], now: Instant
) -> int:
    """The outcome of what a vanished device claimed is unknown for good: resent by others, once and flagged, or
    failed (DESIGN decision 7). Returns how many messages."""
    load = {other: waiting(connection, other).count for other in others}
    claimed = _claimed(connection, route_of(device))[:500]
    for message_id in claimed:
        attempts = connection.execute(
            "SELECT id FROM attempt WHERE message_id = ? AND outcome IN ('open', 'unknown') AND outcome = 'open'",
            (message_id,),
        ).fetchall()
        for (attempt_id,) in attempts:
            evidence.settle_unknown(connection, attempt_id, "the agent that had it is gone", now)
        for (attempt_id,) in attempts:
            evidence.give_up_waiting(connection, attempt_id, policy, now)
        if any(state is _P.QUEUED for _, state in _parts(connection, message_id)):
            _hand_over(connection, message_id, load, now, why=f"device {device} is gone")
            connection.execute("UPDATE message SET route = NULL WHERE id = ?", (message_id,))
            messages.requeue(connection, message_id, now=now, is_bound=False)
    return len(claimed)


def _hand_over(
    connection: sqlite3.Connection, message_id: int, load: dict[int, int], now: Instant, *, why: str
) -> None:
    target = min(load, key=lambda other: (load[other], other))
    load[target] += 1
    connection.execute(
        "UPDATE message SET device = ?, wanted_route = ? WHERE id = ?", (target, route_of(target), message_id)
    )
    messages.add_event(connection, now.utc_ms, "rerouted", message_id=message_id, route=route_of(target), detail=why)


# --- pieces -----------------------------------------------------------------------------------------


def _take(connection: sqlite3.Connection, message_id: int, route: str, now: Instant) -> None:
    number = connection.execute("SELECT number FROM message WHERE id = ?", (message_id,)).fetchone()[0]
    connection.execute("UPDATE message SET route = ? WHERE id = ?", (route, message_id))
    connection.execute("DELETE FROM queue WHERE message_id = ?", (message_id,))
    for sequence, state in _parts(connection, message_id):
        if state is not _P.QUEUED:
            continue
        connection.execute(
            "UPDATE part SET tries = tries + 1 WHERE message_id = ? AND sequence = ?", (message_id, sequence)
        )
        connection.execute(
            "INSERT INTO attempt (message_id, sequence, route, recipient, recipient_tail, at_ms, boot_id, boot_ms, "
            "outcome) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 'open')",
            (
                message_id, sequence, route, number, evidence.recipient_tail(number), now.utc_ms, now.boot_id,
                now.boot_ms,
            ),
        )  # fmt: skip
        messages.move(
            connection, message_id, sequence, (_P.QUEUED,), _P.SENDING, at_ms=now.utc_ms, kind="claimed", route=route
        )


def _claimed(connection: sqlite3.Connection, route: str) -> list[int]:
    found = connection.execute(
        "SELECT DISTINCT message_id FROM attempt WHERE outcome IN ('open', 'unknown') AND outcome = 'open' "
        "AND route = ? ORDER BY message_id",
        (route,),
    )
    return [row[0] for row in found]


def _parts(connection: sqlite3.Connection, message_id: int) -> list[tuple[int, PartState]]:
    found = connection.execute(
        "SELECT sequence, state FROM part WHERE message_id = ? ORDER BY sequence", (message_id,)
    ).fetchall()
    return [(row[0], PartState(row[1])) for row in found]


def _end_attempts(connection: sqlite3.Connection, message_id: int, outcome: AttemptOutcome) -> None:
    connection.execute(
        "UPDATE attempt SET outcome = ? WHERE message_id = ? AND outcome IN ('open', 'unknown', 'sent')",
        (outcome, message_id),
    )


def _messages(connection: sqlite3.Connection, ids: Sequence[int]) -> list[Message]:
    found = {
        row["id"]: rows.message(row)
        for row in connection.execute(
            f"SELECT {rows.MESSAGE_COLUMNS} FROM message m WHERE m.id IN (SELECT value FROM json_each(?))",
            (json.dumps(list(ids)),),
        )
    }
    return [found[message_id] for message_id in ids if message_id in found]


def _free_uid(connection: sqlite3.Connection, wanted: str) -> str:
    """The agent's fixed id as ours too, so that receivers on both sides see one id; another where it is taken."""
    is_taken = connection.execute("SELECT 1 FROM message WHERE uid = ?", (wanted,)).fetchone()
    return str(uuid.uuid4()) if is_taken or wanted.isdecimal() else wanted


def _gone(handed: HandedIn, now: Instant) -> Message:
    """An inbound message that was handed in before and deleted since."""
    return Message(
        id=0, uid=handed.remote_id, direction="inbound", upstream=None, remote_id=None, account=handed.account,
        device=handed.device, number=handed.sender, text="", state=MessageState.RECEIVED, priority=0, parts=1,
        route=None, iccid=None, error=None, may_be_double=False, created_ms=now.utc_ms, sent_ms=None,
        delivered_ms=None, attributes={},
    )  # fmt: skip
