"""The MobSMS API's documents as values, and our states in its words. Pure: no I/O, no clock.

Whatever a server sends, nothing here raises anything but Malformed: a field of the wrong type counts as absent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from agent.clock import iso_utc, parse_iso_utc
from agent.model import Job, Message, MessageState
from agent.upstreams.wire import quoted, storable
from drivers.values import dataclass

Row = Mapping[str, Any]

WITHDRAWN = "the server withdrew it before it was sent"
"""Beginning of the reason with which a message is cancelled here at the server's own wish; not reported."""

_PER_PAGE = 50
_MOST_MESSAGES = 1_000_000_000
"""More than any list holds; a number without end would not even divide."""
# The column is most likely a VARCHAR(255), and a strict MySQL answers 500 to a longer text.
_LONGEST_ERROR_CHARACTERS = 250
_LONGEST_DELAY_S = 86_400.0
# Bounds that keep nonsense out of the journal's 64-bit columns; the gateway refuses such values with a sentence.
_LARGEST_SLOT = 9999
_LARGEST_PRIORITY = 9999
_LONGEST_VALIDITY_S = 10 * 365 * 86_400.0


class Malformed(ValueError):
    """A document that is not what the API describes. `str()` continues "the server's answer …"."""


@dataclass(frozen=True, slots=True)
class Device:
    """Our row of `GET /api/devices`."""

    number: int
    phone_number: str | None
    send_delay_s: float
    default_sim_slot: int | None
    is_active: bool


@dataclass(frozen=True, slots=True)
class ListPage:
    """One page of `GET /api/sms`, newest first as the server gives it. `last` is the number of the last page."""

    rows: tuple[Row, ...]
    total: int
    last: int


@dataclass(frozen=True, slots=True)
class Pending:
    """The usable rows of a page, as jobs in the server's order, and how many rows were of no use."""

    jobs: tuple[Job, ...]
    unusable: int


def devices(data: object) -> tuple[Row, ...]:
    """The rows of `GET /api/devices`. Raises: Malformed."""
    if not isinstance(data, list):
        raise Malformed("holds no list of devices")
    return tuple(row for row in data if isinstance(row, dict))


def own_device(rows: Sequence[Row], device_id: str) -> Device | None:
    """The row whose `device_id` is ours, None where there is none with a number."""
    for row in rows:
        number = _integer(row.get("id"))
        if row.get("device_id") == device_id and number is not None:
            return Device(
                number=number,
                phone_number=_text(row.get("phone_number")) or None,
                send_delay_s=min(_LONGEST_DELAY_S, _seconds(row.get("send_delay_seconds")) or 0.0),
                default_sim_slot=_slot(row.get("default_sim_slot")),
                is_active=row.get("is_active", True) not in (False, 0, "0", "false", None),
            )
    return None


def device_ids(rows: Iterable[Row]) -> tuple[str, ...]:
    """The ids that the account's devices call themselves."""
    return tuple(row["device_id"] for row in rows if isinstance(row.get("device_id"), str))


def page(data: object) -> ListPage:
    """A page of messages. Raises: Malformed."""
    if isinstance(data, list):
        return ListPage(_rows(data), len(data), 1)
    if not isinstance(data, dict) or not isinstance(data.get("data"), list):
        raise Malformed("holds no list of messages")
    total = _integer(data.get("total"))
    if total is None or not 0 <= total <= _MOST_MESSAGES:
        raise Malformed("does not say how many messages there are")
    per_page = _integer(data.get("per_page")) or _PER_PAGE
    return ListPage(_rows(data["data"]), total, max(1, math.ceil(total / max(1, per_page))))


def pending(rows: Iterable[Row], device: Device, device_id: str) -> Pending:
    """What of these rows is to be sent by this device.

    A server that ignores a filter must not make us send its history, so a row is taken at its own word.
    """
    jobs, unusable = [], 0
    for row in rows:
        job = _job(row) if _is_for(row, device, device_id) else None
        if job is None:
            unusable += 1
        else:
            jobs.append(job)
    return Pending(tuple(jobs), unusable)


def withdrawal(status: object) -> str | None:
    """Why a message in this server state must not be sent any more; None while it is pending."""
    if status in ("pending", None) or not isinstance(status, str):
        return None
    return f"{WITHDRAWN}: it is {quoted(status)} there"


def report(state: MessageState, error: str | None) -> dict[str, str] | None:
    """The body that tells a state; None where the server need not be told."""
    if state in (MessageState.SENT, MessageState.DELIVERED):
        return {"status": state.value}
    if state is MessageState.CANCELLED and error is not None and error.startswith(WITHDRAWN):
        return None
    words = {
        MessageState.FAILED: error or "it could not be sent",
        MessageState.EXPIRED: error or "it could not be sent before its validity ended",
        MessageState.CANCELLED: f"cancelled on the gateway{f': {error}' if error not in (None, 'cancelled') else ''}",
    }
    if state not in words:
        return None
    return {"status": "failed", "error_message": words[state][:_LONGEST_ERROR_CHARACTERS]}


def inbound(message: Message, device: Device | None, device_id: str, sim_slot: int | None) -> dict[str, Any]:
    """An inbound message as the server's extension and the user's webhook get it; `message_id` is fixed."""
    at = iso_utc(message.created_ms)
    return {
        "message_id": message.uid,
        "sender_number": message.number,
        "recipient_number": device.phone_number if device is not None else None,
        "message": message.text,
        "direction": "inbound",
        "status": "received",
        "device_id": device.number if device is not None else device_id,
        "sim_slot": sim_slot,
        "error_message": message.error,
        "received_at": at,
        "created_at": at,
    }


# --- pieces -----------------------------------------------------------------------------------------


def _rows(data: list[Any]) -> tuple[Row, ...]:
    """What is no object becomes an empty row, so that it is counted among the unusable."""
    return tuple(row if isinstance(row, dict) else {} for row in data)


def _is_for(row: Row, device: Device, device_id: str) -> bool:
    return (
        row.get("status", "pending") == "pending"
        and row.get("direction", "outbound") == "outbound"
        and row.get("device_id") in (None, device.number, str(device.number), device_id)
    )


def _job(row: Row) -> Job | None:
    remote_id = row.get("id")
    if isinstance(remote_id, bool) or not isinstance(remote_id, int | str) or remote_id == "":
        return None
    recipient = next((row[key] for key in ("recipient_number", "phone", "number") if row.get(key)), "")
    created = row.get("created_at")
    message_id = _text(row.get("message_id"))
    priority = _integer(row.get("priority"))
    return Job(
        recipient=_text(str(recipient) if _integer(recipient) is not None else recipient),
        text=_text(row.get("message")),
        remote_id=_text(str(remote_id)),
        sim_slot=_slot(row.get("sim_slot")),
        priority=max(-_LARGEST_PRIORITY, min(_LARGEST_PRIORITY, priority or 0)),
        valid_for_s=min(_LONGEST_VALIDITY_S, _seconds(row.get("valid_for_s")) or 0.0) or None,
        created_ms=parse_iso_utc(created) if isinstance(created, str) else None,
        attributes={"message_id": message_id} if message_id else {},
    )


def _text(value: object) -> str:
    return storable(value) if isinstance(value, str) else ""


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _slot(value: object) -> int | None:
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 4:
        value = int(value)
    number = _integer(value)
    return min(_LARGEST_SLOT, number) if number is not None and number >= 0 else None


def _seconds(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        seconds = float(value)
    except (ValueError, OverflowError):
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
