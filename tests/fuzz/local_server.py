"""Requests to the local server, as octets on a connection: through the parser that the server uses, into the whole
application without a socket, on a real journal. No answer may be a fault of the server.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from urllib.parse import unquote

import h11

from agent.upstreams.local.app import build
from agent.upstreams.local.context import Local
from agent.upstreams.local.devices import Devices
from agent.upstreams.local.guard import Hosts
from agent.upstreams.local.settings import LocalSettings
from tests.fuzz import own, requests
from tests.fuzz.engine import Ready, Target
from tests.fuzz.own import Own
from tests.fuzz.requests import AGENT, KEY

_HOST = b"localhost"
_LARGEST_HEAD_OCTETS = 32 * 1024
_HEALTH = re.compile(r"/(3rdparty/v1/|api/3rdparty/v1/)?(health|healthz|readyz)(/.*)?")
"""That these tell with 500 and 503 of a gateway that cannot send is their use."""
_LONGEST_S = 30.0
_AGENT = (
    f"POST /api/devices HTTP/1.1\nAuthorization: Bearer {KEY}\nContent-Type: application/json\n\n"
    f'{{"device_id": "{AGENT}", "device_name": "agent"}}'
).encode()
_LOGIN_COOKIE = re.compile(rb"phonebridge_login=([^;]+)")
_COOKIE = re.compile(rb"phonebridge_session=([^;]+)")
_CSRF = re.compile(rb'name="csrf"[^>]*value="([^"]+)"')


@dataclass(frozen=True, slots=True)
class Response:
    """An answer; names of headers in lower case."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class ServerFault(AssertionError):
    """An answer of 500 or more, or one that is no HTTP."""


@dataclass(frozen=True, slots=True)
class Served:
    """A local server's application in this process."""

    there: Own
    app: Any

    def ask(self, data: bytes) -> Response | None:
        """One request as octets; None where it is none. Raises: ServerFault; what the application lets escape."""
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=_LARGEST_HEAD_OCTETS)
        try:
            connection.receive_data(_request(data))
            request, body = connection.next_event(), b""
            if not isinstance(request, h11.Request):
                return None
            while isinstance(event := connection.next_event(), h11.Data):
                body += bytes(event.data)
        except h11.RemoteProtocolError:
            return None
        if not isinstance(event, h11.EndOfMessage):
            return None
        exchange = _Exchange(_scope(request), body, connection)
        self.there.run(exchange.run(self.app))
        return exchange.response


@contextmanager
def served() -> Iterator[Served]:
    """With the configured key KEY, and open registration."""
    with own.gateway("local") as there:
        settings = LocalSettings(type="local", name="local", bind="127.0.0.1:0", registration="open")
        local = Local("local", settings, there.gateway, Devices(there.gateway, 0.0, {}))
        local.accounts.set_configured_key(KEY)
        there.run(_first(local))
        server = Served(there, build(local, Hosts(("localhost",), any_address=False)))
        server.ask(_AGENT)
        yield server


@contextmanager
def _api(like: str) -> Iterator[Ready]:
    with served() as server:

        def execute(data: bytes) -> None:
            server.ask(data)

        document = server.ask(b"GET /openapi.json HTTP/1.1")
        assert document is not None
        yield Ready(execute, requests.recorded(document.json(), like))


@contextmanager
def _page() -> Iterator[Ready]:
    """As somebody who is logged in."""
    with served() as server:
        cookie, csrf = _logged_in(server)

        def execute(data: bytes) -> None:
            nonlocal cookie, csrf
            response = server.ask(data.replace(b"SESSION", cookie).replace(b"TOKEN", csrf))
            if response is not None and b"/ui/login" in dict(response.headers).get(b"location", b""):
                cookie, csrf = _logged_in(server)

        yield Ready(execute, requests.PAGE)


def _logged_in(server: Served) -> tuple[bytes, bytes]:
    """The session's cookie and its CSRF token."""
    asked = server.ask(b"GET /ui/login HTTP/1.1\nAccept: text/html")
    mark = _found(_LOGIN_COOKIE, asked)
    form = b"csrf=" + mark + b"&key=" + KEY.encode()
    head = b"POST /ui/login HTTP/1.1\nContent-Type: application/x-www-form-urlencoded\nCookie: phonebridge_login="
    cookie = _found(_COOKIE, server.ask(head + mark + b"\n\n" + form))
    page = server.ask(b"GET /ui/send HTTP/1.1\nAccept: text/html\nCookie: phonebridge_session=" + cookie)
    return cookie, _found(_CSRF, page)


def _found(pattern: re.Pattern[bytes], response: Response | None) -> bytes:
    assert response is not None
    found = pattern.search(b"\n".join(value for _, value in response.headers) + response.body)
    assert found is not None, (pattern.pattern, response.status, response.body[:200])
    return found[1]


async def _first(local: Local) -> None:
    await local.accounts.owner()
    await local.accounts.ensure_routes(list(local.gateway.routes))


def _scope(request: h11.Request) -> dict[str, Any]:
    """As uvicorn makes it."""
    path, _, query = request.target.partition(b"?")
    return {
        "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "scheme": "http",
        "server": ("127.0.0.1", 8080), "client": ("127.0.0.1", 9), "root_path": "", "state": {},
        "method": request.method.decode("ascii"), "path": unquote(path.decode("ascii")), "raw_path": path,
        "query_string": query, "headers": list(request.headers),
    }  # fmt: skip


class _Exchange:
    """One request and its answer. What uvicorn would raise for an answer that is no HTTP comes through."""

    def __init__(self, scope: dict[str, Any], body: bytes, connection: h11.Connection) -> None:
        self.response: Response | None = None
        self._scope = scope
        self._body = body
        self._connection = connection
        self._is_asked = False

    async def run(self, app: Any) -> None:
        async with asyncio.timeout(_LONGEST_S):
            await app(self._scope, self._receive, self._send)
        path = self._scope["path"]
        if self.response is None:
            raise ServerFault(f"no answer to {self._scope['method']} {path[:60]}")
        if self.response.status >= 500 and not _HEALTH.fullmatch(path):
            raise ServerFault(f"{self.response.status} to {self._scope['method']} {path[:60]}")

    async def _receive(self) -> dict[str, Any]:
        if self._is_asked:
            # Gone as soon as it has asked: so event streams end.
            return {"type": "http.disconnect"}
        self._is_asked = True
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def _send(self, message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            headers = list(message.get("headers", []))
            self._connection.send(h11.Response(status_code=message["status"], headers=headers))
            self.response = Response(message["status"], headers, b"")
        elif self.response is not None:
            body = message.get("body", b"")
            self.response = replace(self.response, body=self.response.body + body)
            if self._scope["method"] != "HEAD":
                self._connection.send(h11.Data(data=body))


def _request(data: bytes) -> bytes:
    """Recorded requests stand with plain line ends, without Host and length."""
    head, _, body = data.partition(b"\n\n")
    lines = head.split(b"\n")
    known = {line.partition(b":")[0].strip().lower() for line in lines[1:]}
    if b"host" not in known:
        lines.append(b"Host: " + _HOST)
    if body and b"content-length" not in known:
        lines.append(b"Content-Length: %d" % len(body))
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


TARGETS: dict[str, Target] = {
    **{name: partial(_api, like) for name, like in requests.LIKE.items()},
    "page": _page,
}
