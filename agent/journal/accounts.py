"""Accounts, keys and devices of the local server. Times are UTC ms; secrets come and go as digests only."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence

from agent.journal import messages
from drivers.values import dataclass


class EmailTaken(ValueError):
    """Another account has this email."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account. `password` is the stored scrypt text, None where nobody can log in with one."""

    id: int
    name: str
    email: str | None
    password: str | None
    is_owner: bool
    default_device: int | None
    keep_inbound: bool
    webhook_incoming: str | None
    webhook_status: str | None
    premium_until_ms: int | None
    created_ms: int


@dataclass(frozen=True, slots=True)
class Token:
    """One key. `digest` is the SHA-256 of its secret."""

    id: int
    account: int
    name: str
    digest: bytes
    abilities: tuple[str, ...]
    last_used_ms: int | None
    created_ms: int


@dataclass(frozen=True, slots=True)
class Device:
    """One of our own routes (`route` is its name), or a remote agent (`route` None)."""

    id: int
    account: int
    device_id: str
    name: str
    phone_number: str | None
    route: str | None
    is_active: bool
    sms_rate: float
    send_delay_s: float
    default_sim_slot: int | None
    pool: str | None = None


def ensure_owner(connection: sqlite3.Connection, name: str, email: str, now_ms: int) -> Account:
    """The owner's account, made at the first start."""
    row = connection.execute("SELECT * FROM account WHERE is_owner").fetchone()
    if row is None:
        row = connection.execute(
            "INSERT INTO account (name, email, is_owner, created_ms) VALUES (?, ?, 1, ?) RETURNING *",
            (name, email, now_ms),
        ).fetchone()
    return _account(row)


def create(connection: sqlite3.Connection, name: str, email: str, password: str | None, now_ms: int) -> Account:
    """A new account. Raises: EmailTaken."""
    if by_email(connection, email) is not None:
        raise EmailTaken(email)
    row = connection.execute(
        "INSERT INTO account (name, email, password, created_ms) VALUES (?, ?, ?, ?) RETURNING *",
        (name, email, password, now_ms),
    ).fetchone()
    return _account(row)


def account(connection: sqlite3.Connection, account_id: int) -> Account | None:
    row = connection.execute("SELECT * FROM account WHERE id = ?", (account_id,)).fetchone()
    return None if row is None else _account(row)


def owner(connection: sqlite3.Connection) -> Account | None:
    row = connection.execute("SELECT * FROM account WHERE is_owner").fetchone()
    return None if row is None else _account(row)


def by_email(connection: sqlite3.Connection, email: str) -> Account | None:
    row = connection.execute("SELECT * FROM account WHERE email = ?", (email,)).fetchone()
    return None if row is None else _account(row)


_ACCOUNT_COLUMNS = frozenset(
    {"default_device", "keep_inbound", "webhook_incoming", "webhook_status", "premium_until_ms"}
)


def change(connection: sqlite3.Connection, account_id: int, values: Mapping[str, str | int | bool | None]) -> Account:
    """Set some of an account's columns."""
    _set(connection, "account", _ACCOUNT_COLUMNS, account_id, values)
    row = connection.execute("SELECT * FROM account WHERE id = ?", (account_id,)).fetchone()
    return _account(row)


# --- contacts ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Contact:
    """One row to import."""

    number: str
    name: str | None
    email: str | None
    notes: str | None


def import_contacts(
    connection: sqlite3.Connection, account_id: int, contacts: Sequence[Contact], group: int | None, now_ms: int
) -> None:
    """Take contacts in, into a group where one is named. A number that is known is renewed with what is given."""
    for one in contacts:
        contact_id = connection.execute(
            "INSERT INTO contact (account, number, name, email, notes, created_ms) VALUES (?, ?, ?, ?, ?, ?) "
            "ON CONFLICT (account, number) DO UPDATE SET name = coalesce(excluded.name, name), "
            "email = coalesce(excluded.email, email), notes = coalesce(excluded.notes, notes) RETURNING id",
            (account_id, one.number, one.name, one.email, one.notes, now_ms),
        ).fetchone()[0]
        if group is not None:
            connection.execute("INSERT INTO contact_group VALUES (?, ?) ON CONFLICT DO NOTHING", (group, contact_id))


def contact_names(connection: sqlite3.Connection, account_id: int, numbers: Sequence[str]) -> dict[str, str]:
    """Names of those numbers that are contacts of the account with a name."""
    found = connection.execute(
        "SELECT number, name FROM contact WHERE account = ? AND name IS NOT NULL "
        "AND number IN (SELECT value FROM json_each(?))",
        (account_id, json.dumps(list(numbers))),
    )
    return {row["number"]: row["name"] for row in found}


# --- keys -------------------------------------------------------------------------------------------


def add_token(
    connection: sqlite3.Connection,
    account_id: int,
    name: str,
    *,
    digest: bytes,
    abilities: tuple[str, ...],
    now_ms: int,
) -> Token:
    """A new key of an account."""
    row = connection.execute(
        "INSERT INTO token (account, name, digest, abilities, created_ms) VALUES (?, ?, ?, ?, ?) RETURNING *",
        (account_id, name, digest, json.dumps(abilities), now_ms),
    ).fetchone()
    return _token(row)


def token(connection: sqlite3.Connection, token_id: int) -> Token | None:
    row = connection.execute("SELECT * FROM token WHERE id = ?", (token_id,)).fetchone()
    return None if row is None else _token(row)


