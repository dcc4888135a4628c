"""Webhooks that the server has this device call: what came in, what became of messages, and that it lives.

They stand in the journal's hook table like the local server's own, and are called from there; this only says which
call is owed for what.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any

from agent.gateway import Gateway
from agent.hooks import Call, HookForm
from agent.journal.hooks import NO_ACCOUNT
from agent.model import Message, MessageKind, MessageState, Report
from agent.upstreams.smsgate import rows, snapshot
from agent.upstreams.smsgate.rows import Webhook

_NO_MESSAGE = 0

Payload = dict[str, Any]

_OF_STATE = {
    MessageState.SENT: ("sms:sent", "sentAt"),
    MessageState.DELIVERED: ("sms:delivered", "deliveredAt"),
    MessageState.FAILED: ("sms:failed", "failedAt"),
    MessageState.EXPIRED: ("sms:failed", "failedAt"),
    MessageState.CANCELLED: ("sms:cancelled", "cancelledAt"),
}


class Telling:
    """One per device. `webhooks` is the server's list, `retries` and `signing_key` what counts now."""

    def __init__(self, gateway: Gateway, name: str) -> None:
        self.webhooks: Sequence[Webhook] = ()
        self.retries = 15
        self.signing_key = ""
        self._gateway = gateway
        self._name = name

    async def state(self, report: Report, device_id: str, message_id: str, sim_number: int | None) -> None:
        """A message of this device came to a state. Raises: JournalError."""
        if report.state not in _OF_STATE:
            return
        event, at = _OF_STATE[report.state]
        message, number = report.message, snapshot.number_of(report.message)
        payload: Payload = {"messageId": message_id, "recipient": number, "phoneNumber": number,
                            "simNumber": sim_number, at: rows.rfc3339(report.at_ms)}  # fmt: skip
        if event == "sms:sent":
            payload["partsCount"] = message.parts
        if event == "sms:failed":
            payload["reason"] = snapshot.error_of(report.state, report.error)
        await self.tell(event, payload, device_id, key=f"event:{report.event_id}", lane=message.id)

    async def received(self, message: Message, device_id: str, sim_number: int | None) -> None:
        """A message came in. Raises: JournalError."""
        found = inbound(message, sim_number)
        if found is not None:
            await self.tell(*found, device_id, key=f"inbound:{message.uid}", lane=message.id, is_urgent=True)

    async def tell(
        self, event: str, payload: Mapping[str, Any], device_id: str, *, key: str, lane: int = _NO_MESSAGE,
        is_urgent: bool = False,
    ) -> None:  # fmt: skip
        """Owe the calls of one event; the same `key` is owed once. Raises: JournalError."""
        calls = [
            Call(
                f"smsgate:{self._name}:{key}:{hook.id}", lane, NO_ACCOUNT, hook.url,
                _body(f"{key}:{hook.id}", hook, payload, device_id), form=HookForm.SMSGATE, retries=self.retries,
                secret=self.signing_key,
            )
            for hook in self.webhooks
            if hook.event == event
        ]  # fmt: skip
        if calls:
            await self._gateway.hooks.add(calls, is_urgent=is_urgent)


def inbound(message: Message, sim_number: int | None) -> tuple[str, Payload] | None:
    """Event and payload of an inbound message, None where the protocol has no word for it."""
    details = message.details
    payload: Payload = {"messageId": message.uid, "sender": message.number, "phoneNumber": message.number,
                        "simNumber": sim_number, "receivedAt": rows.rfc3339(message.created_ms)}  # fmt: skip
    if message.kind is MessageKind.TEXT:
        return "sms:received", payload | {"message": message.text}
    if message.kind is MessageKind.DATA:
        data = base64.b64encode(bytes.fromhex(str(details.get("data") or ""))).decode()
        return "sms:data-received", payload | {"data": data}
    if message.kind is MessageKind.MMS:
        told = {
            "transactionId": details.get("mms_transaction_id"),
            "subject": details.get("mms_subject"),
            "size": details.get("mms_size_octets") or 0,
        }
        return "mms:received", payload | told
    return None


def _body(name: str, hook: Webhook, payload: Mapping[str, Any], device_id: str) -> str:
    document = {
        "id": name,
        "webhookId": hook.id,
        "event": hook.event,
        "deviceId": device_id,
        "payload": {key: value for key, value in payload.items() if value is not None},
    }
    return json.dumps(document, ensure_ascii=False)
