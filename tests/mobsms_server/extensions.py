"""Two operations that the description lacks, for tests of an agent on a server that has more to offer.

Registering a device and handing in an inbound message. They answer only with `--undocumented extensions`;
the shapes follow the documented rows as closely as they can.
"""

from __future__ import annotations

from .answers import at_least, decode, fields, success, text
from .cloud import Cloud, device_row, row
from .http1 import Request, Response
from .store import Device, User


def register_device(cloud: Cloud, user: User, request: Request, _: str) -> Response:
    optional = {"device_name": text(255), "phone_number": text(32)}
    values = fields(request, {"device_id": text(255)}, optional)
    device = cloud.store.find_device(user.id, values["device_id"])
    status = 200
    if device is None:
        first = not cloud.store.active_devices(user.id)
        name = values.get("device_name") or values["device_id"]
        device = Device(cloud.store.next_id(Device), user.id, values["device_id"], name, values.get("phone_number"))
        device.is_default = first
        cloud.store.save(device)
        status = 201
    return success(device_row(device), "Device registered successfully", status)


def inbound(cloud: Cloud, user: User, request: Request, _: str) -> Response:
    required = {"sender_number": text(255), "message_id": text(64)}
    values = fields(request, required, {"recipient_number": text(255), "sim_slot": at_least(0)})
    found = cloud.store.find_message(user.id, values["message_id"], by_uuid=True)
    if found is not None:
        return success(row(found), "SMS already received")
    body = decode(request)
    device = cloud.store.find_device(user.id, body.get("device_id"))
    draft = {
        "message_id": values["message_id"],
        "sender_number": values["sender_number"],
        "recipient_number": values.get("recipient_number"),
        "message": body.get("message") if user.keep_inbound else None,
        "direction": "inbound",
        "status": "received",
        "price": 0,
        "device_id": device.id if device else None,
    }
    (made,) = cloud.queue(user.id, [draft])
    return success(row(made), "SMS received", 201)
