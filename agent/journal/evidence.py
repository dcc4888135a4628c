"""What is known of a submit: answers, late answers, status reports, and the end of waiting for them.

Any attempt delivered means the part is delivered; what settles an unknown outcome, best first, is in DESIGN
decision 7. A report belongs to the attempt with its (ICCID, TP-MR, recipient), else to the only open attempt
without a TP-MR to that recipient on that SIM.
"""

from __future__ import annotations

import hashlib
import sqlite3
from typing import Any, Literal

from agent.clock import Instant
from agent.journal import messages
from agent.model import PART_MOVES, AttemptOutcome, PartState
from agent.watch import Span, watched_ms
from drivers.api import MayBeDouble, ReportOutcome, StatusReport

_TAIL_DIGITS = 8
_SHORT_CODE_DIGITS = 6
# A report without a fitting number is believed if it can mean only one attempt of the last day.
_LOOSE_MATCH_MS = 86_400_000
# More outstanding reports than this, and a TP-MR no longer tells which part it means.
_MOST_PENDING = 200
_TP_MR_VALUES = 256
# What is younger is on its way, and what is older than a validity of two days and one more never comes.
_REPORT_USUAL_MS = 10_000
_REPORT_LIFE_MS = 3 * 86_400_000
# How long a report that fits nothing may wait for its +CMGS (modem.md 3.5).
_UNMATCHED_MS = 600_000
# The first half names the partial index's own condition, so that it is used.
_UNKNOWN = "outcome IN ('open', 'unknown') AND outcome = 'unknown'"


def recipient_tail(number: str) -> str:
    """The digits by which a report's recipient is compared: networks rewrite 0… and +44…; short codes stay whole."""
    digits = number.lstrip("+")
    return digits if len(digits) <= _SHORT_CODE_DIGITS else digits[-_TAIL_DIGITS:]


def attempt(connection: sqlite3.Connection, attempt_id: int) -> Any:
    """The row of an attempt with what its part and its message say of it; None where the message was deleted."""
    return connection.execute(
        "SELECT a.*, p.state, p.tries, p.resends, m.cancel_asked, m.parts "
        "FROM attempt a JOIN part p USING (message_id, sequence) JOIN message m ON m.id = a.message_id WHERE a.id = ?",
        (attempt_id,),
    ).fetchone()


def settle_sent(connection: sqlite3.Connection, row: sqlite3.Row, tp_mr: int | None, now: Instant) -> None:
    """The network took the part of an `attempt`; reports that came before the answer are applied."""
    attempt_id = row["id"]
    connection.execute(
        "UPDATE attempt SET outcome = ?, tp_mr = ? WHERE id = ?", (AttemptOutcome.SENT, tp_mr, attempt_id)
    )
    where = (row["message_id"], row["sequence"])
    if PartState.SENT not in PART_MOVES[PartState(row["state"])]:
        return  # a report has settled the part meanwhile
    messages.move(
        connection, *where, (PartState(row["state"]),), PartState.SENT, at_ms=now.utc_ms, kind="sent",
        route=row["route"], detail=None if tp_mr is None else f"TP-MR {tp_mr}",
    )  # fmt: skip
    if row["parts"] > 1 and _has_queued(connection, row["message_id"]):
        messages.requeue(connection, row["message_id"], now=now, follows=True)
    if tp_mr is not None and row["report_asked"]:
        for report in connection.execute(
            "SELECT * FROM status_report WHERE iccid = ? AND tp_mr = ? AND attempt_id IS NULL AND received_ms > ? "
            "ORDER BY id",
            (row["iccid"], tp_mr, now.utc_ms - _UNMATCHED_MS),
        ).fetchall():
            if recipient_tail(report["recipient"]) == row["recipient_tail"]:
                _apply(connection, attempt_id, report, now)
    if row["tries"] > 1 or row["resends"]:
        apply_earlier(connection, *where, now)


