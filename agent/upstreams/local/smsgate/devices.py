"""Devices of an account: the gateway itself, and the account's remote agents."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from agent.upstreams.local import answers
from agent.upstreams.local.context import Local
from agent.upstreams.local.routing import Router
from agent.upstreams.local.smsgate import documents, phone, words
from agent.upstreams.local.smsgate.access import client_of
from agent.upstreams.local.smsgate.messages import TAGS
from agent.upstreams.local.smsgate.phone import Phone


def add(router: Router, local: Local) -> None:
    """Everything under /devices."""

    @router.get("/devices", response_model=list[documents.Device], tags=TAGS, summary="List devices")
    async def list_devices(request: Request) -> Response:
        born_ms = await local.gateway.born_ms()
        return answers.Json([_row(local, one, born_ms) for one in await phone.phones(local, client_of(request))])

    @router.delete(
        "/devices/{id}", status_code=204, responses=documents.MISSING, tags=TAGS,
        summary="Remove a remote agent with its messages",
    )  # fmt: skip
    async def delete_device(id: str, request: Request) -> Response:
        client = client_of(request)
        found = await phone.find(local, client, id)
        if found is None:
            return answers.plain("There is no such device.", 404)
        if found.agent is None:
            return answers.plain("This device is the gateway itself, which stays.", 400)
        await local.accounts.remove_device(client.account, found.agent.number)
        local.gateway.committed()
        return Response(status_code=204)


def _row(local: Local, found: Phone, born_ms: int) -> dict[str, Any]:
    now_ms = local.gateway.clock.utc_ms()
    seen_ms = now_ms if found.agent is None else local.last_seen.get(found.agent.number, born_ms)
    return {
        "id": found.id,
        "name": found.name,
        "createdAt": words.time(born_ms),
        "updatedAt": words.time(seen_ms),
        "deletedAt": None,
        "lastSeen": words.time(seen_ms),
        "simCards": phone.sim_cards(local) if found.agent is None else [],
    }
