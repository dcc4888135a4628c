"""One HTTP client for a MobSMS server: every answer is either usable or says what to do next.

`ask` returns what the API documents (2xx, and refusals of one request) and raises UpstreamDown for all else:
no connection, silence, 401, 429, 5xx, a redirect, HTML, broken JSON. A 401 or 429 closes the door for every
request for a while, so that polling and reporting together make no storm. It knows no messages.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from agent.supervise import backoff_s
from agent.upstreams import headers
from agent.upstreams.api import LaneBusy, UpstreamDown
from agent.upstreams.connections import Connections
from agent.upstreams.mobsms import rows
from agent.upstreams.wire import cause, quoted
from drivers.values import dataclass

# Above the idle poll interval, so that an idle gateway keeps its connection and pays no TLS handshake per poll;
# below nginx's default keepalive_timeout of 75 s, so that we close first.
_KEEPALIVE_S = 60.0
# 50 rows of 1600 characters in their longest JSON form are 1 MB.
_LONGEST_ANSWER_BYTES = 8 << 20
_LONGEST_REDIRECT_CHARACTERS = 80
# Other requests let reports of "sent" pass, this long at most: they must not wait for a report that hangs.
_YIELD_S = 0.5
_REFUSED_FIRST_S = 60.0
_REFUSED_LONGEST_S = 900.0
_VOUCHED_S = 5.0
"""For so long one look whether the base address really is the API serves all who doubt it."""
_OUTSIDE_TIMEOUT_S = 10.0
"""A user's webhook may hang; it must not hold up the reports behind it for long."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer of the API: status and JSON object, empty where the body of a 404 or 405 was none."""

    status: int
    document: Mapping[str, Any]

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_no_such_path(self) -> bool:
        """404 or 405 that is not about a missing row: the server has no such operation."""
        return self.status in (404, 405) and not self.is_no_model

    @property
    def is_no_model(self) -> bool:
        """The documented 404 of a row that does not exist."""
        return self.status == 404 and str(self.document.get("message", "")).startswith("No query results for model")

    @property
    def is_premium_only(self) -> bool:
        return self.status == 403 and self.document.get("upgrade") is True

    @property
    def data(self) -> Any:
        return self.document.get("data")

    @property
    def said(self) -> str:
        """The server's own words, short and printable."""
        return quoted(self.document.get("message"))


class KeyRefused(UpstreamDown):
    """401: only the owner can help."""


