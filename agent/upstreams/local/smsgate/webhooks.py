"""Webhooks of an account: SMSGate's list, called by our own queue."""

from __future__ import annotations

import secrets

from starlette.requests import Request
from starlette.responses import Response

from agent.clients import Webhook
from agent.upstreams.local import answers
from agent.upstreams.local.context import Local
from agent.upstreams.local.routing import Router
from agent.upstreams.local.smsgate import documents
from agent.upstreams.local.smsgate.access import client_of, named_device
from agent.upstreams.local.smsgate.bodies import NewWebhook
from agent.upstreams.local.smsgate.messages import TAGS
from agent.upstreams.local.smsgate.plan import need_premium

_ID_OCTETS = 16
# Each event of an account asks them all.
_MOST = 100


def add(router: Router, local: Local) -> None:
    """Everything under /webhooks."""
    clients = local.accounts.clients

    @router.get("/webhooks", response_model=list[documents.Webhook], tags=TAGS, summary="List webhooks")
    async def list_webhooks(request: Request) -> Response:
        return answers.Json([_row(one) for one in await clients.webhooks(client_of(request).account)])

    @router.post(
        "/webhooks", status_code=201, response_model=documents.Webhook, tags=TAGS,
        summary="Have an address told of an event; one with a known id is replaced",
    )  # fmt: skip
    async def create_webhook(body: NewWebhook, request: Request) -> Response:
        client = client_of(request)
        await need_premium(local, client)
        await named_device(local, client, body.deviceId)
        known = {one.id for one in await clients.webhooks(client.account)}
        if len(known) >= _MOST and body.id not in known:
            return answers.plain(f"An account has at most {_MOST} webhooks.", 400)
        webhook = Webhook(body.id or secrets.token_urlsafe(_ID_OCTETS), body.url, body.event, body.deviceId)
        await clients.put_webhook(client.account, webhook)
        return answers.Json(_row(webhook), 201)

    @router.delete(
        "/webhooks/{id}", status_code=204, responses=documents.MISSING, tags=TAGS, summary="Tell an address no more"
    )
    async def delete_webhook(id: str, request: Request) -> Response:
        if not await clients.remove_webhook(client_of(request).account, id):
            return answers.plain("There is no such webhook.", 404)
        return Response(status_code=204)


def _row(webhook: Webhook) -> dict[str, str | None]:
    return {"id": webhook.id, "url": webhook.url, "event": webhook.event, "deviceId": webhook.device_id}
