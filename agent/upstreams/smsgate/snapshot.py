"""The state of one message with all its recipients, as the server takes it. Pure.

It is always the full picture: what the server stored before is overwritten, so nothing is lost by telling it twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Any

from agent.journal.listing import Bundle
from agent.model import Message, MessageState
from agent.upstreams.smsgate.rows import rfc3339

LONGEST_ERROR_CHARACTERS = 256
"""The server's column; a longer one makes it drop the whole report and answer 204 all the same."""
_TTL_EXPIRED = "TTL expired"
_NUMBER = "number"
"""The attribute that keeps a recipient as the server gave it, perhaps encrypted."""


class State(StrEnum):
    """The server's words."""

    PENDING = "Pending"
    CANCELLED = "Cancelled"
    PROCESSED = "Processed"
    SENT = "Sent"
    DELIVERED = "Delivered"
    FAILED = "Failed"


_STATES = {
    MessageState.HELD: State.PENDING,
    MessageState.QUEUED: State.PENDING,
    MessageState.SENDING: State.PROCESSED,
    MessageState.UNKNOWN: State.PROCESSED,
    MessageState.SENT: State.SENT,
    MessageState.DELIVERED: State.DELIVERED,
    MessageState.FAILED: State.FAILED,
    MessageState.EXPIRED: State.FAILED,
    MessageState.CANCELLED: State.CANCELLED,
    MessageState.RECEIVED: State.DELIVERED,
}


def state_of(state: MessageState) -> State:
    """One recipient's state."""
    return _STATES[state]


def number_of(message: Message) -> str:
    """The recipient as the server gave it."""
    return str(message.attributes.get(_NUMBER) or message.number)


def attributes_of(number: str) -> dict[str, str | int | float | bool | None]:
    """What a job keeps so that `number_of` finds it."""
    return {_NUMBER: number}


def aggregate(states: Iterable[State]) -> State:
    """A message's state from its recipients'; the first row that fits, as the app has it."""
    found = set(states)
    for state in (State.PENDING, State.CANCELLED, State.PROCESSED):
        if state in found:
            return state
    for state in (State.FAILED, State.DELIVERED):
        if found == {state}:
            return state
    return State.SENT


def error_of(state: MessageState, error: str | None) -> str | None:
    """A recipient's error, short enough for the server; None where it has none."""
    if state is MessageState.EXPIRED:
        return _TTL_EXPIRED
    if state_of(state) is not State.FAILED:
        return None
    return (error or "it failed")[:LONGEST_ERROR_CHARACTERS]


def document(remote_id: str, bundle: Bundle, now_ms: int) -> dict[str, Any]:
    """One item of the report."""
    recipients = [_recipient(number_of(m), m.state, m.error) for m in bundle.members]
    total = aggregate(state_of(message.state) for message in bundle.members)
    return {
        "id": remote_id,
        "state": total,
        "recipients": recipients,
        "states": {state: rfc3339(at_ms) for state, at_ms in _history(bundle, total, now_ms).items()},
    }


def uniform(
    remote_id: str, numbers: Sequence[str], state: MessageState, error: str | None, now_ms: int
) -> dict[str, Any]:
    """One item where all recipients are alike, e.g. for a message that was never taken in."""
    return {
        "id": remote_id,
        "state": state_of(state),
        "recipients": [_recipient(number, state, error) for number in numbers],
        "states": {state_of(state): rfc3339(now_ms)},
    }


def newest_event(bundle: Bundle) -> int:
    """The id of the last event that a snapshot shows."""
    return bundle.events[-1].id if bundle.events else 0


# --- pieces -----------------------------------------------------------------------------------------


def _recipient(number: str, state: MessageState, error: str | None) -> dict[str, Any]:
    row: dict[str, Any] = {"phoneNumber": number, "state": state_of(state)}
    said = error_of(state, error)
    return row if said is None else {**row, "error": said}


def _history(bundle: Bundle, total: State, now_ms: int) -> dict[State, int]:
    """When the message as a whole came to its states: replayed from its recipients' events."""
    states = {message.id: State.PENDING for message in bundle.members}
    found: dict[State, int] = {}
    for event in bundle.events:
        if event.state is None or event.message_id not in states:
            continue
        states[event.message_id] = state_of(event.state)
        now = aggregate(states.values())
        if now is not State.PENDING:
            found.setdefault(now, event.at_ms)
    found.setdefault(total, now_ms)
    return found
