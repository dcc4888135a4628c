"""What the page says: states, signal, history and alphabets in plain English, and a chart's geometry. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta, tzinfo

from agent.model import Event, MessageKind, MessageState, RouteState
from drivers.api import PlannedPart
from drivers.sms import EncodeError, is_gsm7, segment
from drivers.values import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """A state for the eye: `tone` picks the colour (good, busy, warn, bad, quiet), `text` says it."""

    tone: str
    text: str


MESSAGE_WORDS = {
    MessageState.HELD: Word("warn", "Held"),
    MessageState.QUEUED: Word("busy", "Waiting"),
    MessageState.SENDING: Word("busy", "Sending"),
    MessageState.UNKNOWN: Word("warn", "Outcome unknown"),
    MessageState.SENT: Word("good", "Sent"),
    MessageState.DELIVERED: Word("good", "Delivered"),
    MessageState.FAILED: Word("bad", "Failed"),
    MessageState.EXPIRED: Word("bad", "Expired"),
    MessageState.CANCELLED: Word("quiet", "Cancelled"),
    MessageState.RECEIVED: Word("quiet", "Received"),
}
ROUTE_WORDS = {
    RouteState.READY: Word("good", "Ready"),
    RouteState.STARTING: Word("busy", "Starting"),
    RouteState.RETRYING: Word("busy", "Trying again"),
    RouteState.NO_SERVICE: Word("warn", "No network"),
    RouteState.RESTING: Word("quiet", "Resting: another SIM's turn"),
    RouteState.PAUSED: Word("warn", "Paused"),
    RouteState.REFUSED: Word("bad", "Refused by the network"),
    RouteState.ABSENT: Word("bad", "Modem not found"),
    RouteState.NO_SIM: Word("bad", "No SIM"),
    RouteState.BLOCKED: Word("bad", "Needs attention"),
}
KIND_WORDS = {
    MessageKind.TEXT: "Text",
    MessageKind.DATA: "Data for an application",
    MessageKind.WAP_PUSH: "WAP push",
    MessageKind.MMS: "MMS that waits at the operator",
}
HOOK_WORDS = {
    "waiting": Word("busy", "Waiting"),
    "done": Word("good", "Delivered"),
    "given_up": Word("bad", "Given up"),
}
GROUPS = {
    "waiting": (MessageState.HELD, MessageState.QUEUED, MessageState.SENDING, MessageState.UNKNOWN),
    "sent": (MessageState.SENT,),
    "delivered": (MessageState.DELIVERED,),
    "failed": (MessageState.FAILED, MessageState.EXPIRED),
    "cancelled": (MessageState.CANCELLED,),
    "received": (MessageState.RECEIVED,),
}
"""The filters of the message list."""

_STEPS = {
    "accepted": "Accepted",
    "held": "Held for a person: it is older than this gateway's journal",
    "released": "Released",
    "claimed": "Taken by the remote agent",
    "sending": "On the wire",
    "sent": "The network took it",
    "retry": "Not taken; waits for another try",
    "unknown": "The line broke before the answer came",
    "resend": "Sent once more, since its outcome stayed unknown",
    "report_pending": "The network is still trying to deliver it",
    "delivered": "Delivered to the recipient's phone",
    "undelivered": "The network could not deliver it",
    "failed": "Failed",
    "expired": "Expired before it could be sent",
    "cancelled": "Cancelled",
    "rerouted": "Moved to another route",
    "received": "Received",
}
_STEP_TONES = {
    "sent": "good",
    "delivered": "good",
    "received": "good",
    "sending": "busy",
    "claimed": "busy",
    "retry": "warn",
    "unknown": "warn",
    "resend": "warn",
    "held": "warn",
    "report_pending": "warn",
    "failed": "bad",
    "expired": "bad",
    "undelivered": "bad",
}


def step(event: Event) -> Word:
    """One line of a message's history."""
    text = _STEPS.get(event.kind, event.kind.replace("_", " ").capitalize())
    return Word(_STEP_TONES.get(event.kind, "quiet"), text)


# --- signal -----------------------------------------------------------------------------------------

# Received power that GSM phones commonly show as 4, 3, 2 and 1 bars.
_BARS = ((-70, 4, "excellent"), (-85, 3, "good"), (-95, 2, "fair"), (-105, 1, "weak"))


@dataclass(frozen=True, slots=True)
class Signal:
    """`bars` 0 to 4."""

    bars: int
    text: str


def signal(dbm: int | None) -> Signal | None:
    """None where it is not known."""
    if dbm is None:
        return None
    for limit, bars, word in _BARS:
        if dbm >= limit:
            return Signal(bars, f"{word}, \N{MINUS SIGN}{abs(dbm)} dBm")
    return Signal(0, f"very weak, \N{MINUS SIGN}{abs(dbm)} dBm")


# --- times ------------------------------------------------------------------------------------------


def short_time(utc_ms: int, now_ms: int, zone: tzinfo) -> str:
    """The time of day, with the date where that is not today."""
    at, now = (datetime.fromtimestamp(value / 1000, zone) for value in (utc_ms, now_ms))
    if at.date() == now.date():
        return at.strftime("%H:%M:%S")
    if at.year == now.year:
        return at.strftime("%-d %b %H:%M")
    return at.strftime("%-d %b %Y %H:%M")


