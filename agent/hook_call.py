"""One call of a webhook: to a judged address, signed, and what came of it. Knows neither queue nor journal."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ssl
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from agent.hook_address import Forbidden, problem_of, resolved
from agent.journal.hooks import HookForm
from drivers.values import dataclass

if TYPE_CHECKING:
    from agent.hook_post import Reply

TIMEOUT_S = 10.0
# What SMSGate's app gives a receiver.
_SMSGATE_TIMEOUT_S = 30.0
# A machine with several addresses of which the first does not answer.
_MOST_ADDRESSES = 3
_KEPT_ANSWER_CHARACTERS = 300
_READ_ANSWER_OCTETS = 2048


@dataclass(frozen=True, slots=True)
class Outcome:
    """`error` is None where it was taken (2xx); `answer` the beginning of what was said where it was not."""

    status: int | None
    error: str | None
    answer: str | None
    took_ms: int


@dataclass(frozen=True, slots=True)
class Letter:
    """What is to be posted. `delivery` names it in every try; `secret` None leaves it unsigned."""

    delivery: int
    attempt: int
    url: str
    body: str
    secret: str | None
    is_owner: bool
    form: HookForm = HookForm.OWN

    @property
    def timeout_s(self) -> float:
        return _SMSGATE_TIMEOUT_S if self.form is HookForm.SMSGATE else TIMEOUT_S


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """HMAC-SHA256 over "<timestamp>.<body>", in hexadecimal; see docs/webhooks.md. Pure."""
    return hmac.new(secret.encode(), str(timestamp).encode() + b"." + body, hashlib.sha256).hexdigest()


def smsgate_signature(secret: str, timestamp: int, body: bytes) -> str:
    """HMAC-SHA256 over the body with the timestamp behind it, in hexadecimal: SMSGate's form. Pure."""
    return hmac.new(secret.encode(), body + str(timestamp).encode(), hashlib.sha256).hexdigest()


class Caller:
    """One per `Hooks`. Reads certificates at the first call that needs them: they take 2 MB."""

    def __init__(self) -> None:
        self._tls: ssl.SSLContext | None = None
        self._opening = asyncio.Lock()

    async def call(self, letter: Letter, timestamp: int) -> Outcome:
        """Post it; `timestamp` is UTC seconds. Never raises for what the other side does."""
        began = time.monotonic()
        status, answer = None, None
        error: str | None
        try:
            async with asyncio.timeout(letter.timeout_s):
                status, error, answer = await self._post(letter, timestamp)
        except TimeoutError:
            error = f"no answer within {letter.timeout_s:.0f} s"
        except Forbidden as refusal:
            error = str(refusal)
        except (OSError, ValueError) as fault:
            sentence = getattr(fault, "strerror", None) or str(fault)
            error = sentence[:200] or type(fault).__name__
        return Outcome(status, error, answer, round((time.monotonic() - began) * 1000))

    async def _post(self, letter: Letter, timestamp: int) -> tuple[int | None, str | None, str | None]:
        if (problem := problem_of(letter.url)) is not None:
            return None, problem, None
        # Imported here: who has no webhook does not pay for it.
        from agent.hook_post import Broken, post, target  # noqa: PLC0415

        where = target(letter.url)
        addresses = (await resolved(where.host, where.port, is_owner=letter.is_owner))[:_MOST_ADDRESSES]
        tls = await self._certificates() if where.is_tls else None
        for address in addresses:
            try:
                reply = await post(
                    where,
                    address,
                    _headers(letter, timestamp),
                    letter.body.encode(),
                    tls=tls,
                    read_octets=_READ_ANSWER_OCTETS,
                )
            except Broken:
                raise
            except OSError:
                if address == addresses[-1]:
                    raise
                continue
            return _judged(reply)
        raise OSError(f"{where.host} has no address")

    async def _certificates(self) -> ssl.SSLContext:
        async with self._opening:
            if self._tls is None:
                # Reading the CA certificates takes long on a small box.
                self._tls = await asyncio.to_thread(ssl.create_default_context)
                self._tls.set_alpn_protocols(["http/1.1"])
            return self._tls


def _headers(letter: Letter, timestamp: int) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "User-Agent": "phonebridge"}
    if letter.form is HookForm.SMSGATE:
        headers["X-Timestamp"] = str(timestamp)
        headers["X-Signature"] = smsgate_signature(letter.secret or "", timestamp, letter.body.encode())
        return headers
    headers["X-Phonebridge-Delivery"] = str(letter.delivery)
    headers["X-Phonebridge-Attempt"] = str(letter.attempt)
    if letter.secret is not None:
        headers["X-Phonebridge-Timestamp"] = str(timestamp)
        headers["X-Phonebridge-Signature"] = signature(letter.secret, timestamp, letter.body.encode())
    return headers


def _judged(reply: Reply) -> tuple[int, str | None, str | None]:
    """Status, why it was not taken, and the beginning of what was said then."""
    if reply.is_success:
        return reply.status, None, None
    text = reply.body.decode("utf-8", "replace")
    said = "".join(character if character.isprintable() else " " for character in text)[:_KEPT_ANSWER_CHARACTERS]
    if reply.is_redirect:
        where = _elsewhere(reply.location or "")
        return reply.status, f"it redirects to {where}, which is not followed; enter the final address", said
    return reply.status, f"it answered {reply.status}", said or None


def _elsewhere(location: str) -> str:
    """Where a redirect leads, without what may be a secret in it."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return "no address"
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"[:100] if parts.netloc else "another path"
