"""Our values in the MobSMS API's words. Pure: no I/O, no clock.

Every message row has the documented fields first, in their order, and a few of ours behind them.
"""

from __future__ import annotations

from typing import Any

from agent.clock import iso_utc
from agent.model import Message, MessageState
from agent.upstreams.local.devices import DeviceView

Row = dict[str, Any]

_STATUS = {
    MessageState.HELD: "pending",
    MessageState.QUEUED: "pending",
    MessageState.SENDING: "pending",
    MessageState.UNKNOWN: "pending",
    MessageState.SENT: "sent",
    MessageState.DELIVERED: "delivered",
    MessageState.FAILED: "failed",
    MessageState.EXPIRED: "failed",
    MessageState.CANCELLED: "cancelled",
    MessageState.RECEIVED: "received",
}


_REFUNDED = frozenset({MessageState.FAILED, MessageState.EXPIRED, MessageState.CANCELLED})


def status(state: MessageState) -> str:
    return _STATUS[state]


def states(word: str) -> tuple[MessageState, ...]:
    """The states that are shown by this word."""
    return tuple(state for state, shown in _STATUS.items() if shown == word)


def message(found: Message, *, state: MessageState | None = None, error: str | None = None) -> Row:
    """A whole message; at another state than it is in now, where one is given, with that state's error."""
    is_outbound = found.direction == "outbound"
    sentence = found.error if state is None else error
    shown = state or found.state
    return {
        "id": found.id,
        "message_id": found.uid,
        "recipient_number": found.number if is_outbound else None,
        "sender_number": None if is_outbound else found.number,
        "message": found.text,
        "direction": found.direction,
        "status": status(shown),
        "price": number(found.attributes.get("price")),
        "is_charged": found.attributes.get("is_charged") is True and shown not in _REFUNDED,
        "sent_at": time(found.sent_ms),
        "delivered_at": time(found.delivered_ms) if shown is not MessageState.SENT else None,
        "created_at": iso_utc(found.created_ms),
        "error_message": sentence,
        "callback_url": found.attributes.get("callback_url"),
        "device_id": found.device,
        "my_id": found.attributes.get("my_id"),
        "priority": found.priority,
        "parts": found.parts,
        "may_be_double": found.may_be_double,
    }


def claimed(found: Message, now_ms: int) -> Row:
    """A row for a remote agent: also how it shall go, and for how long it is still worth sending."""
    valid_for_s = found.attributes.get("valid_for_s")
    left = None
    if isinstance(valid_for_s, int | float):
        left = max(1, round(valid_for_s - (now_ms - found.created_ms) / 1000))
    return {**message(found), "sim_slot": found.attributes.get("sim_slot"), "valid_for_s": left}


def device(found: DeviceView, default: int | None, last_seen_ms: int | None, *, is_online: bool) -> Row:
    return {
        "id": found.number,
        "device_id": found.device_id,
        "device_name": found.name,
        "phone_number": found.phone_number,
        "is_active": found.is_active,
        "is_default": found.number == default,
        "sms_rate": number(found.sms_rate),
        "send_delay_seconds": number(found.send_delay_s),
        "default_sim_slot": found.default_sim_slot,
        "is_remote": found.route is None,
        "last_seen_at": time(last_seen_ms),
        "is_online": is_online,
        "pool": found.pool,
    }


def time(utc_ms: int | None) -> str | None:
    return None if utc_ms is None else iso_utc(utc_ms)


def number(value: object) -> int | float:
    """Prices are whole in the API's examples, and fractions are allowed: whole where it is whole."""
    if not isinstance(value, int | float):
        return 0
    return int(value) if float(value).is_integer() else value
