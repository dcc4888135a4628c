"""The application: dialects behind the guard, and every fault as an answer in the dialect's form."""

from __future__ import annotations

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

import agent
from agent.journal.schema import JournalError
from agent.upstreams.local import answers
from agent.upstreams.local.answers import Refused
from agent.upstreams.local.context import Local
from agent.upstreams.local.guard import Guard, Hosts
from agent.upstreams.local.mobsms import access, account, agents, history, sending

_UNREADABLE = 400


def build(local: Local, hosts: Hosts) -> Guard:
    """The whole application. Slow to import and to build: not for the event loop's thread."""
    # The pages for people that FastAPI brings load their scripts from elsewhere; ours is a later one.
    app = FastAPI(
        title="phonebridge",
        version=agent.__version__,
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
    )
    public = APIRouter()
    account.add_public(public, local)
    private = access.router(local)
    sending.add(private, local)
    agents.add(private, local)
    history.add(private, local)
    account.add(private, local)
    app.include_router(private, prefix="/api")
    app.include_router(public, prefix="/api")
    _add_health(app)
    _add_faults(app)
    return Guard(app, hosts)


def _add_health(app: FastAPI) -> None:
    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> Response:
        return answers.Json({"status": "ok"})


def _add_faults(app: FastAPI) -> None:
    @app.exception_handler(Refused)
    async def refused(_: Request, error: Refused) -> Response:
        return error.response

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> Response:
        return answers.complaints(error.errors())

    @app.exception_handler(JournalError)
    async def full(_: Request, error: JournalError) -> Response:
        return answers.plain(f"{str(error)[:1].upper()}{str(error)[1:]}.", 503, {"Retry-After": "30"})

    @app.exception_handler(HTTPException)
    async def other(request: Request, error: HTTPException) -> Response:
        path = request.url.path.strip("/")
        if error.status_code == 404:
            return answers.plain(f"The route {path} could not be found.", 404)
        if error.status_code == 405:
            allowed = (error.headers or {}).get("Allow", "")
            sentence = f"The {request.method} method is not supported for route {path}. Supported methods: {allowed}."
            return answers.plain(sentence, 405, error.headers)
        sentence = "The body cannot be read." if error.status_code == _UNREADABLE else str(error.detail)
        return answers.plain(sentence, error.status_code, error.headers)

    @app.exception_handler(Exception)
    async def failed(_: Request, error: Exception) -> Response:
        # Raised again behind this answer, so that the server's log has it.
        return answers.plain("Server Error", 500)
