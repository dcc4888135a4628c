"""Tokens: made with a key or a token that may, renewed by their refresh token, revoked by their id."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from agent.upstreams.local import answers
from agent.upstreams.local.context import Local
from agent.upstreams.local.routing import Router
from agent.upstreams.local.smsgate import access, documents, paths, scopes, tokens, words
from agent.upstreams.local.smsgate.access import client_of
from agent.upstreams.local.smsgate.bodies import TokenRequest
from agent.upstreams.local.smsgate.messages import TAGS
from agent.upstreams.local.smsgate.tokens import DEFAULT_TTL_S, Issued


def add(router: Router, local: Local) -> None:
    """What needs a key or token."""

    @router.post(
        "/auth/token", status_code=201, response_model=documents.Tokens, tags=TAGS,
        summary="Make a token that may do less than you",
    )  # fmt: skip
    async def make_token(body: TokenRequest, request: Request) -> Response:
        client = client_of(request)
        wanted = tuple(dict.fromkeys(body.scopes))
        if (missing := scopes.beyond(client.scopes, wanted)) is not None:
            return answers.plain(f"scope required: {missing}", 403)
        return _shown(await tokens.issue(local, client, wanted, body.ttl or DEFAULT_TTL_S), 201)

    @router.delete(
        "/auth/token/{id}", status_code=204, tags=TAGS, summary="Revoke a token and its refresh token; safe to repeat"
    )
    async def revoke_token(id: str, request: Request) -> Response:
        await local.accounts.clients.revoke(client_of(request).account, id)
        return Response(status_code=204)


def add_public(router: Router, local: Local) -> None:
    """What needs a refresh token."""

    @router.post(
        "/auth/token/refresh", status_code=201, response_model=documents.Tokens,
        responses={**documents.TOKENS, 200: {"model": documents.Tokens, "description": "The same, asked as a phone"}},
        tags=TAGS, summary="New tokens for a refresh token, which counts once",
    )  # fmt: skip
    async def refresh_token(request: Request) -> Response:
        value = access.presented(request, "bearer")
        issued = None if value is None else await tokens.renew(local, value)
        return access.unauthorized() if issued is None else _shown(issued, 200 if paths.is_local(request) else 201)


def _shown(issued: Issued, status: int) -> Response:
    ends = words.time(issued.pair.expires_ms)
    row = {
        "id": issued.pair.id,
        "token_type": "Bearer", "access_token": issued.access, "refresh_token": issued.refresh, "expires_at": ends,
        "tokenType": "Bearer", "accessToken": issued.access, "refreshToken": issued.refresh, "expiresAt": ends,
    }  # fmt: skip
    return answers.Json(row, status)
