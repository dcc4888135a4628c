"""Puts the page into the server's application. Light: the page itself is loaded when somebody first asks for it."""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from agent.upstreams.local import answers
from agent.upstreams.local.context import Local

ROOT = "/ui/"


def mount(app: Starlette, local: Local) -> None:
    """Everything under /ui/, and the way there from the root for people; programs get what SMSGate's app says."""

    async def root(request: Request) -> Response:
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(ROOT, 303)
        return answers.Json({"status": "ok", "model": local.gateway.settings.device_name})

    app.router.routes.append(Route("/", root, methods=["GET"]))
    app.router.routes.append(Route("/ui", _to_page, methods=["GET"]))
    app.router.routes.append(Mount("/ui", _Page(local)))


class _Page:
    """Builds the page at the first request, in a thread, since importing takes long on a small box."""

    def __init__(self, local: Local) -> None:
        self._local = local
        self._app: ASGIApp | None = None
        self._building = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with self._building:
            if self._app is None:
                self._app = await asyncio.to_thread(_built, self._local)
        await self._app(scope, receive, send)


def _built(local: Local) -> ASGIApp:
    from agent.upstreams.local.ui import administration, messages, overview, sending  # noqa: PLC0415
    from agent.upstreams.local.ui.site import Site  # noqa: PLC0415

    site = Site(local)
    for part in (overview, messages, sending, administration):
        part.add(site)
    return site.application()


async def _to_page(request: Request) -> Response:
    return RedirectResponse(ROOT, 303)
