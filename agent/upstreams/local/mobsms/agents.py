"""Devices, and our extensions for remote agents: register, wake-up, claim, release, inbound."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Annotated

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from agent.accounts import Caller
from agent.clock import parse_iso_utc
from agent.model import Message
from agent.remote import HandedIn
from agent.upstreams.local import answers, pools
from agent.upstreams.local.answers import Refused
from agent.upstreams.local.context import Local
from agent.upstreams.local.devices import DeviceView, NoSuchDevice
from agent.upstreams.local.mobsms import documents, words
from agent.upstreams.local.mobsms.access import caller_of, own_device
from agent.upstreams.local.mobsms.bodies import (
    Claim,
    DefaultDevice,
    InboundSms,
    RegisterDevice,
    Release,
    UpdateDevice,
)
from agent.upstreams.local.routing import Query, Router

_KEEP_ALIVE_S = 15.0
# Several commits in a row wake an agent once; well below the 100 ms in which it must be woken.
_SETTLE_S = 0.02
_Limit = Annotated[
    int | None,
    Query(ge=1, le=1_000_000, description="End behind so many events.", json_schema_extra=answers.without_null),
]
_TimeoutS = Annotated[
    float | None,
    Query(
        ge=0,
        le=86_400,
        allow_inf_nan=False,
        description="End after so many seconds, if the server does not before.",
        json_schema_extra=answers.without_null,
    ),
]
_COLUMNS = {
    "device_name": "name",
    "phone_number": "phone_number",
    "is_active": "is_active",
    "sms_rate": "sms_rate",
    "send_delay_seconds": "send_delay_s",
    "default_sim_slot": "default_sim_slot",
    "pool": "pool",
}
# These of an own route stand in its [[route]].
_CONFIGURED = {"send_delay_seconds": "send_delay_s", "default_sim_slot": "sim_slot"}
_NULLABLE = frozenset({"phone_number", "default_sim_slot", "pool"})


def add(router: Router, local: Local) -> None:
    """Everything under /api/devices, and /api/sms/inbound."""
    _add_devices(router, local)
    _add_remote(router, local)


def _add_devices(router: Router, local: Local) -> None:
    @router.get(
        "/devices",
        response_model=documents.Data[list[documents.Device]],
        tags=["Devices"],
        summary="Display a listing of the resource.",
    )
    async def list_devices(request: Request) -> Response:
        caller = caller_of(request)
        default = await _default(local, caller)
        found = await local.devices.visible(caller)
        return answers.success([_row(local, device, default) for device in found])

    @router.post(
        "/devices",
        response_model=documents.Said[documents.Device],
        responses={200: {"model": documents.Said[documents.Device], "description": "It was known"}},
        status_code=201,
        tags=["Devices"],
        summary="Register a remote agent (extension)",
    )
    async def register_device(body: RegisterDevice, request: Request) -> Response:
        caller = caller_of(request)
        device, is_new = await local.accounts.register_device(
            caller.account,
            body.device_id,
            body.device_name,
            phone_number=body.phone_number,
            sms_rate=0.0,
            pool=body.pool,
        )
        local.saw(device.id)
        view = await own_device(local, caller, str(device.id))
        row = _row(local, view, await _default(local, caller))
        return answers.success(row, "Device registered successfully", 201 if is_new else 200)

    @router.post(
        "/devices/default-device",
        response_model=documents.Said[documents.DefaultDevice],
        tags=["Devices"],
        summary="Set the user's default device.",
    )
    async def set_default_device(body: DefaultDevice, request: Request) -> Response:
        caller = caller_of(request)
        try:
            device = await local.devices.find(caller, body.device_id)
        except NoSuchDevice:
            return answers.invalid({"device_id": ["The selected device id is invalid."]})
        await local.accounts.change(caller.account, {"default_device": device.number})
        data = {"id": device.number, "device_name": device.name, "is_default": True}
        return answers.success(data, "Default device updated successfully")

    @router.put(
        "/devices/{id}",
        response_model=documents.Said[documents.Device],
        responses=documents.MISSING,
        tags=["Devices"],
        summary="Change a device (extension)",
    )
    async def update_device(id: str, body: UpdateDevice, request: Request) -> Response:
        caller = caller_of(request)
        device = await own_device(local, caller, id)
        given = body.model_dump(exclude_unset=True)
        if device.route is not None:
            _refuse_configured(caller, device, given)
        values = {_COLUMNS[name]: value for name, value in given.items() if value is not None or name in _NULLABLE}
        if values:
            await local.accounts.change_device(device.number, values)
        row = _row(local, await own_device(local, caller, str(device.number)), await _default(local, caller))
        return answers.success(row, "Device updated successfully")


def _add_remote(router: Router, local: Local) -> None:
    @router.post(
        "/devices/{id}/claim",
        response_model=documents.Said[list[documents.Claimed]],
        responses=documents.MISSING,
        tags=["Remote agents"],
        summary="Claim messages (extension)",
    )
    async def claim(id: str, request: Request, body: Claim | None = None) -> Response:
        device = await _remote(local, caller_of(request), id)
        found = await local.accounts.agents.claim(device.number, (body or Claim()).limit)
        local.gateway.committed()
        now_ms = local.gateway.clock.utc_ms()
        return answers.success([words.claimed(message, now_ms) for message in found], "Messages claimed")

    @router.post(
        "/devices/{id}/release",
        response_model=documents.Said[documents.Released],
        responses=documents.MISSING,
        tags=["Remote agents"],
        summary="Give claimed messages back (extension)",
    )
    async def release(id: str, body: Release, request: Request) -> Response:
        device = await _remote(local, caller_of(request), id)
        released = await local.accounts.agents.release(device.number, body.ids)
        local.gateway.committed()
        return answers.success({"released": released}, "Messages released")

    @router.get(
        "/devices/{id}/events",
        response_model=documents.WakeUp,
        media_type="text/event-stream",
        responses=documents.MISSING,
        tags=["Remote agents"],
        summary="Server-sent events (extension)",
    )
    async def events(id: str, request: Request, limit: _Limit = None, timeout_s: _TimeoutS = None) -> Response:
        device = await _remote(local, caller_of(request), id)
        longest_s = local.settings.longest_event_stream_s
        stream = _events(local, device.number, limit, longest_s if timeout_s is None else min(timeout_s, longest_s))
        return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    @router.post(
        "/sms/inbound",
        response_model=documents.Said[documents.Taken],
        responses={200: {"model": documents.Said[documents.Taken], "description": "It was known"}},
        status_code=201,
        tags=["Remote agents"],
        summary="Hand in a message (extension)",
    )
    async def inbound(body: InboundSms, request: Request) -> Response:
        caller = caller_of(request)
        device = None if body.device_id is None else await _handing_in(local, caller, body.device_id)
        handed = HandedIn(
            remote_id=body.message_id,
            sender=body.sender_number,
            text=body.message or "",
            received_ms=None if body.received_at is None else _received_ms(body.received_at),
            account=caller.account,
            is_owner=caller.is_owner,
            device=device,
            sim_slot=body.sim_slot,
        )
        message, is_new = await local.accounts.agents.take_inbound(handed)
        local.gateway.committed()
        return answers.success(_taken(message), "SMS received", 201 if is_new else 200)


# --- pieces -----------------------------------------------------------------------------------------


async def _default(local: Local, caller: Caller) -> int | None:
    account = await local.accounts.account(caller.account)
    return None if account is None else account.default_device


def _row(local: Local, device: DeviceView, default: int | None) -> words.Row:
    # An own route is here as long as it works.
    is_online = device.is_active if device.route is not None else _is_online(local, device)
    return words.device(device, default, local.last_seen.get(device.number), is_online=is_online)


def _is_online(local: Local, device: DeviceView) -> bool:
    return pools.is_present(local, device.number, local.gateway.clock.utc_ms())


async def _remote(local: Local, caller: Caller, key: str) -> DeviceView:
    """A remote agent of the caller. Raises: Refused."""
    device = await own_device(local, caller, key)
    if device.route is not None:
        raise Refused(answers.refusal(f'Device {device.number} is route "{device.route}" of this gateway itself'))
    local.saw(device.number)
    return device


def _refuse_configured(caller: Caller, device: DeviceView, given: dict[str, object]) -> None:
    if not caller.is_owner:
        raise Refused(answers.refusal("This device belongs to the gateway; only its owner may change it.", 403))
    errors = {
        name: [f'This is a route of the gateway: set {key} of [[route]] "{device.route}" in its configuration.']
        for name, key in _CONFIGURED.items()
        if name in given
    }
    if errors:
        raise Refused(answers.invalid(errors))


async def _handing_in(local: Local, caller: Caller, reference: str) -> int | None:
    """The agent's number; one that is unknown here is no reason to lose a message."""
    try:
        device = await local.devices.find(caller, reference)
    except NoSuchDevice:
        return None
    local.saw(device.number)
    return device.number if device.route is None else None


