"""One POST over HTTP/1.1 on a connection of its own, to an address that was judged before.

Much less than an HTTP client does: no redirects, no proxies, no cookies, no pool, since a kept connection may have been
made for another name. It takes a third of the time, and httpx need not be loaded for it. Knows no webhooks.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from urllib.parse import quote, unquote, urlsplit

import h11

from drivers.values import dataclass

_READ_OCTETS = 65536
_LONGEST_HEAD_OCTETS = 65536
# How long a TLS peer may take to say goodbye. Nobody waits for it.
_GOODBYE_S = 1.0
_PORTS = {"http": 80, "https": 443}
# What may stand in a path or a query as it is (RFC 3986 §3.3 and §3.4), escapes included.
_KEPT = "/%:@!$&'()*+,;=~-._?[]"


class Broken(OSError):
    """The other side does not speak HTTP, or ended in the middle. `str()` is one sentence."""


@dataclass(frozen=True, slots=True)
class Target:
    """An address of the web, taken apart. `host` is as DNS and TLS have it; `authority` is the Host header."""

    is_tls: bool
    host: str
    port: int
    authority: str
    path: str
    authorization: str | None


@dataclass(frozen=True, slots=True)
class Reply:
    """What was answered. `body` is its beginning, read only where it is asked for."""

    status: int
    location: str | None
    body: bytes

    @property
    def is_success(self) -> bool:
        return 200 <= self.status < 300

    @property
    def is_redirect(self) -> bool:
        return 300 <= self.status < 400


def target(url: str) -> Target:
    """Pure. Raises: ValueError."""
    parts = urlsplit(url)
    host = _spelled(parts.hostname or "")
    port = parts.port or _PORTS[parts.scheme]
    name = f"[{host}]" if ":" in host else host
    authorization = None
    if parts.username or parts.password:
        login = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
        authorization = f"Basic {base64.b64encode(login.encode()).decode()}"
    query = f"?{quote(parts.query, safe=_KEPT)}" if parts.query else ""
    return Target(
        is_tls=parts.scheme == "https",
        host=host,
        port=port,
        authority=name if port == _PORTS[parts.scheme] else f"{name}:{port}",
        path=(quote(parts.path, safe=_KEPT) or "/") + query,
        authorization=authorization,
    )


async def post(
    where: Target,
    address: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    tls: ssl.SSLContext | None,
    read_octets: int,
) -> Reply:
    """Post to `address`, which `where` resolved to. Of an answer that is no success at most `read_octets` are read.

    Raises: OSError, before anything was sent where it is no `Broken`; ValueError where a header cannot be one.
    """
    request = h11.Connection(h11.CLIENT, max_incomplete_event_size=_LONGEST_HEAD_OCTETS)
    try:
        octets = _request(request, where, headers, body)
    except h11.LocalProtocolError as error:
        raise ValueError(f"a header cannot be sent: {error}") from error
    reader, writer = await asyncio.open_connection(
        address,
        where.port,
        ssl=tls,
        # The certificate must be the name's, not the address's.
        server_hostname=None if tls is None else where.host,
        ssl_shutdown_timeout=None if tls is None else _GOODBYE_S,
    )
    try:
        return await _exchanged(request, reader, writer, octets, read_octets)
    except h11.RemoteProtocolError as error:
        raise Broken(f"it does not speak HTTP, or ended in the middle: {error}") from error
    except Broken:
        raise
    except OSError as error:
        raise Broken(f"the connection broke: {error.strerror or error}") from error
    finally:
        writer.close()


def _request(request: h11.Connection, where: Target, headers: Mapping[str, str], body: bytes) -> bytes:
    fields = {"Host": where.authority, "Accept": "*/*", **headers, "Connection": "close"}
    if where.authorization is not None:
        fields["Authorization"] = where.authorization
    fields["Content-Length"] = str(len(body))
    head = h11.Request(method="POST", target=where.path, headers=list(fields.items()))
    events = (head, h11.Data(data=body), h11.EndOfMessage())
    return b"".join(request.send(event) or b"" for event in events)


async def _exchanged(
    request: h11.Connection,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    octets: bytes,
    read_octets: int,
) -> Reply:
    writer.write(octets)
    await writer.drain()
    while not isinstance(event := await _next(request, reader), h11.Response):
        if not isinstance(event, h11.InformationalResponse):
            raise Broken("it ended the connection without an answer")
    location = dict(event.headers).get(b"location")
    reply = Reply(event.status_code, None if location is None else location.decode("latin-1"), b"")
    if reply.is_success:
        # The body is of no interest, and may be endless.
        return reply
    content = b""
    # Where it ends in the middle, the status is what counts.
    with suppress(OSError, h11.RemoteProtocolError):
        while len(content) < read_octets and isinstance(piece := await _next(request, reader), h11.Data):
            content += bytes(piece.data)
    return replace(reply, body=content[:read_octets])


async def _next(request: h11.Connection, reader: asyncio.StreamReader) -> object:
    """What comes next. Raises: Broken at an end before anything; OSError; h11.RemoteProtocolError."""
    while True:
        event = request.next_event()
        if event is not h11.NEED_DATA:
            return event
        octets = await reader.read(_READ_OCTETS)
        if not octets and request.their_state is h11.SEND_RESPONSE and not request.trailing_data[0]:
            raise Broken("it ended the connection without an answer")
        request.receive_data(octets)


def _spelled(host: str) -> str:
    """As it goes over the wire. Raises: ValueError."""
    if host.isascii():
        return host
    import idna  # noqa: PLC0415 - httpx brings it; few names need it

    return idna.encode(host, uts46=True).decode("ascii")
