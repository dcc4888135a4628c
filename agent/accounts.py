"""Accounts, keys and devices of the local server, as its dialects see them.

Passwords and secrets are made and compared here and nowhere else; the journal has digests. What a request asks
each time is kept in memory, and is right because this process is the only writer.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from typing import TypeVar

from agent.clients import Clients
from agent.clock import Clock
from agent.journal import acceptance, accounts, billing, inbound
from agent.journal.acceptance import Acceptance, Idempotency
from agent.journal.accounts import Account, Contact, Device, EmailTaken, Token
from agent.journal.billing import Bill, Item, NotEnoughCredit, Sending, SendingFilter, Tally
from agent.journal.schema import JournalError
from agent.journal.store import REPORT_PATIENCE_S, Journal
from agent.model import MessageState
from agent.remote import RemoteAgents
from drivers.values import dataclass

_V = TypeVar("_V")

__all__ = [
    "Account",
    "Accounts",
    "Bill",
    "Caller",
    "Contact",
    "Device",
    "EmailTaken",
    "Item",
    "NewToken",
    "NotEnoughCredit",
    "Sending",
    "SendingFilter",
    "Tally",
    "Token",
]

_OWNER_NAME, _OWNER_EMAIL = "owner", "owner@localhost"
_SECRET_BYTES = 30
"""240 bits: too many to try, so a plain SHA-256 of it is enough."""
# scrypt as OWASP's password storage cheat sheet has it for 16 MiB; one at a time bounds the memory.
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 1 << 14, 8, 5
_SCRYPT_MEMORY_BYTES = 32 << 20
_CACHED = 1000
_USED_WRITE_S = 600.0
"""`last_used_at` is written at most this often (DESIGN decision 1)."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `token` is None for the configured key."""

    account: int
    is_owner: bool
    token: int | None
    abilities: tuple[str, ...]

    def may(self, ability: str) -> bool:
        """Whether the key opens this; "*" opens everything."""
        return "*" in self.abilities or ability in self.abilities


@dataclass(frozen=True, slots=True)
class NewToken:
    """A key that was just made. `plaintext` is shown now and never again."""

    token: Token
    plaintext: str


