"""Reading and changing messages under /api/sms: lists, one message, a device's report, cancel, delete, statistics."""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta
from typing import Annotated, Literal

from starlette.requests import Request
from starlette.responses import Response

from agent.accounts import Caller
from agent.journal.listing import Filter, Page
from agent.model import Message, MessageState, PartState
from agent.upstreams.local import answers
from agent.upstreams.local.answers import Refused
from agent.upstreams.local.context import Local
from agent.upstreams.local.devices import NoSuchDevice
from agent.upstreams.local.mobsms import documents, words
from agent.upstreams.local.mobsms.access import caller_of, own_message
from agent.upstreams.local.mobsms.bodies import UpdateSms
from agent.upstreams.local.routing import Query, Router

_PER_PAGE = 50
_PageNumber = Annotated[int, Query(ge=1, le=10_000_000, description="Page number.")]
_DeviceNumber = Annotated[
    int | None,
    Query(ge=0, le=2**53, description="Filter by device id.", json_schema_extra=answers.without_null),
]
_Direction = Annotated[
    Literal["inbound", "outbound"] | None,
    Query(description="Filter by direction.", json_schema_extra=answers.without_null),
]
_Status = Annotated[
    Literal["pending", "sent", "delivered", "failed", "cancelled", "received"] | None,
    Query(description="Filter by status.", json_schema_extra=answers.without_null),
]
_SAID = {"sent": PartState.SENT, "delivered": PartState.DELIVERED, "failed": PartState.FAILED}
_FOREIGN = "This message goes by a SIM of this gateway, which alone knows what became of it"


def add(router: Router, local: Local) -> None:
    """Everything under /api/sms but the sends. Fixed paths before the one with an id."""
    _add_lists(router, local)
    _add_single(router, local)


def _add_lists(router: Router, local: Local) -> None:
    @router.get("/sms", response_model=documents.Data[documents.Page], tags=["SMS"], summary="List messages")
    async def list_messages(
        request: Request,
        direction: _Direction = None,
        status: _Status = None,
        device_id: _DeviceNumber = None,
        page: _PageNumber = 1,
    ) -> Response:
        caller = caller_of(request)
        wanted = _filter(caller, direction, status, device_id)
        if wanted is None:
            return _page(Page(page, _PER_PAGE, 0, ()))
        found = await local.gateway.page(wanted, page, _PER_PAGE)
        if status == "pending" and device_id is not None:
            found = await _pulled(local, caller, wanted, found, device_id)
        return _page(found)

    @router.get(
        "/sms/outbox",
        response_model=documents.Data[documents.Page],
        tags=["SMS"],
        summary="List outbound (sent) messages.",
    )
    async def outbox(request: Request, page: _PageNumber = 1) -> Response:
        wanted = _visible(caller_of(request), direction="outbound")
        return _page(await local.gateway.page(wanted, page, _PER_PAGE))

    @router.get(
        "/sms/inbox",
        response_model=documents.Data[documents.Page],
        tags=["SMS"],
        summary="List inbound (received) messages.",
    )
    async def inbox(request: Request, page: _PageNumber = 1) -> Response:
        wanted = _visible(caller_of(request), direction="inbound")
        return _page(await local.gateway.page(wanted, page, _PER_PAGE))

    @router.get(
        "/sms/delivery-stats",
        response_model=documents.Said[documents.Statistics],
        tags=["SMS"],
        summary="Delivery statistics",
    )
    async def delivery_stats(request: Request) -> Response:
        caller = caller_of(request)
        today = datetime.fromtimestamp(local.gateway.clock.utc_ms() / 1000, UTC).replace(
            hour=0, minute=0, second=0, microsecond=0
        )
        data = {
            "today": await _rates(local, caller, today, today),
            "this_week": await _rates(local, caller, today - timedelta(days=today.weekday()), today),
            "this_month": await _rates(local, caller, today.replace(day=1), today),
        }
        return answers.success(data, "Delivery statistics retrieved successfully")


