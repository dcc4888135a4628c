"""Webhook calls that are owed, in order per message and address. Times are UTC ms."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from enum import StrEnum

from drivers.values import dataclass

BEHIND_MS = 1 << 53
"""`due_ms` of a call that waits for an earlier one of its lane. A number that JSON and SQLite keep exactly."""


class HookForm(StrEnum):
    """Whose headers, signature and waits a call has."""

    OWN = "own"
    SMSGATE = "smsgate"


@dataclass(frozen=True, slots=True)
class NewHook:
    """A call to be made. `event_key` with `url` makes putting it in idempotent; `host` is who shares a fate;
    `retries` are how many a form has that lets its owner choose; `secret` signs it instead of its account's key."""

    event_key: str
    lane: int
    account: int
    url: str
    host: str
    body: str
    form: HookForm = HookForm.OWN
    retries: int | None = None
    secret: str | None = None


@dataclass(frozen=True, slots=True)
class Hook:
    """A call that is due. `tries` were made before; `secret` is its own, else its account's, None where that is
    gone."""

    id: int
    lane: int
    url: str
    host: str
    body: str
    tries: int
    secret: str | None
    is_owner: bool
    form: HookForm
    retries: int | None


@dataclass(frozen=True, slots=True)
class Result:
    """What one try came to."""

    status: int | None
    error: str | None
    answer: str | None
    took_ms: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """A line of the delivery log. `message_id` is None for a test; `due_ms` None unless another try follows."""

    id: int
    account: int
    message_id: int | None
    url: str
    body: str
    state: str
    tries: int
    due_ms: int | None
    last_status: int | None
    last_error: str | None
    last_answer: str | None
    took_ms: int | None
    tried_ms: int | None
    created_ms: int
    done_ms: int | None


@dataclass(frozen=True, slots=True)
class DeliveryPage:
    """`total` is exact up to MOST_COUNTED."""

    total: int
    deliveries: tuple[Delivery, ...]


NO_ACCOUNT = 0
"""Of calls that an upstream's server has this gateway make: they are the owner's."""
MOST_COUNTED = 10_000
_HOOK = (
    "SELECT h.id, h.lane, h.url, h.host, h.body, h.tries, coalesce(h.secret, a.webhook_secret), "
    f"CASE h.account WHEN {NO_ACCOUNT} THEN 1 ELSE coalesce(a.is_owner, 0) END, h.form, h.retries "
    "FROM hook h LEFT JOIN account a ON a.id = h.account"
)
_LOG = (
    "id, account, nullif(lane, 0), url, body, state, tries, CASE WHEN state = 'waiting' AND due_ms < "
    f"{BEHIND_MS} THEN due_ms END, last_status, last_error, last_answer, took_ms, tried_ms, created_ms, done_ms"
)


def add(connection: sqlite3.Connection, hooks: Sequence[NewHook], now_ms: int, fresh_secret: str) -> int:
    """Put calls in; one that is known already is left alone. Returns how many are new. An account that has no key
    to sign with gets the fresh one."""
    added = 0
    for account in sorted({hook.account for hook in hooks if hook.secret is None}):
        ensure_secret(connection, account, fresh_secret)
    for hook in hooks:
        is_behind = connection.execute(
            "SELECT 1 FROM hook WHERE lane = ? AND url = ? AND state = 'waiting' LIMIT 1", (hook.lane, hook.url)
        ).fetchone()
        added += connection.execute(
            "INSERT INTO hook (event_key, lane, account, url, host, body, state, due_ms, created_ms, form, retries, "
            "secret) "
            "VALUES (?, ?, ?, ?, ?, ?, 'waiting', ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
            (
                hook.event_key, hook.lane, hook.account, hook.url, hook.host, hook.body,
                BEHIND_MS if is_behind else now_ms, now_ms, hook.form, hook.retries, hook.secret,
            ),
        ).rowcount  # fmt: skip
    return added


