"""What the local server keeps for applications that speak SMSGate's client API: webhooks, settings, tokens.

Times are UTC ms. Tokens come and go as their ids only: what signs them never leaves `signing_key`.
"""

from __future__ import annotations

import json
import sqlite3

from drivers.values import dataclass

_SIGNING_KEY = "client_signing_key"


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address that is told of one kind of event. `device_id` None: of whichever device."""

    id: str
    url: str
    event: str
    device_id: str | None


@dataclass(frozen=True, slots=True)
class TokenPair:
    """An access token (`id`) and its refresh token. `key_id` is the API key it was made with, None for the
    configured one."""

    id: str
    account: int
    key_id: int | None
    scopes: tuple[str, ...]
    ttl_s: int
    expires_ms: int
    refresh_id: str
    refresh_expires_ms: int
    is_refreshed: bool = False
    is_revoked: bool = False


def webhooks(connection: sqlite3.Connection, account: int) -> list[Webhook]:
    found = connection.execute(
        "SELECT id, url, event, device_id FROM client_webhook WHERE account = ? ORDER BY created_ms, id", (account,)
    )
    return [Webhook(*row) for row in found]


def told_of(connection: sqlite3.Connection, event: str) -> list[int]:
    """Accounts with a webhook for an event."""
    return [
        row[0] for row in connection.execute("SELECT DISTINCT account FROM client_webhook WHERE event = ?", (event,))
    ]


def put_webhook(connection: sqlite3.Connection, account: int, webhook: Webhook, now_ms: int) -> None:
    """Put one in; one with the same id is replaced."""
    connection.execute(
        "INSERT INTO client_webhook VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET url = excluded.url, "
        "event = excluded.event, device_id = excluded.device_id",
        (account, webhook.id, webhook.url, webhook.event, webhook.device_id, now_ms),
    )


def remove_webhook(connection: sqlite3.Connection, account: int, webhook_id: str) -> bool:
    """Whether the account had it."""
    changed = connection.execute("DELETE FROM client_webhook WHERE account = ? AND id = ?", (account, webhook_id))
    return changed.rowcount > 0


def settings(connection: sqlite3.Connection) -> dict[int, str]:
    """Account → its settings, JSON."""
    return {row[0]: row[1] for row in connection.execute("SELECT account, settings FROM client_settings")}


def set_settings(connection: sqlite3.Connection, account: int, document: str) -> None:
    connection.execute(
        "INSERT INTO client_settings VALUES (?, ?) ON CONFLICT DO UPDATE SET settings = excluded.settings",
        (account, document),
    )


def identity(connection: sqlite3.Connection) -> str:
    """The journal's own id, which no other journal has."""
    return str(connection.execute("SELECT value FROM meta WHERE key = 'journal_id'").fetchone()[0])


# --- tokens -----------------------------------------------------------------------------------------


def signing_key(connection: sqlite3.Connection, fresh: str) -> str:
    """What signs all tokens, in hexadecimal; the fresh one at the first call."""
    connection.execute("INSERT INTO meta VALUES (?, ?) ON CONFLICT DO NOTHING", (_SIGNING_KEY, fresh))
    return str(connection.execute("SELECT value FROM meta WHERE key = ?", (_SIGNING_KEY,)).fetchone()[0])


def add_tokens(connection: sqlite3.Connection, pair: TokenPair, now_ms: int) -> None:
    """Put a pair in, and forget pairs that are of no use to anybody any more."""
    connection.execute("DELETE FROM client_token WHERE refresh_expires_ms < ?", (now_ms,))
    connection.execute(
        "INSERT INTO client_token VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?)",
        (
            pair.id, pair.account, pair.key_id, json.dumps(pair.scopes), pair.ttl_s, pair.expires_ms, pair.refresh_id,
            pair.refresh_expires_ms, now_ms,
        ),
    )  # fmt: skip


def tokens(connection: sqlite3.Connection, token_id: str) -> TokenPair | None:
    """The pair with this access token."""
    return _pair(connection.execute("SELECT * FROM client_token WHERE id = ?", (token_id,)).fetchone())


def tokens_to_refresh(connection: sqlite3.Connection, refresh_id: str) -> TokenPair | None:
    """The pair with this refresh token."""
    return _pair(connection.execute("SELECT * FROM client_token WHERE refresh_id = ?", (refresh_id,)).fetchone())


def refresh(connection: sqlite3.Connection, old: TokenPair, new: TokenPair, now_ms: int) -> bool:
    """Put a new pair in an old one's place. False where that was refreshed or revoked before."""
    changed = connection.execute(
        "UPDATE client_token SET is_refreshed = 1 WHERE id = ? AND NOT is_refreshed AND NOT is_revoked", (old.id,)
    ).rowcount
    if changed:
        add_tokens(connection, new, now_ms)
    return changed > 0


def revoke(connection: sqlite3.Connection, account: int, token_id: str) -> bool:
    """Revoke an access token of an account with its refresh token. Whether there was such a one."""
    changed = connection.execute(
        "UPDATE client_token SET is_revoked = 1 WHERE account = ? AND id = ?", (account, token_id)
    )
    return changed.rowcount > 0


def _pair(row: sqlite3.Row | None) -> TokenPair | None:
    if row is None:
        return None
    return TokenPair(
        id=row["id"],
        account=row["account"],
        key_id=row["key_id"],
        scopes=tuple(json.loads(row["scopes"])),
        ttl_s=row["ttl_s"],
        expires_ms=row["expires_ms"],
        refresh_id=row["refresh_id"],
        refresh_expires_ms=row["refresh_expires_ms"],
        is_refreshed=bool(row["is_refreshed"]),
        is_revoked=bool(row["is_revoked"]),
    )
