"""Our values in SMSGate's words. Pure: no I/O, no clock."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from agent.model import Event, Message, MessageKind, MessageState

Row = dict[str, Any]

# What a message's attributes keep for this dialect: the number as it was submitted, whether it and the text were
# encrypted, and with the first recipient the text as it was submitted then.
PHONE, IS_ENCRYPTED, SEALED, VALID_UNTIL = "phone", "is_encrypted", "sealed", "valid_until_ms"

_STATE = {
    MessageState.HELD: "Pending",
    MessageState.QUEUED: "Pending",
    MessageState.SENDING: "Processed",
    MessageState.UNKNOWN: "Processed",
    MessageState.SENT: "Sent",
    MessageState.DELIVERED: "Delivered",
    MessageState.FAILED: "Failed",
    MessageState.EXPIRED: "Failed",
    MessageState.CANCELLED: "Cancelled",
}
KIND = {"SMS": MessageKind.TEXT, "DATA_SMS": MessageKind.DATA, "MMS": MessageKind.MMS}
_TYPE = {kind: word for word, kind in KIND.items()}
# Kinds of events that somebody should look at, or that say that something failed.
_ERRORS = frozenset({"failed", "undelivered"})
_WARNINGS = frozenset({"retry", "unknown", "expired", "rerouted", "held", "recovery", "resend"})


def states(word: str) -> tuple[MessageState, ...]:
    """The states that are shown by this word."""
    return tuple(state for state, shown in _STATE.items() if shown == word)


def state(found: Iterable[MessageState]) -> str:
    """The state of a message from its recipients', as SMSGate's app makes it. First row that fits."""
    words = [_STATE[one] for one in found]
    for word in ("Pending", "Cancelled", "Processed"):
        if word in words:
            return word
    for word in ("Failed", "Delivered"):
        if all(one == word for one in words):
            return word
    return "Sent"


def message(recipients: Sequence[Message], moves: Iterable[Event], device: str, *, with_content: bool) -> Row:
    """A whole message; `moves` are changes of its recipients' states, oldest first."""
    first = recipients[0]
    is_encrypted = first.attributes.get(IS_ENCRYPTED) is True
    found: Row = {
        "id": first.bundle or first.uid,
        "deviceId": device,
        "state": state(one.state for one in recipients),
        "isHashed": False,
        "isEncrypted": is_encrypted,
        "recipients": [_recipient(one) for one in recipients],
        "states": _states(recipients, moves),
        "createdAt": time(first.created_ms),
    }
    valid_until = first.attributes.get(VALID_UNTIL)
    if first.starts_ms is not None:
        found["scheduleAt"] = time(first.starts_ms)
    if isinstance(valid_until, int):
        found["validUntil"] = time(valid_until)
    if with_content:
        found.update(_content(first, is_encrypted=is_encrypted))
    return found


def phone(found: Message) -> str:
    """A recipient's number as it was submitted."""
    given = found.attributes.get(PHONE)
    return given if isinstance(given, str) else found.number


def incoming(found: Message, recipient: str | None, sim_number: int | None) -> Row:
    data = found.details.get("data")
    is_data = found.kind is MessageKind.DATA and isinstance(data, str)
    return {
        "id": found.uid,
        "type": _TYPE[found.kind],
        "sender": found.number,
        "recipient": recipient,
        "simNumber": sim_number,
        "contentPreview": as_base64(str(data)) if is_data else found.text,
        "createdAt": time(found.created_ms),
        "attachments": [],
    }


def log_entry(found: Event) -> Row:
    priority = "ERROR" if found.kind in _ERRORS else "WARN" if found.kind in _WARNINGS else "INFO"
    context = {
        "messageId": found.message_id, "part": found.part, "route": found.route,
        "state": None if found.state is None else _STATE.get(found.state),
    }  # fmt: skip
    return {
        "id": found.id,
        "priority": priority,
        "module": "messages" if found.message_id is not None else "routes",
        "message": found.kind if found.detail is None else f"{found.kind}: {found.detail}",
        "context": {name: value for name, value in context.items() if value is not None},
        "createdAt": time(found.at_ms),
    }


def without_null(row: Mapping[str, Any]) -> Row:
    """SMSGate's app leaves absent fields out."""
    return {name: value for name, value in row.items() if value is not None}


def time(utc_ms: int) -> str:
    """RFC 3339 with milliseconds."""
    at = datetime.fromtimestamp(utc_ms // 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{utc_ms % 1000:03d}Z"


def as_base64(hexadecimal: str) -> str:
    return base64.b64encode(bytes.fromhex(hexadecimal)).decode()


def _recipient(found: Message) -> Row:
    row: Row = {"phoneNumber": phone(found), "state": _STATE[found.state]}
    if found.state is MessageState.EXPIRED:
        row["error"] = "TTL expired"
    elif found.error is not None and found.state in (MessageState.FAILED, MessageState.CANCELLED):
        row["error"] = found.error
    return row


def _states(recipients: Sequence[Message], moves: Iterable[Event]) -> dict[str, str]:
    """When the message was first in each state, from the history of its recipients."""
    now = {one.id: MessageState.QUEUED for one in recipients}
    found = {"Pending": time(recipients[0].created_ms)}
    for move in moves:
        if move.message_id in now and move.state in _STATE:
            now[move.message_id] = move.state
            found.setdefault(state(now.values()), time(move.at_ms))
    return found


def _content(first: Message, *, is_encrypted: bool) -> Row:
    sealed = first.attributes.get(SEALED)
    if is_encrypted and not isinstance(sealed, str):
        return {}
    data = first.details.get("data")
    if isinstance(data, str):
        return {"dataMessage": {"data": sealed or as_base64(data), "port": first.details.get("port") or 1}}
    return {"textMessage": {"text": sealed or first.text}}
