"""Tokens with scopes: issued to whoever has a key, renewed by rotation, revoked at once.

A token counts while its row in the journal does, and while the key does that it was made with.
"""

from __future__ import annotations

import secrets
from typing import Any

from agent.accounts import Caller
from agent.clients import TokenPair
from agent.upstreams.local.context import Local
from agent.upstreams.local.smsgate import jwt, scopes
from drivers.values import dataclass

LONGEST_TTL_S = 365 * 86_400
DEFAULT_TTL_S = 86_400
# As on the phone: a refresh token lives this much longer than its access token.
_REFRESH_FACTOR = 7
_ID_OCTETS = 16
_ISSUER = "phonebridge"


@dataclass(frozen=True, slots=True)
class Client:
    """Who asks: an account, and what it may. `key_id` is the API key, or the one its token was made with; None is the
    configured one."""

    caller: Caller
    scopes: frozenset[str]
    key_id: int | None

    @property
    def account(self) -> int:
        return self.caller.account

    @property
    def is_owner(self) -> bool:
        return self.caller.is_owner


@dataclass(frozen=True, slots=True)
class Issued:
    """A pair with its tokens in clear, which nobody sees again."""

    pair: TokenPair
    access: str
    refresh: str


async def issue(local: Local, client: Client, wanted: tuple[str, ...], ttl_s: int) -> Issued:
    """A new pair. Durable when it returns."""
    pair = _new_pair(local, client.account, client.key_id, wanted, ttl_s)
    await local.accounts.clients.add_tokens(pair)
    return await _issued(local, pair)


async def renew(local: Local, presented: str) -> Issued | None:
    """A new pair for a refresh token, which is of no use from then on; None where it is none, or was used before."""
    claims = await _claims(local, presented)
    if claims is None or claims["scopes"] != [scopes.REFRESH]:
        return None
    old = await local.accounts.clients.tokens_to_refresh(claims["jti"])
    if old is None or old.is_refreshed or old.is_revoked or not await local.accounts.is_valid_key(old.key_id):
        return None
    new = _new_pair(local, old.account, old.key_id, old.scopes, old.ttl_s)
    return await _issued(local, new) if await local.accounts.clients.refresh(old, new) else None


async def client(local: Local, presented: str) -> Client | None:
    """Who presents this access token."""
    claims = await _claims(local, presented)
    if claims is None or claims["scopes"] == [scopes.REFRESH]:
        return None
    pair = await local.accounts.clients.tokens(claims["jti"])
    if pair is None or not await local.accounts.is_valid_key(pair.key_id):
        return None
    is_owner = pair.account == await local.accounts.owner()
    return Client(Caller(pair.account, is_owner, pair.key_id, pair.scopes), frozenset(pair.scopes), pair.key_id)


def _new_pair(local: Local, account: int, key_id: int | None, wanted: tuple[str, ...], ttl_s: int) -> TokenPair:
    now_ms = local.gateway.clock.utc_ms()
    return TokenPair(
        id=secrets.token_urlsafe(_ID_OCTETS),
        account=account,
        key_id=key_id,
        scopes=wanted,
        ttl_s=ttl_s,
        expires_ms=now_ms + ttl_s * 1000,
        refresh_id=secrets.token_urlsafe(_ID_OCTETS),
        refresh_expires_ms=now_ms + ttl_s * 1000 * _REFRESH_FACTOR,
    )


async def _issued(local: Local, pair: TokenPair) -> Issued:
    key = await local.accounts.clients.signing_key()
    common: dict[str, Any] = {
        "iss": _ISSUER,
        "sub": str(pair.account),
        "user_id": str(pair.account),
        "iat": local.gateway.clock.utc_ms() // 1000,
    }
    if pair.key_id is None:
        common["key"] = local.accounts.configured_mark()
    access = {**common, "jti": pair.id, "exp": pair.expires_ms / 1000, "scopes": list(pair.scopes)}
    refresh = {**common, "jti": pair.refresh_id, "exp": pair.refresh_expires_ms / 1000, "scopes": [scopes.REFRESH]}
    return Issued(pair, *(jwt.signed({**one, "exp": round(one["exp"])}, key) for one in (access, refresh)))


async def _claims(local: Local, presented: str) -> dict[str, Any] | None:
    """What a token of ours says. One that was made with the configured key counts only while that is configured."""
    found = jwt.claims(presented, await local.accounts.clients.signing_key(), local.gateway.clock.utc_ms() / 1000)
    if found is None or found.get("key", local.accounts.configured_mark()) != local.accounts.configured_mark():
        return None
    return found
