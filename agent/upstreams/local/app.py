"""The application: dialects behind the guard, and every fault as an answer in the dialect's form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response

from agent.journal.schema import JournalError
from agent.metrics.monitor import PATHS, Question
from agent.upstreams.local import answers, description
from agent.upstreams.local.answers import Refused
from agent.upstreams.local.context import Local
from agent.upstreams.local.guard import Guard, Hosts
from agent.upstreams.local.mobsms import (
    access,
    account,
    agents,
    contacts,
    deliveries,
    documents,
    history,
    premium,
    sending,
    signin,
)
from agent.upstreams.local.routing import Invalid, Router
from agent.upstreams.local.smsgate import dialect as smsgate
from agent.upstreams.local.smsgate import faults, paths
from agent.upstreams.local.ui import page
from agent.upstreams.local.yazsana import access as yazsana_access
from agent.upstreams.local.yazsana import dialect as yazsana

_UNREADABLE = 400


def build(local: Local, hosts: Hosts) -> Guard:
    """The whole application. Slow to import and to build: not for the event loop's thread."""
    api = Router()
    private = access.router(local)
    sending.add(private, local)
    agents.add(private, local)
    history.add(private, local)
    account.add(private, local)
    deliveries.add(private, local)
    contacts.add(private, local)
    premium.add(private, local)
    api.include_router(private)
    public = Router(access.PREFIX, responses=documents.REFUSALS)
    signin.add_public(public, local)
    premium.add_public(public, local)
    api.include_router(public)
    with_key = yazsana_access.router(local)
    yazsana.add(with_key, local)
    api.include_router(with_key)
    for router in smsgate.routers(local):
        api.include_router(router)
    _add_health(api, local)
    description.add(api, smsgate.as_of_a_phone(api.operations))
    app = Starlette(routes=api.routes(), exception_handlers=_faults(), middleware=[Middleware(paths.Paths)])
    app.router.redirect_slashes = False
    page.mount(app, local)
    return Guard(app, hosts)


def _add_health(router: Router, local: Local) -> None:
    async def answer(request: Request) -> Response:
        caller = await access.caller(local, request)
        question = Question(
            path=request.url.path,
            headers={name.lower(): value for name, value in request.headers.items()},
            peer=request.client.host if request.client else "",
            is_owner=caller is not None and caller.is_owner,
        )
        found = await local.gateway.monitor.answer(question)
        return Response(found.body, found.status, found.headers, found.content_type)

    for path in PATHS:
        router.get(path, include_in_schema=False)(answer)


def _faults() -> dict[Any, Any]:
    """For Starlette: exception → answer."""

    async def refused(_: Request, error: Refused) -> Response:
        return error.response

    async def invalid(request: Request, error: Invalid) -> Response:
        if _is_yazsana(request):
            return answers.complaints(error.errors, status=400, is_marked=True)
        if request.url.path.startswith(f"{paths.PREFIX}/"):
            return answers.plain(faults.sentence(error.errors), 400)
        return answers.complaints(error.errors)

    async def full(request: Request, error: JournalError) -> Response:
        return _said(request, f"{str(error)[:1].upper()}{str(error)[1:]}.", 503, {"Retry-After": "30"})

    async def other(request: Request, error: HTTPException) -> Response:
        path = paths.asked(request).strip("/")
        if error.status_code == 404:
            return _said(request, f"The route {path} could not be found.", 404)
        if error.status_code == 405:
            allowed = (error.headers or {})["Allow"]
            sentence = f"The {request.method} method is not supported for route {path}. Supported methods: {allowed}."
            return _said(request, sentence, 405, {"Allow": allowed})
        sentence = "The body cannot be read." if error.status_code == _UNREADABLE else str(error.detail)
        return _said(request, sentence, error.status_code, error.headers)

    async def failed(request: Request, error: Exception) -> Response:
        # Raised again behind this answer, so that the server's log has it.
        return _said(request, "Server Error", 500)

    return {Refused: refused, Invalid: invalid, JournalError: full, HTTPException: other, Exception: failed}


def _is_yazsana(request: Request) -> bool:
    return request.url.path.startswith(f"{yazsana_access.PREFIX}/")


def _said(request: Request, sentence: str, status: int, headers: Mapping[str, str] | None = None) -> Response:
    """A fault in the form of the dialect that was spoken to."""
    if _is_yazsana(request):
        return answers.Json({"success": False, "message": sentence}, status, headers=headers)
    return answers.plain(sentence, status, headers)
