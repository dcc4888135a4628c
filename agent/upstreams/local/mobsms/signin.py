"""Signing in: by password, by registration where it is open, and by Google where a client id is configured.

Guessing is slowed per account and per address. Google's answer is asked from its tokeninfo endpoint, which checks
signature and expiry; issuer, audience and expiry are checked here again (Google Identity, "Verify the Google ID
token on your server side").
"""

from __future__ import annotations

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from agent.accounts import Account, EmailTaken
from agent.upstreams.local import answers
from agent.upstreams.local.answers import Refused
from agent.upstreams.local.context import Local
from agent.upstreams.local.mobsms import documents
from agent.upstreams.local.mobsms.bodies import GoogleSignIn, Login, Register
from agent.upstreams.local.routing import Admission, Router
from drivers.values import dataclass

_CLOSED = (
    "Registration is closed on this gateway, because whoever has an account can send at its owner's expense; "
    'its owner can set registration = "open" in the configuration.'
)
_NOT_GOOGLE = "Invalid Google token"
_ISSUERS = frozenset({"accounts.google.com", "https://accounts.google.com"})
_TIMEOUT_S = 10.0
_TAG = "Authentication"


@dataclass(frozen=True, slots=True)
class _Person:
    """Whom Google vouches for."""

    email: str
    name: str


def add_public(router: Router, local: Local) -> None:
    """Everything that gives a token."""
    _add_login(router, local)
    registering = Router(admission=_closable(local))
    _add_register(registering, local)
    router.include_router(registering)

    @router.post(
        "/auth/google",
        response_model=documents.Said[documents.SignedIn],
        responses={**documents.SLOWED, **documents.CLOSED},
        tags=[_TAG],
        summary="Sign in with Google (GIS / ID-token flow).",
    )
    async def google(body: GoogleSignIn, request: Request) -> Response:
        address = _address(request)
        _slow(local, address)
        person = None if local.settings.google_client_id is None else await _person(local, body.id_token)
        if person is None:
            local.attempts.failed(_now_s(local), address)
            return answers.refusal(_NOT_GOOGLE, 401)
        account = await local.accounts.by_email(person.email)
        if account is None:
            if local.settings.registration == "closed":
                return answers.refusal(_CLOSED, 403)
            account = await local.accounts.register_without_password(person.name, person.email)
        return await _signed_in(local, account, "Login successful", 200)


def _add_login(router: Router, local: Local) -> None:
    @router.post(
        "/login",
        response_model=documents.Said[documents.SignedIn],
        responses=documents.SLOWED,
        tags=[_TAG],
        summary="Login",
    )
    async def login(body: Login, request: Request) -> Response:
        email = body.email.strip().lower()
        keys = (f"account {email}", _address(request))
        _slow(local, *keys)
        # Counted before the answer is known, so that many at once are no way round.
        local.attempts.failed(_now_s(local), *keys)
        account = await local.accounts.login(email, body.password)
        if account is None:
            return answers.refusal("Invalid credentials", 401)
        local.attempts.succeeded(*keys)
        return await _signed_in(local, account, "Login successful", 200)


def _add_register(router: Router, local: Local) -> None:
    @router.post(
        "/register",
        status_code=201,
        response_model=documents.Said[documents.SignedIn],
        responses=documents.CLOSED,
        tags=[_TAG],
        summary="Register (403 where the gateway's owner has not opened registration)",
    )
    async def register(body: Register) -> Response:
        try:
            account = await local.accounts.register(body.name, body.email, body.password)
        except EmailTaken:
            return answers.invalid({"email": ["The email has already been taken."]})
        return await _signed_in(local, account, "Registration successful", 201)


# --- pieces -----------------------------------------------------------------------------------------


def _closable(local: Local) -> Admission:
    """Operations that are closed, whatever the body, while registration is."""

    async def admit(_: Request) -> Response | None:
        return answers.refusal(_CLOSED, 403) if local.settings.registration == "closed" else None

    return lambda method, path: admit


async def _signed_in(local: Local, account: Account, sentence: str, status: int) -> Response:
    made = await local.accounts.create_token(account.id, "login")
    user = {"id": account.id, "name": account.name, "email": account.email}
    return answers.success({"token": made.plaintext, "user": user, "token_type": "Bearer"}, sentence, status)


def _address(request: Request) -> str:
    return f"address {request.client.host if request.client else ''}"


def _now_s(local: Local) -> float:
    return local.gateway.clock.boot_ms() / 1000


def _slow(local: Local, *keys: str) -> None:
    wait_s = local.attempts.wait_s(_now_s(local), *keys)
    if wait_s:
        raise Refused(answers.plain("Too Many Attempts.", 429, {"Retry-After": str(wait_s)}))


async def _person(local: Local, id_token: str) -> _Person | None:
    """Whom the token names; None where Google or we do not believe it. Raises: Refused where Google is out of
    reach."""
    # A JWS in compact form, three times base64url (RFC 7515 §7.1): nothing else need be asked.
    if not re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+", id_token, re.ASCII):
        return None
    claims = await _claims(local, id_token)
    if claims is None or claims.get("iss") not in _ISSUERS or claims.get("aud") != local.settings.google_client_id:
        return None
    email, expiry = claims.get("email"), str(claims.get("exp", ""))
    # Google writes these as texts.
    is_verified = str(claims.get("email_verified", "")).lower() == "true"
    is_fresh = re.fullmatch("[0-9]{1,15}", expiry) and int(expiry) * 1000 > local.gateway.clock.utc_ms()
    if not isinstance(email, str) or not 0 < len(email) <= 255 or not is_verified or not is_fresh:
        return None
    name = claims.get("name")
    return _Person(email.lower(), name[:255] if isinstance(name, str) and name else email.partition("@")[0])


async def _claims(local: Local, id_token: str) -> dict[str, Any] | None:
    # Imported here: only who signs in by Google pays for it.
    import httpx  # noqa: PLC0415

    try:
        async with httpx.AsyncClient(timeout=_TIMEOUT_S) as client:
            answer = await client.get(local.settings.google_tokeninfo_url, params={"id_token": id_token})
        claims = answer.json() if answer.status_code == 200 else None
    except httpx.HTTPError as error:
        sentence = "Google cannot be asked at the moment; try again later."
        raise Refused(answers.refusal(sentence, 503)) from error
    except ValueError:
        return None
    return claims if isinstance(claims, dict) else None