class Client:
    """One per upstream. Opens its connections on demand; `close` may be followed by further requests."""

    def __init__(
        self, base_url: str, api_key: str, *, ca_file: Path | None, timeout_s: float, concurrency: int
    ) -> None:
        """Raises: OSError or ssl.SSLError where `ca_file` cannot be used."""
        self._connections = Connections(
            base_url,
            ca_file=ca_file,
            timeout_s=timeout_s,
            longest_answer_bytes=_LONGEST_ANSWER_BYTES,
            limits=httpx.Limits(
                max_connections=concurrency + 4,
                max_keepalive_connections=concurrency + 4,
                keepalive_expiry=_KEEPALIVE_S,
            ),
        )
        self.base_url = base_url
        self.host = self._connections.host
        self.requests_per_minute: int | None = None
        """The server's limit where it names one, and what is left of it in the window."""
        self.requests_left: int | None = None
        self.requests = 0
        self.answers = 0
        """Requests made, and those of them that were answered as the API answers."""
        self._authorization = {"Authorization": f"Bearer {api_key}"}
        self._timeout_s = timeout_s
        self._closed_until = 0.0
        self._closed_because = UpstreamDown("")
        self._refusals = 0
        self._urgent = 0
        self._no_urgent = asyncio.Event()
        self._no_urgent.set()
        self._vouched_at: float | None = None

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Mapping[str, Any] | None = None,
        is_urgent: bool = False,
    ) -> Answer:
        """One request. Urgent ones go before others.

        Raises: UpstreamDown.
        """
        if not is_urgent:
            await self._let_urgent_pass()
            return await self._ask(method, path, query, body)
        self._urgent += 1
        self._no_urgent.clear()
        try:
            return await self._ask(method, path, query, body)
        finally:
            self._urgent -= 1
            if self._urgent == 0:
                self._no_urgent.set()

    async def vouch(self) -> tuple[rows.Row, ...]:
        """Make sure that the base address is the API, before a 404 is believed. Returns the account's devices.

        Raises: UpstreamDown.
        """
        answer = await self.ask("GET", "/api/devices")
        if not answer.is_ok:
            raise self.refusal(answer, "GET", "/api/devices")
        try:
            found = rows.devices(answer.data)
        except rows.Malformed as error:
            raise self.malformed(error) from error
        self._vouched_at = asyncio.get_running_loop().time()
        return found

    async def doubt(self) -> None:
        """`vouch`, unless that was done within the last seconds. Raises: UpstreamDown."""
        if self._vouched_at is None or asyncio.get_running_loop().time() - self._vouched_at > _VOUCHED_S:
            await self.vouch()

    def refusal(self, answer: Answer, method: str, path: str) -> UpstreamDown:
        """The error for an answer that nobody expects here, with the next step where there is one."""
        said = f": {answer.said}" if answer.said else ""
        if answer.is_premium_only:
            return UpstreamDown(
                f"{self.host} answers 403 to {method} {path}, the account's plan does not include it{said}",
                retry_after_s=_REFUSED_FIRST_S,
            )
        if answer.status == 403:
            return UpstreamDown(f"{self.host} forbids {method} {path} (403){said}", retry_after_s=_REFUSED_FIRST_S)
        if answer.status in (404, 405):
            return UpstreamDown(
                f"{self.host} has no {path} ({answer.status}); check base_url, it is given without /api"
            )
        return UpstreamDown(f"{self.host} answers {answer.status} to {method} {path}{said}")

    def malformed(self, error: rows.Malformed) -> UpstreamDown:
        return UpstreamDown(f"the answer of {self.host} {error}; check base_url")

    async def post_outside(self, url: str, body: Mapping[str, Any]) -> None:
        """Post to a user's webhook, which is not the server and gets no key.

        Raises: LaneBusy unless it answers 2xx.
        """
        host = _host(url)
        try:
            async with asyncio.timeout(_OUTSIDE_TIMEOUT_S):
                http = await self._connections.client()
                async with http.stream("POST", url, content=_encoded(body), headers=_JSON) as response:
                    if not response.is_success:
                        raise LaneBusy(f"the webhook at {host} answers {response.status_code}")
        except TimeoutError as error:
            raise LaneBusy(f"the webhook at {host} did not answer within {_OUTSIDE_TIMEOUT_S:g} s") from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            raise LaneBusy(f"the webhook at {host} cannot be reached: {cause(error)}") from error

    async def listen(self, path: str, heard: Callable[[str], None], *, silence_s: float) -> bool:
        """Server-sent events until the stream ends: `heard` gets the name of each, "" once it is open.

        Returns False where the server has no such stream. Raises: UpstreamDown, also when nothing came for
        `silence_s`, not even a keep-alive comment.
        """
        self._raise_while_closed()
        status = await self._connections.listen(
            path,
            self._authorization,
            lambda: heard(""),
            lambda name, _: heard(name),
            connect_s=self._timeout_s,
            silence_s=silence_s,
        )
        if status not in (200, 404, 405, 406):
            raise UpstreamDown(f"{self.host} answers {status} to GET {path}")
        return status == 200

    async def close(self) -> None:
        """Close the connections; whoever asks next opens new ones."""
        await self._connections.close()

    # --- pieces -------------------------------------------------------------------------------------

    async def _let_urgent_pass(self) -> None:
        if self._urgent:
            try:
                async with asyncio.timeout(_YIELD_S):
                    await self._no_urgent.wait()
            except TimeoutError:
                pass

    async def _ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, str | int] | None,
        body: Mapping[str, Any] | None,
    ) -> Answer:
        self._raise_while_closed()
        self.requests += 1
        own = self._authorization if body is None else {**self._authorization, **_JSON}
        response, octets = await self._connections.exchange(
            method, path, query=query, content=None if body is None else _encoded(body), headers=own
        )
        self.requests_per_minute, self.requests_left = headers.rate_limit(response.headers)
        return self._judged(response, octets, method, path)

    def _judged(self, response: httpx.Response, octets: bytes, method: str, path: str) -> Answer:
        status = response.status_code
        retry_after_s = headers.retry_after_s(response.headers)
        document = _object(octets)
        if status == 401:
            raise self._close_door(
                KeyRefused(f"{self.host} does not accept our key (401); put a valid one into api_key of this upstream")
            )
        if status == 429:
            raise self._close_door(UpstreamDown(f"{self.host} wants fewer requests (429)", retry_after_s=retry_after_s))
        if status >= 500:
            raise UpstreamDown(f"{self.host} has a fault of its own ({status})", retry_after_s=retry_after_s)
        if 300 <= status < 400:
            target = quoted(response.headers.get("Location"))[:_LONGEST_REDIRECT_CHARACTERS]
            raise UpstreamDown(
                f"{self.host} redirects {method} {path} to {target}; is there a captive portal, or is base_url wrong?"
            )
        if document is None:
            if status in (404, 405):
                return Answer(status, {})
            raise UpstreamDown(
                f"{self.host} answers {method} {path} with something that is not its API ({status}); "
                "is there a captive portal, or is base_url wrong?"
            )
        answer = Answer(status, document)
        if answer.is_ok:
            if document.get("success") is False:
                raise self.refusal(answer, method, path)
            self._refusals = 0
            self.answers += 1
        return answer

    def _close_door(self, refusal: UpstreamDown) -> UpstreamDown:
        """No request leaves for a while: as long as the server says, else a minute and more each time."""
        now = asyncio.get_running_loop().time()
        if now >= self._closed_until:  # of several that were under way at once only the first counts
            self._refusals += 1
            wait_s = refusal.retry_after_s
            if wait_s is None:
                wait_s = backoff_s(self._refusals, first_s=_REFUSED_FIRST_S, longest_s=_REFUSED_LONGEST_S)
            else:
                wait_s += random.uniform(0, 0.1 * wait_s + 0.2)
            self._closed_until = now + wait_s
        self._closed_because = refusal
        return self._while_closed(now)

    def _while_closed(self, now: float) -> UpstreamDown:
        refusal = self._closed_because
        return type(refusal)(str(refusal), retry_after_s=self._closed_until - now)

    def _raise_while_closed(self) -> None:
        now = asyncio.get_running_loop().time()
        if now < self._closed_until:
            raise self._while_closed(now)


_JSON = {"Content-Type": "application/json"}


def _encoded(body: Mapping[str, Any]) -> bytes:
    # ASCII, so that not even half a surrogate pair can fail to encode.
    return json.dumps(body, separators=(",", ":")).encode("ascii")


def _object(octets: bytes) -> dict[str, Any] | None:
    try:
        document = json.loads(octets)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None


def _host(url: str) -> str:
    """Only the host may be shown: the rest of a webhook's address is often its secret."""
    try:
        return quoted(urlsplit(url).hostname) or "an unusable address"
    except ValueError:
        return "an unusable address"