class Accounts:
    """One per gateway. Does nothing until the local server or the CLI asks."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self.agents = RemoteAgents(journal, clock)
        self.clients = Clients(journal, clock)
        self._journal = journal
        self._clock = clock
        self._owner: int | None = None
        self._devices: dict[int, list[Device]] = {}
        self._device_changes = 0
        self._configured: bytes | None = None
        self._accounts: dict[int, Account] = {}
        self._tokens: dict[int, Token] = {}
        self._revoked: set[int] = set()
        self._used: dict[int, int] = {}
        self._unwritten: dict[int, int] = {}
        self._was_used = asyncio.Event()
        self._one_password = asyncio.Semaphore(1)

    async def run(self) -> None:
        """Write down now and then when keys were used, and at the end, until cancelled."""
        try:
            while True:
                await self._was_used.wait()
                await asyncio.sleep(_USED_WRITE_S)
                self._was_used.clear()
                await self._write_used()
        finally:
            if self._unwritten:
                await self._write_used()

    async def _write_used(self) -> None:
        used, self._unwritten = self._unwritten, {}
        try:
            await self._journal.write(lambda con: accounts.note_used(con, used))
        except JournalError:
            # Not worth more than another try with the next ones.
            self._unwritten = {**used, **self._unwritten}

    # --- accounts -----------------------------------------------------------------------------------

    async def owner(self) -> int:
        """The owner's account, made at the first call."""
        if self._owner is None:
            found = await self._journal.read(accounts.owner)
            if found is None:
                now_ms = self._clock.utc_ms()
                found = await self._journal.write(
                    lambda con: accounts.ensure_owner(con, _OWNER_NAME, _OWNER_EMAIL, now_ms)
                )
            self._owner = found.id
        return self._owner

    async def account(self, account_id: int) -> Account | None:
        found = self._accounts.get(account_id)
        if found is None:
            found = await self._journal.read(lambda con: accounts.account(con, account_id))
            if found is not None:
                _keep(self._accounts, account_id, found)
        return found

    async def register(self, name: str, email: str, password: str) -> Account:
        """A new account. Raises: EmailTaken."""
        if await self._journal.read(lambda con: accounts.by_email(con, email)) is not None:
            raise EmailTaken(email)
        stored = await self._hashed(password)
        now_ms = self._clock.utc_ms()
        return await self._journal.write(lambda con: accounts.create(con, name, email, stored, now_ms))

    async def register_without_password(self, name: str, email: str) -> Account:
        """A new account that somebody else vouches for; nobody logs in with a password. Raises: EmailTaken."""
        now_ms = self._clock.utc_ms()
        return await self._journal.write(lambda con: accounts.create(con, name, email, None, now_ms))

    async def by_email(self, email: str) -> Account | None:
        return await self._journal.read(lambda con: accounts.by_email(con, email))

    async def login(self, email: str, password: str) -> Account | None:
        """The account with this email and password. It takes as long where there is no such account."""
        found = await self._journal.read(lambda con: accounts.by_email(con, email))
        stored = None if found is None else found.password
        is_right = await self._matches(password, stored)
        return found if is_right else None

    async def change(self, account_id: int, values: Mapping[str, str | int | bool | None]) -> Account:
        """Set settings of an account: columns of the account table."""
        changed = await self._journal.write(lambda con: accounts.change(con, account_id, values))
        _keep(self._accounts, account_id, changed)
        return changed

    async def import_contacts(self, account_id: int, contacts: Sequence[Contact], group: int | None) -> None:
        """Take contacts in; durable when it returns."""
        now_ms = self._clock.utc_ms()
        await self._journal.write(lambda con: accounts.import_contacts(con, account_id, contacts, group, now_ms))

    async def contact_names(self, account_id: int, numbers: Sequence[str]) -> dict[str, str]:
        """Names of those numbers that are contacts with a name."""
        return await self._journal.read(lambda con: accounts.contact_names(con, account_id, numbers))

    # --- credit -------------------------------------------------------------------------------------

    async def spent(self, account_id: int, purse: str) -> int:
        """What a purse has paid and not got back, in millionths."""
        return await self._journal.read(lambda con: billing.spent(con, account_id, purse))

    async def sending_of(self, message_id: int) -> str | None:
        """The sending that a message belongs to."""
        return await self._journal.read(lambda con: billing.sending_of(con, message_id))

    async def sendings(self, wanted: SendingFilter, offset: int, limit: int) -> tuple[int, list[Sending]]:
        """How many there are, and some of them, newest first."""
        return await self._journal.read(lambda con: billing.sendings(con, wanted, offset, limit))

    async def sending_items(
        self, wanted: SendingFilter, uid: str, states: Sequence[MessageState], *, offset: int, limit: int
    ) -> tuple[int, Sending, list[Item]] | None:
        """A sending, how many of its items are in these states, and some of them; None where there is none."""
        return await self._journal.read(lambda con: billing.items(con, wanted, uid, states, offset=offset, limit=limit))

    # --- requests -----------------------------------------------------------------------------------

    async def replay(self, idempotency: Idempotency) -> list[Acceptance] | None:
        """What was answered to an Idempotency-Key before. Raises: IdempotencyConflict."""
        return await self._journal.read(lambda con: acceptance.replayed(con, idempotency))

    async def blank_inbound(self, message_id: int, told: str) -> None:
        """The account keeps no inbound: blank the text, unless an upstream other than `told` still waits for it."""
        await self._journal.write(lambda con: inbound.blank_one(con, message_id, told), patience_s=REPORT_PATIENCE_S)

    # --- keys ---------------------------------------------------------------------------------------

    def set_configured_key(self, key: str) -> None:
        """The key from the configuration, or the generated one. It belongs to the owner."""
        self._configured = _digest(key.encode())

    async def caller(self, presented: bytes) -> Caller | None:
        """Who presents this key, None where nobody does. Compares in constant time."""
        if self._configured is not None and hmac.compare_digest(_digest(presented), self._configured):
            return Caller(await self.owner(), is_owner=True, token=None, abilities=("*",))
        number, bar, secret = presented.partition(b"|")
        if not bar or not number.isdigit() or len(number) > 15:
            return None
        token = await self._token(int(number))
        if token is None or token.id in self._revoked or not hmac.compare_digest(_digest(secret), token.digest):
            return None
        self._used[token.id] = self._unwritten[token.id] = self._clock.utc_ms()
        self._was_used.set()
        return Caller(token.account, token.account == await self.owner(), token.id, token.abilities)

    async def is_valid_key(self, token_id: int | None) -> bool:
        """Whether nobody has revoked this key; None is the configured one."""
        return token_id is None or (token_id not in self._revoked and await self._token(token_id) is not None)

    def configured_mark(self) -> str:
        """Changes with the configured key and tells nothing of it."""
        return hashlib.sha256(b"mark" + (self._configured or b"")).hexdigest()[:16]

    async def create_token(self, account_id: int, name: str, abilities: tuple[str, ...] = ("*",)) -> NewToken:
        secret = secrets.token_urlsafe(_SECRET_BYTES)
        digest, now_ms = _digest(secret.encode()), self._clock.utc_ms()
        token = await self._journal.write(
            lambda con: accounts.add_token(con, account_id, name, digest=digest, abilities=abilities, now_ms=now_ms)
        )
        return NewToken(token, f"{token.id}|{secret}")

    async def tokens(self, account_id: int) -> list[tuple[Token, int | None]]:
        """An account's keys, oldest first, each with the time of its last use."""
        found = await self._journal.read(lambda con: accounts.tokens(con, account_id))
        return [(token, self._used.get(token.id, token.last_used_ms)) for token in found]

    async def revoke(self, account_id: int, token_id: int) -> bool:
        """Whether the account had such a key. Nobody is let in by it any more when this returns."""
        is_gone = await self._journal.write(lambda con: accounts.remove_token(con, account_id, token_id))
        if is_gone:
            # A request that came meanwhile may still put it into the cache.
            self._revoked.add(token_id)
            self._tokens.pop(token_id, None)
        self._used.pop(token_id, None)
        self._unwritten.pop(token_id, None)
        return is_gone

    # --- devices ------------------------------------------------------------------------------------

    async def ensure_routes(self, names: list[str]) -> None:
        """A device for each own route."""
        owner = await self.owner()
        missing = await self._journal.read(lambda con: accounts.routes_without_row(con, names))
        if missing:
            await self._journal.write(lambda con: accounts.add_routes(con, owner, missing))
            self._forget_devices()

    async def devices(self, account_id: int) -> list[Device]:
        """Remote agents of the account, and all own routes that ever were."""
        found = self._devices.get(account_id)
        if found is None:
            changes = self._device_changes
            found = await self._journal.read(lambda con: accounts.devices(con, account_id))
            if changes == self._device_changes:
                _keep(self._devices, account_id, found)
        return found

    async def register_device(
        self,
        account_id: int,
        device_id: str,
        name: str,
        *,
        phone_number: str | None,
        sms_rate: float,
        pool: str | None = None,
    ) -> tuple[Device, bool]:
        """A remote agent, known by its `device_id`. Whether it is new."""
        result = await self._journal.write(
            lambda con: accounts.register_device(
                con, account_id, device_id, name, phone_number=phone_number, sms_rate=sms_rate, pool=pool
            )
        )
        self._forget_devices()
        return result

    async def change_device(self, number: int, values: Mapping[str, str | int | float | bool | None]) -> Device | None:
        """Set columns of a device; None where it is gone."""
        changed = await self._journal.write(lambda con: accounts.change_device(con, number, values))
        self._forget_devices()
        return changed

    async def remove_device(self, account_id: int, number: int) -> bool:
        """Remove a remote agent with its messages. Whether the account had it."""
        is_gone = await self._journal.write(lambda con: accounts.remove_device(con, account_id, number))
        self._forget_devices()
        return is_gone

    # --- pieces -------------------------------------------------------------------------------------

    def _forget_devices(self) -> None:
        self._device_changes += 1
        self._devices.clear()

    async def _token(self, token_id: int) -> Token | None:
        token = self._tokens.get(token_id)
        if token is None:
            token = await self._journal.read(lambda con: accounts.token(con, token_id))
            if token is not None:
                _keep(self._tokens, token_id, token)
        return token

    async def _hashed(self, password: str) -> str:
        salt = secrets.token_bytes(16)
        digest = await self._scrypt(password, salt, _SCRYPT_N, _SCRYPT_R, _SCRYPT_P)
        return _stored(salt, digest)

    async def _matches(self, password: str, stored: str | None) -> bool:
        if stored is None:
            await self._scrypt(password, b"nobody", _SCRYPT_N, _SCRYPT_R, _SCRYPT_P)
            return False
        _, n, r, p, salt, digest = stored.split("$")
        found = await self._scrypt(password, base64.b64decode(salt), int(n), int(r), int(p))
        return hmac.compare_digest(found, base64.b64decode(digest))

    async def _scrypt(self, password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
        async with self._one_password:
            return await asyncio.to_thread(
                hashlib.scrypt, password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_SCRYPT_MEMORY_BYTES
            )


def _digest(secret: bytes) -> bytes:
    return hashlib.sha256(secret).digest()


def _stored(salt: bytes, digest: bytes) -> str:
    octets = (base64.b64encode(value).decode() for value in (salt, digest))
    return "$".join(("scrypt", str(_SCRYPT_N), str(_SCRYPT_R), str(_SCRYPT_P), *octets))


def _keep(cache: dict[int, _V], key: int, value: _V) -> None:
    """Bounded: whoever is many asks the journal again."""
    if len(cache) >= _CACHED:
        cache.clear()
    cache[key] = value