def _add_single(router: Router, local: Local) -> None:
    @router.get(
        "/sms/{id}",
        response_model=documents.Data[documents.Message],
        responses=documents.MISSING,
        tags=["SMS"],
        summary="Get a message",
    )
    async def get_message(id: str, request: Request) -> Response:
        return answers.success(words.message(await own_message(local, caller_of(request), id)))

    @router.put(
        "/sms/{id}",
        response_model=documents.Said[documents.Outcome],
        responses=documents.MISSING,
        tags=["SMS"],
        summary="Update a message",
    )
    async def update_message(id: str, request: Request, body: UpdateSms | None = None) -> Response:
        message = await own_message(local, caller_of(request), id)
        state = await _updated(local, message, body or UpdateSms())
        return answers.success({"id": message.id, "status": words.status(state)}, "SMS updated successfully")

    @router.post(
        "/sms/{id}/cancel",
        response_model=documents.Said[documents.Outcome],
        responses=documents.MISSING,
        tags=["SMS"],
        summary="Cancel a pending outbound message.",
    )
    async def cancel_message(id: str, request: Request) -> Response:
        message = await own_message(local, caller_of(request), id)
        if message.direction != "outbound" or not await local.gateway.cancel(message.id):
            return answers.refusal("Only pending messages can be cancelled")
        data = {"id": message.id, "status": words.status(MessageState.CANCELLED)}
        return answers.success(data, "SMS cancelled successfully")

    @router.delete(
        "/sms/{id}",
        response_model=documents.Done,
        responses=documents.MISSING,
        tags=["SMS"],
        summary="Delete a message",
    )
    async def delete_message(id: str, request: Request) -> Response:
        message = await own_message(local, caller_of(request), id)
        if not await local.gateway.delete(message.id):
            return answers.missing("SmsMessage")
        return answers.success(message="SMS deleted successfully")


# --- pieces of lists --------------------------------------------------------------------------------


def _visible(
    caller: Caller,
    *,
    direction: str | None = None,
    states: tuple[MessageState, ...] = (),
    device: int | None = None,
) -> Filter:
    return Filter(
        account=caller.account, with_unowned=caller.is_owner, direction=direction, states=states, device=device
    )


def _filter(caller: Caller, direction: str | None, status: str | None, device: int | None) -> Filter | None:
    """None where nothing can fit. A status implies a direction, which the index wants to know."""
    if status is None:
        return _visible(caller, direction=direction, device=device)
    implied = "inbound" if status == "received" else "outbound"
    if direction not in (None, implied):
        return None
    return _visible(caller, direction=implied, states=words.states(status), device=device)


def _page(found: Page) -> Response:
    return answers.success(
        {
            "current_page": found.page,
            "data": [words.message(message) for message in found.messages],
            "per_page": found.per_page,
            "total": found.total,
        }
    )


async def _pulled(local: Local, caller: Caller, wanted: Filter, found: Page, number: int) -> Page:
    """A remote agent's pull by the documented list: what it is shown is claimed before it is shown."""
    try:
        device = await local.devices.find(caller, str(number))
    except NoSuchDevice:
        return found
    if device.route is not None:
        return found
    local.saw(device.number)
    waiting = [message.id for message in found.messages if message.state is MessageState.QUEUED]
    if not waiting:
        return found
    claimed = await local.accounts.agents.claim_these(device.number, waiting)
    local.gateway.committed()
    if claimed == len(waiting):
        return found
    # Some were cancelled between list and claim: only what is certainly the agent's may be shown.
    again = await local.gateway.page(wanted, found.page, found.per_page)
    shown = tuple(message for message in again.messages if message.state is not MessageState.QUEUED)
    return Page(again.page, again.per_page, again.total, shown)


async def _rates(local: Local, caller: Caller, first: datetime, last: datetime) -> dict[str, int | float]:
    sums = [0, 0, 0]
    # What belongs to nobody is the owner's, and counted under 0.
    for account in (caller.account, 0) if caller.is_owner else (caller.account,):
        day = await local.gateway.figures(account, _ms(first), _ms(last))
        sums = [sums[0] + day.sent, sums[1] + day.delivered, sums[2] + day.failed]
    sent, delivered, failed = sums
    # What was sent yesterday may be delivered today.
    rate = min(100.0, round(100 * delivered / sent, 1)) if sent else 0
    return {"sent": sent, "delivered": delivered, "failed": failed, "delivery_rate": words.number(rate)}


def _ms(at: datetime) -> int:
    return calendar.timegm(at.utctimetuple()) * 1000


# --- a device's report ------------------------------------------------------------------------------


async def _updated(local: Local, message: Message, body: UpdateSms) -> MessageState:
    """The message's state behind the update. A word that comes too late changes nothing and is no error, so that
    an agent may say the same thing twice."""
    said = body.status
    if said is None or said == words.status(message.state):
        return message.state
    if message.direction == "inbound" or said == "received":
        raise Refused(answers.invalid({"status": ["The selected status is invalid."]}))
    if message.route is None or not message.route.startswith("@") or message.device is None:
        raise Refused(answers.refusal(f"{_FOREIGN}; it is {words.status(message.state)}."))
    local.saw(message.device)
    if said == "pending":
        return message.state
    await local.accounts.agents.report(message.id, _SAID[said], body.error_message)
    local.gateway.committed()
    now = await local.gateway.message(message.id)
    if now is None:
        raise Refused(answers.missing("SmsMessage"))
    return now.state
