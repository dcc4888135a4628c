"""POST /api/sms and /api/sms/bulk: from a body to jobs, and the answer that stays the same when it is repeated."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import Response

from agent import numbers
from agent.accounts import Caller
from agent.journal.acceptance import Acceptance, Idempotency, IdempotencyConflict
from agent.model import Job, Message, MessageState
from agent.upstreams.local import answers
from agent.upstreams.local.answers import Refused
from agent.upstreams.local.context import Local
from agent.upstreams.local.devices import NoActiveDevice, NoSuchDevice, Target
from agent.upstreams.local.mobsms import documents, words
from agent.upstreams.local.mobsms.access import caller_of
from agent.upstreams.local.mobsms.bodies import SendBulk, Sending, SendSms
from agent.upstreams.local.mobsms.premium import need_premium
from agent.upstreams.local.mobsms.words import Row
from agent.upstreams.local.routing import Router
from drivers.values import dataclass

_LONGEST_KEY_CHARACTERS = 255
_NAME = "{name}"
_NO_DEVICE = "No active device available"


@dataclass(frozen=True, slots=True)
class _Item:
    """One message to one recipient. `number` is dialable where it can be, else as given."""

    number: str
    text: str
    name: str | None


def add(router: Router, local: Local) -> None:
    """The two sends."""

    @router.post(
        "/sms", response_model=documents.Said[documents.Queued], status_code=201, tags=["SMS"], summary="Send an SMS"
    )
    async def send(body: SendSms, request: Request) -> Response:
        try:
            number = numbers.dialable(body.recipient_number, local.gateway.settings.default_region)
        except numbers.NotDialable as error:
            raise Refused(answers.invalid({"recipient_number": [str(error)]})) from error
        rows = await _send(local, request, body, [_Item(number, body.message, None)])
        return answers.success(rows[0], "SMS queued for sending", 201)

    @router.post(
        "/sms/bulk",
        response_model=documents.Said[list[documents.Queued]],
        status_code=201,
        tags=["SMS"],
        summary="Send bulk SMS",
    )
    async def send_bulk(body: SendBulk, request: Request) -> Response:
        caller = caller_of(request)
        await need_premium(local, caller.account)
        found = [(_number(one.number, local), one.name) for one in body.recipients]
        names = dict[str, str]()
        if _NAME in body.message:
            unnamed = [number for number, name in found if name is None]
            names = await local.accounts.contact_names(caller.account, unnamed)
        items = [
            _Item(number, body.message.replace(_NAME, name or names.get(number, "")), name) for number, name in found
        ]
        rows = await _send(local, request, body, items)
        return answers.success(rows, "Bulk SMS queued for sending", 201)


def _number(given: str, local: Local) -> str:
    """One bad number among many fails alone, with its reason, when the gateway takes it in."""
    try:
        return numbers.dialable(given, local.gateway.settings.default_region)
    except numbers.NotDialable:
        return given


async def _send(local: Local, request: Request, body: Sending, items: Sequence[_Item]) -> list[Row]:
    caller = caller_of(request)
    idempotency = await _idempotency(request, caller)
    try:
        if idempotency is not None and (known := await local.accounts.replay(idempotency)) is not None:
            return await _replayed(local, known, body, items)
        jobs = await _jobs(local, caller, body, items)
        accepted = await local.gateway.accept(local.name, jobs, idempotency=idempotency)
    except IdempotencyConflict as error:
        raise Refused(answers.refusal(str(error))) from error
    if any(not one.is_new for one in accepted):
        return await _replayed(local, accepted, body, items)
    return [
        _row(one.message_id, one.uid, item.number, (one.state, one.error), job.attributes)
        for one, item, job in zip(accepted, items, jobs, strict=True)
    ]


async def _idempotency(request: Request, caller: Caller) -> Idempotency | None:
    key = request.headers.get("idempotency-key")
    if key is None:
        return None
    if not 0 < len(key) <= _LONGEST_KEY_CHARACTERS:
        complaint = f"The Idempotency-Key header must have 1 to {_LONGEST_KEY_CHARACTERS} characters."
        raise Refused(answers.invalid({"Idempotency-Key": [complaint]}))
    digest = hashlib.sha256(request.url.path.encode() + b"\0" + await request.body())
    return Idempotency(caller.account, key, digest.hexdigest())


async def _jobs(local: Local, caller: Caller, body: Sending, items: Sequence[_Item]) -> list[Job]:
    try:
        targets = await local.devices.choose(caller, body.device_id, body.sim_slot, len(items))
    except NoSuchDevice as error:
        raise Refused(answers.invalid({"device_id": ["The selected device id is invalid."]})) from error
    except NoActiveDevice as error:
        raise Refused(answers.refusal(_NO_DEVICE)) from error
    return [_job(local, caller, body, item, target) for item, target in zip(items, targets, strict=True)]


def _job(local: Local, caller: Caller, body: Sending, item: _Item, target: Target) -> Job:
    device = target.device
    rate = local.settings.sms_rate if device is None else device.sms_rate
    attributes: dict[str, str | int | float | bool | None] = {"price": rate if body.price is None else body.price}
    for name, value in (
        ("my_id", body.my_id),
        ("callback_url", body.callback_url),
        ("name", item.name),
        ("sim_slot", body.sim_slot),
        ("valid_for_s", body.valid_for_s),
    ):
        if value is not None:
            attributes[name] = value
    return Job(
        recipient=item.number,
        text=item.text,
        sim_slot=body.sim_slot,
        route=None if device is None else device.route,
        device=None if device is None else device.number,
        priority=body.priority,
        valid_for_s=body.valid_for_s,
        account=caller.account,
        attributes=attributes,
    )


async def _replayed(local: Local, known: Sequence[Acceptance], body: Sending, items: Sequence[_Item]) -> list[Row]:
    """The first answer once more: as it was queued, whatever became of it since."""
    rows = []
    for one, item in zip(known, items, strict=False):
        found = None if one.message_id is None else await local.gateway.message(one.message_id)
        if found is None:
            gone = {"price": body.price, "my_id": body.my_id, "callback_url": body.callback_url}
            rows.append(_row(one.message_id, None, item.number, (MessageState.CANCELLED, one.error), gone))
        else:
            rows.append(_row(found.id, found.uid, found.number, _as_accepted(found), found.attributes))
    return rows


def _as_accepted(found: Message) -> tuple[MessageState, str | None]:
    """A message that failed without ever having a route was refused when it was accepted."""
    if found.state is MessageState.FAILED and found.sent_ms is None and found.iccid is None:
        return found.state, found.error
    return MessageState.QUEUED, None


def _row(
    message_id: int | None,
    uid: str | None,
    number: str,
    outcome: tuple[MessageState, str | None],
    attributes: Mapping[str, str | int | float | bool | None],
) -> Row:
    state, error = outcome
    return {
        "id": message_id,
        "message_id": uid,
        "recipient_number": number,
        "status": words.status(state),
        "price": words.number(attributes.get("price")),
        "is_charged": False,
        "direction": "outbound",
        "callback_url": attributes.get("callback_url"),
        "my_id": attributes.get("my_id"),
        "error_message": error,
    }
