"""The page as one application under /ui: who may come in, what each POST must carry, and faults as pages."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from agent.accounts import Caller
from agent.journal.schema import JournalError
from agent.upstreams.local.answers import Refused
from agent.upstreams.local.context import Local
from agent.upstreams.local.ui.page import ROOT
from agent.upstreams.local.ui.reading import Reading
from agent.upstreams.local.ui.render import PART_HEADER, Renderer
from agent.upstreams.local.ui.sessions import Session, Sessions, is_same
from drivers.values import dataclass

COOKIE, _LOGIN_COOKIE = "phonebridge_session", "phonebridge_login"
_CSRF_FIELD, _CSRF_HEADER = "csrf", "x-csrf-token"
_MOST_FIELDS = 40
_COOKIE_AGE_S = 30 * 86_400
_FORGED = "This form was not made by this page, or you have logged in again since. Go back, reload and try again."


class Stop(Exception):
    """Ends a request with a page that says why."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass(frozen=True, slots=True)
class Visit:
    """A request of somebody who is logged in. `form` is empty but for POST, and was checked."""

    request: Request
    session: Session
    form: dict[str, str]

    @property
    def caller(self) -> Caller:
        return self.session.caller

    def said(self, sentence: str, tone: str = "good") -> None:
        """To be shown on the next page."""
        self.session.said = (tone, sentence)

    def number(self, name: str) -> int:
        """A number from the path. Raises: Stop."""
        value = str(self.request.path_params[name])
        if not (value.isascii() and value.isdigit() and len(value) <= 15):
            raise Stop(404, "There is no such page.")
        return int(value)


Handler = Callable[[Visit], Awaitable[Response]]


