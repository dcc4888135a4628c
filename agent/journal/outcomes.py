"""Writing down what became of a claimed part, whoever tells it: the session, the line after a reopen, or nobody."""

from __future__ import annotations

import sqlite3

from agent.clock import Instant
from agent.journal import evidence, messages, usage
from agent.journal.dispatch import Claim
from agent.model import PART_MOVES, AttemptOutcome, PartState
from drivers.api import (
    LateOutcome,
    NotReady,
    OutcomeUnknown,
    Refused,
    RouteRefused,
    SubmitError,
    Submitted,
    TryLater,
)
from drivers.values import dataclass

# Waits of a part that is not to blame (no service, SIM refused), doubling from the first to the longest.
_NOT_READY_FIRST_S = 2.0
_NOT_READY_LONGEST_S = 60.0


@dataclass(frozen=True, slots=True)
class Finished:
    """What became of a claimed part."""

    claim: Claim
    result: Submitted | SubmitError


def finish(connection: sqlite3.Connection, finished: Finished, now: Instant) -> None:
    """Write an outcome down and move the part."""
    claim_, result = finished.claim, finished.result
    row = evidence.attempt(connection, claim_.attempt_id)
    if row is None or row["outcome"] != AttemptOutcome.OPEN:
        return  # the message was deleted, or evidence settled it first
    if isinstance(result, Submitted):
        is_asked = result.report_asked and (bool(row["report_asked"]) or result.reports_anyway)
        if is_asked != bool(row["report_asked"]):
            connection.execute("UPDATE attempt SET report_asked = ? WHERE id = ?", (is_asked, claim_.attempt_id))
            row = evidence.attempt(connection, claim_.attempt_id)
        evidence.settle_sent(connection, row, result.tp_mr, now)
    elif isinstance(result, OutcomeUnknown):
        evidence.settle_unknown(connection, claim_.attempt_id, str(result), now)
    else:
        settle_error(connection, claim_.attempt_id, result, now)
        return
    keep_pace(connection, row["route"], claim_.upstream, now)


def settle_error(connection: sqlite3.Connection, attempt_id: int, error: SubmitError, now: Instant) -> None:
    """A submit that certainly sent nothing: fail the part, or put it back with its wait."""
    row = connection.execute(
        "SELECT a.message_id, a.sequence, a.route, a.iccid, p.tries, p.state, m.cancel_asked FROM attempt a "
        "JOIN part p USING (message_id, sequence) JOIN message m ON m.id = a.message_id WHERE a.id = ?",
        (attempt_id,),
    ).fetchone()
    not_ready = connection.execute(
        "SELECT count(*) FROM attempt WHERE message_id = ? AND sequence = ? AND outcome = 'not_sent'",
        (row["message_id"], row["sequence"]),
    ).fetchone()[0]
    wait_s = _retry_wait_s(error, row["tries"], not_ready)
    is_final = wait_s is None
    outcome = AttemptOutcome.REFUSED if is_final else AttemptOutcome.NOT_SENT
    connection.execute("UPDATE attempt SET outcome = ?, code = ? WHERE id = ?", (outcome, error.code, attempt_id))
    usage.give_back(connection, row["iccid"])
    where = (row["message_id"], row["sequence"])
    origin = (PartState(row["state"]),)
    if PartState.QUEUED not in PART_MOVES[origin[0]]:
        return  # a report has settled the part meanwhile
    if is_final:
        sentence = _final_sentence(error)
        messages.move(
            connection, *where, origin, PartState.FAILED, at_ms=now.utc_ms, kind="failed",
            route=row["route"], detail=sentence, error=sentence,
        )  # fmt: skip
        return
    if not isinstance(error, TryLater):
        connection.execute("UPDATE part SET tries = tries - 1 WHERE message_id = ? AND sequence = ?", where)
    messages.move(
        connection, *where, origin, PartState.QUEUED, at_ms=now.utc_ms, kind="retry",
        route=row["route"], detail=f"{error}; next try in {wait_s:.0f} s",
    )  # fmt: skip
    if row["cancel_asked"]:
        messages.fail_queued(connection, row["message_id"], now, error="cancelled before it could be sent again")
        return
    is_bound = bool(connection.execute(
        "SELECT 1 FROM attempt WHERE message_id = ? AND outcome NOT IN ('not_sent', 'refused')",
        (row["message_id"],),
    ).fetchone())  # fmt: skip
    if not is_bound:
        # Nothing ever left: the message is free again to take another SIM.
        connection.execute(
            "UPDATE message SET route = NULL, iccid = NULL, reference = NULL WHERE id = ?",
            (row["message_id"],),
        )
    messages.requeue(connection, row["message_id"], now=now, wait_ms=round((wait_s or 0) * 1000), is_bound=is_bound)
    evidence.apply_earlier(connection, *where, now)


