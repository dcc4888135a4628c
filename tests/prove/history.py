"""A journal with a long history, made in a minute: as if the gateway had worked for years. Knows the schema.

Rows go in through the schema's own triggers, so counters agree with what they count; sums per day are added behind
them. Nothing waits: every message has come to its end, and every upstream has been told.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from pathlib import Path

from agent.journal import accounts, schema
from agent.journal.schema import connect_writer

_NUMBERS = 20_000
_DAYS = 365
_DAY_MS = 86_400_000
# Of a hundred messages: which came in, and what became of the others.
_INBOUND, _FAILED, _SENT = 15, 20, 30
_SERIES = "WITH RECURSIVE n (i) AS (SELECT :first UNION ALL SELECT i + 1 FROM n WHERE i < :last) "
_NUMBER = f"'+49170' || substr('0000000' || (i * 7919 % {_NUMBERS}), -7)"

_STATEMENTS = (
    # Spread over a year up to now, oldest first, as ids are.
    f"{_SERIES} INSERT INTO message (uid, direction, upstream, account, device, number, text, state, wanted_route, "
    "route, iccid, error, created_ms, sent_ms, delivered_ms, attributes) "
    "SELECT printf('%08x-0000-4000-8000-%012x', i, :before + i), "
    f"CASE WHEN i % 100 < {_INBOUND} THEN 'inbound' ELSE 'outbound' END, "
    f"CASE WHEN i % 100 < {_INBOUND} THEN NULL ELSE :upstream END, :account, "
    f"CASE WHEN i % 100 < {_INBOUND} OR i % 2 THEN NULL ELSE :device END, {_NUMBER}, "
    "'Message ' || i || ' of a long history, as long as people write', "
    f"CASE WHEN i % 100 < {_INBOUND} THEN 'received' WHEN i % 100 < {_FAILED} THEN 'failed' "
    f"WHEN i % 100 < {_SENT} THEN 'sent' ELSE 'delivered' END, :route, :route, :iccid, "
    f"CASE WHEN i % 100 BETWEEN {_INBOUND} AND {_FAILED} - 1 THEN 'the network refused it' END, "
    ":start + i * :step, "
    f"CASE WHEN i % 100 >= {_FAILED} THEN :start + i * :step + 3000 END, "
    f"CASE WHEN i % 100 >= {_SENT} THEN :start + i * :step + 9000 END, "
    "'{\"price\": 0.05}' FROM n",
    "INSERT INTO part (message_id, sequence, state, alphabet, body, tries) "
    "SELECT id, 1, state, 'gsm7', zeroblob(50), 1 FROM message WHERE id > :before AND direction = 'outbound'",
    "INSERT INTO attempt (message_id, sequence, route, iccid, recipient, recipient_tail, at_ms, boot_id, boot_ms, "
    "tp_mr, report_asked, outcome) "
    "SELECT id, 1, route, iccid, number, substr(number, -7), created_ms + 1000, 'a boot long ago', 1000, id % 256, 1, "
    "CASE state WHEN 'failed' THEN 'refused' ELSE state END FROM message WHERE id > :before AND direction = 'outbound'",
    *(
        "INSERT INTO event (at_ms, kind, message_id, part, route, upstream, state) "
        f"SELECT {at}, '{kind}', id, {part}, {route}, upstream, {state} FROM message "
        f"WHERE id > :before AND direction = '{direction}' AND {at} IS NOT NULL AND {only}"
        for at, kind, part, route, state, direction, only in (
            ("created_ms", "accepted", "NULL", "NULL", "NULL", "outbound", "1"),
            ("created_ms + 1000", "sending", "1", "route", "'sending'", "outbound", "1"),
            ("created_ms + 2000", "failed", "1", "route", "'failed'", "outbound", "state = 'failed'"),
            ("sent_ms", "sent", "1", "route", "'sent'", "outbound", "1"),
            ("delivered_ms", "delivered", "1", "route", "'delivered'", "outbound", "1"),
            ("created_ms", "received", "NULL", "NULL", "NULL", "inbound", "1"),
        )
    ),
)  # fmt: skip
_DAILY = (
    ("received", "created_ms", "direction = 'inbound'", "0"),
    ("accepted", "created_ms", "direction = 'outbound'", "0.05"),
    ("sent", "sent_ms", "sent_ms IS NOT NULL", "0"),
    ("delivered", "delivered_ms", "delivered_ms IS NOT NULL", "0"),
    ("failed", "created_ms", "state = 'failed'", "0"),
)
_BLOCK = 100_000


def kept(place: Path, count: int) -> Path:
    """A filled journal below `place`, to be copied; made where there is none of this week, by this text and schema."""
    made_by = hashlib.sha256(Path(__file__).read_bytes())
    for script in sorted(Path(schema.__file__).with_name("schema").glob("*.sql")):
        made_by.update(script.read_bytes())
    week = time.strftime("%G-%V")
    journal = place / f"{count}-{week}-{made_by.hexdigest()[:12]}.db"
    if not journal.exists():
        for older in place.glob(f"{count}-*"):
            older.unlink()
        fresh = journal.with_suffix(".part")
        fill(fresh, count, int(time.time() * 1000))
        fresh.rename(journal)
    return journal


def fill(journal: Path, count: int, now_ms: int, *, upstream: str = "local", route: str = "sim0") -> None:
    """Put `count` messages into a journal that no daemon has open; it is made where there is none."""
    journal.parent.mkdir(parents=True, exist_ok=True)
    made = connect_writer(journal, now_ms)
    with made:
        accounts.add_routes(made, accounts.ensure_owner(made, "owner", "owner@localhost", now_ms).id, [route])
    made.close()
    connection = sqlite3.connect(journal, isolation_level=None)
    try:
        # A file that is only a test's may be lost; the daemon sets its own mode when it opens it.
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "cache_size = -400000", "foreign_keys = OFF"):
            connection.execute(f"PRAGMA {pragma}")
        owner = connection.execute("SELECT id FROM account WHERE is_owner").fetchone()[0]
        device = connection.execute("SELECT id FROM device WHERE route = ?", (route,)).fetchone()[0]
        before = connection.execute("SELECT coalesce(max(id), 0) FROM message").fetchone()[0]
        values = {
            "upstream": upstream, "account": owner, "device": device, "route": route, "before": before,
            "iccid": "8949000000000000001", "start": now_ms - _DAYS * _DAY_MS, "step": _DAYS * _DAY_MS // count,
        }  # fmt: skip
        connection.execute("BEGIN")
        # Sorting at the end takes a third of the time that keeping them up to date does.
        indexes = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL "
            "AND tbl_name IN ('message', 'part', 'attempt', 'event')"
        ).fetchall()
        for name, _ in indexes:
            connection.execute(f"DROP INDEX {name}")
        series, *rest = _STATEMENTS
        for first in range(0, count, _BLOCK):
            connection.execute(series, {**values, "first": first, "last": min(first + _BLOCK, count) - 1})
        for statement in rest:
            connection.execute(statement, values)
        for _, definition in indexes:
            connection.execute(definition)
        for kind, at, only, amount in _DAILY:
            connection.execute(
                f"INSERT INTO daily SELECT {at} / {_DAY_MS} AS day, account, '{kind}', count(*), count(*) * {amount} "
                f"FROM message WHERE id > :before AND {only} GROUP BY day, account "
                "ON CONFLICT DO UPDATE SET n = n + excluded.n, amount = amount + excluded.amount",
                values,
            )
        connection.execute("UPDATE upstream SET cursor = (SELECT max(id) FROM event)")
        connection.execute("COMMIT")
    finally:
        connection.close()