def long_time(utc_ms: int, zone: tzinfo) -> str:
    return datetime.fromtimestamp(utc_ms / 1000, zone).strftime("%-d %b %Y %H:%M:%S %Z")


# --- the chart --------------------------------------------------------------------------------------

HOURS = 24
BAR_WIDTH, CHART_HEIGHT = 10, 48
_LEAST_TOP = 4


@dataclass(frozen=True, slots=True)
class Bar:
    """One hour: heights in the chart's units from the ground up, refused tries on top of what was sent."""

    x: int
    sent_y: float
    sent_height: float
    failed_y: float
    failed_height: float
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    """The last 24 hours, oldest first. `sent` and `failed` are the sums."""

    bars: tuple[Bar, ...]
    sent: int
    failed: int
    last_hour: int
    top: int
    summary: str


def chart(hours: Sequence[tuple[int, int]], end_ms: int, zone: tzinfo) -> Chart:
    """From (sent, refused) per hour; the last hour began at most an hour before `end_ms`."""
    top = max(_LEAST_TOP, *(sent + failed for sent, failed in hours))
    bars = []
    last = datetime.fromtimestamp(end_ms // 3_600_000 * 3600, zone)
    for index, (sent, failed) in enumerate(hours):
        begin = last - timedelta(hours=len(hours) - 1 - index)
        sent_height, failed_height = (
            # One message among thousands is still seen.
            max(1.5, round(CHART_HEIGHT * count / top, 1)) if count else 0.0
            for count in (sent, failed)
        )
        sent_y = round(CHART_HEIGHT - sent_height, 1)
        failed_y = round(max(0.0, sent_y - failed_height), 1)
        until = begin + timedelta(hours=1)
        title = f"{begin:%H:%M} to {until:%H:%M}: {sent} sent"
        if failed:
            title += f", {failed} refused"
        bars.append(Bar(index * BAR_WIDTH, sent_y, sent_height, failed_y, failed_height, title))
    sent, failed = sum(one for one, _ in hours), sum(one for _, one in hours)
    summary = f"In the last 24 hours {sent} sent, {failed} refused"
    return Chart(tuple(bars), sent, failed, hours[-1][0], top, summary)


# --- a text while it is typed -----------------------------------------------------------------------

# What drivers call the alphabets of their parts; anything else is a service, which takes the text as it is.
_ALPHABETS = {"gsm7": "GSM 7-bit", "ucs2": "Unicode (UCS-2)"}
_CONCATENATION_OCTETS = 5
_MOST_ODD = 5


@dataclass(frozen=True, slots=True)
class Count:
    """How a text goes on the air. `left` is the room in its last part; `is_too_long` says it would be refused."""

    alphabet: str
    parts: int
    left: int
    sentence: str
    is_too_long: bool


def count(text: str, max_parts: int, planned: Sequence[PlannedPart] = ()) -> Count:
    """Alphabet, parts and room of a text, as a route planned it, else as any modem would. An empty one has no part."""
    try:
        parts = planned or [PlannedPart(one.alphabet.value, one.body) for one in segment(text)]
    except EncodeError as error:
        return Count("", 0, 0, f"It cannot be sent: {error}.", is_too_long=True)
    last, total = parts[-1], len(parts)
    alphabet = _ALPHABETS.get(last.alphabet)
    if alphabet is None:
        sentence = f"Goes to a service as it is, {total} {'message' if total == 1 else 'messages'}."
        return Count("text", total if text else 0, 0, sentence if text else "Empty.", is_too_long=False)
    left = _room(last.alphabet, len(last.header), is_alone=total == 1) - _units(last)
    if not text:
        return Count(alphabet, 0, left, f"Empty. {left} characters fit into one SMS.", is_too_long=False)
    sentence = f"{alphabet}, {total} {'SMS' if total == 1 else 'SMS parts'}, room for {left} more"
    if last.alphabet == "gsm7" and last.header:
        sentence += ", with a national table"
    if last.alphabet == "ucs2":
        odd = list(dict.fromkeys(one for one in text if not is_gsm7(one)))
        shown = " ".join(odd[:_MOST_ODD]) + (" …" if len(odd) > _MOST_ODD else "")
        sentence += f". Unicode because of: {shown}"
    if total > max_parts:
        sentence += f". Too long: {max_parts} parts are allowed"
    return Count(alphabet, total, left, f"{sentence}.", is_too_long=total > max_parts)


def _units(part: PlannedPart) -> int:
    """Septets or UTF-16 units."""
    return len(part.body) // (2 if part.alphabet == "ucs2" else 1)


def _room(alphabet: str, header_octets: int, *, is_alone: bool) -> int:
    """Units in one part: of 140 octets, less the header with its length (TS 23.040 §9.2.3.24, §9.2.3.24.1)."""
    elements = header_octets + (0 if is_alone else _CONCATENATION_OCTETS)
    octets = 140 - (elements + 1 if elements else 0)
    return octets // 2 if alphabet == "ucs2" else octets * 8 // 7