def give_back(connection: sqlite3.Connection, attempt_id: int, now: Instant) -> None:
    """Undo a claim whose part certainly was not submitted."""
    row = connection.execute("SELECT outcome FROM attempt WHERE id = ?", (attempt_id,)).fetchone()
    if row is not None and row["outcome"] == AttemptOutcome.OPEN:
        settle_error(connection, attempt_id, NotReady("the modem was gone before it could be sent"), now)


def settle_leftovers(connection: sqlite3.Connection, now: Instant, route: str | None = None) -> int:
    """Submits that were under way when the daemon or the route ended have an unknown outcome. Returns how many.

    Nobody knows when such a part left, so its route and its upstream begin their delays now.
    """
    # The first condition is the index's own (attempt_open).
    rows = connection.execute(
        "SELECT a.id, a.route, m.upstream FROM attempt a JOIN message m ON m.id = a.message_id "
        "WHERE a.outcome IN ('open', 'unknown') AND a.outcome = 'open' AND a.route NOT LIKE '@%' "
        "AND (?1 IS NULL OR a.route = ?1)",
        (route,),
    ).fetchall()
    for attempt_id, name, upstream in rows:
        evidence.settle_unknown(connection, attempt_id, "the link ended while it was being sent", now)
        keep_pace(connection, name, upstream, now)
    return len(rows)


def settle_late(connection: sqlite3.Connection, route: str, late: LateOutcome, now: Instant) -> bool:
    """An answer found in the line settles the newest unknown attempt of route and SIM. Whether there was one."""
    attempt_id = evidence.late_attempt(connection, route, late.iccid)
    if attempt_id is None:
        return False
    if late.submitted is not None:
        evidence.settle_sent(connection, evidence.attempt(connection, attempt_id), late.submitted.tp_mr, now)
    elif late.error is not None and not isinstance(late.error, OutcomeUnknown):
        settle_error(connection, attempt_id, late.error, now)
    return True


def keep_pace(connection: sqlite3.Connection, route: str, upstream: str, now: Instant) -> None:
    """Remember when a route and an upstream's device last finished a message."""
    connection.execute(
        "INSERT INTO pace VALUES (?1, ?3, ?4, ?5), (?2, ?3, ?4, ?5) ON CONFLICT DO UPDATE SET "
        "utc_ms = excluded.utc_ms, boot_id = excluded.boot_id, boot_ms = excluded.boot_ms",
        (f"route:{route}", f"upstream:{upstream}", now.utc_ms, now.boot_id, now.boot_ms),
    )


# --- pieces -----------------------------------------------------------------------------------------


def _retry_wait_s(error: SubmitError, tries: int, not_sent: int) -> float | None:
    """Seconds until the next try, None where there is none."""
    if isinstance(error, TryLater):
        return error.delays_s[tries - 1] if tries <= len(error.delays_s) else None
    if isinstance(error, NotReady | RouteRefused):
        return min(_NOT_READY_LONGEST_S, _NOT_READY_FIRST_S * 2.0 ** min(not_sent, 10))
    return None


def _final_sentence(error: SubmitError) -> str:
    code = f" ({error.code})" if error.code else ""
    if isinstance(error, Refused):
        return f"{error}{code}"
    return f"{error}{code}; no more tries"
