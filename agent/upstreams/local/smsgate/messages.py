"""Reading and cancelling messages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response

from agent.clients import Wanted
from agent.clock import parse_iso_utc
from agent.model import Message, MessageKind, MessageState
from agent.upstreams.local import answers
from agent.upstreams.local.answers import Refused
from agent.upstreams.local.context import Local
from agent.upstreams.local.routing import Query, Router
from agent.upstreams.local.smsgate import documents, paths, phone, words
from agent.upstreams.local.smsgate.access import client_of
from agent.upstreams.local.smsgate.tokens import Client
from agent.upstreams.local.smsgate.words import Row

TAGS = ("SMSGate",)
TOTAL_HEADER = "X-Total-Count"
_LONGEST_ID = 64
_WAITING = (MessageState.QUEUED, MessageState.HELD)

From = Annotated[str | None, Query("from", max_length=64, json_schema_extra=answers.date_time)]
To = Annotated[str | None, Query("to", max_length=64, json_schema_extra=answers.date_time)]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]
DeviceId = Annotated[str | None, Query(max_length=255, json_schema_extra=answers.without_null)]
_Limit = Annotated[int, Query(ge=1, le=100)]
_State = Annotated[documents.State | None, Query(json_schema_extra=answers.without_null)]
_Content = Annotated[bool, Query(description="With texts and data, as they were submitted.")]
_Sort = Annotated[Literal["created_at", "-created_at"], Query(description="Oldest first, or newest first.")]


def add(router: Router, local: Local) -> None:
    """Everything under /messages but sending and export."""

    @router.get(
        "/messages", response_model=list[documents.Message], tags=TAGS,
        summary="List messages; X-Total-Count says how many there are, up to 10,000",
    )  # fmt: skip
    async def list_messages(
        request: Request,
        *,
        since: From = None,
        until: To = None,
        state: _State = None,
        deviceId: DeviceId = None,
        limit: _Limit = 50,
        offset: Offset = 0,
        includeContent: _Content = False,
        sort: _Sort = "-created_at",
    ) -> Response:
        client = client_of(request)
        states = () if state is None else words.states(state)
        wanted = await filtered(local, client, "outbound", (since, until), deviceId, states=states)
        if wanted is None or (state is not None and not states):
            return answers.Json([], headers={TOTAL_HEADER: "0"})
        is_ascending = sort == "created_at"
        total, found = await local.accounts.clients.page(wanted, offset=offset, limit=limit, is_ascending=is_ascending)
        rows = await _rows(local, client, found, with_content=includeContent)
        return answers.Json(rows, headers={TOTAL_HEADER: str(total)})

    @router.get(
        "/messages/{id}", response_model=documents.Message, responses=documents.MISSING, tags=TAGS,
        summary="One message's state",
    )  # fmt: skip
    async def get_message(id: str, request: Request) -> Response:
        return answers.Json(await document(local, client_of(request), id))

    @router.delete(
        "/messages/{id}", response_model=documents.Message,
        responses={**documents.MISSING, **documents.NOT_PENDING}, tags=TAGS, summary="Cancel a pending message",
    )  # fmt: skip
    async def cancel_message(id: str, request: Request) -> Response:
        client = client_of(request)
        is_local = paths.is_local(request)
        waiting = [one.id for one in await _own(local, client, id) if one.state in _WAITING]
        cancelled = {one for one in waiting if await local.gateway.cancel(one)}
        if not cancelled:
            return answers.plain("Only a pending message can be cancelled.", 400 if is_local else 409)
        row = await document(local, client, id)
        if not is_local:
            # A server answers before the phone has heard of it.
            row["state"] = "Cancelling"
        return answers.Json(row)


async def document(local: Local, client: Client, key: str) -> Row:
    """One message with its content. Raises: Refused, 404."""
    return (await _rows(local, client, [await _own(local, client, key)], with_content=True))[0]


def location(request: Request, key: str) -> str:
    """Where a message can be read, in the spelling that the client uses."""
    return f"{paths.asked(request).rstrip('/')}/{quote(key, safe='')}"


async def filtered(
    local: Local,
    client: Client,
    direction: str,
    span: tuple[str | None, str | None],
    device_id: str | None,
    *,
    states: tuple[MessageState, ...] = (),
    kinds: tuple[MessageKind, ...] = (),
) -> Wanted | None:
    """What a list asks for, None where there can be nothing. Raises: Refused."""
    since_ms, until_ms = (instant(name, given) for name, given in zip(("from", "to"), span, strict=True))
    devices: tuple[int, ...] | None = None
    is_elsewhere = False
    if device_id is not None:
        found = await phone.find(local, client, device_id)
        if found is None:
            return None
        is_elsewhere = found.agent is not None
        devices = (found.agent.number,) if found.agent else tuple(await phone.agents(local, client))
    return Wanted(client.account, client.is_owner, direction, since_ms, until_ms, states, kinds, devices, is_elsewhere)


def instant(name: str, given: str | None) -> int | None:
    """UTC ms. Raises: Refused."""
    if given is None:
        return None
    # A "+" in a query that nobody escaped is a space.
    at = parse_iso_utc(given.replace(" ", "+") if "T" in given.upper() else given)
    if at is None:
        raise Refused(answers.plain(f"{name} must be a time, e.g. 2026-01-31T12:00:00Z.", 400))
    return at


async def _own(local: Local, client: Client, key: str) -> list[Message]:
    """All recipients of a message. Raises: Refused, 404 also for somebody else's."""
    found: list[Message] = []
    if len(key) <= _LONGEST_ID:
        found = await local.accounts.clients.message(client.account, key, with_unowned=client.is_owner)
    if not found:
        raise Refused(answers.plain("There is no such message.", 404))
    return found


async def _rows(local: Local, client: Client, found: Sequence[Sequence[Message]], *, with_content: bool) -> list[Row]:
    moves = await local.accounts.clients.moves([one.id for recipients in found for one in recipients])
    own = await local.accounts.clients.identity()
    agents = await phone.agents(local, client)
    return [
        words.message(recipients, moves, agents.get(recipients[0].device or 0, own), with_content=with_content)
        for recipients in found
    ]
