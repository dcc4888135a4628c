"""What every request passes before a dialect sees it: Host header, size of the body, and headers of the answer.

Plain ASGI, since it runs for each request.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LARGEST_BODY_BYTES = 1 << 20
# A client that is still writing does not see an answer before the connection ends; so a little more is read.
_LARGEST_READ_BYTES = 16 << 20
# More at once is not faster, but makes each round of the loop longer, and the routes run in it too.
_AT_ONCE = 16
# These last: event streams, passwords, which are hashed one at a time, and what another server is asked for.
_LONG = ("/events", "/login", "/register", "/auth/google")
# A body of 1 MiB over a bad mobile link; whoever is slower holds memory for nothing.
_BODY_TIMEOUT_S = 60.0
_HEADERS = [(b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff")]


class Hosts:
    """Which Host headers are ours. A page elsewhere that had its own name point at us (DNS rebinding) sends that
    name; so names must be known, while an address cannot be made to mean another machine."""

    def __init__(self, names: tuple[str, ...], *, any_address: bool) -> None:
        self._names = frozenset(name.lower().strip("[]") for name in names)
        self._any_address = any_address

    def allows(self, header: str) -> bool:
        name = header.strip().lower()
        if name.startswith("["):
            name = name[1:].partition("]")[0]
        elif name.count(":") <= 1:
            name = name.partition(":")[0]
        if name.rstrip(".") in self._names:
            return True
        return self._any_address and _is_address(name)


class Guard:
    """Wraps the application."""

    def __init__(self, app: App, hosts: Hosts) -> None:
        self._app = app
        self._hosts = hosts
        self._turns = asyncio.Semaphore(_AT_ONCE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        try:
            async with asyncio.timeout(_BODY_TIMEOUT_S):
                body = await self._admitted(scope, receive)
        except _Gone:
            return
        except TimeoutError:
            await _refuse(send, 408, "The body did not arrive in time.")
            return
        except _Refused as refused:
            await _refuse(send, refused.status, str(refused))
            return
        is_read = False

        async def replay() -> Message:
            nonlocal is_read
            if is_read:
                return await receive()
            is_read = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def mark(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_HEADERS]
            await send(message)

        if scope["path"].endswith(_LONG):
            await self._app(scope, replay, mark)
            return
        async with self._turns:
            await self._app(scope, replay, mark)

    async def _admitted(self, scope: Scope, receive: Receive) -> bytes:
        """The body of a request that may come in. Raises: _Refused; _Gone."""
        headers = {name: value for name, value in scope["headers"] if name in (b"host", b"content-length")}
        if not self._hosts.allows(headers.get(b"host", b"").decode("latin-1")):
            raise _Refused(421, "This Host is not served here; see allowed_hosts in the configuration.")
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length[:20]) > _LARGEST_READ_BYTES:
            raise _Refused(413, _TOO_LARGE)
        body = await _body(receive)
        if body is None:
            raise _Refused(413, _TOO_LARGE)
        return body


class _Refused(Exception):
    """Not let in. `str()` is one sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class _Gone(Exception):
    """The client went away in the middle of its body."""


_TOO_LARGE = f"The body is larger than {LARGEST_BODY_BYTES} bytes."


async def _body(receive: Receive) -> bytes | None:
    """The whole body, None where it is too large."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return body if len(body) <= LARGEST_BODY_BYTES else None
    pieces, size = [body], len(body)
    while message.get("more_body", False) and size <= _LARGEST_READ_BYTES:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Gone
        piece = message.get("body", b"")
        size += len(piece)
        if size <= LARGEST_BODY_BYTES:
            pieces.append(piece)
    return b"".join(pieces) if size <= LARGEST_BODY_BYTES else None


async def _refuse(send: Send, status: int, sentence: str) -> None:
    body = json.dumps({"message": sentence}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *_HEADERS]
    # What is left of the body is not read.
    await send({"type": "http.response.start", "status": status, "headers": [*headers, (b"connection", b"close")]})
    await send({"type": "http.response.body", "body": body})


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
