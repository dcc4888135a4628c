"""A server of three paths for a gateway without the local one: HTTP/1.1 GET on asyncio alone, a few kilobytes.

What the local server runs on would take megabytes for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
from http import HTTPStatus
from typing import TYPE_CHECKING

import structlog

from agent.metrics.monitor import Answer, Question

if TYPE_CHECKING:
    from agent.metrics.monitor import Monitor
    from agent.metrics.settings import MetricsSettings

_log = structlog.get_logger("metrics")

_LONGEST_HEAD_OCTETS = 16 * 1024
# A scraper says everything at once; who does not is no scraper.
_HEAD_S = 5.0
_WRITE_S = 10.0
_AT_ONCE = 8


class MetricsServer:
    """`run` until cancelled."""

    def __init__(self, monitor: Monitor, settings: MetricsSettings) -> None:
        self._monitor = monitor
        self._settings = settings
        self._free = asyncio.Semaphore(_AT_ONCE)
        self.port: int | None = None

    async def run(self) -> None:
        """Listen and serve. Raises: OSError with the next step."""
        host, port = self._settings.host, self._settings.port
        try:
            server = await asyncio.start_server(self._talk, host, port, limit=_LONGEST_HEAD_OCTETS)
        except OSError as error:
            why = "another program listens there" if error.errno == errno.EADDRINUSE else error.strerror or str(error)
            raise OSError(
                f"metrics.bind {self._settings.bind} cannot be used ({why}); stop what uses it or set another"
            ) from error
        self.port = server.sockets[0].getsockname()[1]
        _log.info("serving_metrics", bind=self._settings.bind, port=self.port)
        async with server:
            await server.serve_forever()

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with self._free:
                with contextlib.suppress(OSError, TimeoutError, asyncio.IncompleteReadError):
                    await self._serve(reader, writer)
        finally:
            writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async with asyncio.timeout(_HEAD_S):
            try:
                head = await reader.readuntil(b"\r\n\r\n")
            except asyncio.LimitOverrunError:
                head = b""
        method, question = _asked(head, str(writer.get_extra_info("peername")[0]))
        if question is None:
            answer = Answer(400, "text/plain", b"This is no request.\n")
        elif method not in ("GET", "HEAD"):
            answer = Answer(405, "text/plain", b"Only GET.\n")
        else:
            answer = await self._monitor.answer(question)
        writer.write(_written(answer, with_body=method != "HEAD"))
        async with asyncio.timeout(_WRITE_S):
            await writer.drain()


def _asked(head: bytes, peer: str) -> tuple[str, Question | None]:
    """Method and question of a request's head; None where it is none. Of a header given twice the last counts."""
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    if len(words) != 3 or not words[1].startswith("/") or not words[2].startswith("HTTP/1."):
        return "", None
    headers = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            headers[name.strip().lower()] = value.strip()
    return words[0], Question(words[1].partition("?")[0], headers, peer)


def _written(answer: Answer, *, with_body: bool) -> bytes:
    lines = [
        f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}",
        f"Content-Type: {answer.content_type}",
        f"Content-Length: {len(answer.body)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Connection: close",
        *(f"{name}: {value}" for name, value in answer.headers.items()),
        *(("Allow: GET, HEAD",) if answer.status == 405 else ()),
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + (answer.body if with_body else b"")
