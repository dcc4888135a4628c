"""What SMSGate's client API needs beside messages: webhooks, settings and tokens of an account, durable in the journal.

Reached as `gateway.accounts.clients`. What each request and event asks for is kept in memory, and is right because this
process is the only writer.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Sequence
from typing import Any

from agent.clock import Clock
from agent.journal import bundles, clients
from agent.journal.bundles import Wanted
from agent.journal.clients import TokenPair, Webhook
from agent.journal.store import Journal
from agent.model import Event, Message

__all__ = ["Clients", "TokenPair", "Wanted", "Webhook"]

_KEY_OCTETS = 32
_CACHED = 1000


class Clients:
    """One per gateway. `changed` is set when somebody's settings were."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self.changed = asyncio.Event()
        self._journal = journal
        self._clock = clock
        self._webhooks: dict[int, tuple[Webhook, ...]] = {}
        self._webhook_changes = 0
        self._settings: dict[int, dict[str, Any]] | None = None
        self._tokens: dict[str, TokenPair] = {}
        self._revoked: set[str] = set()
        self._signing_key: bytes | None = None
        self._identity: str | None = None

    async def identity(self) -> str:
        """The id of this gateway as a device: the same for as long as its journal lives."""
        if self._identity is None:
            self._identity = await self._journal.read(clients.identity)
        return self._identity

    # --- webhooks -----------------------------------------------------------------------------------

    async def webhooks(self, account: int) -> tuple[Webhook, ...]:
        """Oldest first."""
        found = self._webhooks.get(account)
        if found is None:
            changes = self._webhook_changes
            found = tuple(await self._journal.read(lambda con: clients.webhooks(con, account)))
            if changes == self._webhook_changes:
                _bounded(self._webhooks)[account] = found
        return found

    async def told_of(self, event: str) -> list[int]:
        """Accounts with a webhook for an event."""
        return await self._journal.read(lambda con: clients.told_of(con, event))

    async def put_webhook(self, account: int, webhook: Webhook) -> None:
        """Put one in; one with the same id is replaced."""
        now_ms = self._clock.utc_ms()
        await self._journal.write(lambda con: clients.put_webhook(con, account, webhook, now_ms))
        self._forget_webhooks(account)

    async def remove_webhook(self, account: int, webhook_id: str) -> bool:
        """Whether the account had it."""
        is_gone = await self._journal.write(lambda con: clients.remove_webhook(con, account, webhook_id))
        self._forget_webhooks(account)
        return is_gone

    def _forget_webhooks(self, account: int) -> None:
        self._webhook_changes += 1
        self._webhooks.pop(account, None)

    # --- settings -----------------------------------------------------------------------------------

    async def settings(self, account: int) -> dict[str, Any]:
        """An account's settings, section → key → value, secrets included."""
        return (await self.all_settings()).get(account, {})

    async def all_settings(self) -> dict[int, dict[str, Any]]:
        """Account → settings, of those that have any."""
        if self._settings is None:
            found = await self._journal.read(clients.settings)
            self._settings = {account: json.loads(document) for account, document in found.items()}
        return self._settings

    async def set_settings(self, account: int, settings: dict[str, Any]) -> None:
        known = await self.all_settings()
        await self._journal.write(lambda con: clients.set_settings(con, account, json.dumps(settings)))
        known[account] = settings
        self.changed.set()

    # --- tokens -------------------------------------------------------------------------------------

    async def signing_key(self) -> bytes:
        """What signs all tokens; made at the first call."""
        if self._signing_key is None:
            fresh = secrets.token_hex(_KEY_OCTETS)
            self._signing_key = bytes.fromhex(await self._journal.write(lambda con: clients.signing_key(con, fresh)))
        return self._signing_key

    async def add_tokens(self, pair: TokenPair) -> None:
        now_ms = self._clock.utc_ms()
        await self._journal.write(lambda con: clients.add_tokens(con, pair, now_ms))

    async def tokens(self, token_id: str) -> TokenPair | None:
        """The pair with this access token, None where it is revoked."""
        if token_id in self._revoked:
            return None
        found = self._tokens.get(token_id)
        if found is None:
            found = await self._journal.read(lambda con: clients.tokens(con, token_id))
            if found is None or found.is_revoked:
                return None
            _bounded(self._tokens)[token_id] = found
        return None if token_id in self._revoked else found

    async def tokens_to_refresh(self, refresh_id: str) -> TokenPair | None:
        """The pair with this refresh token."""
        return await self._journal.read(lambda con: clients.tokens_to_refresh(con, refresh_id))

    async def refresh(self, old: TokenPair, new: TokenPair) -> bool:
        """Put a new pair in an old one's place. False where that was refreshed or revoked before."""
        now_ms = self._clock.utc_ms()
        return await self._journal.write(lambda con: clients.refresh(con, old, new, now_ms))

    async def revoke(self, account: int, token_id: str) -> bool:
        """Whether the account had such a token. Nobody is let in by it any more when this returns."""
        is_gone = await self._journal.write(lambda con: clients.revoke(con, account, token_id))
        if is_gone:
            # A request that came meanwhile may still put it into the cache.
            self._revoked.add(token_id)
            self._tokens.pop(token_id, None)
        return is_gone

    # --- messages -----------------------------------------------------------------------------------

    async def page(
        self, wanted: Wanted, *, offset: int, limit: int, is_ascending: bool = False
    ) -> tuple[int, list[list[Message]]]:
        """How many there are, and some of them, each with all its recipients."""

        def run(con: Any) -> tuple[int, list[list[Message]]]:
            total, leaders = bundles.page(con, wanted, offset=offset, limit=limit, is_ascending=is_ascending)
            found = bundles.recipients(con, leaders)
            return total, [found[leader.id] for leader in leaders]

        return await self._journal.read(run)

    async def message(self, account: int, key: str, *, with_unowned: bool) -> list[Message]:
        """All recipients of an account's message by its id; empty where there is none."""

        def run(con: Any) -> list[Message]:
            leader = bundles.first(con, account, with_unowned, key)
            return [] if leader is None else bundles.recipients(con, [leader])[leader.id]

        return await self._journal.read(run)

    async def moves(self, ids: Sequence[int]) -> list[Event]:
        """Changes of these messages' states, oldest first."""
        return await self._journal.read(lambda con: bundles.moves(con, ids))

    async def log(self, account: int, *, is_owner: bool, from_ms: int, to_ms: int, limit: int) -> list[Event]:
        """The newest lines of history of a span of time, newest first."""
        return await self._journal.read(
            lambda con: bundles.log(con, account, is_owner=is_owner, from_ms=from_ms, to_ms=to_ms, limit=limit)
        )

    async def outcomes(self, since_ms: int) -> tuple[int, int]:
        """How many of the newest messages since then failed, and how many were sent."""
        return await self._journal.read(lambda con: bundles.outcomes(con, since_ms))


def _bounded(cache: dict[Any, Any]) -> dict[Any, Any]:
    """Whoever is many asks the journal again."""
    if len(cache) >= _CACHED:
        cache.clear()
    return cache
