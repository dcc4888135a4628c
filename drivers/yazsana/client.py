"""One HTTP client for the service. Every answer is its `data`, or a `Fault` that says what became of the request.

Fault
├── NotSent       certainly without effect
│   ├── Away      could not be reached, redirects, or does not work now (503, RFC 9110 §15.6.4)
│   ├── Limited   429: nothing more for a while
│   ├── KeyRefused, NoCredit, NoSuchPath     only a person can help
│   └── Declined  this one request is not acceptable
└── Unsure        no answer, or one that does not say
"""

from __future__ import annotations

import asyncio
import json
import math
import re
import ssl
import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import urlsplit

import httpx

from drivers.yazsana import rows

_LONGEST_ANSWER_OCTETS = 4 << 20
_CONNECT_S = 10.0
_LONGEST_RETRY_AFTER_S = 3600.0
# A refusal for want of credit has no status of its own in the documentation, so its words count as well.
_CREDIT_WORDS = re.compile(r"credit|balance|insufficient|kredi|bakiye|yetersiz", re.IGNORECASE)


class Fault(Exception):
    """Root of the tree above. `str()` is one sentence."""

    def __init__(self, sentence: str, *, code: str | None = None, retry_after_s: float | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.retry_after_s = retry_after_s


class NotSent(Fault):
    pass


class Away(NotSent):
    pass


class Limited(NotSent):
    pass


class KeyRefused(NotSent):
    pass


class NoCredit(NotSent):
    pass


class NoSuchPath(NotSent):
    pass


class Declined(NotSent):
    pass


class Unsure(Fault):
    pass


class Client:
    """One per session."""

    def __init__(self, base_url: str, key: str, org_id: str | None, *, tls: ssl.SSLContext, timeout_s: float) -> None:
        self.host = urlsplit(base_url).netloc.rpartition("@")[2]
        self._base_url = base_url
        self._timeout_s = timeout_s
        self._ahead_ms = 0
        headers = {"x-api-key": key, "Accept": "application/json", "User-Agent": "phonebridge"}
        if org_id is not None:
            headers["x-org-id"] = org_id
        self._http = httpx.AsyncClient(
            headers=headers,
            verify=tls,
            follow_redirects=False,
            timeout=httpx.Timeout(timeout_s, connect=min(_CONNECT_S, timeout_s)),
        )

    def server_ms(self) -> int:
        """The service's time, UTC ms: ours may be wrong, and its list goes by its own."""
        return round(time.time() * 1000) + self._ahead_ms

    async def get(self, path: str, **query: str | int) -> Any:
        """Raises: Fault."""
        return await self._ask("GET", path, query or None, None)

    async def post(self, path: str, body: Mapping[str, Any]) -> Any:
        """Raises: Fault."""
        return await self._ask("POST", path, None, body)

    async def close(self) -> None:
        await self._http.aclose()

    # --- pieces -------------------------------------------------------------------------------------

    async def _ask(
        self, method: str, path: str, query: Mapping[str, str | int] | None, body: Mapping[str, Any] | None
    ) -> Any:
        request = self._http.build_request(method, self._base_url + path, params=query, json=body)
        try:
            # The whole exchange, also where octets trickle in one by one; connecting has its own, shorter time.
            async with asyncio.timeout(self._timeout_s + _CONNECT_S):
                answer = await self._http.send(request, stream=True)
                try:
                    content = await _bounded(answer)
                finally:
                    await answer.aclose()
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Away(f"{self.host} cannot be reached: {rows.quoted(str(error)) or type(error).__name__}.") from error
        except (TimeoutError, httpx.TimeoutException) as error:
            raise Unsure(f"{self.host} did not answer within {self._timeout_s:g} s.") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise Unsure(f"{self.host} broke off: {rows.quoted(str(error)) or type(error).__name__}.") from error
        self._note_time(answer)
        return self._data(answer, content, path)

    def _note_time(self, answer: httpx.Response) -> None:
        try:
            at_s = parsedate_to_datetime(answer.headers.get("date", "")).timestamp()
        except (TypeError, ValueError, OverflowError):
            return
        self._ahead_ms = round((at_s - time.time()) * 1000)

    def _data(self, answer: httpx.Response, content: bytes, path: str) -> Any:
        document = _json(content)
        if not answer.is_success:
            self._refuse(answer, document, path)
        if isinstance(document, dict) and "success" in document:
            if document["success"] is not True:
                self._decline(answer.status_code, _said(document))
            return document.get("data")
        if isinstance(document, list):
            return document
        raise Unsure(f"{self.host} gave an answer that is not the API's; check base_url.")

    def _refuse(self, answer: httpx.Response, document: object, path: str) -> NoReturn:
        status, said, wait_s = answer.status_code, _said(document), _retry_after_s(answer)
        code = f"HTTP {status}"
        if status == 429:
            raise Limited(f"{self.host} takes no more requests for now.", code=code, retry_after_s=wait_s)
        if status == 503:
            raise Away(f"{self.host} is out of service for now.", code=code, retry_after_s=wait_s)
        if status >= 500:
            raise Unsure(f"{self.host} failed ({status}).", code=code)
        if answer.is_redirect:
            raise Away(f"{self.host} redirects {path} elsewhere; check base_url, or the network's sign-in page.")
        if status == 402 or _CREDIT_WORDS.search(said):
            raise NoCredit(f"{self.host} says that the credit does not suffice{_colon(said)}.", code=code)
        if status in (401, 403):
            raise KeyRefused(f"{self.host} refuses the key ({status}){_colon(said)}; check api_key.", code=code)
        if status in (404, 405) and not _is_of_api(document):
            raise NoSuchPath(f"{self.host} has no {path} ({status}); check base_url and the path's setting.", code=code)
        self._decline(status, said)

    def _decline(self, status: int, said: str) -> NoReturn:
        if _CREDIT_WORDS.search(said):
            raise NoCredit(f"{self.host} says that the credit does not suffice: {said}.", code=f"HTTP {status}")
        raise Declined(f"{self.host} does not take this{_colon(said)}.", code=f"HTTP {status}")


def tls_context(ca_file: Path | None = None) -> ssl.SSLContext:
    """Slow on a small box: not for the event loop's thread."""
    return ssl.create_default_context(cafile=ca_file)


async def _bounded(answer: httpx.Response) -> bytes:
    content = bytearray()
    async for piece in answer.aiter_bytes():
        content += piece
        if len(content) > _LONGEST_ANSWER_OCTETS:
            return b""
    return bytes(content)


def _json(content: bytes) -> object:
    try:
        found: object = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found


def _said(document: object) -> str:
    if not isinstance(document, dict):
        return ""
    words = document.get("message") or document.get("error")
    if isinstance(words, list):
        words = "; ".join(str(word) for word in words)
    return rows.quoted(words).rstrip(". ")


def _is_of_api(document: object) -> bool:
    """Whether a 404 is about a thing that does not exist, and not about the path."""
    return isinstance(document, dict) and "success" in document


def _colon(said: str) -> str:
    return f": {said}" if said else ""


def _retry_after_s(answer: httpx.Response) -> float | None:
    try:
        wanted = float(answer.headers.get("retry-after", ""))
    except ValueError:
        return None
    return None if math.isnan(wanted) else min(max(wanted, 0.0), _LONGEST_RETRY_AFTER_S)
