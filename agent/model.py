"""What a message is and how it may move; how a route fares. Pure: no journal, no clock, no I/O.

part:     QUEUED ──► SENDING ──► SENT ──► DELIVERED | UNDELIVERED
            │  ▲        │ │
            │  └────────┘ └────► UNKNOWN ──► QUEUED (once) | SENT | DELIVERED | UNDELIVERED | FAILED
            ├──► FAILED | EXPIRED | CANCELLED          SENDING ──► FAILED
            └──► SENT | DELIVERED | UNDELIVERED        (evidence for an earlier attempt)
          FAILED ──► DELIVERED                         (a late report)
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field
from enum import StrEnum

from drivers.api import Link, Sim
from drivers.values import dataclass


class PartState(StrEnum):
    """State of one part, as the journal keeps it."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"
    UNKNOWN = "unknown"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


_P = PartState

PART_MOVES: dict[PartState, frozenset[PartState]] = {
    _P.QUEUED: frozenset({_P.SENDING, _P.FAILED, _P.EXPIRED, _P.CANCELLED, _P.SENT, _P.DELIVERED, _P.UNDELIVERED}),
    _P.SENDING: frozenset({_P.SENT, _P.QUEUED, _P.FAILED, _P.UNKNOWN}),
    _P.SENT: frozenset({_P.DELIVERED, _P.UNDELIVERED}),
    _P.UNKNOWN: frozenset({_P.QUEUED, _P.SENT, _P.DELIVERED, _P.UNDELIVERED, _P.FAILED}),
    _P.FAILED: frozenset({_P.DELIVERED}),
    _P.DELIVERED: frozenset(),
    _P.UNDELIVERED: frozenset({_P.DELIVERED}),
    _P.EXPIRED: frozenset(),
    _P.CANCELLED: frozenset(),
}
"""DESIGN decision 8. UNDELIVERED → DELIVERED: one attempt of two failed, the other arrived ("any attempt
delivered = part delivered")."""


class MessageState(StrEnum):
    """State of a message as people see it. `HELD` waits for a person's release; `RECEIVED` is inbound."""

    HELD = "held"
    QUEUED = "queued"
    SENDING = "sending"
    UNKNOWN = "unknown"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    RECEIVED = "received"


_ENDED = frozenset(
    {
        MessageState.DELIVERED,
        MessageState.FAILED,
        MessageState.EXPIRED,
        MessageState.CANCELLED,
        MessageState.RECEIVED,
    }
)

REPORTABLE = frozenset(
    {
        MessageState.SENT,
        MessageState.DELIVERED,
        MessageState.FAILED,
        MessageState.EXPIRED,
        MessageState.CANCELLED,
    }
)
"""States of which the message's origin is told."""


def is_ended(state: MessageState) -> bool:
    """Whether nothing more is expected; a late report may still turn FAILED into DELIVERED."""
    return state in _ENDED


def message_state(parts: Iterable[PartState]) -> MessageState:
    """State of a message from its parts' states. First row that fits.

    A cancelled part beside others means that a sibling failed for good, so the message failed.
    """
    states = set(parts)
    for part, state in (
        (_P.FAILED, MessageState.FAILED),
        (_P.UNDELIVERED, MessageState.FAILED),
        (_P.UNKNOWN, MessageState.UNKNOWN),
        (_P.SENDING, MessageState.SENDING),
    ):
        if part in states:
            return state
    for part, alone in ((_P.EXPIRED, MessageState.EXPIRED), (_P.CANCELLED, MessageState.CANCELLED)):
        if part in states:
            return alone if states == {part} else MessageState.FAILED
    if _P.QUEUED in states:
        return MessageState.QUEUED if states == {_P.QUEUED} else MessageState.SENDING
    if _P.SENT in states:
        return MessageState.SENT
    return MessageState.DELIVERED


class MessageKind(StrEnum):
    """What a message is for. Only TEXT is for a person to read as it stands."""

    TEXT = "text"
    DATA = "data"
    """Octets for an application; `details` has them as `data` in hexadecimal, and the `port` they are for."""
    WAP_PUSH = "wap_push"
    """A WAP push that is no MMS: `content_type` and `data`."""
    MMS = "mms"
    """An MMS that waits at the operator: `mms_transaction_id`, `mms_location`, `mms_sender`, `mms_subject`,
    `mms_size_octets`, `mms_expires_in_s`, as far as told."""


