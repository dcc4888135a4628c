"""Credit and what was sent with it: sendings, their items, charges and refunds.

A charge is in the transaction that accepts the messages. An item follows its message by the triggers of the
schema, and what failed is refunded there. Amounts are integer millionths; times are UTC ms.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import TYPE_CHECKING

from agent.model import MessageState
from drivers.values import dataclass

if TYPE_CHECKING:
    from agent.journal.acceptance import Acceptance

MICRO = 1_000_000


class NotEnoughCredit(ValueError):
    """The purse holds less than this would cost. `str()` is one sentence."""


@dataclass(frozen=True, slots=True)
class Bill:
    """Who pays for messages that are about to be accepted. `granted` is what the purse was given in all, `price`
    what one message costs, both in millionths."""

    uid: str
    account: int
    purse: str
    text: str
    price: int
    granted: int


@dataclass(frozen=True, slots=True)
class Item:
    """One recipient of a sending. `uid` is its message's."""

    uid: str
    number: str
    state: MessageState
    is_refunded: bool


@dataclass(frozen=True, slots=True)
class Tally:
    """Items of a sending in one state, those that could never be sent apart. Amounts are millionths."""

    state: MessageState
    is_valid: bool
    count: int
    refunded: int
    cost: int
    returned: int


@dataclass(frozen=True, slots=True)
class Sending:
    """One request to send. `open` is how many of its items have not ended."""

    uid: str
    text: str
    open: int
    created_ms: int
    tallies: tuple[Tally, ...]


@dataclass(frozen=True, slots=True)
class SendingFilter:
    """Which sendings. None means all; `text` is looked for in the message, whatever its case."""

    account: int
    purse: str
    since_ms: int | None = None
    until_ms: int | None = None
    is_completed: bool | None = None
    text: str | None = None


def charge(connection: sqlite3.Connection, bill: Bill, accepted: Sequence[tuple[str, Acceptance]], now_ms: int) -> None:
    """Write a sending down for messages just accepted, each with its number, and take its cost from the purse.

    Raises: NotEnoughCredit, upon which nothing of the transaction may stay.
    """
    good = sum(one.state is not MessageState.FAILED for _, one in accepted)
    cost = good * bill.price
    _spend(connection, bill, cost)
    sending = connection.execute(
        "INSERT INTO sending (uid, account, purse, text, open, created_ms) VALUES (?, ?, ?, ?, ?, ?)",
        (bill.uid, bill.account, bill.purse, bill.text, good, now_ms),
    ).lastrowid
    connection.executemany(
        "INSERT INTO sending_item (message_id, uid, sending, number, state, is_valid, cost) "
        "VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (
                one.message_id,
                one.uid,
                sending,
                number,
                one.state,
                one.state is not MessageState.FAILED,
                0 if one.state is MessageState.FAILED else bill.price,
            )
            for number, one in accepted
        ],
    )


def spent(connection: sqlite3.Connection, account: int, purse: str) -> int:
    """What a purse has paid and not got back."""
    row = connection.execute("SELECT spent FROM purse WHERE account = ? AND name = ?", (account, purse)).fetchone()
    return 0 if row is None else int(row[0])


def sendings(
    connection: sqlite3.Connection, wanted: SendingFilter, offset: int, limit: int
) -> tuple[int, list[Sending]]:
    """How many there are, and some of them, newest first."""
    where, values = _where(wanted)
    total = connection.execute(f"SELECT count(*) FROM sending WHERE {where}", values).fetchone()[0]
    found = connection.execute(
        f"SELECT * FROM sending WHERE {where} ORDER BY id DESC LIMIT ? OFFSET ?", (*values, limit, offset)
    ).fetchall()
    return int(total), [
        Sending(row["uid"], row["text"], row["open"], row["created_ms"], _tallies(connection, row["id"]))
        for row in found
    ]


def items(
    connection: sqlite3.Connection,
    wanted: SendingFilter,
    uid: str,
    states: Sequence[MessageState],
    *,
    offset: int,
    limit: int,
) -> tuple[int, Sending, list[Item]] | None:
    """A sending with how many items it has in these states (none given: in any), and some of them in the order of
    the request; None where the account has no such sending."""
    row = connection.execute(
        "SELECT * FROM sending WHERE uid = ? AND account = ? AND purse = ?", (uid, wanted.account, wanted.purse)
    ).fetchone()
    if row is None:
        return None
    sending = Sending(row["uid"], row["text"], row["open"], row["created_ms"], ())
    if wanted.text is not None and wanted.text.casefold() not in row["text"].casefold():
        return 0, sending, []
    shown = tuple(states) or tuple(MessageState)
    clause = f"sending = ? AND state IN ({', '.join('?' * len(shown))})"
    total = connection.execute(f"SELECT count(*) FROM sending_item WHERE {clause}", (row["id"], *shown)).fetchone()[0]
    found = connection.execute(
        f"SELECT * FROM sending_item WHERE {clause} ORDER BY message_id LIMIT ? OFFSET ?",
        (row["id"], *shown, limit, offset),
    )
    return (
        int(total),
        sending,
        [Item(one["uid"], one["number"], MessageState(one["state"]), bool(one["refunded"])) for one in found],
    )


def sending_of(connection: sqlite3.Connection, message_id: int) -> str | None:
    """The sending that a message belongs to."""
    row = connection.execute(
        "SELECT s.uid FROM sending s JOIN sending_item i ON i.sending = s.id WHERE i.message_id = ?", (message_id,)
    ).fetchone()
    return None if row is None else str(row[0])


# --- pieces -----------------------------------------------------------------------------------------


def _spend(connection: sqlite3.Connection, bill: Bill, cost: int) -> None:
    if not cost:
        return
    left = bill.granted - spent(connection, bill.account, bill.purse)
    if cost > left:
        raise NotEnoughCredit("There is not enough credit for this")
    connection.execute(
        "INSERT INTO purse VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET spent = spent + excluded.spent",
        (bill.account, bill.purse, cost),
    )


def _where(wanted: SendingFilter) -> tuple[str, list[str | int]]:
    clauses, values = ["account = ?", "purse = ?"], list[str | int]((wanted.account, wanted.purse))
    for clause, value in (
        ("created_ms >= ?", wanted.since_ms),
        ("created_ms <= ?", wanted.until_ms),
        ("instr(lower(text), lower(?)) > 0", wanted.text),
    ):
        if value is not None:
            clauses.append(clause)
            values.append(value)
    if wanted.is_completed is not None:
        clauses.append("open = 0" if wanted.is_completed else "open > 0")
    return " AND ".join(clauses), values


def _tallies(connection: sqlite3.Connection, sending: int) -> tuple[Tally, ...]:
    found = connection.execute(
        "SELECT state, is_valid, count(*) AS n, sum(refunded) AS back, sum(cost) AS cost, "
        "sum(cost * refunded) AS returned FROM sending_item WHERE sending = ? GROUP BY state, is_valid",
        (sending,),
    )
    return tuple(
        Tally(MessageState(row["state"]), bool(row["is_valid"]), row["n"], row["back"], row["cost"], row["returned"])
        for row in found
    )
