"""The operations under `/api/sms`, with exactly the fields that the description's examples show."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta
from typing import Any

from .answers import (
    Refused,
    array,
    at_least,
    decode,
    fields,
    invalid,
    no_model,
    one_of,
    refusal,
    success,
    text,
    url,
)
from .cloud import Cloud, row
from .http1 import Request, Response
from .record import stamp
from .store import STATUSES, Device, Message, User

_PER_PAGE = 50


def index(cloud: Cloud, user: User, request: Request, _: str) -> Response:
    query = request.query
    found = cloud.store.select(
        user.id,
        direction=query.get("direction") or None,
        status=query.get("status") or None,
        device_id=query.get("device_id") or None,
    )
    return _page(found, request)


def outbox(cloud: Cloud, user: User, request: Request, _: str) -> Response:
    columns = ("id", "recipient_number", "message", "status", "price", "is_charged", "created_at")
    return _page(cloud.store.select(user.id, direction="outbound"), request, columns)


def inbox(cloud: Cloud, user: User, request: Request, _: str) -> Response:
    columns = ("id", "sender_number", "message", "status", "direction", "created_at")
    return _page(cloud.store.select(user.id, direction="inbound"), request, columns)


def show(cloud: Cloud, user: User, _: Request, reference: str) -> Response:
    m = _message(cloud, user, reference, by_uuid=True)
    return success(
        {
            "id": m.id,
            "message_id": m.message_id,
            "recipient_number": m.recipient_number,
            "status": m.status,
            "price": m.price,
            "is_charged": m.is_charged,
            "sent_at": stamp(m.sent_ms),
            "delivered_at": stamp(m.delivered_ms),
            "error_message": m.error_message,
            "callback_url": m.callback_url,
        }
    )


def send(cloud: Cloud, user: User, request: Request, _: str) -> Response:
    if "phone" in decode(request):  # the documented alias
        required = {"message": text(1600), "phone": text(255)}
    else:
        required = {"message": text(1600), "recipient_number": text(255)}
    optional = {"device_id": _reference, "price": at_least(0), "my_id": text(255), "callback_url": url}
    values = fields(request, required, optional)
    device = _devices(cloud, user, values.get("device_id"))[0]
    draft = {
        "message": values["message"],
        "recipient_number": values.get("recipient_number") or values.get("phone"),
        "device_id": device.id,
        "sender_number": device.phone_number,
        "price": _price(values, device),
        "my_id": values.get("my_id"),
        "callback_url": values.get("callback_url"),
    }
    (m,) = cloud.queue(user.id, [draft])
    data = {**_queued(m), "callback_url": m.callback_url}
    return success(data, "SMS queued for sending", 201)


def bulk(cloud: Cloud, user: User, request: Request, _: str) -> Response:
    required = {"message": text(1600), "recipients": array}
    values = fields(request, required, {"device_id": _reference, "price": at_least(0), "my_id": text(255)})
    devices = itertools.cycle(_devices(cloud, user, values.get("device_id")))
    drafts = []
    for position, recipient in enumerate(values["recipients"]):
        named = recipient if isinstance(recipient, dict) else {"number": recipient}
        number, name = named.get("number"), named.get("name") or ""
        if not isinstance(number, str) or not number:
            field = f"recipients.{position}"
            raise Refused(invalid({field: [f"The {field} field is required."]}))
        device = next(devices)
        drafts.append(
            {
                "message": values["message"].replace("{name}", str(name)),
                "recipient_number": number,
                "device_id": device.id,
                "sender_number": device.phone_number,
                "price": _price(values, device),
                "my_id": values.get("my_id"),
            }
        )
    made = cloud.queue(user.id, drafts)
    return success([_queued(m) for m in made], "Bulk SMS queued for sending", 201)


def update(cloud: Cloud, user: User, request: Request, reference: str) -> Response:
    m = _message(cloud, user, reference)
    values = fields(request, {}, {"status": one_of(*STATUSES), "error_message": text()})
    cloud.report(m, values.get("status"), values.get("error_message"))
    return success({"id": m.id, "status": m.status}, "SMS updated successfully")


def delete(cloud: Cloud, user: User, _: Request, reference: str) -> Response:
    cloud.delete(_message(cloud, user, reference))
    return success(message="SMS deleted successfully")


def cancel(cloud: Cloud, user: User, _: Request, reference: str) -> Response:
    m = _message(cloud, user, reference)
    if m.status != "pending" or m.direction != "outbound":
        return refusal(422, "Only pending messages can be cancelled")
    cloud.cancel(m)
    return success({"id": m.id, "status": m.status}, "SMS cancelled successfully")


def stats(cloud: Cloud, user: User, _: Request, __: str) -> Response:
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    found = cloud.store.select(user.id, direction="outbound")
    data = {
        "today": _rates(found, today),
        "this_week": _rates(found, today - timedelta(days=today.weekday())),
        "this_month": _rates(found, today.replace(day=1)),
    }
    del data["this_week"]["failed"], data["this_month"]["failed"]  # as documented
    return success(data, "Delivery statistics retrieved successfully")


def _rates(messages: list[Message], since: datetime) -> dict[str, Any]:
    instant_ms = since.timestamp() * 1000
    states = [m.status for m in messages if m.created_ms >= instant_ms]
    delivered, failed = states.count("delivered"), states.count("failed")
    sent = states.count("sent") + delivered + failed
    rate = round(100 * delivered / sent, 1) if sent else 0
    rate = int(rate) if rate == int(rate) else rate
    return {"sent": sent, "delivered": delivered, "failed": failed, "delivery_rate": rate}


def _page(found: list[Message], request: Request, columns: tuple[str, ...] = ()) -> Response:
    wanted = request.query.get("page", "")
    page = max(1, int(wanted)) if wanted.isascii() and wanted.isdigit() else 1
    part = found[(page - 1) * _PER_PAGE : page * _PER_PAGE]
    rows = []
    for message in part:
        whole = row(message)
        rows.append({name: whole[name] for name in columns or whole})
    return success({"current_page": page, "data": rows, "per_page": _PER_PAGE, "total": len(found)})


def _message(cloud: Cloud, user: User, reference: str, *, by_uuid: bool = False) -> Message:
    """Raises: Refused: 404. Only GET is documented to take the uuid as well."""
    found = cloud.store.find_message(user.id, reference, by_uuid=by_uuid)
    if found is None:
        raise Refused(no_model("SmsMessage"))
    return found


def _devices(cloud: Cloud, user: User, reference: Any) -> list[Device]:
    """The devices that a send may use, best first.

    Raises: Refused: 422, no active device, or no such device.
    """
    active = cloud.store.active_devices(user.id)
    if reference not in (None, "active"):
        device = cloud.store.find_device(user.id, reference)
        if device is None:
            raise Refused(invalid({"device_id": ["The selected device id is invalid."]}))
        active = [device] if device.is_active else []
    elif reference is None:
        active = active[:1]
    if not active:
        raise Refused(refusal(422, "No active device available"))
    return active


def _reference(words: str, value: Any) -> str | None:
    """The description says string; a number is taken too, because its own example of the filter is one."""
    valid = isinstance(value, str | int) and not isinstance(value, bool)
    return None if valid else f"The {words} field must be a string."


def _price(values: dict[str, Any], device: Device) -> float:
    price = values.get("price")
    return float(price) if isinstance(price, float) else int(device.sms_rate if price is None else price)


def _queued(m: Message) -> dict[str, Any]:
    data = {
        "id": m.id,
        "message_id": m.message_id,
        "recipient_number": m.recipient_number,
        "status": m.status,
        "price": m.price,
        "is_charged": m.is_charged,
        "direction": m.direction,
    }
    return {**data, "my_id": m.my_id} if m.my_id is not None else data
