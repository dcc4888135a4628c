"""Registrations of this gateway's devices, kept in the journal: made, checked, and made again where that is right.

A token dies only when its device is deleted on the server. A new registration is a new device, so it is made only
when the server itself says that it does not know the token, never on a fault, and not again and again. Nothing of
this is ever logged but device ids.
"""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import structlog

from agent.gateway import Gateway
from agent.supervise import backoff_s
from agent.upstreams.api import PairingRefused, UpstreamDown
from agent.upstreams.smsgate import rows
from agent.upstreams.smsgate.client import Answer, Client
from agent.upstreams.smsgate.settings import SmsGateSettings
from drivers.values import dataclass

_log = structlog.get_logger("smsgate")

_AGAIN_MS = 3_600_000
"""Between two registrations of one device: a server that forgets its tokens must not be filled with devices."""
_PERSON_S = 900.0
_FIRST_WAIT_S, _LONGEST_WAIT_S = 60.0, 1800.0
_SIGNING_KEY_CHARACTERS = 32
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"

PAIR = "pair it: phonebridge smsgate login USER, or phonebridge smsgate code CODE"


class NotPaired(UpstreamDown):
    """Only a person can help. `str()` is one sentence with the next step."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence, retry_after_s=_PERSON_S)


@dataclass(frozen=True, slots=True)
class Device:
    """One registration. `made_ms` is when; `is_lost` says that the server does not know its token any more."""

    id: str
    token: str
    login: str | None
    made_ms: int
    is_lost: bool = False

    @property
    def authorization(self) -> str:
        return f"Bearer {self.token}"

    def __repr__(self) -> str:
        return f"Device({self.id})"


@dataclass(frozen=True, slots=True)
class Account:
    """The user that the devices belong to, as far as it is known."""

    login: str
    password: str

    @property
    def authorization(self) -> str:
        return "Basic " + base64.b64encode(f"{self.login}:{self.password}".encode()).decode()

    def __repr__(self) -> str:
        return "Account(…)"


class Credentials:
    """One per upstream. `load` first; everything that changes is in the journal before a method returns."""

    def __init__(
        self, settings: SmsGateSettings, client: Client, gateway: Gateway, owner: str, *,
        private_token: str | None, password: str | None,
    ) -> None:  # fmt: skip
        self.account: Account | None = None
        self._configured = Account(settings.username, password) if settings.username and password else None
        self._private_token = private_token
        self._way = settings.way
        self._client = client
        self._gateway = gateway
        self._owner = owner
        self._device_name = settings.device_name or gateway.settings.device_name
        self._devices: dict[int, Device] = {}
        self._failures = 0
        self._registering = asyncio.Lock()

    async def load(self) -> dict[str, str]:
        """Read what the journal has; returns the upstream's other facts."""
        facts = await self._gateway.facts.recall(self._owner)
        for fact, value in facts.items():
            kind, _, index = fact.partition(":")
            if kind == "device":
                self._devices[int(index)] = Device(**json.loads(value))
            elif fact == "account":
                self.account = Account(**json.loads(value))
        if self._configured is not None:
            self.account = self._configured
        return facts

    def device(self, index: int) -> Device | None:
        """A registration that holds, as far as is known."""
        found = self._devices.get(index)
        return None if found is None or found.is_lost else found

    def index_of(self, device: Device) -> int:
        """Which of our devices it is; -1 where it was replaced."""
        return next((index for index, one in self._devices.items() if one.id == device.id), -1)

    def by_id(self, device_id: str) -> Device | None:
        return next((one for one in self._devices.values() if one.id == device_id and not one.is_lost), None)

    async def ensure(self, index: int, sim_cards: Sequence[rows.SimCard]) -> Device:
        """The registration of one device, made where there is none. Raises: UpstreamDown."""
        # One after the other: the first may make the account that the others belong to.
        async with self._registering:
            return await self._ensure(index, sim_cards)

    async def pair(
        self, index: int, sim_cards: Sequence[rows.SimCard], *, code: str | None = None, account: Account | None = None
    ) -> Device:
        """Register a device by a one-time code or a login that a person gave; it replaces what was there.

        Raises: PairingRefused; UpstreamDown.
        """
        authorization = f"Code {code}" if account is None else account.authorization
        answer = await self._post(index, sim_cards, authorization)
        if answer.status in (400, 401, 403):
            what = "login and password" if account is not None else "code (it is good for a minute, and once)"
            raise PairingRefused(f"{self._client.host} does not accept this {what}")
        device = await self._keep(index, answer, self._client)
        if account is not None:
            await self._remember_account(account)
        return device

    async def is_known(self, device: Device) -> bool:
        """The server's own word on a token: it answers 200 without a device where it is not valid any more.

        Raises: UpstreamDown.
        """
        answer = await self._client.ask("GET", "/device", device.authorization)
        if not answer.is_ok:
            raise self._client.refusal(answer, "GET /device")
        try:
            return rows.has_device(answer.document)
        except rows.Malformed as error:
            raise self._client.malformed(error) from error

    async def doubt(self, index: int, device: Device) -> UpstreamDown:
        """A protected call was answered 401: find out whether the token is dead. The error to raise."""
        if self._devices.get(index) != device:
            return UpstreamDown("this device was paired anew meanwhile", retry_after_s=0.0)
        if await self.is_known(device):
            return UpstreamDown(f"{self._client.host} refused a token that it knows (401)")
        _log.warning("device_forgotten", upstream=self._owner.partition(" ")[0], device=device.id,
                     reason="the server does not know its token any more")  # fmt: skip
        await self._remember(index, replace(device, is_lost=True))
        return UpstreamDown(f"{self._client.host} does not know this device any more", retry_after_s=0.0)

    async def one_time_code(self) -> tuple[str, str]:
        """A code for one more device of the account, and until when. Raises: PairingRefused; UpstreamDown."""
        if self.account is None:
            raise PairingRefused("this gateway knows no password of the account, so it cannot make codes")
        answer = await self._client.ask("GET", "/user/code", self.account.authorization)
        found = answer.document if isinstance(answer.document, dict) else {}
        if not answer.is_ok or not isinstance(found.get("code"), str):
            raise PairingRefused(f"{self._client.host} gives no code ({answer.status}) {answer.said}".strip())
        return found["code"], str(found.get("validUntil") or "")

    async def signing_key(self, facts: dict[str, str]) -> str:
        """The key of this device's webhooks, made at the first start."""
        if "signing_key" in facts:
            return facts["signing_key"]
        key = "".join(secrets.choice(_ALPHABET) for _ in range(_SIGNING_KEY_CHARACTERS))
        await self._gateway.facts.remember(self._owner, "signing_key", key)
        return key

    # --- pieces -------------------------------------------------------------------------------------

    async def _ensure(self, index: int, sim_cards: Sequence[rows.SimCard]) -> Device:
        found = self._devices.get(index)
        if found is not None and not found.is_lost:
            return found
        now_ms = self._gateway.clock.utc_ms()
        if found is not None and 0 <= now_ms - found.made_ms < _AGAIN_MS:
            wait_s = (_AGAIN_MS - (now_ms - found.made_ms)) / 1000
            raise UpstreamDown(
                f"{self._client.host} forgot this device within an hour; it registers again in {wait_s / 60:.0f} min",
                retry_after_s=min(wait_s, _PERSON_S),
            )
        return await self._register(index, sim_cards, self._authorization(index))

    def _authorization(self, index: int) -> str | None:
        """How a device registers without a person. Raises: NotPaired."""
        if self.account is not None:
            return self.account.authorization
        if self._devices and index not in self._devices:
            raise NotPaired(
                f"SIM slots from {index * rows.SLOTS} need a device of their own, and the account's password is not "
                "known here; run: phonebridge smsgate login USER"
            )
        if self._way == "token":
            return f"Bearer {self._private_token}"
        if self._way == "anonymous":
            return None
        raise NotPaired(f"this device is not paired with {self._client.host} yet; {PAIR}")

    async def _register(self, index: int, sim_cards: Sequence[rows.SimCard], authorization: str | None) -> Device:
        try:
            answer = await self._post(index, sim_cards, authorization)
        except UpstreamDown as error:
            # Registering is never repeated quickly: each one that got through made a device.
            self._failures += 1
            wait_s = backoff_s(self._failures, first_s=_FIRST_WAIT_S, longest_s=_LONGEST_WAIT_S)
            raise UpstreamDown(str(error), retry_after_s=max(wait_s, error.retry_after_s or 0.0)) from error
        self._failures = 0
        if answer.is_ok:
            return await self._keep(index, answer, self._client)
        if answer.is_unauthorized and self.account is not None and self._configured is None:
            # The account that an earlier registration made is gone with its devices: whoever used it is refused too.
            if self._way in ("anonymous", "token"):
                _log.warning("account_forgotten", upstream=self._owner.partition(" ")[0], next="registering a new user")
                self.account = None
                await self._gateway.facts.remember(self._owner, "account", None)
                self._devices.pop(index, None)
                return await self._register(index, sim_cards, self._authorization(index))
            raise NotPaired(f"{self._client.host} does not know this gateway's account any more; {PAIR}")
        key = {"token": "private_token", "login": "username and password"}.get(self._way, "base_url")
        said = f" ({answer.said})" if answer.said else ""
        raise NotPaired(f"{self._client.host} refuses to register this device: {answer.status}{said}; check {key}")

    async def _post(self, index: int, sim_cards: Sequence[rows.SimCard], authorization: str | None) -> Answer:
        name = self._device_name if index == 0 else f"{self._device_name} {index + 1}"
        # No pushToken, not even an empty one: with none the server sends its events down the stream.
        body = {"name": name[:128], "simCards": rows.sim_cards(sim_cards)}
        return await self._client.ask("POST", "/device", authorization, body=body, is_safe=False)

    async def _keep(self, index: int, answer: Answer, client: Client) -> Device:
        if not answer.is_ok:
            raise client.refusal(answer, "POST /device")
        try:
            made = rows.registration(answer.document)
        except rows.Malformed as error:
            raise client.malformed(error) from error
        device = Device(made.id, made.token, made.login, self._gateway.clock.utc_ms())
        await self._remember(index, device)
        if made.login is not None and made.password is not None:
            await self._remember_account(Account(made.login, made.password))
        _log.info("device_registered", upstream=self._owner.partition(" ")[0], device=device.id)
        return device

    async def _remember(self, index: int, device: Device) -> None:
        self._devices[index] = device
        await self._gateway.facts.remember(self._owner, f"device:{index}", _encoded(device))

    async def _remember_account(self, account: Account) -> None:
        self.account = self._configured or account
        await self._gateway.facts.remember(self._owner, "account", _encoded(account))


def _encoded(value: Any) -> str:
    return json.dumps(asdict(value))
