"""Our values in the Yazsana API's words. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from agent.accounts import Item, Sending
from agent.model import MessageState
from agent.upstreams.local import credit

Row = dict[str, Any]

# `no_signal` is "failed for now": it could not be sent while it was worth sending.
_STATUS = {
    MessageState.HELD: "pending",
    MessageState.QUEUED: "pending",
    MessageState.SENDING: "waiting",
    MessageState.UNKNOWN: "waiting",
    MessageState.SENT: "sent",
    MessageState.DELIVERED: "sent",
    MessageState.FAILED: "not_sent",
    MessageState.CANCELLED: "not_sent",
    MessageState.EXPIRED: "no_signal",
}


def states(word: str) -> tuple[MessageState, ...]:
    """The states that are shown by this word."""
    return tuple(state for state, shown in _STATUS.items() if shown == word)


def dialled(given: str) -> str:
    """A number of theirs as we dial it: international, which they write without plus. Short codes stay."""
    number = given.strip()
    return f"+{number}" if number.isascii() and number.isdigit() and len(number) > 6 and number[0] != "0" else number


def sending(found: Sending) -> Row:
    counts = dict.fromkeys(("pending", "waiting", "sent", "failed"), 0)
    invalid = 0
    for tally in found.tallies:
        if not tally.is_valid:
            invalid += tally.count
            continue
        word = _STATUS[tally.state]
        counts[word if word in counts else "failed"] += tally.count
    return {
        "id": found.uid,
        "completed": found.open == 0,
        "sampleMessageText": found.text,
        "createdAt": time(found.created_ms),
        "stats": {
            "validSize": sum(counts.values()),
            "invalidSize": invalid,
            "nOfPending": counts["pending"],
            "nOfWaiting": counts["waiting"],
            "nOfCompleted": counts["sent"],
            "nOfFailed": counts["failed"],
            "nOfRefunded": sum(tally.refunded for tally in found.tallies),
            "totalCost": credit.short(sum(tally.cost for tally in found.tallies)),
            "totalRefunded": credit.short(sum(tally.returned for tally in found.tallies)),
        },
    }


def item(whole: Sending, found: Item) -> Row:
    return {
        "id": found.uid,
        "to": found.number.removeprefix("+"),
        "message": whole.text,
        "status": _STATUS[found.state],
        "network": "unknown",
        "refunded": found.is_refunded,
        "createdAt": time(whole.created_ms),
    }


def page(rows: Sequence[Row], total: int, number: int, limit: int) -> Row:
    """`number` starts at 0."""
    return {"items": list(rows), "total": total, "page": number, "limit": limit, "totalPages": -(-total // limit)}


def time(utc_ms: int) -> str:
    """ISO 8601 with milliseconds."""
    at = datetime.fromtimestamp(utc_ms / 1000, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{utc_ms % 1000:03d}Z"
