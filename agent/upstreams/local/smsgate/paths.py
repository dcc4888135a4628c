"""Where the dialect is reached: each operation is served once, under PREFIX, whatever spelling it was asked by.

SMSGate's server mounts its API under /api/3rdparty/v1 and its cloud hides the /api; the phone's local mode has the same
paths at the root; both know older singular names. Pure but for the ASGI wrapper.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from starlette.requests import Request

from drivers.values import dataclass

PREFIX = "/3rdparty/v1"
_PREFIXES = (PREFIX, f"/api{PREFIX}")
_SINGULAR = {"message": "messages", "webhook": "webhooks", "device": "devices"}
_FIRST = frozenset({"messages", "inbox", "webhooks", "devices", "settings", "logs", "health", "auth", *_SINGULAR})
_IS_LOCAL, _ASKED = "smsgate.is_local", "smsgate.asked"

Scope = MutableMapping[str, Any]
App = Callable[[Scope, Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Place:
    """A path of the dialect: as it is served, and whether it was asked for as of a phone."""

    path: str
    is_local: bool


def placed(path: str) -> Place | None:
    """None where the path is not the dialect's."""
    if not path.startswith("/"):
        return None
    for prefix in _PREFIXES:
        if path.startswith(f"{prefix}/"):
            return Place(PREFIX + _plural(path.removeprefix(prefix)), is_local=False)
    return Place(PREFIX + _plural(path), is_local=True) if path[1:].partition("/")[0] in _FIRST else None


class Paths:
    """ASGI: lets the routes see the one spelling that they are declared with."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        place = placed(scope["path"]) if scope["type"] == "http" else None
        if place is not None:
            asked = scope["path"]
            scope = {**scope, "path": place.path, "raw_path": place.path.encode(), _IS_LOCAL: place.is_local}
            scope[_ASKED] = asked
        await self._app(scope, receive, send)


def is_local(request: Request) -> bool:
    """Whether it was asked for as of a phone in local mode."""
    return bool(request.scope.get(_IS_LOCAL, False))


def asked(request: Request) -> str:
    """The path as the client wrote it."""
    return str(request.scope.get(_ASKED, request.url.path))


def _plural(path: str) -> str:
    first, slash, rest = path[1:].partition("/")
    return f"/{_SINGULAR.get(first, first)}{slash}{rest}"
