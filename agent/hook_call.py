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
    import httpx

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
    """One per `Hooks`. Makes its clients at the first call: that for https holds certificates of 2 MB."""

    def __init__(self) -> None:
        self._clients: dict[str, httpx.AsyncClient] = {}
        self._opening = asyncio.Lock()

    async def call(self, letter: Letter, timestamp: int) -> Outcome:
        """Post it; `timestamp` is UTC seconds. Never raises for what the other side does."""
        # Imported here: who has no webhook does not pay for it.
        import httpx  # noqa: PLC0415

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
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as fault:
            error = str(fault)[:200] or type(fault).__name__
        return Outcome(status, error, answer, round((time.monotonic() - began) * 1000))

    async def close(self) -> None:
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()

    async def _post(self, letter: Letter, timestamp: int) -> tuple[int | None, str | None, str | None]:
        import httpx  # noqa: PLC0415

        if (problem := problem_of(letter.url)) is not None:
            return None, problem, None
        url = httpx.URL(letter.url)
        host = url.raw_host.decode("ascii")
        port = url.port or (443 if url.scheme == "https" else 80)
        addresses = await resolved(host.strip("[]"), port, is_owner=letter.is_owner)
        client = await self._opened(url.scheme)
        for address in addresses[:_MOST_ADDRESSES]:
            request = client.build_request(
                "POST",
                url.copy_with(host=address),
                content=letter.body.encode(),
                headers=_headers(letter, timestamp, url.netloc.decode("ascii")),
                timeout=letter.timeout_s,
                # The certificate must be the name's, not the address's.
                extensions={"sni_hostname": host.strip("[]")},
            )
            try:
                answer = await client.send(request, stream=True)
            except httpx.ConnectError:
                if address == addresses[:_MOST_ADDRESSES][-1]:
                    raise
                continue
            try:
                return await _judged(answer)
            finally:
                await answer.aclose()
        raise OSError(f"{host} has no address")

    async def _opened(self, scheme: str) -> httpx.AsyncClient:
        import httpx  # noqa: PLC0415

        async with self._opening:
            if scheme not in self._clients:
                # Reading the CA certificates takes long on a small box. Without TLS there is nothing to verify, and
                # redirects, which could lead to it, are not followed.
                context = await asyncio.to_thread(ssl.create_default_context) if scheme == "https" else False
                self._clients[scheme] = httpx.AsyncClient(
                    verify=context,
                    follow_redirects=False,
                    timeout=TIMEOUT_S,
                    # A proxy would resolve the name once more; a kept connection to an address may have been made
                    # for another name.
                    trust_env=False,
                    limits=httpx.Limits(max_keepalive_connections=0),
                )
            return self._clients[scheme]


def _headers(letter: Letter, timestamp: int, host: str) -> dict[str, str]:
    headers = {"Host": host, "Content-Type": "application/json", "User-Agent": "phonebridge"}
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


async def _judged(answer: httpx.Response) -> tuple[int, str | None, str | None]:
    """Status, why it was not taken, and the beginning of what was said then."""
    if answer.is_success:
        # The body is of no interest, and may be endless.
        return answer.status_code, None, None
    content = b""
    async for piece in answer.aiter_bytes():
        content += piece
        if len(content) >= _READ_ANSWER_OCTETS:
            break
    text = content[:_READ_ANSWER_OCTETS].decode("utf-8", "replace")
    said = "".join(character if character.isprintable() else " " for character in text)[:_KEPT_ANSWER_CHARACTERS]
    if answer.is_redirect:
        target = urlsplit(answer.headers.get("location", ""))
        where = f"{target.scheme}://{target.netloc.rpartition('@')[2]}"[:100] if target.netloc else "another path"
        return answer.status_code, f"it redirects to {where}, which is not followed; enter the final address", said
    return answer.status_code, f"it answered {answer.status_code}", said or None
