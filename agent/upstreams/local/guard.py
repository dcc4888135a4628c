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

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        headers = {name: value for name, value in scope["headers"] if name in (b"host", b"content-length")}
        if not self._hosts.allows(headers.get(b"host", b"").decode("latin-1")):
            await _refuse(send, 421, "This Host is not served here; see allowed_hosts in the configuration.")
            return
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length[:20]) > LARGEST_BODY_BYTES:
            await _refuse(send, 413, _TOO_LARGE)
            return
        try:
            async with asyncio.timeout(_BODY_TIMEOUT_S):
                body = await _body(receive)
        except TimeoutError:
            await _refuse(send, 408, "The body did not arrive in time.")
            return
        if body is None:
            await _refuse(send, 413, _TOO_LARGE)
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

        await self._app(scope, replay, mark)


_TOO_LARGE = f"The body is larger than {LARGEST_BODY_BYTES} bytes."


async def _body(receive: Receive) -> bytes | None:
    """The whole body, None where it is too large."""
    message = await receive()
    body: bytes = message.get("body", b"")
    if not message.get("more_body", False):
        return body if len(body) <= LARGEST_BODY_BYTES else None
    pieces, size = [body], len(body)
    while message.get("more_body", False):
        message = await receive()
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > LARGEST_BODY_BYTES:
            return None
    return b"".join(pieces)


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
