"""Rows of the journal as the model's objects."""

from __future__ import annotations

import json
import sqlite3

from agent.model import Event, Message, MessageKind, MessageState
from drivers.api import PlanOptions

MESSAGE_COLUMNS = (
    "m.id, m.uid, m.direction, m.upstream, m.remote_id, m.account, m.device, m.number, m.text, m.state, "
    "m.priority, m.parts, coalesce(m.route, m.wanted_route) AS route, m.iccid, m.error, m.may_be_double, "
    "m.created_ms, m.sent_ms, m.delivered_ms, m.attributes, m.kind AS message_kind, m.details, m.starts_ms, m.bundle"
)


def plan_options(number: str, details: str) -> PlanOptions:
    """What a message's details say of how it is to be planned; `Message.details` as it stands in the journal."""
    found = json.loads(details)
    data = found.get("data")
    return PlanOptions(
        recipient=number,
        is_flash=found.get("message_class") == 0,
        port=found.get("port"),
        data=None if data is None else bytes.fromhex(data),
    )


def message(row: sqlite3.Row) -> Message:
    """A row selected with MESSAGE_COLUMNS."""
    return Message(
        id=row["id"],
        uid=row["uid"],
        direction=row["direction"],
        upstream=row["upstream"],
        remote_id=row["remote_id"],
        account=row["account"],
        device=row["device"],
        number=row["number"],
        text=row["text"],
        state=MessageState(row["state"]),
        priority=row["priority"],
        parts=row["parts"],
        route=row["route"],
        iccid=row["iccid"],
        error=row["error"],
        may_be_double=bool(row["may_be_double"]),
        created_ms=row["created_ms"],
        sent_ms=row["sent_ms"],
        delivered_ms=row["delivered_ms"],
        attributes=json.loads(row["attributes"]),
        kind=MessageKind(row["message_kind"]),
        details=json.loads(row["details"]),
        starts_ms=row["starts_ms"],
        bundle=row["bundle"],
    )


def event(row: sqlite3.Row) -> Event:
    """A whole row of the event table."""
    return Event(
        id=row["id"],
        at_ms=row["at_ms"],
        kind=row["kind"],
        message_id=row["message_id"],
        part=row["part"],
        route=row["route"],
        state=None if row["state"] is None else MessageState(row["state"]),
        detail=row["detail"],
    )