def hosts(connection: sqlite3.Connection) -> dict[str, int]:
    """Hosts that something waits for, with the time at which their first call is due. Jumps along the index."""
    found: dict[str, int] = {}
    host = ""
    while True:
        row = connection.execute(
            "SELECT host, due_ms FROM hook WHERE state = 'waiting' AND host > ? ORDER BY host, due_ms LIMIT 1",
            (host,),
        ).fetchone()
        if row is None:
            return found
        host = row["host"]
        found[host] = row["due_ms"]


def due(connection: sqlite3.Connection, host: str, now_ms: int, limit: int) -> list[Hook]:
    """The calls to one host that are due, longest due first."""
    found = connection.execute(
        f"{_HOOK} WHERE h.state = 'waiting' AND h.host = ? AND h.due_ms <= ? ORDER BY h.due_ms, h.id LIMIT ?",
        (host, now_ms, limit),
    )
    return [_hook(row) for row in found]


def next_due(connection: sqlite3.Connection, host: str, after_ms: int) -> int | None:
    """When the next call to a host is due that is not yet."""
    row = connection.execute(
        "SELECT min(due_ms) FROM hook WHERE state = 'waiting' AND host = ? AND due_ms > ?", (host, after_ms)
    ).fetchone()
    found: int | None = row[0]
    return found


def done(connection: sqlite3.Connection, hook_id: int, result: Result, now_ms: int) -> None:
    """The call was taken; the next of its lane may go."""
    _end(connection, hook_id, "done", result, now_ms)


def failed(connection: sqlite3.Connection, hook_id: int, result: Result, *, due_ms: int | None, now_ms: int) -> None:
    """The call was not taken: again at `due_ms`, or given up where that is None."""
    if due_ms is None:
        _end(connection, hook_id, "given_up", result, now_ms)
        return
    connection.execute(
        f"UPDATE hook SET due_ms = ?, {_TRIED} WHERE id = ? AND state = 'waiting'",
        (due_ms, *_tried(result, now_ms), hook_id),
    )


# --- the log ----------------------------------------------------------------------------------------


def page(
    connection: sqlite3.Connection, account: int | None, state: str | None, message_id: int | None, *, offset: int,
    limit: int,
) -> DeliveryPage:  # fmt: skip
    """Calls of one account, or of all, newest first."""
    wanted = [
        (condition, value)
        for condition, value in (("account = ?", account), ("state = ?", state), ("lane = ?", message_id))
        if value is not None
    ]
    where = " AND ".join(condition for condition, _ in wanted) or "1"
    values = [value for _, value in wanted]
    total = connection.execute(
        f"SELECT count(*) FROM (SELECT 1 FROM hook WHERE {where} LIMIT {MOST_COUNTED})", values
    ).fetchone()[0]
    found = connection.execute(
        f"SELECT {_LOG} FROM hook WHERE {where} ORDER BY id DESC LIMIT ? OFFSET ?", (*values, limit, offset)
    )
    return DeliveryPage(total, tuple(Delivery(*row) for row in found))


def one(connection: sqlite3.Connection, account: int | None, hook_id: int) -> Delivery | None:
    """One call of one account, or of any."""
    row = connection.execute(
        f"SELECT {_LOG} FROM hook WHERE id = ?1 AND (?2 IS NULL OR account = ?2)", (hook_id, account)
    ).fetchone()
    return None if row is None else Delivery(*row)


def replay(connection: sqlite3.Connection, account: int | None, hook_id: int, now_ms: int) -> Delivery | None:
    """Let a call be made again at once, with all its tries."""
    connection.execute(
        "UPDATE hook SET state = 'waiting', tries = 0, due_ms = ?1, done_ms = NULL "
        "WHERE id = ?2 AND (?3 IS NULL OR account = ?3)",
        (now_ms, hook_id, account),
    )
    return one(connection, account, hook_id)