class AttemptOutcome(StrEnum):
    """What became of one submit."""

    OPEN = "open"
    SENT = "sent"
    NOT_SENT = "not_sent"
    REFUSED = "refused"
    UNKNOWN = "unknown"
    GONE = "gone"
    DELIVERED = "delivered"
    UNDELIVERED = "undelivered"


URGENT_PRIORITY = 100
"""From here up a message passes limits and delays."""

MIN_PRIORITY, MAX_PRIORITY = -128, 127


@dataclass(frozen=True, slots=True)
class Job:
    """A message to be accepted.

    `remote_id` makes acceptance idempotent per upstream. `route` names one of our routes, `device` a remote
    device's number in the local server; with neither, `sim_slot` decides, else any route takes it.
    `created_ms` is when the server says it was made (UTC ms). `data` goes instead of the text, `port` is the
    application port it is for, `is_flash` has it shown at once (class 0). `starts_ms` is the UTC ms before which it
    is not sent, and not on a clock that may be wrong. `bundle` is the server's id for one message to several
    recipients, which are a job each. `refusal` is why the dialect already knows that it cannot be sent. `attributes`
    belong to the dialect and come back untouched. Numbers and texts are as given; the gateway validates.
    """

    recipient: str
    text: str
    remote_id: str | None = None
    sim_slot: int | None = None
    route: str | None = None
    device: int | None = None
    priority: int = 0
    valid_for_s: float | None = None
    created_ms: int | None = None
    account: int | None = None
    attributes: dict[str, str | int | float | bool | None] = field(default_factory=dict)
    is_flash: bool = False
    port: int | None = None
    data: bytes | None = None
    starts_ms: int | None = None
    wants_report: bool = True
    bundle: str | None = None
    refusal: str | None = None

    @property
    def details(self) -> dict[str, str | int | float | bool | None]:
        """What `Message.details` keeps of it."""
        found = {
            "message_class": 0 if self.is_flash else None,
            "port": self.port,
            "data": None if self.data is None else self.data.hex(),
        }
        return {name: value for name, value in found.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Message:
    """A message in either direction, as the journal has it. Times are UTC ms.

    `number` is the recipient (MO) or the sender (MT). `error` is a plain sentence. `route` is the route it is
    bound to or came in by, else the one it waits for. `may_be_double` says that a part was resent after an
    unknown outcome. `details`, as far as they apply: `message_class` (0: flash), `port`, `source_port`, `data` in
    hexadecimal, `replace_type` with `replaces` and `replaced_by` (uids), and what its kind says.
    """

    id: int
    uid: str
    direction: str
    upstream: str | None
    remote_id: str | None
    account: int | None
    device: int | None
    number: str
    text: str
    state: MessageState
    priority: int
    parts: int
    route: str | None
    iccid: str | None
    error: str | None
    may_be_double: bool
    created_ms: int
    sent_ms: int | None
    delivered_ms: int | None
    attributes: dict[str, str | int | float | bool | None]
    kind: MessageKind = MessageKind.TEXT
    details: dict[str, str | int | float | bool | None] = field(default_factory=dict)
    starts_ms: int | None = None
    bundle: str | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a message's history. `state` is the message's state where this event changed it."""

    id: int
    at_ms: int
    kind: str
    message_id: int | None
    part: int | None
    route: str | None
    state: MessageState | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class Report:
    """What a message's origin is to be told: the state at that event, with the message for its fields."""

    event_id: int
    at_ms: int
    state: MessageState
    error: str | None
    message: Message


class RouteState(StrEnum):
    """A route in one word."""

    STARTING = "starting"
    READY = "ready"
    NO_SERVICE = "no service"
    PAUSED = "paused"
    REFUSED = "refused"
    ABSENT = "absent"
    NO_SIM = "no SIM"
    BLOCKED = "needs attention"
    RETRYING = "retrying"
    RESTING = "resting"


@dataclass(frozen=True, slots=True)
class RouteView:
    """A route for people and upstreams. `problem` is one sentence, or None."""

    name: str
    sim_slot: int | None
    driver: str
    state: RouteState
    problem: str | None
    sim: Sim | None
    link: Link | None
    is_sending: bool
    is_paused: bool
    balance: str | None = None
