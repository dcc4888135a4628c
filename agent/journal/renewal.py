"""A journal that comes back from a copy: it knows that it is new, and sends nothing that its lost successor may have
sent (DESIGN decision 11). Everything open is held until `phonebridge release`."""

from __future__ import annotations

import secrets
import sqlite3

from agent.journal import messages
from agent.model import MessageState


def renew(connection: sqlite3.Connection, now_ms: int, why: str) -> int:
    """A new journal id, born now, with every open message held. Returns how many are."""
    connection.execute("UPDATE meta SET value = ? WHERE key = 'journal_id'", (secrets.token_hex(8),))
    connection.execute("UPDATE meta SET value = ? WHERE key = 'born_ms'", (str(int(now_ms)),))
    connection.execute("DELETE FROM meta WHERE key = 'degraded'")
    return hold_open(connection, now_ms, why)


def hold_open(connection: sqlite3.Connection, now_ms: int, why: str) -> int:
    """Hold what waits, is in the air or has an unknown outcome. Returns how many messages.

    A part that was in the air may have arrived: its message is flagged, and a late report still finds the attempt.
    """
    rows = connection.execute(
        "SELECT id FROM message WHERE direction = 'outbound' AND state IN ('queued', 'sending', 'unknown')"
    ).fetchall()
    for (message_id,) in rows:
        unclear = connection.execute(
            "UPDATE attempt SET outcome = 'gone' WHERE message_id = ? AND outcome IN ('open', 'unknown')", (message_id,)
        ).rowcount
        connection.execute(
            "UPDATE part SET state = 'queued' WHERE message_id = ? AND state IN ('sending', 'unknown')", (message_id,)
        )
        connection.execute("DELETE FROM queue WHERE message_id = ?", (message_id,))
        connection.execute(
            "UPDATE message SET state = 'held', may_be_double = max(may_be_double, ?) WHERE id = ?",
            (unclear > 0, message_id),
        )
        messages.add_event(connection, now_ms, "held", message_id=message_id, state=MessageState.HELD, detail=why)
    connection.execute("DELETE FROM queue")
    return len(rows)
