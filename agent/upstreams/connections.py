"""The connections to one HTTP server: opened when first needed, answers read up to a limit, server-sent events.

What a status or a body means is the upstream's to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import aclosing
from pathlib import Path
from urllib.parse import urlsplit

import httpx

from agent import __version__
from agent.upstreams.api import UpstreamDown
from agent.upstreams.wire import cause, check_certificates, tls_context

_CLOSE_TIMEOUT_S = 2.0


class Connections:
    """Of one upstream. `close` may be followed by further requests."""

    def __init__(
        self, base_url: str, *, ca_file: Path | None, timeout_s: float, longest_answer_bytes: int, limits: httpx.Limits
    ) -> None:
        """Raises: OSError or ssl.SSLError where `ca_file` cannot be used."""
        self.base_url = base_url
        self.host = urlsplit(base_url).netloc
        self._timeout_s = timeout_s
        self._longest_answer_bytes = longest_answer_bytes
        self._limits = limits
        check_certificates(ca_file)
        self._ca_file = ca_file
        self._http: httpx.AsyncClient | None = None
        self._making = asyncio.Lock()

    async def client(self) -> httpx.AsyncClient:
        """Raises: OSError where `ca_file` cannot be used any more."""
        async with self._making:
            if self._http is None:
                # The system's certificates take long to read, and httpx to load: modems are opened meanwhile.
                self._http = await asyncio.to_thread(self._made)
            return self._http

    def _made(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            verify=tls_context(self._ca_file),
            timeout=httpx.Timeout(self._timeout_s),
            limits=self._limits,
            headers={"User-Agent": f"phonebridge/{__version__}", "Accept": "application/json"},
        )

    async def exchange(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | int] | None,
        content: bytes | None,
        headers: Mapping[str, str],
        let_pass: tuple[type[httpx.HTTPError], ...] = (),
    ) -> tuple[httpx.Response, bytes]:
        """One request, and the body of its answer. Raises: UpstreamDown; what is to be `let_pass`."""
        try:
            async with asyncio.timeout(self._timeout_s):
                http = await self.client()
                async with http.stream(
                    method, self.base_url + path, params=query, content=content, headers=headers
                ) as response:
                    return response, await self._read(response)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise UpstreamDown(f"{self.host} did not answer within {self._timeout_s:g} s") from error
        except let_pass:
            raise
        except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
            raise self.unreachable(error) from error

    def unreachable(self, error: Exception) -> UpstreamDown:
        """The sentence for a connection that could not be made or kept."""
        hint = "; give its CA as ca_file" if "CERTIFICATE_VERIFY" in str(error) else ""
        return UpstreamDown(f"{self.host} cannot be reached: {cause(error)}{hint}")

    async def listen(
        self,
        path: str,
        headers: Mapping[str, str],
        opened: Callable[[], None],
        heard: Callable[[str, str], None],
        *,
        connect_s: float,
        silence_s: float,
    ) -> int:
        """Server-sent events until the stream ends: `heard` gets name and data of each. Returns the status.

        Raises: UpstreamDown, also when nothing came for `silence_s`, not even a comment.
        """
        # Imported here: only a server that has such a stream needs it.
        import httpx_sse  # noqa: PLC0415

        # The stream has no end to wait for: httpx's own limits on connecting and on silence bound each wait.
        timeout = httpx.Timeout(connect_s, read=silence_s)
        try:
            async with httpx_sse.aconnect_sse(
                await self.client(), "GET", self.base_url + path, headers={**headers}, timeout=timeout
            ) as source:
                status = source.response.status_code
                if status != 200:
                    return status
                opened()
                async with aclosing(source.aiter_sse()) as events:
                    async for event in events:
                        heard(event.event, event.data)
        except (httpx.HTTPError, httpx.InvalidURL, httpx_sse.SSEError, OSError) as error:
            raise UpstreamDown(f"{self.host} ended its events: {cause(error)}") from error
        return status

    async def close(self) -> None:
        """Whoever asks next opens new ones."""
        http, self._http = self._http, None
        if http is not None:
            try:
                async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                    await http.aclose()
            except TimeoutError:
                pass

    async def _read(self, response: httpx.Response) -> bytes:
        octets = bytearray()
        async for piece in response.aiter_bytes():
            octets += piece
            if len(octets) > self._longest_answer_bytes:
                raise UpstreamDown(f"{self.host} sends more than {self._longest_answer_bytes >> 20} MB; check base_url")
        return bytes(octets)
