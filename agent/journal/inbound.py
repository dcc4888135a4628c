"""Inbound SMS: each PDU taken in once, parts joined, and the text blanked where the owner keeps none.

What is for nobody to read (type 0, a full voice mailbox) becomes an event and no message.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
import uuid
from collections.abc import Iterable
from dataclasses import asdict

from agent.clock import Instant
from agent.journal import messages, purpose
from drivers.api import InboundKind, InboundPart, UndecodablePdu

# A sender reuses its 8-bit references within hours; a part this much older belongs to another message.
_GROUP_MS = 72 * 3_600_000
_OF_PART = "id, alphabet, body, text, details, sequence"
# Of an open part: by CLOCK_BOOTTIME in the boot that it came in, else by the wall clock (DESIGN decision 10).
_AGE_MS = "(CASE boot_id WHEN :boot_id THEN :boot_ms - boot_ms ELSE :utc_ms - received_ms END)"


def add_part(connection: sqlite3.Connection, route: str, part: InboundPart, now: Instant) -> int | None:
    """Keep one part. Returns the message's id when it is whole, None while parts miss or for a duplicate."""
    digest = hashlib.blake2b(part.iccid.encode() + b"\0" + part.tpdu, digest_size=16).digest()
    row = connection.execute(
        "INSERT INTO inbound_part (digest, route, iccid, sender, alphabet, body, text, scts, reference, wide, "
        "total, sequence, received_ms, kind, details, boot_id, boot_ms) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
        "ON CONFLICT DO NOTHING RETURNING id",
        (
            digest, route, part.iccid, part.sender, part.alphabet, part.body, part.text, part.scts,
            part.reference, part.wide_reference, part.total, part.sequence, now.utc_ms,
            part.kind, json.dumps(purpose.details(part)), now.boot_id, now.boot_ms,
        ),
    ).fetchone()  # fmt: skip
    if row is None:
        return None
    if part.waiting or part.kind is InboundKind.SILENT:
        for kind, detail in purpose.events(part, keeps_text=not keeps_no_text(connection)):
            messages.add_event(connection, now.utc_ms, kind, route=route, detail=detail)
    if part.kind in (InboundKind.SILENT, InboundKind.WAITING):
        # It is an event and no message; the digest stays for duplicate detection.
        connection.execute("UPDATE inbound_part SET message_id = 0, text = '', body = x'' WHERE id = ?", (row["id"],))
        return None
    if part.reference is None or part.total <= 1:
        return _make_message(connection, [row["id"]], part.text, now, error=None)
    group = _group(connection, part, now)
    if len(group) < part.total:
        return None
    return _make_message(connection, [item["id"] for item in group], _join(group), now, error=None)


def add_undecodable(connection: sqlite3.Connection, route: str, pdu: UndecodablePdu, now: Instant) -> int | None:
    """Keep what could not be read, as a message that says so. None for a duplicate."""
    return add_part(
        connection,
        route,
        InboundPart(
            iccid=pdu.iccid, sender="unknown", text=f"[undecodable SMS: {pdu.reason}] {pdu.pdu.hex().upper()}",
            alphabet="8bit", body=pdu.pdu, tpdu=pdu.pdu,
        ),
        now,
    )  # fmt: skip


def has_partials(connection: sqlite3.Connection, age_ms: int, now: Instant) -> bool:
    """Whether parts wait for their siblings for longer than `age_ms`."""
    return (
        connection.execute(
            f"SELECT 1 FROM inbound_part WHERE message_id IS NULL AND {_AGE_MS} > :age_ms",
            {**asdict(now), "age_ms": age_ms},
        ).fetchone()
        is not None
    )


def keeps_no_text(connection: sqlite3.Connection) -> bool:
    """Whether an upstream or an account wants no inbound text kept."""
    return (
        connection.execute(
            "SELECT 1 FROM upstream WHERE keep_inbound = 0 UNION ALL SELECT 1 FROM account WHERE keep_inbound = 0"
        ).fetchone()
        is not None
    )


