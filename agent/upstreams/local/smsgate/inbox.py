"""What came in: the list, and telling webhooks of it again."""

from __future__ import annotations

import uuid
from typing import Annotated, Literal

from starlette.requests import Request
from starlette.responses import Response

from agent.clients import Wanted
from agent.model import Message
from agent.upstreams.local import answers
from agent.upstreams.local.answers import Refused
from agent.upstreams.local.context import Local
from agent.upstreams.local.routing import Query, Router
from agent.upstreams.local.smsgate import documents, messages, phone, telling, words
from agent.upstreams.local.smsgate.access import client_of, named_device
from agent.upstreams.local.smsgate.bodies import Refresh, instant
from agent.upstreams.local.smsgate.messages import TAGS, TOTAL_HEADER, DeviceId, From, Offset, To
from agent.upstreams.local.smsgate.tokens import Client

_AT_ONCE = 200
# A refresh tells of at most so many messages; who needs more asks for a shorter time.
_MOST_TOLD = 10_000
_Type = Annotated[
    Literal["SMS", "DATA_SMS", "MMS", "MMS_DOWNLOADED"] | None, Query(json_schema_extra=answers.without_null)
]
_Limit = Annotated[int, Query(ge=1, le=500)]
_Attachments = Annotated[bool, Query(description="There are none: an MMS is kept as its notification.")]


def add(router: Router, local: Local) -> None:
    """Everything under /inbox, and /messages/inbox/export."""

    @router.get(
        "/inbox", response_model=list[documents.Incoming], tags=TAGS,
        summary="List what came in, newest first; X-Total-Count says how many there are, up to 10,000",
    )  # fmt: skip
    async def list_inbox(
        request: Request,
        *,
        type: _Type = None,
        limit: _Limit = 50,
        offset: Offset = 0,
        since: From = None,
        until: To = None,
        deviceId: DeviceId = None,
        includeAttachments: _Attachments = False,
    ) -> Response:
        client = client_of(request)
        kinds = tuple(words.KIND.values()) if type is None else tuple(filter(None, [words.KIND.get(type)]))
        wanted = await messages.filtered(local, client, "inbound", (since, until), deviceId, kinds=kinds)
        if wanted is None or not kinds:
            return answers.Json([], headers={TOTAL_HEADER: "0"})
        total, found = await local.accounts.clients.page(wanted, offset=offset, limit=limit)
        rows = [words.without_null(words.incoming(one, *phone.sim(local, one))) for (one,) in found]
        return answers.Json(rows, headers={TOTAL_HEADER: str(total)})

    @router.get(
        "/inbox/{id}/attachments/{part}", response_model=documents.Nothing, responses=documents.MISSING, tags=TAGS,
        summary="An attachment of an MMS, of which there are none here",
    )  # fmt: skip
    async def attachment(id: str, part: str, request: Request) -> Response:
        return answers.plain("This gateway keeps the notification of an MMS, not its attachments.", 404)

    @router.post(
        "/inbox/refresh", status_code=202, response_model=documents.Nothing, tags=TAGS,
        summary="Tell the webhooks once more of what came in",
    )  # fmt: skip
    async def refresh(body: Refresh, request: Request) -> Response:
        await _tell_again(local, client_of(request), body)
        return answers.Json({}, 202)

    @router.post(
        "/messages/inbox/export", status_code=202, response_model=documents.Nothing, tags=TAGS,
        summary="The older name of /inbox/refresh",
    )  # fmt: skip
    async def export(body: Refresh, request: Request) -> Response:
        await _tell_again(local, client_of(request), body)
        return answers.Json({}, 202)


async def _tell_again(local: Local, client: Client, body: Refresh) -> None:
    """Every message of the time, also those that were told before: who asks again wants them again."""
    since_ms, until_ms = instant(body.since) or 0, instant(body.until) or 0
    if since_ms > until_ms:
        raise Refused(answers.plain("since must not be after until.", 400))
    await named_device(local, client, body.deviceId)
    kinds = [words.KIND[one] for one in body.messageTypes or ("SMS", "DATA_SMS") if one in words.KIND]
    if body.triggerWebhooks is False or body.webhookDelivery == "Disabled" or not kinds:
        return
    wanted = await messages.filtered(
        local, client, "inbound", (body.since, body.until), body.deviceId, kinds=tuple(kinds)
    )
    if wanted is None:
        return
    request_id = uuid.uuid4().hex
    for offset in range(0, _MOST_TOLD, _AT_ONCE):
        found = await _some(local, wanted, offset)
        if body.webhookDelivery == "Batch":
            await telling.tell_batch(local, client.account, found, request_id)
        else:
            for one in found:
                await telling.tell_inbound(local, client.account, one, request_id)
        if len(found) < _AT_ONCE:
            return


async def _some(local: Local, wanted: Wanted, offset: int) -> list[Message]:
    """Oldest first: what comes in meanwhile shifts nothing."""
    _, found = await local.accounts.clients.page(wanted, offset=offset, limit=_AT_ONCE, is_ascending=True)
    return [one for (one,) in found]