def settle_unknown(connection: sqlite3.Connection, attempt_id: int, why: str, now: Instant) -> None:
    """No answer came: only evidence may decide."""
    row = attempt(connection, attempt_id)
    connection.execute("UPDATE attempt SET outcome = ? WHERE id = ?", (AttemptOutcome.UNKNOWN, attempt_id))
    messages.move(
        connection, row["message_id"], row["sequence"], (PartState(row["state"]),), PartState.UNKNOWN,
        at_ms=now.utc_ms, kind="unknown", route=row["route"], detail=why,
    )  # fmt: skip
    for report in connection.execute(
        "SELECT * FROM status_report WHERE iccid = ? AND attempt_id IS NULL AND received_ms > ? ORDER BY id",
        (row["iccid"], row["at_ms"] - 1000),
    ).fetchall():
        _match(connection, report, now)
    apply_earlier(connection, row["message_id"], row["sequence"], now)


def can_tell_reports_apart(connection: sqlite3.Connection, iccid: str, now: Instant) -> bool:
    """Whether a SIM has few enough reports outstanding: TP-MR has 256 values and wraps (modem.md 3.5). A service's
    numbers are wider."""
    pending = connection.execute(
        "SELECT count(*) FROM (SELECT 1 FROM attempt WHERE iccid = ? AND report_asked = 1 AND outcome = 'sent' "
        "AND at_ms BETWEEN ? AND ? LIMIT ?)",
        (iccid, now.utc_ms - _REPORT_LIFE_MS, now.utc_ms - _REPORT_USUAL_MS, _MOST_PENDING + 1),
    ).fetchone()[0]
    if pending <= _MOST_PENDING:
        return True
    # Asked only now: this runs for each part.
    newest = connection.execute(
        "SELECT tp_mr FROM attempt WHERE iccid = ? AND report_asked = 1 AND outcome = 'sent' "
        "ORDER BY at_ms DESC LIMIT 1",
        (iccid,),
    ).fetchone()
    return bool(newest is not None and newest[0] is not None and newest[0] >= _TP_MR_VALUES)


def late_attempt(connection: sqlite3.Connection, route: str, iccid: str) -> int | None:
    """The attempt that an answer left in the line belongs to: the newest unknown one of route and SIM."""
    row = connection.execute(
        f"SELECT max(id) FROM attempt WHERE route = ? AND iccid = ? AND {_UNKNOWN}", (route, iccid)
    ).fetchone()
    found: int | None = row[0]
    return found


def has_leftover(connection: sqlite3.Connection, route: str) -> bool:
    """Whether a submit on this route has an open outcome."""
    return (
        connection.execute(
            "SELECT 1 FROM attempt WHERE route = ? AND outcome IN ('open', 'unknown')", (route,)
        ).fetchone()
        is not None
    )


def add_report(connection: sqlite3.Connection, report: StatusReport, now: Instant) -> bool:
    """Keep a status report and apply it. Whether it settled an unknown outcome, so that more may be sent."""
    digest = hashlib.blake2b(report.iccid.encode() + b"\0" + report.tpdu, digest_size=16).digest()
    row = connection.execute(
        "INSERT INTO status_report (digest, iccid, tp_mr, recipient, status, outcome, sentence, received_ms) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING *",
        (
            digest, report.iccid, report.tp_mr, report.recipient, report.status, report.outcome,
            report.sentence, now.utc_ms,
        ),
    ).fetchone()  # fmt: skip
    if row is None:
        return False
    connection.execute(
        "INSERT INTO sim_fact VALUES (?, 'returns_reports', '1') ON CONFLICT DO NOTHING", (report.iccid,)
    )
    return _match(connection, row, now)


def flag_double(connection: sqlite3.Connection, route: str, told: MayBeDouble, now: Instant) -> None:
    """What a service took is sent once more by it, after an unknown outcome."""
    row = connection.execute(
        "SELECT message_id, sequence FROM attempt WHERE iccid = ? AND tp_mr = ? AND report_asked = 1 "
        "AND outcome NOT IN ('not_sent', 'refused') ORDER BY id DESC",
        (told.iccid, told.tp_mr),
    ).fetchone()
    if row is None:
        return
    connection.execute("UPDATE message SET may_be_double = 1 WHERE id = ?", (row["message_id"],))
    messages.add_event(
        connection, now.utc_ms, "resend", message_id=row["message_id"], part=row["sequence"], route=route,
        detail=told.sentence,
    )  # fmt: skip


