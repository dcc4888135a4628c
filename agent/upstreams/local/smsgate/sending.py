"""POST /messages: from a body to a job per recipient."""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from typing import Annotated

from starlette.requests import Request
from starlette.responses import Response

from agent import numbers
from agent.journal.acceptance import Acceptance, Idempotency, IdempotencyConflict
from agent.model import Job
from agent.upstreams.local import answers
from agent.upstreams.local.answers import Refused
from agent.upstreams.local.context import Local
from agent.upstreams.local.devices import DeviceView
from agent.upstreams.local.routing import Query, Router
from agent.upstreams.local.smsgate import documents, messages, phone, sealing, words
from agent.upstreams.local.smsgate.access import client_of, named_device
from agent.upstreams.local.smsgate.bodies import SendMessage, instant
from agent.upstreams.local.smsgate.plan import need_premium
from agent.upstreams.local.smsgate.sealing import Opened
from agent.upstreams.local.smsgate.tokens import Client

_LONGEST_KEY_CHARACTERS = 255
_ID_OCTETS = 16
_HOUR_MS = 3_600_000
Attributes = dict[str, str | int | float | bool | None]
_Skip = Annotated[bool, Query(description="Take numbers as they are; one that cannot be dialled fails alone.")]
_Active = Annotated[int, Query(ge=0, le=100_000, description="Only devices seen within so many hours; 0: any.")]


def add(router: Router, local: Local) -> None:
    @router.post(
        "/messages",
        status_code=202,
        response_model=documents.Message,
        responses=documents.TAKEN,
        tags=["SMSGate"],
        summary="Send a message",
    )
    async def send(
        body: SendMessage, request: Request, skipPhoneValidation: _Skip = False, deviceActiveWithin: _Active = 0
    ) -> Response:
        client = client_of(request)
        opened = await sealing.opened(local, client, body)
        given = opened.numbers if skipPhoneValidation else _dialable(local, opened.numbers)
        if len(given) > 1:
            await need_premium(local, client)
        target = await _target(local, client, body, deviceActiveWithin)
        key = body.id or secrets.token_urlsafe(_ID_OCTETS)
        jobs = _jobs(local, client, body, key=key, target=target, opened=Opened(opened.content, given))
        accepted = await _accepted(local, client, request, key, jobs)
        return await _answer(local, client, request, accepted, key)


def _dialable(local: Local, given: tuple[str, ...]) -> tuple[str, ...]:
    """Raises: Refused, with the number's fault."""
    try:
        return tuple(numbers.dialable(one, local.gateway.settings.default_region) for one in given)
    except numbers.NotDialable as error:
        raise Refused(answers.plain(f"phoneNumbers: {error}.", 400)) from error


async def _target(local: Local, client: Client, body: SendMessage, active_within_h: int) -> DeviceView | None:
    """The remote agent that is to send it; None: one of our own SIMs. Raises: Refused."""
    found = await named_device(local, client, body.deviceId)
    if found is not None:
        return found.agent
    if local.gateway.routes:
        return None
    since_ms = local.gateway.clock.utc_ms() - active_within_h * _HOUR_MS if active_within_h else 0
    for one in await phone.phones(local, client):
        if one.agent is not None and one.agent.is_active and local.last_seen.get(one.agent.number, 0) >= since_ms:
            return one.agent
    raise Refused(answers.plain("No device is there to send it.", 400))


def _jobs(
    local: Local, client: Client, body: SendMessage, *, key: str, target: DeviceView | None, opened: Opened
) -> list[Job]:
    now_ms = local.gateway.clock.utc_ms()
    starts_ms, until_ms = instant(body.scheduleAt), instant(body.validUntil)
    if body.ttl is not None:
        until_ms = max(now_ms, starts_ms or 0) + body.ttl * 1000
    if starts_ms is not None and starts_ms <= now_ms:
        raise Refused(answers.plain("scheduleAt must be in the future.", 400))
    if until_ms is not None and until_ms <= (starts_ms or now_ms):
        sentence = "validUntil must be after scheduleAt." if starts_ms is not None else "validUntil is over."
        raise Refused(answers.plain(sentence, 400))
    data = None if body.dataMessage is None else _octets(opened.content)
    rate = local.settings.sms_rate if target is None else target.sms_rate
    slot = None if body.simNumber is None else body.simNumber - 1
    common: Attributes = {
        "price": rate, "sim_slot": slot, "valid_for_s": None if until_ms is None else (until_ms - now_ms) / 1000,
        words.IS_ENCRYPTED: True if body.isEncrypted else None, words.VALID_UNTIL: until_ms,
    }  # fmt: skip
    jobs = []
    for index, (submitted, number) in enumerate(zip(body.phoneNumbers, opened.numbers, strict=True)):
        sealed = body.content if body.isEncrypted and not index else None
        own: Attributes = {words.PHONE: submitted, words.SEALED: sealed}
        attributes: Attributes = {name: value for name, value in {**common, **own}.items() if value is not None}
        jobs.append(
            Job(
                recipient=number,
                text="" if data is not None else opened.content,
                sim_slot=slot,
                device=None if target is None else target.number,
                priority=body.priority or 0,
                valid_for_s=None if until_ms is None else (until_ms - now_ms) / 1000,
                account=client.account,
                attributes=attributes,
                port=None if body.dataMessage is None else body.dataMessage.port,
                data=data,
                starts_ms=starts_ms,
                wants_report=body.withDeliveryReport is not False,
                bundle=key,
            )
        )
    return jobs


def _octets(given: str) -> bytes:
    """Raises: Refused."""
    try:
        return base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(answers.plain("dataMessage.data must be base64.", 400)) from error


async def _accepted(local: Local, client: Client, request: Request, key: str, jobs: list[Job]) -> list[Acceptance]:
    """Raises: Refused, 409 where the id is taken."""
    given = request.headers.get("idempotency-key")
    if given is not None and not 0 < len(given) <= _LONGEST_KEY_CHARACTERS:
        sentence = f"Idempotency-Key must have 1 to {_LONGEST_KEY_CHARACTERS} characters."
        raise Refused(answers.plain(sentence, 400))
    # Without a key of its own the message's id is one: of two requests at the same time only one is new.
    what = request.url.path.encode() + b"\0" + await request.body() if given is not None else b""
    wanted = Idempotency(client.account, given or f"smsgate:{key}", hashlib.sha256(what).hexdigest())
    taken = answers.plain("A message with this id exists already.", 409)
    try:
        if given is not None and (known := await local.accounts.replay(wanted)) is not None:
            return known
        if await local.accounts.clients.message(client.account, key, with_unowned=client.is_owner):
            raise Refused(taken)
        accepted = await local.gateway.accept(local.name, jobs, idempotency=wanted)
    except IdempotencyConflict as error:
        raise Refused(answers.plain(f"{error}.", 409)) from error
    if given is None and any(not one.is_new for one in accepted):
        raise Refused(taken)
    return accepted


async def _answer(local: Local, client: Client, request: Request, accepted: list[Acceptance], key: str) -> Response:
    first = None if accepted[0].message_id is None else await local.gateway.message(accepted[0].message_id)
    # A request that was repeated is answered with the first one's message.
    own = key if first is None or first.bundle is None else first.bundle
    row = await messages.document(local, client, own)
    return answers.Json(row, 202, headers={"Location": messages.location(request, own)})