def add_test(connection: sqlite3.Connection, hook: NewHook, now_ms: int, fresh_secret: str) -> Hook:
    """A call that is made at once and only once: no queue sees it."""
    ensure_secret(connection, hook.account, fresh_secret)
    hook_id = connection.execute(
        "INSERT INTO hook (event_key, lane, account, url, host, body, state, due_ms, created_ms, done_ms) "
        "VALUES (?, 0, ?, ?, ?, ?, 'given_up', 0, ?, ?)",
        (hook.event_key, hook.account, hook.url, hook.host, hook.body, now_ms, now_ms),
    ).lastrowid
    return _hook(connection.execute(f"{_HOOK} WHERE h.id = ?", (hook_id,)).fetchone())


def end_test(connection: sqlite3.Connection, hook_id: int, result: Result, now_ms: int) -> Delivery:
    """Write a test's outcome down."""
    connection.execute(
        f"UPDATE hook SET state = ?, {_TRIED} WHERE id = ?",
        ("done" if result.error is None else "given_up", *_tried(result, now_ms), hook_id),
    )
    return Delivery(*connection.execute(f"SELECT {_LOG} FROM hook WHERE id = ?", (hook_id,)).fetchone())


# --- keys to sign with ------------------------------------------------------------------------------


def secret(connection: sqlite3.Connection, account: int) -> str | None:
    row = connection.execute("SELECT webhook_secret FROM account WHERE id = ?", (account,)).fetchone()
    return None if row is None else row[0]


def ensure_secret(connection: sqlite3.Connection, account: int, fresh: str) -> str:
    """The account's key; the fresh one where it had none."""
    connection.execute(
        "UPDATE account SET webhook_secret = ? WHERE id = ? AND webhook_secret IS NULL", (fresh, account)
    )
    return secret(connection, account) or fresh


def set_secret(connection: sqlite3.Connection, account: int, fresh: str) -> None:
    connection.execute("UPDATE account SET webhook_secret = ? WHERE id = ?", (fresh, account))


# --- care -------------------------------------------------------------------------------------------


def rebase(connection: sqlite3.Connection, latest_ms: int) -> None:
    """No call waits longer than the longest back-off, whatever the wall clock did meanwhile."""
    connection.execute(
        "UPDATE hook SET due_ms = ?1 WHERE state = 'waiting' AND due_ms > ?1 AND due_ms < ?2",
        (latest_ms, BEHIND_MS),
    )


def has_waits_beyond(connection: sqlite3.Connection, latest_ms: int) -> bool:
    """Whether `rebase` would change anything."""
    row = connection.execute(
        "SELECT 1 FROM hook WHERE state = 'waiting' AND due_ms > ? AND due_ms < ? LIMIT 1", (latest_ms, BEHIND_MS)
    ).fetchone()
    return row is not None


def figures(connection: sqlite3.Connection) -> tuple[int, int]:
    """How many calls wait, and how many were given up."""
    row = connection.execute(
        "SELECT (SELECT count(*) FROM hook WHERE state = 'waiting'), "
        "(SELECT count(*) FROM hook WHERE state = 'given_up')"
    ).fetchone()
    return row[0], row[1]


_TRIED = "tries = tries + 1, last_status = ?, last_error = ?, last_answer = ?, took_ms = ?, tried_ms = ?"


def _tried(result: Result, now_ms: int) -> tuple[int | None, str | None, str | None, int, int]:
    return result.status, result.error, result.answer, result.took_ms, now_ms


def _hook(row: sqlite3.Row) -> Hook:
    id_, lane, url, host, body, tries, signed_by, is_owner, form, retries = row
    return Hook(id_, lane, url, host, body, tries, signed_by, bool(is_owner), HookForm(form), retries)


def _end(connection: sqlite3.Connection, hook_id: int, state: str, result: Result, now_ms: int) -> None:
    row = connection.execute(
        f"UPDATE hook SET state = ?, done_ms = ?, {_TRIED} WHERE id = ? AND state = 'waiting' RETURNING lane, url",
        (state, now_ms, *_tried(result, now_ms), hook_id),
    ).fetchone()
    if row is not None:
        connection.execute(
            "UPDATE hook SET due_ms = ? WHERE id = (SELECT min(id) FROM hook WHERE lane = ? AND url = ? "
            "AND state = 'waiting')",
            (now_ms, row["lane"], row["url"]),
        )
