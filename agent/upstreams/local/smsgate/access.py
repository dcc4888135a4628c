"""Who asks: Basic with any user name and an API key as the password, or Bearer with a token or an API key."""

from __future__ import annotations

import base64
import binascii

from starlette.requests import Request
from starlette.responses import Response

from agent.upstreams.local import answers
from agent.upstreams.local.answers import Refused
from agent.upstreams.local.context import Local
from agent.upstreams.local.routing import Admit, Router
from agent.upstreams.local.smsgate import documents, phone, scopes, tokens
from agent.upstreams.local.smsgate.paths import PREFIX, is_local
from agent.upstreams.local.smsgate.phone import Phone
from agent.upstreams.local.smsgate.tokens import Client

SECURITY = "basic bearer"


def router(local: Local) -> Router:
    """A router whose operations need a key or a token with the scope that `scopes` names."""

    def admission(method: str, path: str) -> Admit:
        needed = scopes.NEEDED[method, path]

        async def admit(request: Request) -> Response | None:
            client = await _client(local, request)
            if client is None:
                return unauthorized()
            if not scopes.is_enough(client.scopes, needed, is_local=is_local(request)):
                return answers.plain(f"scope required: {needed}", 403)
            request.state.client = client
            return None

        return admit

    return Router(PREFIX, responses=documents.PRIVATE, security=SECURITY, admission=admission)


def unauthorized() -> Response:
    # No "Basic" is offered: a browser that asks for a password would later send it for any page that wants it to.
    return answers.plain("Unauthorized", 401, {"WWW-Authenticate": "Bearer"})


def client_of(request: Request) -> Client:
    """Whose key or token came with this request."""
    client: Client = request.state.client
    return client


def presented(request: Request, scheme: str) -> str | None:
    """What came with the Authorization header, where it is of this scheme."""
    given, _, value = request.headers.get("authorization", "").partition(" ")
    return value.strip() or None if given.lower() == scheme else None


async def named_device(local: Local, client: Client, device_id: str | None) -> Phone | None:
    """The device that a request names, None where it names none. Raises: Refused, where there is no such."""
    if device_id is None:
        return None
    found = await phone.find(local, client, device_id)
    if found is None:
        raise Refused(answers.plain("There is no such deviceId; GET devices lists them.", 400))
    return found


async def _client(local: Local, request: Request) -> Client | None:
    if (pair := presented(request, "basic")) is not None:
        try:
            _, colon, key = base64.b64decode(pair, validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return None
        return await _with_key(local, key) if colon else None
    value = presented(request, "bearer")
    if value is None:
        return None
    if value.count(".") == 2 and (found := await tokens.client(local, value)) is not None:
        return found
    return await _with_key(local, value.encode("latin-1", "replace"))


async def _with_key(local: Local, key: bytes) -> Client | None:
    caller = await local.accounts.caller(key) if key else None
    return None if caller is None else Client(caller, scopes.of_key(caller.abilities), caller.token)