class Site:
    """One per local server."""

    def __init__(self, local: Local) -> None:
        self.local = local
        self.renderer = Renderer(local)
        self.reading = Reading(local)
        self.sessions = Sessions(local)
        self._routes: list[BaseRoute] = [
            Route("/login", self._login_page, methods=["GET"]),
            Route("/login", self._login, methods=["POST"]),
            Route("/static/{name}", self._static, methods=["GET"]),
        ]

    def get(self, path: str, handler: Handler) -> None:
        self._add(path, handler, ["GET"])

    def post(self, path: str, handler: Handler) -> None:
        self._add(path, handler, ["POST"])

    def application(self) -> Starlette:
        handlers: dict[Any, Any] = {
            Stop: self._stopped,
            Refused: self._refused,
            JournalError: self._full,
            HTTPException: self._other,
        }
        self.post("/logout", self._logout)
        return Starlette(routes=self._routes, exception_handlers=handlers)

    async def show(self, visit: Visit, name: str, status: int = 200, **values: Any) -> Response:
        """A page for somebody who is logged in."""
        session = visit.session
        context = {"csrf": session.csrf, "is_owner": visit.caller.is_owner, "said": None, **values}
        if PART_HEADER not in visit.request.headers:
            context["said"], session.said = session.said, None
        return await self.renderer.page(visit.request, name, context, status)

    # --- who comes in -------------------------------------------------------------------------------

    def _add(self, path: str, handler: Handler, methods: Sequence[str]) -> None:
        async def guarded(request: Request) -> Response:
            session = await self.sessions.find(request.cookies.get(COOKIE))
            if session is None:
                return self._to_login(request)
            form: dict[str, str] = {}
            if request.method == "POST":
                form = await _form(request)
                given = request.headers.get(_CSRF_HEADER) or form.get(_CSRF_FIELD, "")
                if not _is_from_here(request) or not is_same(given, session.csrf):
                    raise Stop(403, _FORGED)
            return await handler(Visit(request, session, form))

        self._routes.append(Route(path, guarded, methods=list(methods)))

    @staticmethod
    def _to_login(request: Request) -> Response:
        if request.method != "GET" and "text/html" in _accepts(request):
            return RedirectResponse(f"{ROOT}login", 303)
        if request.method != "GET" or PART_HEADER in request.headers or "text/event-stream" in _accepts(request):
            # Not for a person to look at: the script takes this as the sign to load the page anew.
            return JSONResponse({"message": "Log in first."}, 401)
        path = request.url.path
        query = "" if path == ROOT else f"?next={quote(path)}"
        return RedirectResponse(f"{ROOT}login{query}", 303)

    async def _login_page(self, request: Request) -> Response:
        if await self.sessions.find(request.cookies.get(COOKIE)) is not None:
            return RedirectResponse(ROOT, 303)
        return await self._ask_for_key(request, _inside(request.query_params.get("next", "")), None)

    async def _ask_for_key(self, request: Request, following: str, problem: str | None, status: int = 200) -> Response:
        # Before there is a session, a cookie that only our own page could read stands for it.
        mark = request.cookies.get(_LOGIN_COOKIE) or secrets.token_urlsafe(24)
        values = {"csrf": mark, "following": following, "problem": problem, "said": None}
        answer = await self.renderer.page(request, "login", values, status)
        self._set(request, answer, _LOGIN_COOKIE, mark, None)
        return answer

    async def _login(self, request: Request) -> Response:
        form = await _form(request)
        following = _inside(form.get("next", ""))
        mark = request.cookies.get(_LOGIN_COOKIE, "")
        if not mark or not _is_from_here(request) or not is_same(form.get(_CSRF_FIELD, ""), mark):
            raise Stop(403, _FORGED)
        # Under the name that sign-in by the API counts it too.
        address = f"address {'' if request.client is None else request.client.host}"
        now_s = self.local.gateway.clock.boot_ms() / 1000
        if wait_s := self.local.attempts.wait_s(now_s, address):
            sentence = f"Too many wrong keys came from this address. Try again in {wait_s} s."
            return await self._ask_for_key(request, following, sentence, 429)
        # Counted before the answer is known, so that many at once are no way round.
        self.local.attempts.failed(now_s, address)
        caller = await self.local.accounts.caller(form.get("key", "").strip().encode("utf-8", "replace"))
        if caller is None:
            return await self._ask_for_key(request, following, "This key is not known here.", 403)
        self.local.attempts.succeeded("", address)
        if not caller.may("*"):
            sentence = "This key may do only some things. The page needs a key without limits."
            return await self._ask_for_key(request, following, sentence, 403)
        self.sessions.close(request.cookies.get(COOKIE))
        answer = RedirectResponse(following or ROOT, 303)
        self._set(request, answer, COOKIE, self.sessions.open(caller), _COOKIE_AGE_S)
        answer.delete_cookie(_LOGIN_COOKIE, path="/ui")
        return answer

    async def _logout(self, visit: Visit) -> Response:
        self.sessions.close(visit.request.cookies.get(COOKIE))
        answer = RedirectResponse(f"{ROOT}login", 303)
        answer.delete_cookie(COOKIE, path="/ui")
        return answer

    @staticmethod
    def _set(request: Request, answer: Response, name: str, value: str, age_s: int | None) -> None:
        is_secure = request.url.scheme == "https"
        answer.set_cookie(name, value, age_s, path="/ui", secure=is_secure, httponly=True, samesite="strict")

    async def _static(self, request: Request) -> Response:
        found = self.renderer.static(request.path_params["name"])
        if found is None:
            raise Stop(404, "There is no such page.")
        return found

    # --- faults -------------------------------------------------------------------------------------

    async def _fault(self, request: Request, status: int, sentence: str) -> Response:
        if PART_HEADER in request.headers or "application/json" in _accepts(request):
            return JSONResponse({"message": sentence}, status)
        session = await self.sessions.find(request.cookies.get(COOKIE))
        values = {
            "csrf": session.csrf if session else "",
            "is_owner": session is not None and session.caller.is_owner,
            "is_in": session is not None,
            "sentence": sentence,
            "said": None,
        }
        return await self.renderer.page(request, "fault", values, status)

    async def _stopped(self, request: Request, error: Stop) -> Response:
        return await self._fault(request, error.status, str(error))

    async def _refused(self, request: Request, error: Refused) -> Response:
        # From the pieces that the dialects share: only what is missing comes this way.
        return await self._fault(request, error.response.status_code, "This is not here, or not yours.")

    async def _full(self, request: Request, error: JournalError) -> Response:
        return await self._fault(request, 503, f"{str(error)[:1].upper()}{str(error)[1:]}.")

    async def _other(self, request: Request, error: HTTPException) -> Response:
        sentence = "There is no such page." if error.status_code == 404 else "This cannot be done here."
        answer = await self._fault(request, error.status_code, sentence)
        answer.headers.update(error.headers or {})
        return answer


async def _form(request: Request) -> dict[str, str]:
    """An urlencoded body; the first value of each name. Line ends are those of a phone. Raises: Stop."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise Stop(415, "This is not what a form sends.")
    body = (await request.body()).decode("utf-8", "replace")
    try:
        pairs = parse_qsl(body, keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise Stop(400, "This is not what a form sends.") from error
    return {name: value.replace("\r\n", "\n") for name, value in reversed(pairs)}


def _is_from_here(request: Request) -> bool:
    """What browsers say about where a form came from, where they say it."""
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    return origin is None or urlsplit(origin).netloc.lower() == request.headers.get("host", "").lower()


def _inside(path: str) -> str:
    """A path of ours to go on to, '' for any other."""
    is_plain = path.isprintable() and "\\" not in path and "//" not in path
    return path if path.startswith(ROOT) and is_plain else ""


def _accepts(request: Request) -> str:
    return request.headers.get("accept", "")
