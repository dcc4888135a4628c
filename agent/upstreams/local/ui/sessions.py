"""Who is at the page: sessions by cookie. In memory only: a restart asks for the key again, and nothing that a copy
of the disk holds lets anybody in.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets

from agent.accounts import Caller, NewToken
from agent.upstreams.local.context import Local
from drivers.values import dataclass

_TOKEN_BYTES = 32
_IDLE_MS = 7 * 86_400_000
_LONGEST_MS = 30 * 86_400_000
_MOST_SESSIONS = 200


@dataclass(slots=True)
class Session:
    """One browser. `csrf` comes back with each POST; `fresh_key` is a key that was just made, shown once; `said` is
    the outcome of the last action, shown once."""

    caller: Caller
    csrf: str
    began_ms: int
    seen_ms: int
    fresh_key: NewToken | None = None
    said: tuple[str, str] | None = None


class Sessions:
    """One per local server."""

    def __init__(self, local: Local) -> None:
        self._local = local
        self._sessions: dict[bytes, Session] = {}

    def open(self, caller: Caller) -> str:
        """A new session; the cookie's value, of which only the digest is kept."""
        now_ms = self._local.gateway.clock.boot_ms()
        while len(self._sessions) >= _MOST_SESSIONS:
            del self._sessions[min(self._sessions, key=lambda key: self._sessions[key].seen_ms)]
        cookie = secrets.token_urlsafe(_TOKEN_BYTES)
        self._sessions[_digest(cookie)] = Session(caller, secrets.token_urlsafe(_TOKEN_BYTES), now_ms, now_ms)
        return cookie

    async def find(self, cookie: str | None) -> Session | None:
        """The session of a cookie, None where there is none, it is too old, or its key was revoked meanwhile."""
        if not cookie:
            return None
        key = _digest(cookie)
        session = self._sessions.get(key)
        if session is None:
            return None
        now_ms = self._local.gateway.clock.boot_ms()
        is_old = now_ms - session.seen_ms > _IDLE_MS or now_ms - session.began_ms > _LONGEST_MS
        if is_old or not await self._is_key_good(session.caller):
            self._sessions.pop(key, None)
            return None
        session.seen_ms = now_ms
        return session

    def close(self, cookie: str | None) -> None:
        self._sessions.pop(_digest(cookie or ""), None)

    async def _is_key_good(self, caller: Caller) -> bool:
        if caller.token is None:
            return True
        return any(token.id == caller.token for token, _ in await self._local.accounts.tokens(caller.account))


def is_same(given: str, expected: str) -> bool:
    """Compared in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "replace"), expected.encode())


def _digest(cookie: str) -> bytes:
    return hashlib.sha256(cookie.encode("utf-8", "replace")).digest()
