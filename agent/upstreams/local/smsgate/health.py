"""How the gateway is, in the form of SMSGate's health checks, and its history as SMSGate's log."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

import agent
from agent.upstreams.local import answers
from agent.upstreams.local.context import Local
from agent.upstreams.local.routing import Router
from agent.upstreams.local.smsgate import documents, messages, paths, words
from agent.upstreams.local.smsgate.access import client_of
from agent.upstreams.local.smsgate.messages import TAGS, From, To

_HOUR_MS = 3_600_000
_READY = "ready"
_MOST_ENTRIES = 1000
_FAR_MS = 1 << 53


def add(router: Router, local: Local) -> None:
    """/logs."""

    @router.get(
        "/logs", response_model=list[documents.LogEntry], tags=TAGS,
        summary="The newest 1,000 lines of history in a time, newest first",
    )  # fmt: skip
    async def logs(request: Request, since: From = None, until: To = None) -> Response:
        client = client_of(request)
        found = await local.accounts.clients.log(
            client.account,
            is_owner=client.is_owner,
            from_ms=messages.instant("from", since) or 0,
            to_ms=_FAR_MS if until is None else messages.instant("to", until) or 0,
            limit=_MOST_ENTRIES,
        )
        return answers.Json([words.log_entry(one) for one in found])


def add_public(router: Router, local: Local) -> None:
    """/health: no key is needed, and nothing is told that is anybody's."""

    @router.get("/health", response_model=documents.Health, responses=documents.ILL, tags=TAGS, summary="Is it well?")
    async def health(request: Request) -> Response:
        return await _answer(local, request)

    @router.get(
        "/health/ready", response_model=documents.Health, responses=documents.ILL, tags=TAGS, summary="Can it send?"
    )
    async def ready(request: Request) -> Response:
        return await _answer(local, request)

    @router.get("/health/live", response_model=documents.Health, tags=TAGS, summary="Does it answer?")
    async def live() -> Response:
        return answers.Json(_document({}))

    @router.get("/health/startup", response_model=documents.Health, tags=TAGS, summary="Has it started?")
    async def startup() -> Response:
        return answers.Json(_document({}))


async def document(local: Local) -> dict[str, Any]:
    """All checks."""
    failed, sent = await local.accounts.clients.outcomes(local.gateway.clock.utc_ms() - _HOUR_MS)
    views = local.gateway.route_views()
    ready = sum(view.state.value == _READY for view in views)
    outcomes = "fail" if failed and not sent else "warn" if failed else "pass"
    routes = "pass" if ready == len(views) else "warn" if ready else "fail"
    return _document(
        {
            "messages:failed": _check(outcomes, failed, "messages", "Messages of the last hour that failed"),
            "connection:status": _check(
                "pass" if ready or not views else "fail", int(ready > 0), "boolean", "Whether a SIM can send"
            ),
            "routes:ready": _check(routes, ready, "routes", f"Routes that can send, of {len(views)}"),
        }
    )


async def _answer(local: Local, request: Request) -> Response:
    found = await document(local)
    status = 200
    if found["status"] == "fail":
        status = 500 if paths.is_local(request) else 503
    return answers.Json(found, status)


def _document(checks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    statuses = {check["status"] for check in checks.values()}
    worst = next((one for one in ("fail", "warn") if one in statuses), "pass")
    return {"status": worst, "version": agent.__version__, "releaseId": _release(), "checks": checks}


def _release() -> int:
    """A number that grows with the version: 1.2.3 is 10203."""
    found = 0
    for piece in agent.__version__.split(".")[:3]:
        digits = "".join(character for character in piece if character.isdigit())
        found = found * 100 + int(digits or 0) % 100
    return found


def _check(status: str, value: int, unit: str, description: str) -> dict[str, Any]:
    return {"status": status, "observedValue": value, "observedUnit": unit, "description": description}
