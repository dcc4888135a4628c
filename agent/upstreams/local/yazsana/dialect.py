"""The seven operations of the Yazsana API: user, organisations, services, sends, sendings and their items.

One organisation, whose only member is the owner; a service per device. Credit is charged when a sending is
accepted and given back for what fails.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from typing import Annotated, Literal

from starlette.requests import Request
from starlette.responses import Response

from agent.accounts import Bill, Caller, NotEnoughCredit, SendingFilter
from agent.clock import parse_iso_utc
from agent.journal.acceptance import Idempotency, IdempotencyConflict
from agent.model import Job
from agent.upstreams.local import answers, credit
from agent.upstreams.local.answers import Refused
from agent.upstreams.local.context import Local
from agent.upstreams.local.devices import DeviceView
from agent.upstreams.local.mobsms.access import caller_of
from agent.upstreams.local.mobsms.premium import need_premium
from agent.upstreams.local.routing import Path, Query, Router
from agent.upstreams.local.yazsana import access, documents, words
from agent.upstreams.local.yazsana.access import OrganizationId

# A text that could not be sent for a day is "no_signal", and its price is given back.
_VALID_FOR_S = 86_400.0
_LONGEST_KEY_CHARACTERS = 255
_PERMISSIONS = ["organization.sms.read", "organization.sms.send", "organization.users.read"]
_TAG = "Yazsana"

_PageNumber = Annotated[int, Query(ge=0, le=1_000_000, description="From 0")]
_Limit = Annotated[int, Query(ge=1, le=100)]
_Text = Annotated[
    str | None,
    Query(max_length=160, description="What the message contains", json_schema_extra=answers.without_null),
]
_Date = Annotated[str | None, Query(max_length=64, json_schema_extra=answers.date_time)]
_Completed = Annotated[bool | None, Query(json_schema_extra=answers.without_null)]
_Source = Annotated[Literal["api", "panel"] | None, Query(json_schema_extra=answers.without_null)]
_Status = Annotated[documents.Status | None, Query(json_schema_extra=answers.without_null)]


def add(router: Router, local: Local) -> None:
    """All of /yazsana."""
    _add_reading(router, local)
    _add_sending(router, local)
    _add_sendings(router, local)


def _add_reading(router: Router, local: Local) -> None:
    @router.get("/users/me", response_model=documents.Data[documents.User], tags=[_TAG], summary="Current user")
    async def user(request: Request) -> Response:
        account = await access.account_of(local, caller_of(request))
        row = {
            "id": access.user_id(account.id),
            "username": account.name,
            "email": account.email,
            "createdAt": words.time(account.created_ms),
        }
        return answers.success(row)

    @router.get(
        "/organizations",
        response_model=documents.Data[list[documents.Organization]],
        tags=[_TAG],
        summary="Organisations whose credit you may use",
    )
    async def organizations(request: Request) -> Response:
        caller = caller_of(request)
        if not caller.is_owner:
            return answers.success([])
        row = {
            "id": access.organization_id(),
            "name": local.settings.organization,
            "state": True,
            "memberCredit": credit.decimal(await credit.left(local, caller.account, credit.ORGANIZATION)),
            "permissions": _PERMISSIONS,
        }
        return answers.success([row])

    @router.get("/services", response_model=list[documents.Service], tags=[_TAG], summary="Services to send by")
    async def services(request: Request, organization: OrganizationId = None) -> Response:
        caller = caller_of(request)
        access.purse(caller, organization)
        rows = [
            {
                "id": access.service_id(device.number),
                "name": device.name,
                "type": "sms",
                "currency": local.settings.currency,
                "unitPrice": credit.decimal(credit.micro(device.sms_rate)),
            }
            for device in await local.devices.visible(caller)
            if device.is_enabled
        ]
        return answers.Json(rows)


def _add_sending(router: Router, local: Local) -> None:
    sends = {**documents.NO_CREDIT, **documents.MISSING}

    @router.post(
        "/sms-sendings/one",
        status_code=201,
        response_model=documents.Data[str],
        responses=sends,
        tags=[_TAG],
        summary="Send one message; `data` is the sending's id",
    )
    async def send_one(body: documents.SendOne, request: Request, organization: OrganizationId = None) -> Response:
        return await _send(local, request, organization, body, [body.to])

    @router.post(
        "/sms-sendings/simple",
        status_code=201,
        response_model=documents.Data[str],
        responses=sends,
        tags=[_TAG],
        summary="Send the same message to many; `data` is the sending's id",
    )
    async def send_many(body: documents.SendMany, request: Request, organization: OrganizationId = None) -> Response:
        await need_premium(local, caller_of(request).account)
        return await _send(local, request, organization, body, body.to)


def _add_sendings(router: Router, local: Local) -> None:
    @router.get(
        "/sms-sendings",
        response_model=documents.Data[documents.Page[documents.Sending]],
        tags=[_TAG],
        summary="Sendings with their figures, newest first",
    )
    async def sendings(
        request: Request,
        *,
        organization: OrganizationId = None,
        page: _PageNumber = 0,
        limit: _Limit = 10,
        startDate: _Date = None,
        endDate: _Date = None,
        completed: _Completed = None,
        text: _Text = None,
        source: _Source = None,
    ) -> Response:
        caller = caller_of(request)
        wanted = SendingFilter(
            account=caller.account,
            purse=access.purse(caller, organization),
            since_ms=_instant("startDate", startDate),
            until_ms=_instant("endDate", endDate),
            is_completed=completed,
            text=text,
        )
        if source == "panel":
            # There is no panel here: all comes by the API.
            return answers.success(words.page([], 0, page, limit))
        total, found = await local.accounts.sendings(wanted, page * limit, limit)
        return answers.success(words.page([words.sending(one) for one in found], total, page, limit))

    @router.get(
        "/sms-sendings/{id}",
        response_model=documents.Data[documents.Page[documents.Item]],
        responses=documents.MISSING,
        tags=[_TAG],
        summary="Items of a sending",
    )
    async def items(
        id: Annotated[str, Path(json_schema_extra={"format": "uuid"})],
        request: Request,
        *,
        organization: OrganizationId = None,
        page: _PageNumber = 0,
        limit: _Limit = 10,
        text: _Text = None,
        status: _Status = None,
    ) -> Response:
        caller = caller_of(request)
        wanted = SendingFilter(account=caller.account, purse=access.purse(caller, organization), text=text)
        states = () if status is None else words.states(status)
        found = await local.accounts.sending_items(wanted, id.lower(), states, offset=page * limit, limit=limit)
        if found is None:
            return answers.refusal("There is no such sending", 404)
        total, sending, rows = found
        return answers.success(words.page([words.item(sending, one) for one in rows], total, page, limit))


# --- pieces -----------------------------------------------------------------------------------------


async def _send(
    local: Local,
    request: Request,
    organization: str | None,
    body: documents.SendOne | documents.SendMany,
    recipients: Sequence[str],
) -> Response:
    caller = caller_of(request)
    purse = access.purse(caller, organization)
    device = await _device(local, caller, body.serviceId)
    price = credit.micro(device.sms_rate)
    bill = Bill(str(uuid.uuid4()), caller.account, purse, body.message, price, credit.granted(local, purse))
    jobs = [_job(caller, device, number, body.message) for number in dict.fromkeys(map(words.dialled, recipients))]
    try:
        accepted = await local.gateway.accept(
            local.name, jobs, idempotency=await _idempotency(request, caller), bill=bill
        )
    except IdempotencyConflict as error:
        raise Refused(answers.refusal(str(error))) from error
    except NotEnoughCredit as error:
        raise Refused(answers.refusal(f"{error}.", 402)) from error
    first = accepted[0]
    if first.is_new or first.message_id is None:
        return answers.success(bill.uid, status=201)
    return answers.success(await local.accounts.sending_of(first.message_id), status=201)


def _job(caller: Caller, device: DeviceView, number: str, text: str) -> Job:
    return Job(
        recipient=number,
        text=text,
        route=device.route,
        device=device.number,
        valid_for_s=_VALID_FOR_S,
        account=caller.account,
        attributes={"price": device.sms_rate, "is_charged": device.sms_rate > 0, "valid_for_s": _VALID_FOR_S},
    )


async def _device(local: Local, caller: Caller, service: str) -> DeviceView:
    """The device behind a service. Raises: Refused."""
    for device in await local.devices.visible(caller):
        if device.is_enabled and access.service_id(device.number) == service.lower():
            return device
    raise Refused(answers.refusal("There is no such service", 404))


async def _idempotency(request: Request, caller: Caller) -> Idempotency | None:
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 0 < len(key) <= _LONGEST_KEY_CHARACTERS:
        raise Refused(answers.refusal(f"The Idempotency-Key must have 1 to {_LONGEST_KEY_CHARACTERS} characters", 400))
    what = "\0".join((request.url.path, request.headers.get("x-org-id", "")))
    return Idempotency(caller.account, key, hashlib.sha256(what.encode() + b"\0" + await request.body()).hexdigest())


def _instant(name: str, given: str | None) -> int | None:
    """UTC ms. Raises: Refused."""
    if given is None:
        return None
    at = parse_iso_utc(given)
    if at is None:
        sentence = f"{name} must be an ISO 8601 time"
        raise Refused(answers.Json({"success": False, "message": sentence, "errors": {name: [sentence]}}, 400))
    return at
