"""What a session emits: messages, reports and whatever else happens on its link."""

from __future__ import annotations

from enum import StrEnum

from drivers.api.errors import SubmitError
from drivers.api.found import Link
from drivers.api.parts import Submitted
from drivers.values import dataclass


class InboundKind(StrEnum):
    """What a received part is for. Only TEXT is for a person to read as it stands."""

    TEXT = "text"
    DATA = "data"
    """Octets, or a text for an application port."""
    WAP_PUSH = "wap_push"
    """A part of a WAP push; joined it may be the notification of an MMS."""
    SILENT = "silent"
    """Type 0: acknowledged, shown to nobody."""
    WAITING = "waiting"
    """Something waits elsewhere, e.g. in the voice mailbox, and the text is not to be kept."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits: "voicemail", "fax", "email" or "other". `count` is None where only told that there is some."""

    what: str
    is_active: bool
    count: int | None = None


@dataclass(frozen=True, slots=True)
class InboundPart:
    """One received SMS-DELIVER. `tpdu` is the raw TPDU without SMSC, the base of duplicate detection.

    `text` is decoded without UDH; for UCS2 parts of a concatenated message `body` is joined by octets before
    decoding, since a surrogate pair may be split; for "gsm7" too, since an escape may be, by the national language
    identifiers `tables` (locking, single), None where they are not known. `reference` is None for a single message.
    `scts` is the service centre's time stamp as ISO 8601 with its own offset, or None where it was garbage. `port`
    and `source_port` are application ports. `replace_type` 1 to 7: it replaces the sender's last of that type.
    `waiting` may come with a text of its own.
    """

    iccid: str
    sender: str
    text: str
    alphabet: str
    body: bytes
    tpdu: bytes
    scts: str | None = None
    reference: int | None = None
    wide_reference: bool = False
    total: int = 1
    sequence: int = 1
    message_class: int | None = None
    kind: InboundKind = InboundKind.TEXT
    port: int | None = None
    source_port: int | None = None
    replace_type: int | None = None
    waiting: tuple[Waiting, ...] = ()
    tables: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class UndecodablePdu:
    """Something that arrived and could not be decoded; it is kept, so that nothing is lost."""

    iccid: str
    pdu: bytes
    reason: str


class ReportOutcome(StrEnum):
    """What a status report says about its part."""

    DELIVERED = "delivered"
    PENDING = "pending"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class StatusReport:
    """One SMS-STATUS-REPORT. `status` is the raw TP-ST, negative where a service has none; `sentence` its meaning
    for a person. One with the same `iccid` and `tpdu` is taken only once."""

    iccid: str
    tp_mr: int
    recipient: str
    status: int
    outcome: ReportOutcome
    sentence: str
    tpdu: bytes


@dataclass(frozen=True, slots=True)
class MayBeDouble:
    """What was Submitted with this `tp_mr` is about to be sent once more, since nobody can say whether it was sent:
    by whatever the session submits to, and by the owner's policy. History; durable before it is sent."""

    iccid: str
    tp_mr: int
    sentence: str


@dataclass(frozen=True, slots=True)
class LateOutcome:
    """A submit's answer that was still in the line when the session was opened again.

    Exactly one of `submitted` and `error` is set.
    """

    iccid: str
    submitted: Submitted | None = None
    error: SubmitError | None = None


@dataclass(frozen=True, slots=True)
class Swept:
    """Every storage was read through once; what had arrived before is now emitted."""

    iccid: str


@dataclass(frozen=True, slots=True)
class LinkChanged:
    """Registration, signal or the like changed. Not history: the agent keeps the latest only."""

    link: Link


@dataclass(frozen=True, slots=True)
class Resting:
    """Another SIM of the same modem is used, or will be: hand over nothing more, until the next session is open."""

    sentence: str


@dataclass(frozen=True, slots=True)
class RecoveryStep:
    """Something was done to bring a modem back, or it came back. History. `sentence` is for a person."""

    rung: str
    sentence: str


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """Somebody calls. `number` is None where it is withheld; `is_rejected` says that we hang up."""

    iccid: str
    number: str | None
    is_rejected: bool = False


@dataclass(frozen=True, slots=True)
class BalanceRead:
    """The operator's answer to the balance code; `balance` is what the pattern found in it."""

    iccid: str
    text: str
    balance: str | None


Event = (
    InboundPart
    | UndecodablePdu
    | StatusReport
    | MayBeDouble
    | LateOutcome
    | Swept
    | LinkChanged
    | Resting
    | RecoveryStep
    | IncomingCall
    | BalanceRead
)
