"""A small HTTP/1.1 server on asyncio streams: keep-alive, chunked requests, answers that break on purpose.

Knows no routes. A handler turns a `Request` into a `Response`; `Response.wire` says how it leaves.
"""

from __future__ import annotations

import asyncio
import contextlib
import enum
import http
import itertools
import json
import socket
import ssl
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

_IDLE_S = 75.0  # nginx's default keepalive_timeout
_BODY_LIMIT_BYTES = 16 * 1024 * 1024
_DRIP_PIECES = 20


class Wire(enum.Enum):
    """How an answer leaves the server."""

    WHOLE = "whole"
    TRUNCATED = "truncated"  # full Content-Length, half the body, then closed
    DRIP = "drip"  # in small pieces over `spread_s`
    CLOSE = "close"  # nothing is written, the connection is closed
    RESET = "reset"  # nothing is written, the connection is reset (RST)


@dataclass(slots=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    raw_query: str
    headers: dict[str, str]  # names in lower case
    body: bytes
    connection: int  # counts accepted connections, so that a log shows their reuse


@dataclass(slots=True)
class Response:
    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    wire: Wire = Wire.WHOLE
    spread_s: float = 0.0


Handler = Callable[[Request], Awaitable[Response]]


def json_response(status: int, document: Any, headers: dict[str, str] | None = None) -> Response:
    body = json.dumps(document, separators=(",", ":")).encode()  # as Laravel: everything escaped to ASCII
    return Response(status, body, {"Content-Type": "application/json", **(headers or {})})


def html_response(status: int, body: str) -> Response:
    return Response(status, body.encode(), {"Content-Type": "text/html; charset=UTF-8"})


def reserve_port(host: str, port: int = 0) -> socket.socket:
    """A socket bound to the port but not listening: connections are refused, and nobody else gets the port.

    Another socket of ours with SO_REUSEADDR may still bind it and listen, as long as this one does not.
    """
    reserved = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        reserved.bind((host, port))
    except OSError:
        reserved.close()
        raise
    return reserved


class HttpServer:
    """One listening port. `close` refuses new connections and drops the open ones; `open` opens it again."""

    def __init__(self, host: str, port: int, handler: Handler, tls: ssl.SSLContext | None = None) -> None:
        self._host = host
        self._handler = handler
        self._tls = tls
        self._socket = reserve_port(host, port)
        self.port: int = self._socket.getsockname()[1]
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._numbers = itertools.count(1)

    @property
    def is_open(self) -> bool:
        return self._server is not None

    async def open(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(
                self._serve, sock=self._socket, ssl=self._tls, backlog=512, limit=_BODY_LIMIT_BYTES
            )

    async def close(self) -> None:
        """Refuses connections from now on; the port stays reserved, requests under way are dropped."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        self._socket = reserve_port(self._host, self.port)
        current = asyncio.current_task()
        others = {task: writer for task, writer in self._connections.items() if task is not current}
        for task, writer in others.items():
            _abort(writer)
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._connections[task] = writer
        number = next(self._numbers)
        try:
            while await self._exchange(reader, writer, number):
                pass
        except (OSError, EOFError, TimeoutError, asyncio.LimitOverrunError):
            pass  # the client went away, or stayed silent too long
        except ValueError:
            with contextlib.suppress(OSError):
                writer.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                await writer.drain()
        except asyncio.CancelledError:
            # asyncio's stream protocol reports a cancelled connection task as an error of the loop;
            # nobody above this task waits for it except `close`.
            pass
        finally:
            del self._connections[task]
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, connection: int) -> bool:
        """One request and its answer; False when the connection is over."""
        async with asyncio.timeout(_IDLE_S):
            head = await reader.readuntil(b"\r\n\r\n")
            request = _parse_head(head, connection)
            if request.headers.get("expect", "").lower() == "100-continue":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.body = await _read_body(reader, request.headers)
        response = await self._handler(request)
        if response.wire is Wire.RESET:
            _abort(writer, reset=True)
            return False
        if response.wire is Wire.CLOSE:
            return False
        keep = request.headers.get("connection", "").lower() != "close" and response.wire is not Wire.TRUNCATED
        await _write(writer, request, response, keep=keep)
        return keep


def _parse_head(head: bytes, connection: int) -> Request:
    lines = head.decode("latin-1").split("\r\n")
    method, target, version = lines[0].split(" ")
    if not version.startswith("HTTP/1."):
        raise ValueError(f"not HTTP/1: {version}")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        if line:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
    if version == "HTTP/1.0":
        headers.setdefault("connection", "close")
    parts = urlsplit(target)
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    return Request(method, unquote(parts.path), query, parts.query, headers, b"", connection)


async def _read_body(reader: asyncio.StreamReader, headers: dict[str, str]) -> bytes:
    if headers.get("transfer-encoding", "").lower() != "chunked":
        return await reader.readexactly(int(headers.get("content-length", "0")))
    body = bytearray()
    while True:
        line = await reader.readuntil(b"\r\n")
        octets = int(line.split(b";")[0], 16)
        if octets == 0:
            while await reader.readuntil(b"\r\n") != b"\r\n":
                pass  # trailers
            return bytes(body)
        body += await reader.readexactly(octets)
        await reader.readexactly(2)


async def _write(writer: asyncio.StreamWriter, request: Request, response: Response, *, keep: bool) -> None:
    phrase = http.HTTPStatus(response.status).phrase if response.status in _PHRASES else "Unknown"
    headers = {
        "Server": "nginx",
        "Date": _http_date(),
        **response.headers,
        "Content-Length": str(len(response.body)),
        "Connection": "keep-alive" if keep else "close",
    }
    head = f"HTTP/1.1 {response.status} {phrase}\r\n" + "".join(f"{k}: {v}\r\n" for k, v in headers.items())
    body = b"" if request.method == "HEAD" else response.body
    if response.wire is Wire.TRUNCATED:
        body = body[: len(body) // 2]
    data = head.encode("latin-1") + b"\r\n" + body
    if response.wire is Wire.DRIP:
        step = max(1, -(-len(data) // _DRIP_PIECES))
        for start in range(0, len(data), step):
            writer.write(data[start : start + step])
            await writer.drain()
            await asyncio.sleep(response.spread_s / _DRIP_PIECES)
        return
    writer.write(data)
    await writer.drain()


_PHRASES = frozenset(status.value for status in http.HTTPStatus)


def _http_date() -> str:
    return formatdate(usegmt=True)


def _abort(writer: asyncio.StreamWriter, *, reset: bool = False) -> None:
    if reset:
        raw = writer.get_extra_info("socket")
        with contextlib.suppress(OSError):
            # Linger 0 turns the close into an RST.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
