"""What a SIM has sent, for the limits of `agent/pacing.py`. Keyed by ICCID: a swapped SIM begins anew, and one that
moves to another modem takes its account along."""

from __future__ import annotations

import sqlite3

from agent.clock import Instant
from agent.pacing import HOUR_MS, Usage

_COUNTS = "outcome NOT IN ('not_sent', 'refused')"


def of(connection: sqlite3.Connection, iccid: str, last: Instant | None) -> Usage:
    """The usage of one SIM, looked up as it is asked for."""

    def nth_newest(number: int) -> Instant | None:
        row = connection.execute(
            f"SELECT at_ms, boot_id, boot_ms FROM attempt WHERE iccid = ? AND {_COUNTS} "
            "ORDER BY id DESC LIMIT 1 OFFSET ?",
            (iccid, number - 1),
        ).fetchone()
        return None if row is None else Instant(*row)

    def since(utc_ms: int) -> int:
        row = connection.execute(
            "SELECT coalesce(sum(n), 0) FROM sim_usage WHERE iccid = ? AND hour >= ?", (iccid, utc_ms // HOUR_MS)
        ).fetchone()
        return int(row[0])

    return Usage(last, nth_newest, since)


def assumed_now_ms(connection: sqlite3.Connection, iccid: str, now_ms: int, *, clock_is_right: bool) -> int:
    """The instant by which months are told apart. A clock that is not set (it may say 1970) is at least as late as
    the last part, so that no month begins anew by it."""
    if clock_is_right:
        return now_ms
    newest = connection.execute("SELECT max(hour) FROM sim_usage WHERE iccid = ?", (iccid,)).fetchone()[0]
    return now_ms if newest is None else max(now_ms, int(newest) * HOUR_MS)


def count(connection: sqlite3.Connection, iccid: str, now_ms: int, *, clock_is_right: bool) -> None:
    """One part more is submitted now."""
    hour = assumed_now_ms(connection, iccid, now_ms, clock_is_right=clock_is_right) // HOUR_MS
    if clock_is_right:
        _bring_back(connection, iccid, hour)
    connection.execute("INSERT INTO sim_usage VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET n = n + 1", (iccid, hour))


def give_back(connection: sqlite3.Connection, iccid: str | None) -> None:
    """A part that was counted certainly did not go out."""
    connection.execute(
        "UPDATE sim_usage SET n = n - 1 WHERE iccid = ?1 AND n > 0 "
        "AND hour = (SELECT max(hour) FROM sim_usage WHERE iccid = ?1)",
        (iccid,),
    )


def _bring_back(connection: sqlite3.Connection, iccid: str, hour: int) -> None:
    """What was counted in a future that a wrong clock showed counts in this hour, once."""
    row = connection.execute("SELECT sum(n) FROM sim_usage WHERE iccid = ? AND hour > ?", (iccid, hour)).fetchone()
    if row[0] is None:
        return
    connection.execute("DELETE FROM sim_usage WHERE iccid = ? AND hour > ?", (iccid, hour))
    connection.execute(
        "INSERT INTO sim_usage VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET n = n + ?3", (iccid, hour, row[0])
    )
