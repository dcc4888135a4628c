"""What a test asks of the server: devices, messages, faults, limits, absence, and the dump that is counted.

Under `/__control/`, on a port of its own unless asked otherwise, without a key, never counted as a request
of the API. A wrong call is answered 400 with a sentence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

from .account import make_default
from .answers import decode, no_route
from .cloud import device_row, row
from .faults import Limit
from .http1 import Request, Response, json_response
from .record import now_ms, parse_stamp, stamp
from .store import Device, Message

if TYPE_CHECKING:
    from .server import Server

PREFIX = "/__control/"
_OWNER = 1
_ENQUEUE_KEYS = {
    "count", "messages", "device", "text", "texts", "recipients", "created_at", "age_s", "spread_s",
    "direction", "status",
}  # fmt: skip


async def answer(server: Server, request: Request) -> Response:
    """Carries one control call out."""
    name = request.path.removeprefix(PREFIX).strip("/")
    body = decode(request)
    try:
        if request.method == "GET" and name in _READERS:
            return json_response(200, _READERS[name](server))
        if request.method == "POST" and name in ("away", "back"):
            await (server.go_away(body.get("seconds")) if name == "away" else server.come_back())
            return json_response(200, {"open": server.api.is_open})
        if request.method == "POST" and name in _ACTIONS:
            return json_response(200, _ACTIONS[name](server, body))
    except (TypeError, ValueError, KeyError) as error:
        return json_response(400, {"error": f"{type(error).__name__}: {error}"})
    return no_route(request.path)


def dump(server: Server) -> dict[str, Any]:
    """Everything that an accountant needs, deleted messages included."""
    return {
        "at": now_ms(),
        "devices": [device_row(device) for device in server.store.devices.values()],
        "messages": [_whole(message) for message in server.store.messages.values()],
        "hooks": [asdict(hook) for hook in server.store.hooks.values()],
    }


def _whole(message: Message) -> dict[str, Any]:
    return {
        **row(message),
        "device_id": message.device_id,
        "error_message": message.error_message,
        "my_id": message.my_id,
        "deleted": message.deleted,
        "reports": [asdict(report) for report in message.reports],
    }


def _some(server: Server, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages of these `ids`, or of this `device`: a test that waits for some need not be told of all."""
    found = server.store.messages
    if "ids" in body:
        return [_whole(found[number]) for number in body["ids"]]
    return [_whole(message) for message in found.values() if message.device_id == body["device"]]


def _counts(server: Server) -> dict[str, Any]:
    alive = [m for m in server.store.messages.values() if not m.deleted]
    statuses = Counter(m.status for m in alive)
    return {"total": len(alive), "hooks": len(server.store.hooks), "status": dict(statuses)}


def _device(server: Server, body: dict[str, Any]) -> dict[str, Any]:
    """Adds a device, or changes the given fields of the one with this `device_id`."""
    device = server.store.find_device(_OWNER, body["device_id"])
    if device is None:
        first = not any(d.user_id == _OWNER for d in server.store.devices.values())
        name = body["device_id"]
        device = Device(server.store.next_id(Device), _OWNER, body["device_id"], name, is_default=first)
    known = {f.name for f in fields(Device)} - {"id", "user_id", "device_id"}
    for key, value in body.items():
        if key in known:
            setattr(device, key, value)
        elif key != "device_id":
            raise ValueError(f"a device has no {key}")
    server.store.save(device)
    if device.is_default:
        make_default(server.cloud, device)
    server.log.write("device", **device_row(device))
    return device_row(device)


def _enqueue(server: Server, body: dict[str, Any]) -> dict[str, Any]:
    """Makes messages past all validation, so that a test can also queue what the API would refuse."""
    unknown = set(body) - _ENQUEUE_KEYS
    if unknown:
        raise ValueError(f"enqueue does not know {', '.join(sorted(unknown))}")
    given: list[dict[str, Any]] = body.get("messages") or []
    texts, recipients = body.get("texts") or [], body.get("recipients") or []
    count = int(body.get("count") or len(given) or len(texts) or len(recipients) or 1)
    template = body.get("text", "Test message {n}")
    first = len(server.store.messages) + 1
    created_ms = parse_stamp(body["created_at"]) if body.get("created_at") else now_ms()
    created_ms -= int(1000 * (body.get("age_s") or 0))
    device = server.store.find_device(_OWNER, body["device"]) if body.get("device") is not None else None
    if device is None:
        if body.get("device") is not None:
            raise ValueError(f"no such device: {body['device']}")
        device = next(iter(server.store.active_devices(_OWNER)), None)
    known = {f.name for f in fields(Message)} - {"id", "user_id"}
    drafts = []
    for position in range(count):
        number = first + position
        draft: dict[str, Any] = {
            "device_id": device.id if device else None,
            "direction": body.get("direction", "outbound"),
            "status": body.get("status", "pending"),
            "message": texts[position % len(texts)] if texts else template.replace("{n}", str(number)),
            "recipient_number": recipients[position % len(recipients)] if recipients else _number(number),
            "sender_number": device.phone_number if device else None,
            "created_ms": created_ms + int(1000 * position * (body.get("spread_s") or 0)),
        }
        if given:
            own = dict(given[position % len(given)])
            if "created_at" in own:
                own["created_ms"] = parse_stamp(own.pop("created_at"))
            if set(own) - known:
                raise ValueError(f"a message has no {', '.join(sorted(set(own) - known))}")
            draft.update(own)
        drafts.append(draft)
    made = server.cloud.queue(_OWNER, drafts)
    return {"ids": [m.id for m in made], "created_at": stamp(created_ms)}


def _number(number: int) -> str:
    """A distinct dialable number per message, in a range that no network assigns."""
    return f"+99890{number:07d}"


def _fault(server: Server, body: dict[str, Any]) -> dict[str, Any]:
    fault = server.faults.add(**body)
    server.log.write("fault", **{k: v for k, v in asdict(fault).items() if v is not None and k != "since"})
    return asdict(fault)


def _clear(server: Server, _: dict[str, Any]) -> dict[str, Any]:
    server.faults.clear()
    server.log.write("faults_cleared")
    return {}


def _limit(server: Server, body: dict[str, Any]) -> dict[str, Any]:
    """`per_window` requests per `window_s`; an empty call lifts the limit."""
    server.limit = Limit(**body) if body.get("per_window") is not None else None
    server.log.write("limit", **body)
    return {"limit": asdict(server.limit) if server.limit else None}


def _account(server: Server, body: dict[str, Any]) -> dict[str, Any]:
    """Changes `keep_inbound`, `webhook_url_incoming`, `webhook_url_status` of the owner's account."""
    owner = server.store.users[_OWNER]
    known = ("keep_inbound", "webhook_url_incoming", "webhook_url_status")
    for key, value in body.items():
        if key not in known:
            raise ValueError(f"an account has no {key}")
        setattr(owner, key, value)
    server.store.save(owner)
    return {key: getattr(owner, key) for key in known}


_READERS: dict[str, Callable[[Server], Any]] = {
    "dump": dump,
    "messages": lambda server: dump(server)["messages"],
    "hooks": lambda server: dump(server)["hooks"],
    "counts": _counts,
    "faults": lambda server: server.faults.rules(),
}
_ACTIONS: dict[str, Callable[[Server, dict[str, Any]], Any]] = {
    "some": _some,
    "device": _device,
    "enqueue": _enqueue,
    "fault": _fault,
    "faults/clear": _clear,
    "limit": _limit,
    "account": _account,
}
