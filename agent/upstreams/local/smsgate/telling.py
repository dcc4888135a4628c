"""What an account's SMSGate webhooks are told: one call per webhook, recipient and event, in SMSGate's form."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from agent.hooks import Call, HookForm
from agent.journal.clients import Webhook
from agent.model import Message, MessageKind, MessageState, Report
from agent.upstreams.local.context import Local
from agent.upstreams.local.smsgate import phone, words
from agent.upstreams.local.smsgate.words import Row

_ID_OCTETS = 16
_NO_MESSAGE = 0
_OF_STATE = {
    MessageState.SENT: "sms:sent",
    MessageState.DELIVERED: "sms:delivered",
    MessageState.FAILED: "sms:failed",
    MessageState.EXPIRED: "sms:failed",
    MessageState.CANCELLED: "sms:cancelled",
}
_OF_KIND = {
    MessageKind.TEXT: "sms:received",
    MessageKind.DATA: "sms:data-received",
    MessageKind.MMS: "mms:received",
}
_BATCH = {
    "sms:received": "sms:batch:received",
    "sms:data-received": "sms:batch:data-received",
    "mms:received": "mms:batch:received",
}


async def tell_state(local: Local, account: int, report: Report) -> None:
    """Put the calls for one state of one recipient into the table. Raises: JournalError."""
    event = _OF_STATE.get(report.state)
    if event is None:
        return
    message = report.message

    def payload() -> Row:
        return {**_outbound(local, message), **_at_state(report)}

    await _tell(local, account, event, payload, lane=message.id, key=f"event:{report.event_id}")


async def tell_inbound(local: Local, account: int, message: Message, request: str = "") -> None:
    """Put the calls for an inbound message into the table: once, and again for each `request`. Raises: JournalError."""
    event = _OF_KIND.get(message.kind)
    if event is not None:
        key = f"inbound:{message.uid}:{request}"
        payload = partial(_inbound, local, message)
        await _tell(local, account, event, payload, lane=message.id, key=key, is_urgent=True)


async def tell_batch(local: Local, account: int, messages: Sequence[Message], request: str) -> None:
    """The same for many messages in one call per kind. Raises: JournalError."""
    payloads: dict[str, list[Row]] = {}
    for one in messages:
        if one.kind in _OF_KIND:
            payloads.setdefault(_BATCH[_OF_KIND[one.kind]], []).append(_inbound(local, one))
    for event, found in payloads.items():
        key = f"batch:{request}:{messages[0].id}"
        await _tell(local, account, event, partial(dict, messages=found), lane=_NO_MESSAGE, key=key)


async def tell_of_itself(local: Local, account: int, event: str, payload: Row, *, retries: int | None = None) -> None:
    """An event that is about no message. Raises: JournalError."""
    key = f"self:{secrets.token_urlsafe(_ID_OCTETS)}"
    await _tell(local, account, event, lambda: payload, lane=_NO_MESSAGE, key=key, retries=retries)


async def _tell(
    local: Local, account: int, event: str, payload: Callable[[], Row], *, lane: int, key: str,
    retries: int | None = None, is_urgent: bool = False,
) -> None:  # fmt: skip
    """`payload` is made where somebody is to be told: this runs for each state of each message."""
    webhooks = [one for one in await local.accounts.clients.webhooks(account) if one.event == event]
    if not webhooks:
        return
    if retries is None:
        settings = await local.accounts.clients.settings(account)
        retries = settings.get("webhooks", {}).get("retry_count")
    own = await local.accounts.clients.identity()
    told = payload()
    await local.gateway.hooks.add(
        [
            Call(
                f"smsgate:{one.id}:{key}", lane, account, one.url, _body(one, event, own, told), HookForm.SMSGATE,
                retries,
            )
            for one in webhooks
            if one.device_id in (None, own)
        ],
        is_urgent=is_urgent,
    )  # fmt: skip


def _body(webhook: Webhook, event: str, device: str, payload: Row) -> str:
    document = {
        "id": secrets.token_urlsafe(_ID_OCTETS), "webhookId": webhook.id, "event": event, "deviceId": device,
        "payload": payload,
    }  # fmt: skip
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _outbound(local: Local, message: Message) -> Row:
    sender, sim_number = phone.sim(local, message)
    number = words.phone(message)
    return words.without_null(
        {
            "messageId": message.bundle or message.uid, "sender": sender, "recipient": number,
            "simNumber": sim_number, "phoneNumber": number,
        }
    )  # fmt: skip


def _at_state(report: Report) -> Row:
    at = words.time(report.at_ms)
    if report.state is MessageState.SENT:
        return {"partsCount": report.message.parts, "sentAt": at}
    if report.state is MessageState.DELIVERED:
        return {"deliveredAt": at}
    if report.state is MessageState.CANCELLED:
        return {"cancelledAt": at}
    reason = "TTL expired" if report.state is MessageState.EXPIRED else report.error or "it failed"
    return {"failedAt": at, "reason": reason}


def _inbound(local: Local, message: Message) -> Row:
    recipient, sim_number = phone.sim(local, message)
    row: dict[str, Any] = {
        "messageId": message.uid, "sender": message.number, "recipient": recipient, "simNumber": sim_number,
        "phoneNumber": message.number,
    }  # fmt: skip
    details = message.details
    if message.kind is MessageKind.TEXT:
        row["message"] = message.text
    elif message.kind is MessageKind.DATA:
        row["data"] = words.as_base64(str(details.get("data", "")))
    else:
        row["sender"] = row["phoneNumber"] = details.get("mms_sender") or message.number
        row |= {
            "transactionId": details.get("mms_transaction_id") or "", "subject": details.get("mms_subject"),
            "size": details.get("mms_size_octets") or 0, "contentClass": "",
        }  # fmt: skip
    return words.without_null({**row, "receivedAt": words.time(message.created_ms)})
