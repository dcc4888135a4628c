"""Messages and events as the control socket shows them. The keys are a contract with the CLI's `--json` (docs/cli.md):
keys may be added, none is renamed."""

from __future__ import annotations

from agent.clock import iso_utc
from agent.model import Event, Message
from agent.request import Answer, time_of


def message_fields(message: Message) -> Answer:
    return {
        "id": message.id,
        "uid": message.uid,
        "direction": message.direction,
        "number": message.number,
        "text": message.text,
        "state": message.state.value,
        "error": message.error,
        "parts": message.parts,
        "priority": message.priority,
        "route": message.route,
        "upstream": message.upstream,
        "remote_id": message.remote_id,
        "may_be_double": message.may_be_double,
        "created_at": iso_utc(message.created_ms),
        "sent_at": time_of(message.sent_ms),
        "delivered_at": time_of(message.delivered_ms),
        "kind": message.kind.value,
        "details": message.details,
    }


def event_fields(event: Event) -> Answer:
    return {
        "id": event.id,
        "at": iso_utc(event.at_ms),
        "kind": event.kind,
        "part": event.part,
        "route": event.route,
        "state": None if event.state is None else event.state.value,
        "detail": event.detail,
    }