def deliver_partials(connection: sqlite3.Connection, age_ms: int, now: Instant) -> list[int]:
    """Hand on what is there of messages whose missing parts did not come within `age_ms`, flagged. Returns message
    ids."""
    groups = connection.execute(
        "SELECT iccid, sender, reference, wide, total FROM inbound_part WHERE message_id IS NULL "
        f"GROUP BY iccid, sender, reference, wide, total HAVING min({_AGE_MS}) > :age_ms",
        {**asdict(now), "age_ms": age_ms},
    ).fetchall()
    made = []
    for key in groups:
        parts = _newest_of_each(
            connection.execute(
                f"SELECT {_OF_PART} FROM inbound_part WHERE message_id IS NULL "
                "AND iccid = ? AND sender = ? AND reference IS ? AND wide = ? AND total = ? ORDER BY id DESC",
                tuple(key),
            )
        )
        is_whole = len(parts) == key["total"]
        have = ", ".join(str(part["sequence"]) for part in parts)
        error = None if is_whole else f"only part {have} of {key['total']} arrived"
        text = _join(parts) if is_whole else " […] ".join(part["text"] for part in parts)
        made.append(_make_message(connection, [part["id"] for part in parts], text, now, error=error))
    return made


def blank_delivered_texts(connection: sqlite3.Connection, latest_ms: int) -> int:
    """Where an upstream keeps no inbound: blank texts that every upstream has, or that are older than
    `latest_ms`. The digest stays for duplicate detection. Returns how many."""
    if not keeps_no_text(connection):
        return 0
    rows = connection.execute(
        "SELECT m.id FROM message m JOIN event e ON e.message_id = m.id AND e.kind = 'received' "
        "WHERE m.direction = 'inbound' AND m.state = 'received' AND (m.text != '' OR m.kind != 'text' "
        " AND json_extract(m.details, '$.data') IS NOT NULL) "
        # Whose text it is: an upstream that keeps none speaks for all, an account for its own.
        "AND (EXISTS (SELECT 1 FROM upstream WHERE keep_inbound = 0) OR m.account IN "
        " (SELECT id FROM account WHERE keep_inbound = 0)) AND (m.created_ms < ? OR ("
        " NOT EXISTS (SELECT 1 FROM upstream u WHERE u.wants_inbound AND u.cursor < e.id)"
        " AND NOT EXISTS (SELECT 1 FROM undelivered d WHERE d.event_id = e.id AND NOT d.parked))) LIMIT 500",
        (latest_ms,),
    ).fetchall()
    for (message_id,) in rows:
        _blank(connection, message_id)
    return len(rows)


def blank_one(connection: sqlite3.Connection, message_id: int, told: str) -> None:
    """Blank a text that its account does not keep, unless an upstream other than `told` is still to have it."""
    waits = connection.execute(
        "SELECT 1 FROM event e WHERE e.message_id = ?1 AND e.kind = 'received' AND ("
        " EXISTS (SELECT 1 FROM upstream u WHERE u.wants_inbound AND u.name != ?2 AND u.cursor < e.id)"
        " OR EXISTS (SELECT 1 FROM undelivered d WHERE d.event_id = e.id AND d.upstream != ?2 AND NOT d.parked))",
        (message_id, told),
    ).fetchone()
    if waits is None:
        _blank(connection, message_id)


# --- pieces -----------------------------------------------------------------------------------------


def _blank(connection: sqlite3.Connection, message_id: int) -> None:
    connection.execute(
        "UPDATE message SET text = '', details = json_remove(details, '$.data', '$.mms_subject') WHERE id = ?",
        (message_id,),
    )
    connection.execute("UPDATE inbound_part SET text = '', body = x'' WHERE message_id = ?", (message_id,))


def _group(connection: sqlite3.Connection, part: InboundPart, now: Instant) -> list[sqlite3.Row]:
    """The open parts of this message, one for each sequence number, in order."""
    return _newest_of_each(
        connection.execute(
            f"SELECT {_OF_PART} FROM inbound_part WHERE message_id IS NULL AND iccid = :iccid AND sender = :sender "
            "AND reference = :reference AND wide = :wide AND total = :total "
            f"AND {_AGE_MS} < :limit_ms ORDER BY id DESC",
            {
                "iccid": part.iccid, "sender": part.sender, "reference": part.reference,
                "wide": part.wide_reference, "total": part.total, "limit_ms": _GROUP_MS, **asdict(now),
            },
        )
    )  # fmt: skip


