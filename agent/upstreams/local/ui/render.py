"""Templates and static files, and the headers of every answer. jinja2 is loaded when the page is first asked for."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from agent import memory
from agent.upstreams.local.context import Local
from agent.upstreams.local.ui import words

if TYPE_CHECKING:
    import jinja2

_HERE = Path(__file__).parent
PART_HEADER = "x-part"
"""A request with it wants only the part of the page that changes by itself."""
_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
_HEADERS = {
    "Content-Security-Policy": _POLICY,
    # Not no-referrer, which makes browsers send "Origin: null" with a form.
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_STATIC = {"style.css": "text/css", "page.js": "text/javascript", "icon.svg": "image/svg+xml"}


class Renderer:
    """One per local server."""

    def __init__(self, local: Local) -> None:
        self._local = local
        self._zone = ZoneInfo(local.gateway.settings.timezone)
        self._files = {name: (_HERE / "static" / name).read_bytes() for name in _STATIC}
        self._marks = {name: hashlib.sha256(body).hexdigest()[:12] for name, body in self._files.items()}
        self._environment: jinja2.Environment | None = None
        self._loading = asyncio.Lock()
        self._tidied: set[str] = set()
        self._parts = frozenset(path.name for path in (_HERE / "templates").glob("_*.html"))

    @property
    def zone(self) -> ZoneInfo:
        return self._zone

    async def page(self, request: Request, name: str, values: Mapping[str, Any], status: int = 200) -> Response:
        """A whole page, or with PART_HEADER what lies in its live part, where it has one: the
        template `_NAME.html`."""
        async with self._loading:
            if self._environment is None:
                self._environment = await asyncio.to_thread(self._load)
        part = f"_{name}.html"
        is_part = PART_HEADER in request.headers and part in self._parts
        template = self._environment.get_template(part if is_part else f"{name}.html")
        now_ms = self._local.gateway.clock.utc_ms()
        context = {"here": request.url.path, "now_ms": now_ms, "device_name": self._local.gateway.settings.device_name}
        # In a thread: compiling at the first time, and fifty rows on a small box, would hold up the routes.
        body = await asyncio.to_thread(template.render, {**context, **values})
        if name not in self._tidied:
            # It was compiled for this, and half a megabyte is left over.
            self._tidied.add(name)
            await asyncio.to_thread(memory.tidy)
        return HTMLResponse(body, status, headers=_HEADERS)

    def static(self, name: str) -> Response | None:
        body = self._files.get(name)
        if body is None:
            return None
        return Response(body, media_type=_STATIC[name], headers={"Cross-Origin-Resource-Policy": "same-origin"})

    # --- pieces -------------------------------------------------------------------------------------

    def _load(self) -> jinja2.Environment:
        import jinja2  # noqa: PLC0415

        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(_HERE / "templates"),
            autoescape=True,
            auto_reload=False,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.globals["static"] = lambda name: f"/ui/static/{name}?v={self._marks[name]}"
        environment.globals["zone"] = self._zone.key
        environment.globals["words"] = words
        environment.filters["iso"] = lambda utc_ms: datetime.fromtimestamp(utc_ms / 1000, UTC).isoformat()
        environment.filters["short"] = lambda utc_ms, now_ms: words.short_time(utc_ms, now_ms, self._zone)
        environment.filters["long"] = lambda utc_ms: words.long_time(utc_ms, self._zone)
        environment.filters["grouped"] = lambda value: f"{value:,}".replace(",", "\N{NARROW NO-BREAK SPACE}")
        return environment
