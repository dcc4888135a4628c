"""Taking outbound messages in: each once, by its origin's id and by its Idempotency-Key."""

from __future__ import annotations

import json
import sqlite3
import uuid
from collections.abc import Sequence

from agent.clock import Instant
from agent.journal import billing, messages
from agent.journal.billing import Bill
from agent.model import Job, MessageKind, MessageState
from drivers.api import PlannedPart
from drivers.values import dataclass


class IdempotencyConflict(ValueError):
    """The same Idempotency-Key came with another request."""


@dataclass(frozen=True, slots=True)
class PreparedJob:
    """A validated job: where it may go and in which parts, or why it cannot be sent.

    `route` '' lets any route take it. `is_held` waits for a person (DESIGN decision 11). `is_free`: nobody asked
    for that route, so another may be chosen as long as nothing was tried.
    """

    job: Job
    number: str
    route: str
    parts: tuple[PlannedPart, ...]
    failure: str | None = None
    is_held: bool = False
    is_free: bool = False


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What became of one job. `is_new` is False where the journal knew it already."""

    message_id: int | None
    uid: str | None
    state: MessageState
    error: str | None
    is_new: bool


@dataclass(frozen=True, slots=True)
class Idempotency:
    """One Idempotency-Key of one account, with a digest of the request that came with it."""

    account: int
    key: str
    request: str


def accept(
    connection: sqlite3.Connection,
    upstream: str,
    jobs: Sequence[PreparedJob],
    now: Instant,
    idempotency: Idempotency | None = None,
    *,
    bill: Bill | None = None,
) -> list[Acceptance]:
    """Take jobs in. A job whose (upstream, remote id) or Idempotency-Key is known is answered, not repeated.
    With a bill they are paid for in the same transaction.

    Raises: IdempotencyConflict; NotEnoughCredit.
    """
    if idempotency is not None and (known := replayed(connection, idempotency)) is not None:
        return known
    results = [_accept_one(connection, upstream, prepared, now) for prepared in jobs]
    if bill is not None:
        paid = [(prepared.number, result) for prepared, result in zip(jobs, results, strict=True)]
        billing.charge(connection, bill, paid, now.utc_ms)
    if idempotency is not None:
        ids = [result.message_id for result in results if result.message_id is not None]
        connection.execute(
            "INSERT INTO idempotency VALUES (?, ?, ?, ?, ?)",
            (idempotency.account, idempotency.key, idempotency.request, json.dumps(ids), now.utc_ms),
        )
    return results


def replayed(connection: sqlite3.Connection, idempotency: Idempotency) -> list[Acceptance] | None:
    """What was answered to this key before, None where it is new. Raises: IdempotencyConflict."""
    ids = _replayed(connection, idempotency)
    return None if ids is None else [_acceptance(connection, message_id) for message_id in ids]


def forestall(connection: sqlite3.Connection, upstream: str, remote_id: str, now: Instant, *, why: str) -> bool:
    """Make an id known as cancelled before its job came, so that it is answered and never sent. False: known."""
    return _keep_key(connection, (upstream, remote_id, None, MessageState.CANCELLED, why, now.utc_ms))


# --- pieces -----------------------------------------------------------------------------------------


def _accept_one(connection: sqlite3.Connection, upstream: str, prepared: PreparedJob, now: Instant) -> Acceptance:
    job = prepared.job
    if job.remote_id is not None and (known := _known(connection, upstream, prepared)) is not None:
        return known
    state = MessageState.HELD if prepared.is_held else MessageState.QUEUED
    uid = str(uuid.uuid4())
    expires_ms = None if job.valid_for_s is None else now.utc_ms + round(job.valid_for_s * 1000)
    message_id = int(
        connection.execute(
            "INSERT INTO message (uid, direction, upstream, remote_id, account, device, number, text, state, "
            "priority, parts, wanted_route, valid_for_ms, expires_ms, remote_created_ms, created_ms, attributes, kind, "
            "details, starts_ms, wants_report, bundle, is_free) "
            "VALUES (?, 'outbound', ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                uid,
                upstream,
                job.remote_id,
                job.account,
                job.device,
                prepared.number,
                job.text,
                state,
                job.priority,
                max(1, len(prepared.parts)),
                prepared.route or None,
                None if job.valid_for_s is None else round(job.valid_for_s * 1000),
                expires_ms,
                job.created_ms,
                now.utc_ms,
                json.dumps(job.attributes),
                MessageKind.TEXT if job.data is None else MessageKind.DATA,
                json.dumps(job.details),
                job.starts_ms,
                job.wants_report,
                job.bundle,
                prepared.is_free,
            ),
        ).lastrowid
        or 0
    )
    # A job that cannot be planned still has one part, so that one transition table serves all.
    connection.executemany(
        "INSERT INTO part (message_id, sequence, state, alphabet, body, header, message_class) "
        "VALUES (?, ?, 'queued', ?, ?, ?, ?)",
        (
            (message_id, sequence, part.alphabet, part.body, part.header, part.message_class)
            for sequence, part in enumerate(prepared.parts or (PlannedPart("text", b""),), start=1)
        ),
    )
    if job.remote_id is not None:
        _keep_key(connection, (upstream, job.remote_id, message_id, state, None, now.utc_ms))
    price = job.attributes.get("price")
    messages.count_day(connection, now.utc_ms, job.account, "accepted", float(price or 0))
    messages.add_event(connection, now.utc_ms, "held" if prepared.is_held else "accepted", message_id=message_id)
    if prepared.failure is not None:
        messages.fail_queued(connection, message_id, now, error=prepared.failure)
        return Acceptance(message_id, uid, MessageState.FAILED, prepared.failure, is_new=True)
    if not prepared.is_held:
        messages.requeue(connection, message_id, now=now, is_bound=False)
    return Acceptance(message_id, uid, state, None, is_new=True)


def _known(connection: sqlite3.Connection, upstream: str, prepared: PreparedJob) -> Acceptance | None:
    """What became of a server's message that it gave before.

    An id of another server under the same name is another message, unless number and text are the same: then it is the
    same server at another address, and it is told of the message from now on.
    """
    job = prepared.job
    row = connection.execute(
        "SELECT k.message_id, k.state, k.error, k.generation = coalesce(u.generation, 0) AS is_current, "
        "u.generation, m.number, m.text, m.details FROM remote_key k LEFT JOIN upstream u ON u.name = k.upstream "
        "LEFT JOIN message m ON m.id = k.message_id WHERE k.upstream = ? AND k.remote_id = ?",
        (upstream, job.remote_id),
    ).fetchone()
    if row is None:
        return None
    if not row["is_current"]:
        given = (prepared.number, job.text, json.dumps(job.details))
        if row["message_id"] is None or given != (row["number"], row["text"], row["details"]):
            return None
        connection.execute(
            "UPDATE remote_key SET generation = ? WHERE upstream = ? AND remote_id = ?",
            (row["generation"], upstream, job.remote_id),
        )
    if row["message_id"] is not None:
        return _acceptance(connection, row["message_id"])
    return Acceptance(None, None, MessageState(row["state"]), row["error"], is_new=False)


def _keep_key(connection: sqlite3.Connection, values: tuple[str | int | None, ...]) -> bool:
    """An id is known from now on, in the place of one that another server gave under the same name. False: it was known
    before. `values` are those of all columns but the generation."""
    kept = connection.execute(
        "INSERT INTO remote_key VALUES (?1, ?2, ?3, ?4, ?5, ?6, "
        "coalesce((SELECT generation FROM upstream WHERE name = ?1), 0)) ON CONFLICT DO UPDATE SET "
        "message_id = excluded.message_id, state = excluded.state, error = excluded.error, "
        "seen_ms = excluded.seen_ms, generation = excluded.generation WHERE generation != excluded.generation",
        values,
    )
    return kept.rowcount > 0


def _replayed(connection: sqlite3.Connection, idempotency: Idempotency) -> list[int] | None:
    row = connection.execute(
        "SELECT request, message_ids FROM idempotency WHERE account = ? AND key = ?",
        (idempotency.account, idempotency.key),
    ).fetchone()
    if row is None:
        return None
    if row["request"] != idempotency.request:
        raise IdempotencyConflict("this Idempotency-Key was used for another request; use a new one")
    ids: list[int] = json.loads(row["message_ids"])
    return ids


def _acceptance(connection: sqlite3.Connection, message_id: int) -> Acceptance:
    row = connection.execute("SELECT uid, state, error FROM message WHERE id = ?", (message_id,)).fetchone()
    if row is None:
        return Acceptance(message_id, None, MessageState.CANCELLED, "it was deleted", is_new=False)
    return Acceptance(message_id, row["uid"], MessageState(row["state"]), row["error"], is_new=False)