def overdue_unknowns(
    connection: sqlite3.Connection, *, route: str, iccid: str, watched: tuple[Span, ...], wait_ms: int, now: Instant
) -> tuple[list[int], int | None]:
    """Attempts for whose outcome no evidence can come any more, and the ms until the next one is.

    `watched` is when the SIM was registered and swept, without a break but for its rests.
    """
    overdue, next_ms = [], None
    for row in connection.execute(
        f"SELECT id, at_ms, boot_id, boot_ms, report_asked FROM attempt WHERE route = ? AND iccid = ? AND {_UNKNOWN}",
        (route, iccid),
    ):
        since_ms = row["boot_ms"] if row["boot_id"] == now.boot_id else 0
        left = wait_ms - watched_ms(watched, since_ms) if row["report_asked"] else 0
        if left <= 0:
            overdue.append(row["id"])
        else:
            next_ms = left if next_ms is None else min(next_ms, left)
    return overdue, next_ms


def give_up_waiting(
    connection: sqlite3.Connection, attempt_id: int, policy: Literal["resend", "fail"], now: Instant
) -> None:
    """No evidence came. Resend once, flagged, or fail."""
    row = attempt(connection, attempt_id)
    if row["outcome"] != AttemptOutcome.UNKNOWN:
        return
    connection.execute("UPDATE attempt SET outcome = ? WHERE id = ?", (AttemptOutcome.GONE, attempt_id))
    if row["state"] != PartState.UNKNOWN:
        return
    where = (row["message_id"], row["sequence"])
    if policy == "resend" and not row["resends"] and not row["cancel_asked"]:
        connection.execute("UPDATE part SET resends = resends + 1 WHERE message_id = ? AND sequence = ?", where)
        connection.execute("UPDATE message SET may_be_double = 1 WHERE id = ?", (row["message_id"],))
        messages.move(
            connection, *where, (PartState.UNKNOWN,), PartState.QUEUED, at_ms=now.utc_ms, kind="resend",
            route=row["route"], detail="nobody could say whether it was sent; it may arrive twice",
        )  # fmt: skip
        messages.requeue(connection, row["message_id"], now=now)
        return
    sentence = "nobody could say whether it was sent, and it was not sent again"
    messages.move(
        connection, *where, (PartState.UNKNOWN,), PartState.FAILED, at_ms=now.utc_ms, kind="failed",
        route=row["route"], detail=sentence, error=sentence,
    )  # fmt: skip


def apply_earlier(connection: sqlite3.Connection, message_id: int, sequence: int, now: Instant) -> None:
    """After a move: any attempt of the part that was delivered decides."""
    row = connection.execute(
        "SELECT p.state FROM part p WHERE p.message_id = ? AND p.sequence = ? AND EXISTS (SELECT 1 FROM attempt a "
        "WHERE a.message_id = p.message_id AND a.sequence = p.sequence AND a.outcome = 'delivered')",
        (message_id, sequence),
    ).fetchone()
    if row is not None and row["state"] not in (PartState.DELIVERED, PartState.SENDING):
        _move_by_report(
            connection, (message_id, sequence), PartState(row["state"]), PartState.DELIVERED, now, error=None
        )


# --- pieces -----------------------------------------------------------------------------------------


def _has_queued(connection: sqlite3.Connection, message_id: int) -> bool:
    row = connection.execute("SELECT 1 FROM part WHERE message_id = ? AND state = 'queued'", (message_id,)).fetchone()
    return row is not None


