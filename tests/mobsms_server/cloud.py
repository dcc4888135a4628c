"""What the API does to messages: queue, report, cancel, delete, each logged; and calls to webhooks.

Knows no request and no route.
"""

from __future__ import annotations

import asyncio
import json
import urllib.request
from typing import Any

from .record import Log, now_ms, stamp
from .store import Device, Message, Report, Store

_CALL_TIMEOUT_S = 10.0


class Cloud:
    """The server's state with its rules. `call_webhooks` = False keeps it from calling anybody."""

    def __init__(self, store: Store, log: Log, *, call_webhooks: bool = True) -> None:
        self.store = store
        self.log = log
        self._call_webhooks = call_webhooks
        self._calls: set[asyncio.Task[None]] = set()

    def queue(self, user_id: int, drafts: list[dict[str, Any]]) -> list[Message]:
        """Makes messages of `Message` fields and logs each; see `Store.new_messages`."""
        made = self.store.new_messages(user_id, drafts)
        self.log.write_all(
            {
                "event": "message",
                "id": m.id,
                "message_id": m.message_id,
                "direction": m.direction,
                "status": m.status,
                "device": m.device_id,
                "recipient": m.recipient_number,
                "sender": m.sender_number,
                "text": m.message,
                "created_at": stamp(m.created_ms),
            }
            for m in made
        )
        return made

    def report(self, message: Message, status: str | None, error_message: str | None) -> None:
        """What PUT does: takes any documented status, also one that comes too late, and remembers it all."""
        at, previous = now_ms(), message.status
        if status is not None:
            message.status = status
        if error_message is not None:
            message.error_message = error_message
        if status == "sent":
            message.sent_ms = at
        elif status == "delivered":
            message.delivered_ms = at
        number = self.store.next_id(Report)
        self.store.save(message, Report(number, message.id, status, previous, error_message, at))
        self.log.write(
            "report",
            id=message.id,
            message_id=message.message_id,
            recipient=message.recipient_number,
            device=message.device_id,
            status=status,
            previous=previous,
            error_message=error_message,
            at=at,
        )
        if status in ("delivered", "failed") and self._call_webhooks:
            self._announce(message)

    def cancel(self, message: Message) -> None:
        message.status = "cancelled"
        self.store.save(message)
        self.log.write("cancel", id=message.id, message_id=message.message_id)

    def delete(self, message: Message) -> None:
        message.deleted = True
        self.store.save(message)
        self.log.write("delete", id=message.id, message_id=message.message_id, status=message.status)

    def _announce(self, message: Message) -> None:
        owner = self.store.users[message.user_id]
        data = {**row(message), "error_message": message.error_message, "my_id": message.my_id}
        body = {"event": "status", "data": data, "timestamp": stamp(now_ms())}
        for address in filter(None, (owner.webhook_url_status, message.callback_url)):
            task = asyncio.get_running_loop().create_task(self._call(address, body))
            self._calls.add(task)
            task.add_done_callback(self._calls.discard)

    async def _call(self, address: str, body: dict[str, Any]) -> None:
        try:
            status: int | str = await asyncio.to_thread(_post, address, body)
        except (OSError, ValueError) as error:  # urllib's errors are OSErrors
            status = str(error)
        self.log.write("webhook", url=address, id=body["data"]["id"], sent=body["data"]["status"], status=status)


def _post(address: str, body: dict[str, Any]) -> int:
    request = urllib.request.Request(
        address, json.dumps(body).encode(), {"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=_CALL_TIMEOUT_S) as answer:
        return int(answer.status)


def row(message: Message) -> dict[str, Any]:
    """A message as `GET /api/sms` lists it."""
    return {
        "id": message.id,
        "message_id": message.message_id,
        "recipient_number": message.recipient_number,
        "sender_number": message.sender_number,
        "message": message.message,
        "direction": message.direction,
        "status": message.status,
        "price": message.price,
        "is_charged": message.is_charged,
        "sent_at": stamp(message.sent_ms),
        "delivered_at": stamp(message.delivered_ms),
        "created_at": stamp(message.created_ms),
    }


def device_row(device: Device) -> dict[str, Any]:
    """A device as `GET /api/devices` lists it."""
    return {
        "id": device.id,
        "device_id": device.device_id,
        "device_name": device.device_name,
        "phone_number": device.phone_number,
        "is_active": device.is_active,
        "is_default": device.is_default,
        "sms_rate": device.sms_rate,
        "send_delay_seconds": device.send_delay_seconds,
        "default_sim_slot": device.default_sim_slot,
    }
