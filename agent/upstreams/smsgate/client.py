"""One HTTP client for an SMSGate server: every answer is either usable or says what to do next.

`ask` returns 2xx answers and refusals of one request (4xx), and raises UpstreamDown for all else: no connection,
silence, 429, 5xx, a redirect, what is not the API. A 429 closes the door for every request for a while. It knows
neither tokens nor messages.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx

from agent.upstreams import headers
from agent.upstreams.api import UpstreamDown
from agent.upstreams.connections import Connections
from agent.upstreams.smsgate import rows
from agent.upstreams.wire import quoted
from drivers.values import dataclass

# The server closes a connection that is idle for 60 s: we close first.
_KEEPALIVE_S = 50.0
# 100 messages with 100 encrypted recipients each are about 2 MB.
_LONGEST_ANSWER_BYTES = 16 << 20
_DOOR_S = 60.0
_CONNECT_S = 20.0
_CLIENT_ERRORS = range(400, 500)
_LOST = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
"""A kept connection that turns out closed."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Status and JSON document; for a refusal perhaps only the text that came with it."""

    status: int
    document: Any

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_unauthorized(self) -> bool:
        return self.status == HTTPStatus.UNAUTHORIZED

    @property
    def said(self) -> str:
        """The server's own words, short and printable."""
        return rows.said(self.document)


class Client:
    """One per upstream. Opens its connections on demand; `close` may be followed by further requests."""

    def __init__(self, base_url: str, *, ca_file: Path | None, timeout_s: float) -> None:
        """Raises: OSError or ssl.SSLError where `ca_file` cannot be used."""
        self._connections = Connections(
            base_url,
            ca_file=ca_file,
            timeout_s=timeout_s,
            longest_answer_bytes=_LONGEST_ANSWER_BYTES,
            limits=httpx.Limits(keepalive_expiry=_KEEPALIVE_S),
        )
        self.host = self._connections.host
        self._timeout_s = timeout_s
        self._closed_until = 0.0

    async def ask(
        self, method: str, path: str, authorization: str | None = None, *, body: Any = None, is_safe: bool = True,
        query: Mapping[str, str] | None = None,
    ) -> Answer:  # fmt: skip
        """One request; one that may be repeated (`is_safe`) is, once, where a kept connection turns out closed.

        Raises: UpstreamDown.
        """
        self._raise_while_closed()
        try:
            return await self._ask(method, path, authorization, body, query)
        except _LOST as error:
            if not is_safe:
                raise self._connections.unreachable(error) from error
        try:
            return await self._ask(method, path, authorization, body, query)
        except _LOST as error:
            raise self._connections.unreachable(error) from error

    def refusal(self, answer: Answer, what: str) -> UpstreamDown:
        """The error for a refusal that nobody expects here."""
        said = f": {answer.said}" if answer.said else ""
        if answer.status == HTTPStatus.NOT_FOUND:
            return UpstreamDown(f"{self.host} has no {what} (404); check base_url{said}")
        return UpstreamDown(f"{self.host} answers {answer.status} to {what}{said}")

    def malformed(self, error: rows.Malformed) -> UpstreamDown:
        return UpstreamDown(f"the answer of {self.host} {error}; check base_url")

    async def listen(
        self, path: str, authorization: str, opened: Callable[[], None], heard: Callable[[str, str], None],
        *, silence_s: float,
    ) -> int:  # fmt: skip
        """Server-sent events until the stream ends: `heard` gets name and data of each. Returns the status.

        The server's headers come only with its first event or comment, so they may take as long as silence does.
        Raises: UpstreamDown, also when nothing came for `silence_s`, not even a comment.
        """
        self._raise_while_closed()
        return await self._connections.listen(
            path,
            {"Authorization": authorization},
            opened,
            heard,
            connect_s=min(self._timeout_s, _CONNECT_S),
            silence_s=silence_s,
        )

    async def close(self) -> None:
        """Close the connections; whoever asks next opens new ones."""
        await self._connections.close()

    # --- pieces -------------------------------------------------------------------------------------

    async def _ask(
        self, method: str, path: str, authorization: str | None, body: Any, query: Mapping[str, str] | None
    ) -> Answer:
        """Raises: httpx errors of a connection that was closed; UpstreamDown."""
        own = {} if authorization is None else {"Authorization": authorization}
        if body is not None:
            own["Content-Type"] = "application/json"
        content = None if body is None else json.dumps(body, separators=(",", ":")).encode("ascii")
        response, octets = await self._connections.exchange(
            method, path, query=query, content=content, headers=own, let_pass=_LOST
        )
        return self._judged(response, octets, f"{method} {path}")

    def _judged(self, response: httpx.Response, octets: bytes, what: str) -> Answer:
        status, wait_s = response.status_code, headers.retry_after_s(response.headers)
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            wait_s = _DOOR_S if wait_s is None else wait_s
            self._closed_until = asyncio.get_running_loop().time() + wait_s
            raise UpstreamDown(f"{self.host} wants fewer requests (429)", retry_after_s=wait_s)
        if status >= 500:
            raise UpstreamDown(f"{self.host} has a fault of its own ({status})", retry_after_s=wait_s)
        if 300 <= status < 400:
            target = quoted(response.headers.get("Location"))[:80]
            raise UpstreamDown(f"{self.host} redirects {what} to {target}; is base_url right?")
        if not octets:
            return Answer(status, None)
        try:
            return Answer(status, json.loads(octets))
        except (ValueError, RecursionError) as error:
            text = octets[:400].decode("utf-8", "replace")
            # Some refusals are plain text; so may a proxy's be, but then the status is all that counts.
            if status in _CLIENT_ERRORS:
                return Answer(status, None if "<" in text else text)
            raise UpstreamDown(
                f"{self.host} answers {what} with something that is not its API ({status}); "
                "is there a captive portal, or is base_url wrong?"
            ) from error

    def _raise_while_closed(self) -> None:
        left_s = self._closed_until - asyncio.get_running_loop().time()
        if left_s > 0:
            raise UpstreamDown(f"{self.host} wants fewer requests (429)", retry_after_s=left_s)