def _newest_of_each(rows: Iterable[sqlite3.Row]) -> list[sqlite3.Row]:
    """Of parts, newest first: one for each sequence number, in its order."""
    newest: dict[int, sqlite3.Row] = {}
    for row in rows:
        newest.setdefault(row["sequence"], row)
    return [newest[sequence] for sequence in sorted(newest)]


def _join(group: list[sqlite3.Row]) -> str:
    return purpose.join((row["alphabet"], row["body"], row["text"], json.loads(row["details"])) for row in group)


def _make_message(
    connection: sqlite3.Connection, part_ids: list[int], text: str, now: Instant, *, error: str | None
) -> int:
    first = connection.execute("SELECT * FROM inbound_part WHERE id = ?", (part_ids[0],)).fetchone()
    account = account_of(connection, first["sender"], now)
    device = connection.execute("SELECT id FROM device WHERE route = ?", (first["route"],)).fetchone()
    body = b"".join(
        row[0]
        for row in connection.execute(
            "SELECT body FROM inbound_part WHERE id IN (SELECT value FROM json_each(?)) ORDER BY sequence",
            (json.dumps(part_ids),),
        )
    )
    meant = purpose.of_whole(InboundKind(first["kind"]), text, body, purpose.of_message(json.loads(first["details"])))
    uid = str(uuid.uuid4())
    message_id = int(
        connection.execute(
            "INSERT INTO message (uid, direction, account, device, number, text, state, parts, route, iccid, error, "
            "created_ms, scts, kind, details) VALUES (?, 'inbound', ?, ?, ?, ?, 'received', ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                uid, account, None if device is None else device[0], first["sender"], meant.text,
                len(part_ids), first["route"], first["iccid"], error, now.utc_ms, first["scts"],
                meant.kind, json.dumps(meant.details),
            ),
        ).lastrowid
        or 0
    )  # fmt: skip
    connection.executemany(
        "UPDATE inbound_part SET message_id = ? WHERE id = ?", [(message_id, part_id) for part_id in part_ids]
    )
    _replace(connection, message_id, uid, first, now)
    messages.count_day(connection, now.utc_ms, account, "received")
    messages.add_event(connection, now.utc_ms, "received", message_id=message_id, route=first["route"], detail=error)
    return message_id


_REPLACE_LOOKS_BACK = 200
"""Messages of the sender that are looked through for the one to be replaced."""


def _replace(connection: sqlite3.Connection, message_id: int, uid: str, part: sqlite3.Row, now: Instant) -> None:
    """Mark what this message replaces (TP-PID types 1 to 7, TS 23.040 §9.2.3.9): same sender, SIM and type.

    The older one stays as history, since a server may have it already; both name the other.
    """
    replace_type = json.loads(part["details"]).get("replace_type")
    if replace_type is None:
        return
    older = connection.execute(
        "SELECT id, uid FROM (SELECT id, uid, iccid, details FROM message WHERE number = ? AND direction = 'inbound' "
        "AND id < ? ORDER BY id DESC LIMIT ?) WHERE iccid = ? AND json_extract(details, '$.replace_type') = ? "
        "ORDER BY id DESC LIMIT 1",
        (part["sender"], message_id, _REPLACE_LOOKS_BACK, part["iccid"], replace_type),
    ).fetchone()
    if older is None:
        return
    for key, other, changed in (("replaces", older["uid"], message_id), ("replaced_by", uid, older["id"])):
        connection.execute(
            "UPDATE message SET details = json_set(details, '$.' || ?, ?) WHERE id = ?", (key, other, changed)
        )
    messages.add_event(
        connection, now.utc_ms, "replaced", message_id=older["id"], route=part["route"],
        detail=f"by message {message_id}",
    )  # fmt: skip


_REPLY_WINDOW_MS = 72 * 3_600_000


def account_of(connection: sqlite3.Connection, sender: str, now: Instant) -> int | None:
    """The owner's account, or another that was the last to text the sender within 72 h."""
    row = connection.execute(
        "SELECT account, created_ms FROM message WHERE number = ? AND direction = 'outbound' ORDER BY id DESC LIMIT 1",
        (sender,),
    ).fetchone()
    if row is not None and row["account"] is not None and row["created_ms"] > now.utc_ms - _REPLY_WINDOW_MS:
        return int(row["account"])
    owner = connection.execute("SELECT id FROM account WHERE is_owner").fetchone()
    return None if owner is None else int(owner[0])
