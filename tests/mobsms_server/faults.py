"""Faults and a rate limit that a test asks for: which requests they strike, how long, with what answer.

Pure but for the random draw; whoever serves the request carries a plan out.
"""

from __future__ import annotations

import random
import re
import time
from dataclasses import asdict, dataclass, field
from typing import Any

from .http1 import Response, Wire, html_response, json_response
from .record import now_ms

KINDS = {
    "status": "answer `status`, worded as Laravel does (HTML for 502), or `body`; with `retry_after_s`",
    "html": "answer `status` (200 when not given) with the HTML page of a captive portal",
    "half_json": "the real answer's first half, correctly framed: broken JSON",
    "truncated": "the real answer's head and half of its body, then the connection is closed",
    "reset": "connection reset (RST), no answer",
    "close": "connection closed, no answer",
    "hang": "no answer for `delay_s`, then the connection is closed",
    "slow": "the real answer after `delay_s`",
    "drip": "the real answer in small pieces over `delay_s`",
}

_PORTAL = (
    "<!DOCTYPE html><html><head><title>Welcome to Hotel WiFi</title></head><body><h1>Please sign in</h1>"
    '<form action="/login"><button>Accept terms</button></form></body></html>'
)
_NGINX = "<html>\r\n<head><title>{0}</title></head>\r\n<body><h1>{0}</h1></body>\r\n</html>"
_MESSAGES = {
    401: {"message": "Unauthenticated."},
    403: {"success": False, "message": "This feature requires a Premium subscription.", "upgrade": True},
    404: {"message": "No query results for model [SmsMessage]."},
    422: {
        "message": "The given data was invalid.",
        "errors": {"status": ["The selected status is invalid."]},
    },
    429: {"message": "Too Many Attempts."},
    500: {"message": "Server Error"},
    503: {"message": "Service Unavailable"},
}


@dataclass(slots=True)
class Fault:
    """One rule. It ends after `count` strikes or `seconds`, whichever is first, else when cleared."""

    id: int
    kind: str
    listener: str = "api"  # or "hook"
    method: str = ".*"  # regular expressions over the whole method and path?query
    path: str = ".*"
    count: int | None = None
    seconds: float | None = None
    chance: float = 1.0
    skip: int = 0  # this many matching requests pass first
    applied: bool = False  # the request takes effect, only its answer is struck
    status: int | None = None
    body: str | None = None  # sent as HTML when it begins with "<", else as JSON
    retry_after_s: int | None = None
    delay_s: float = 0.0
    hits: int = 0
    since: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"unknown kind of fault {self.kind!r}, known: {', '.join(KINDS)}")
        if self.kind == "status" and self.status is None:
            raise ValueError("a fault of kind status needs a status")
        re.compile(self.method)
        re.compile(self.path)

    @property
    def needs_answer(self) -> bool:
        """True where the request is carried out although a fault strikes it."""
        return self.applied or self.kind in ("half_json", "truncated", "slow", "drip")


@dataclass(slots=True)
class Limit:
    """A rate limit as Laravel's throttle keeps it: so many requests per window of so many seconds."""

    per_window: int
    window_s: float = 60.0
    used: int = 0
    ends: float = 0.0

    def take(self, now: float) -> tuple[bool, dict[str, str]]:
        """Whether a request may pass, and the headers that say what is left."""
        if now >= self.ends:
            self.used, self.ends = 0, now + self.window_s
        self.used += 1
        left = max(0, self.per_window - self.used)
        headers = {"X-RateLimit-Limit": str(self.per_window), "X-RateLimit-Remaining": str(left)}
        if self.used <= self.per_window:
            return True, headers
        wait = max(1, round(self.ends - now))
        reset = now_ms() // 1000 + wait
        return False, {**headers, "Retry-After": str(wait), "X-RateLimit-Reset": str(reset)}


class Faults:
    """The rules in force, the oldest first."""

    def __init__(self, seed: int) -> None:
        self._rules: list[Fault] = []
        self._made = 0
        self._random = random.Random(seed)

    def add(self, **values: Any) -> Fault:
        """Raises: TypeError: unknown field. ValueError: unusable value."""
        fault = Fault(self._made + 1, **values)
        self._made += 1
        self._rules.append(fault)
        return fault

    def clear(self) -> None:
        self._rules.clear()

    def rules(self) -> list[dict[str, Any]]:
        self._drop_ended()
        return [asdict(rule) for rule in self._rules]

    def strike(self, listener: str, method: str, target: str) -> Fault | None:
        """The first rule that strikes this request, counted; None when it is to be served."""
        self._drop_ended()
        for rule in self._rules:
            if rule.listener != listener or not re.fullmatch(rule.method, method):
                continue
            if not re.fullmatch(rule.path, target) or self._random.random() >= rule.chance:
                continue
            if rule.skip > 0:
                rule.skip -= 1
                continue
            rule.hits += 1
            return rule
        return None

    def _drop_ended(self) -> None:
        now = time.monotonic()
        self._rules = [
            rule
            for rule in self._rules
            if (rule.count is None or rule.hits < rule.count)
            and (rule.seconds is None or now < rule.since + rule.seconds)
        ]


def struck(fault: Fault, real: Response | None) -> Response:
    """The answer under a fault, without its delay; `real` is the server's own, where `needs_answer`."""
    if fault.kind in ("reset", "close", "hang"):
        return Response(0, wire=Wire.RESET if fault.kind == "reset" else Wire.CLOSE)
    if fault.kind == "status":
        return _status(fault)
    if fault.kind == "html":
        return html_response(fault.status or 200, fault.body or _PORTAL)
    assert real is not None
    if fault.kind == "half_json":
        real.body = real.body[: len(real.body) // 2]
    elif fault.kind == "truncated":
        real.wire = Wire.TRUNCATED
    elif fault.kind == "drip":
        real.wire, real.spread_s = Wire.DRIP, fault.delay_s
    return real


def _status(fault: Fault) -> Response:
    status = fault.status or 500
    if fault.body is not None and fault.body.lstrip().startswith("<"):
        response = html_response(status, fault.body)
    elif fault.body is not None:
        response = Response(status, fault.body.encode(), {"Content-Type": "application/json"})
    elif status in _MESSAGES:
        response = json_response(status, _MESSAGES[status])
    else:
        names = {502: "Bad Gateway", 504: "Gateway Time-out"}
        response = html_response(status, _NGINX.format(f"{status} {names.get(status, 'Error')}"))
    if fault.retry_after_s is not None:
        response.headers["Retry-After"] = str(fault.retry_after_s)
        if status == 429:
            response.headers["X-RateLimit-Limit"] = "60"
            response.headers["X-RateLimit-Remaining"] = "0"
    return response