def tokens(connection: sqlite3.Connection, account_id: int) -> list[Token]:
    """An account's keys, oldest first."""
    found = connection.execute("SELECT * FROM token WHERE account = ? ORDER BY id", (account_id,))
    return [_token(row) for row in found]


def remove_token(connection: sqlite3.Connection, account_id: int, token_id: int) -> bool:
    """Whether the account had such a key."""
    return connection.execute("DELETE FROM token WHERE id = ? AND account = ?", (token_id, account_id)).rowcount > 0


def note_used(connection: sqlite3.Connection, used: Mapping[int, int]) -> None:
    """Write down when keys were last used."""
    connection.executemany("UPDATE token SET last_used_ms = ? WHERE id = ?", [(at, key) for key, at in used.items()])


# --- devices ----------------------------------------------------------------------------------------


def routes_without_row(connection: sqlite3.Connection, names: Sequence[str]) -> list[str]:
    known = {row[0] for row in connection.execute("SELECT route FROM device WHERE route IS NOT NULL")}
    return [name for name in names if name not in known]


def add_routes(connection: sqlite3.Connection, owner_id: int, names: Sequence[str]) -> None:
    """A row for each of these own routes. It stays when the route is configured no more, and with it its number."""
    connection.executemany(
        "INSERT INTO device (account, device_id, name, route) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
        [(owner_id, f"route:{name}", name, name) for name in names],
    )


def register_device(
    connection: sqlite3.Connection,
    account_id: int,
    device_id: str,
    name: str,
    *,
    phone_number: str | None,
    sms_rate: float,
    pool: str | None = None,
) -> tuple[Device, bool]:
    """A remote agent's row, made where the account has none of this `device_id`. Whether it is new."""
    row = connection.execute(
        "INSERT INTO device (account, device_id, name, phone_number, sms_rate, pool) VALUES (?, ?, ?, ?, ?, ?) "
        "ON CONFLICT DO NOTHING RETURNING *",
        (account_id, device_id, name, phone_number, sms_rate, pool),
    ).fetchone()
    if row is not None:
        return _device(row), True
    row = connection.execute(
        "UPDATE device SET name = ?, phone_number = coalesce(?, phone_number), pool = coalesce(?, pool) "
        "WHERE account = ? AND device_id = ? RETURNING *",
        (name, phone_number, pool, account_id, device_id),
    ).fetchone()
    return _device(row), False


def devices(connection: sqlite3.Connection, account_id: int) -> list[Device]:
    """What an account may send by: its own remote agents, and our routes, which serve everybody."""
    found = connection.execute("SELECT * FROM device WHERE account = ? OR route IS NOT NULL ORDER BY id", (account_id,))
    return [_device(row) for row in found]


_DEVICE_COLUMNS = frozenset(
    {"name", "phone_number", "is_active", "sms_rate", "send_delay_s", "default_sim_slot", "pool"}
)


def change_device(
    connection: sqlite3.Connection, number: int, values: Mapping[str, str | int | float | bool | None]
) -> Device | None:
    """Set some of a device's columns."""
    _set(connection, "device", _DEVICE_COLUMNS, number, values)
    row = connection.execute("SELECT * FROM device WHERE id = ?", (number,)).fetchone()
    return None if row is None else _device(row)


def remove_device(connection: sqlite3.Connection, account_id: int, number: int) -> bool:
    """Remove a remote agent with the messages that it was to send. Whether the account had it."""
    is_gone = connection.execute(
        "DELETE FROM device WHERE id = ? AND account = ? AND route IS NULL", (number, account_id)
    ).rowcount
    if is_gone:
        found = connection.execute("SELECT id FROM message WHERE device = ? AND direction = 'outbound'", (number,))
        for (message_id,) in found.fetchall():
            messages.delete(connection, message_id)
    return is_gone > 0


# --- pieces -----------------------------------------------------------------------------------------


def _set(
    connection: sqlite3.Connection,
    table: str,
    known: frozenset[str],
    key: int,
    values: Mapping[str, str | int | float | bool | None],
) -> None:
    if unknown := values.keys() - known:
        raise ValueError(f"{table} has no column {', '.join(sorted(unknown))} that may be set")
    if values:
        columns = ", ".join(f"{column} = ?" for column in values)
        connection.execute(f"UPDATE {table} SET {columns} WHERE id = ?", (*values.values(), key))


def _account(row: sqlite3.Row) -> Account:
    return Account(
        id=row["id"],
        name=row["name"],
        email=row["email"],
        password=row["password"],
        is_owner=bool(row["is_owner"]),
        default_device=row["default_device"],
        keep_inbound=bool(row["keep_inbound"]),
        webhook_incoming=row["webhook_incoming"],
        webhook_status=row["webhook_status"],
        premium_until_ms=row["premium_until_ms"],
        created_ms=row["created_ms"],
    )


def _token(row: sqlite3.Row) -> Token:
    return Token(
        id=row["id"],
        account=row["account"],
        name=row["name"],
        digest=row["digest"],
        abilities=tuple(json.loads(row["abilities"])),
        last_used_ms=row["last_used_ms"],
        created_ms=row["created_ms"],
    )


def _device(row: sqlite3.Row) -> Device:
    return Device(
        id=row["id"],
        account=row["account"],
        device_id=row["device_id"],
        name=row["name"],
        phone_number=row["phone_number"],
        route=row["route"],
        is_active=bool(row["is_active"]),
        sms_rate=row["sms_rate"],
        send_delay_s=row["send_delay_s"],
        default_sim_slot=row["default_sim_slot"],
        pool=row["pool"],
    )