def _match(connection: sqlite3.Connection, report: sqlite3.Row, now: Instant) -> bool:
    """Find the report's attempt and apply it. Whether that attempt's outcome was unknown."""
    tail = recipient_tail(report["recipient"])
    row = connection.execute(
        "SELECT id FROM attempt WHERE iccid = ? AND tp_mr = ? AND recipient_tail = ? AND report_asked = 1 "
        "AND outcome NOT IN ('not_sent', 'refused') ORDER BY outcome IN ('delivered', 'undelivered'), id DESC",
        (report["iccid"], report["tp_mr"], tail),
    ).fetchone()
    if row is None:
        bare = connection.execute(
            f"SELECT id FROM attempt WHERE {_UNKNOWN} AND iccid = ? "
            "AND recipient_tail = ? AND tp_mr IS NULL AND report_asked = 1",
            (report["iccid"], tail),
        ).fetchall()
        loose = connection.execute(
            "SELECT id FROM attempt WHERE iccid = ? AND tp_mr = ? AND report_asked = 1 "
            "AND outcome NOT IN ('not_sent', 'refused') AND outcome = 'sent' AND at_ms > ?",
            (report["iccid"], report["tp_mr"], now.utc_ms - _LOOSE_MATCH_MS),
        ).fetchall()
        row = next((found[0] for found in (bare, loose) if len(found) == 1), None)
    if row is None:
        return False
    was_unknown: bool = attempt(connection, row["id"])["outcome"] == AttemptOutcome.UNKNOWN
    _apply(connection, row["id"], report, now)
    return was_unknown


def _apply(connection: sqlite3.Connection, attempt_id: int, report: sqlite3.Row, now: Instant) -> None:
    row = attempt(connection, attempt_id)
    connection.execute("UPDATE status_report SET attempt_id = ? WHERE id = ?", (attempt_id, report["id"]))
    where = (row["message_id"], row["sequence"])
    state = PartState(row["state"])
    if report["outcome"] == ReportOutcome.PENDING:
        if row["outcome"] == AttemptOutcome.UNKNOWN and state == PartState.UNKNOWN:
            # The service centre has it, so it was sent.
            settle_sent(connection, row, report["tp_mr"], now)
        messages.add_event(
            connection,
            now.utc_ms,
            "report_pending",
            message_id=where[0],
            part=where[1],
            detail=report["sentence"],
        )
        return
    delivered = report["outcome"] == ReportOutcome.DELIVERED
    if row["outcome"] == AttemptOutcome.DELIVERED or (row["outcome"] == "undelivered" and not delivered):
        return
    outcome = AttemptOutcome.DELIVERED if delivered else AttemptOutcome.UNDELIVERED
    connection.execute(
        "UPDATE attempt SET outcome = ?, tp_mr = ?, code = ? WHERE id = ?",
        (outcome, report["tp_mr"], _tp_st(report), attempt_id),
    )
    if state == PartState.SENDING:
        return  # a resend is in the air; apply_earlier looks again when it is done
    if (
        not delivered
        and connection.execute(
            "SELECT 1 FROM attempt WHERE message_id = ? AND sequence = ? AND outcome IN ('unknown', 'sent', 'open')",
            where,
        ).fetchone()
    ):
        return  # another attempt may still arrive
    target = PartState.DELIVERED if delivered else PartState.UNDELIVERED
    code = _tp_st(report)
    error = None if delivered else report["sentence"] + (f" ({code})" if code else "")
    _move_by_report(connection, where, state, target, now, error=error)


def _tp_st(report: sqlite3.Row) -> str | None:
    """None where a service reported that has no such thing."""
    return f"TP-ST {report['status']:#04x}" if report["status"] >= 0 else None


def _move_by_report(
    connection: sqlite3.Connection,
    where: tuple[int, int],
    state: PartState,
    target: PartState,
    now: Instant,
    *,
    error: str | None,
) -> None:
    """Move part `where` (message id, sequence) on a report; one too late for the transition table does nothing."""
    if target not in PART_MOVES[state]:
        return
    messages.move(
        connection, *where, (state,), target, at_ms=now.utc_ms,
        kind=target.value, detail=error, error=error,
    )  # fmt: skip
    if state in (PartState.QUEUED, PartState.UNKNOWN):
        connection.execute("DELETE FROM queue WHERE message_id = ?", (where[0],))
        if _has_queued(connection, where[0]):
            messages.requeue(connection, where[0], now=now, follows=True)