def _received_ms(text: str) -> int:
    at = parse_iso_utc(text)
    if at is None or at < 0:
        raise Refused(answers.invalid({"received_at": ["The received at field must be an ISO 8601 time."]}))
    return at


def _taken(message: Message) -> words.Row:
    return {
        "id": message.id,
        "message_id": message.uid,
        "sender_number": message.number,
        "status": words.status(message.state),
        "direction": message.direction,
        "created_at": words.time(message.created_ms),
    }


async def _events(local: Local, device: int, limit: int | None, lasts_s: float) -> AsyncIterator[bytes]:
    """`message` with the number that waits: at once, and whenever newer or more wait; a comment while nothing does.
    Ends behind `limit` events or `lasts_s` seconds."""
    changed = asyncio.Event()
    local.gateway.watch(changed)
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + lasts_s
    newest = count = -1
    told = 0
    try:
        while not local.stopping.is_set():
            changed.clear()
            waiting = await local.accounts.agents.waiting(device)
            # More without a newer one: some were moved here, or given back.
            if newest < 0 or waiting.newest > newest or waiting.count > count:
                yield f"event: message\ndata: {json.dumps({'pending': waiting.count})}\n\n".encode()
                told += 1
            newest, count = max(newest, waiting.newest), waiting.count
            left_s = ends_at - loop.time()
            if told == limit or left_s <= 0:
                return
            try:
                async with asyncio.timeout(min(_KEEP_ALIVE_S, left_s)):
                    await changed.wait()
                await asyncio.sleep(_SETTLE_S)
            except TimeoutError:
                local.saw(device)
                if left_s > _KEEP_ALIVE_S:
                    yield b": still here\n\n"
    finally:
        local.gateway.unwatch(changed)
