"""The contract between the agent and everything that can carry an SMS.

A driver is one object under the entry-point group `phonebridge.drivers`. It plans parts, finds hardware and
opens sessions. A session is one live link, used once: when it is lost, the agent opens a new one.
This module knows neither modems nor the journal.

Errors are sorted by what the caller should do:

    DriverError
    ├── Unplannable            the message can never go by this driver: fail it with the sentence
    ├── SubmitError            the answer to one submit
    │   ├── NotReady           nothing was sent: keep the part, no attempt counted, wait for service
    │   ├── TryLater           nothing was sent: try the part again after a delay, a bounded number of times
    │   ├── Refused            nothing was sent and never will be: fail the message
    │   ├── RouteRefused       this SIM may not send at all: park the route, the part stays queued
    │   └── OutcomeUnknown     the part may be on the air: look for evidence, never resend blindly
    └── SessionError           the link
        ├── SessionLost        was open and is gone: open a new session
        │   └── SessionRested  ended on purpose: open a new one, which waits for its turn
        └── OpenError          could not be opened
            ├── PortAbsent     no such device now: wait for it to appear
            ├── PortBusy       another program holds it: wait, tell who
            ├── NoAnswer       opens but does not talk AT: retry slowly
            ├── NoSim          talks, no SIM in it: fail or move what is bound for this slot
            └── PersonNeeded   PIN, PUK, broken SIM, bad setting: retry slowly, show the sentence
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable


class DriverError(Exception):
    """Root of the tree above. `str()` is one plain sentence for a person."""


class Unplannable(DriverError):
    """The text cannot be carried by this driver, ever."""


class SubmitError(DriverError):
    """Outcome of one submit other than success. `code` is the raw cause, e.g. "CMS 38"."""

    def __init__(self, sentence: str, *, code: str | None = None) -> None:
        super().__init__(sentence)
        self.code = code


class NotReady(SubmitError):
    """Nothing was sent and the part is not to blame, e.g. no network service."""


class TryLater(SubmitError):
    """Nothing was sent. `delays_s[n]` is the wait before try n + 2; when they are used up, the part fails."""

    def __init__(self, sentence: str, *, delays_s: tuple[float, ...], code: str | None = None) -> None:
        super().__init__(sentence, code=code)
        self.delays_s = delays_s


class Refused(SubmitError):
    """The network or the modem will never take this part."""


class RouteRefused(SubmitError):
    """The SIM or its account may not send; other parts would fare alike.

    `is_certain` where that is known without asking the network, e.g. for want of an SMSC number.
    """

    def __init__(self, sentence: str, *, code: str | None = None, is_certain: bool = False) -> None:
        super().__init__(sentence, code=code)
        self.is_certain = is_certain


class OutcomeUnknown(SubmitError):
    """The PDU was handed over, in whole or in part, and no answer came."""


class SessionError(DriverError):
    """Root of what concerns the link and not one part."""


class SessionLost(SessionError):
    """The link broke or the device stopped answering."""


class SessionRested(SessionLost):
    """Ended on purpose, with nothing in flight, since another SIM of the same modem has its turn."""


class OpenError(SessionError):
    """A session could not be opened."""


class PortAbsent(OpenError):
    """The device is not there."""


class PortBusy(OpenError):
    """Another program holds the device."""


class NoAnswer(OpenError):
    """The device opens but gives no sensible answer."""


class NoSim(OpenError):
    """The device works and says that it has no SIM."""


class PersonNeeded(OpenError):
    """Only a person can help: PIN, PUK, broken SIM, wrong setting."""


# --- planning and submitting ------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlannedPart:
    """One part as the journal keeps it.

    `alphabet` and `body` belong to the driver that planned it: for SMS "gsm7" (one septet per octet),
    "ucs2" (UTF-16BE) or "8bit"; for a service "text" (UTF-8). `header` holds the information elements that the part
    needs beside its concatenation (TS 23.040 §9.2.3.24), one after the other; `message_class` 0 is shown at once.
    """

    alphabet: str
    body: bytes
    header: bytes = b""
    message_class: int | None = None


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """How a message is to be carried, beside its text.

    `settings` are those of the driver's route, None for its defaults. `data` goes instead of the text. `port` is the
    application port it is for (16 bits); `is_flash` asks to have it shown at once (class 0).
    """

    settings: Any = None
    recipient: str = ""
    is_flash: bool = False
    port: int | None = None
    data: bytes | None = None


AS_TEXT = PlanOptions()


@dataclass(frozen=True, slots=True)
class PartToSend:
    """One part, ready to be submitted.

    `recipient` is dialable (3 to 15 digits, optional +). `reference` is the 8-bit concatenation reference,
    meaningful when `total` > 1; `sequence` starts at 1. `validity_s` None leaves it to the SMSC.
    """

    recipient: str
    alphabet: str
    body: bytes
    total: int = 1
    sequence: int = 1
    reference: int = 0
    status_report: bool = True
    validity_s: int | None = None
    more_follow: bool = False
    header: bytes = b""
    message_class: int | None = None


@dataclass(frozen=True, slots=True)
class Submitted:
    """The network took the part. `tp_mr` is the message reference, or None where the modem gave none; a service may
    give any number below 2**53 by which its reports are known.

    `report_asked` is False where the driver had to leave the request for a status report out; `reports_anyway` is True
    where reports come although none was asked for.
    """

    tp_mr: int | None
    report_asked: bool = field(default=True, repr=False)
    reports_anyway: bool = field(default=False, repr=False)


# --- what a session tells ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sim:
    """Who pays and who sends. `iccid` is never empty: where it cannot be read it is "imei:<IMEI>"."""

    iccid: str
    imsi: str | None = None
    number: str | None = None
    smsc: str | None = None


class Registration(StrEnum):
    """Network registration in the words of TS 27.007, reduced to what matters for SMS."""

    UNKNOWN = "unknown"
    SEARCHING = "searching"
    DENIED = "denied"
    HOME = "home"
    ROAMING = "roaming"

    @property
    def has_service(self) -> bool:
        return self in (Registration.HOME, Registration.ROAMING)


@dataclass(frozen=True, slots=True)
class Link:
    """A snapshot of a session for people; nothing in it is history. `signal_dbm` None is unknown.

    `problem` says in one sentence why there is no service, where the registration alone does not. `price` of one
    message and `credit` left are a service's own words.
    """

    registration: Registration = Registration.UNKNOWN
    signal_dbm: int | None = None
    operator: str | None = None
    manufacturer: str | None = None
    model: str | None = None
    firmware: str | None = None
    imei: str | None = None
    storage_used: int | None = None
    storage_total: int | None = None
    indications: str | None = None
    problem: str | None = None
    price: str | None = None
    credit: str | None = None


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

Emit = Callable[[Event], Awaitable[None]]
"""When it returns, the event is durable: only then delete or acknowledge. Raises when it could not be kept."""


class SimMemory(Protocol):
    """What the agent remembers of a SIM across restarts, durable when the call returns.

    `key` is the ICCID, or "imei:<IMEI>" while the SIM hides its ICCID behind a PIN.
    """

    async def recall(self, key: str, fact: str) -> str | None: ...

    async def remember(self, key: str, fact: str, value: str | None) -> None: ...


async def _no_work() -> bool:
    return False


@dataclass(frozen=True, slots=True)
class OpenContext:
    """What a session gets from the agent.

    `leftover` says that a submit's outcome is open on this route: listen before flushing. `has_work` tells whether
    something waits that only a session of this route brings on: a message, or the outcome of an attempt. `on_unknown`
    is the owner's policy for what nobody can say of, for a session that must decide it itself.
    """

    route: str
    emit: Emit
    memory: SimMemory
    leftover: bool = False
    status_reports: bool = True
    has_work: Callable[[], Awaitable[bool]] = _no_work
    on_unknown: Literal["resend", "fail"] = "resend"


@dataclass(frozen=True, slots=True)
class Ussd:
    """What the network answered. `raw` is what the modem gave; `expects_answer` says that it was a menu."""

    text: str
    raw: str
    expects_answer: bool = False


class Session(Protocol):
    """One live link, used once."""

    @property
    def sim(self) -> Sim: ...

    @property
    def link(self) -> Link: ...

    async def run(self) -> None:
        """Serve indications, sweeps and heart-beats until the link is lost.

        Raises: SessionLost when it is. `emit` errors pass through. Never returns normally.
        """

    async def submit(self, part: PartToSend, durable: Awaitable[None]) -> Submitted:
        """Send one part; one at a time.

        `durable` is awaited before the first octet of the part may leave; where it raises, the dialogue is
        abandoned with nothing sent and the error passes through.

        Raises: SubmitError, sorted by what to do.
        """

    async def terminal(self, command: str, timeout_s: float) -> list[str]:
        """Run one raw command by the channel's own rules and return all answer lines, final result last.

        Raises: SessionError; DriverError with a sentence where the driver has no terminal or the command is
        one that would break the session.
        """

    async def ussd(self, code: str, timeout_s: float) -> Ussd:
        """Ask the network by USSD and return its answer; a dialogue that expects another answer is ended.

        Raises: SessionError; DriverError with a sentence where there is no answer or no USSD.
        """

    async def close(self) -> None:
        """Release everything at once; never blocks on unsent data."""


@runtime_checkable
class Attended(Protocol):
    """What a session may offer beside, to a person who asks."""

    async def restart(self) -> None:
        """Restart the device, while no part is being sent. The session ends by it, or is ended by the caller.

        Raises: DriverError where it refuses; SessionLost where it fell silent over it.
        """

    async def ask_for_balance(self) -> None:
        """Ask for the balance now; it is told by `emit` as BalanceRead. Raises: DriverError with a sentence."""


# --- finding hardware -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Candidate:
    """A place where a modem may be. `port` is what goes into the configuration; `device` what it is now."""

    port: str
    device: str
    description: str
    usb_id: str | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What `doctor` found at a candidate. `remedy` is the next step in one sentence where `ok` is false."""

    candidate: Candidate
    ok: bool
    finding: str
    remedy: str | None = None
    facts: dict[str, str] = field(default_factory=dict)


class Looks(Protocol):
    """What a driver of things that are plugged in may offer `doctor` beside `discover` and `diagnose`."""

    def below(self, root: Path) -> Driver:
        """The same driver, which takes /sys, /dev and /proc from below `root`."""

    def unusable(self) -> Iterable[Diagnosis]:
        """Hardware of this kind that is there but in a state in which it is no candidate. Opens nothing."""

    def holder(self, device: str) -> str | None:
        """Who has a device open, e.g. "ModemManager (PID 612)"; None where that cannot be told."""


class Driver(Protocol):
    """One way to carry SMS."""

    name: ClassVar[str]
    Settings: ClassVar[type[Any]]
    """The `[[route]]` keys that belong to this driver: a dataclass as `drivers/settings.py` says."""

    def plan(self, text: str, max_parts: int, options: PlanOptions = AS_TEXT) -> tuple[PlannedPart, ...]:
        """Split a text, or data, into parts. Pure. What the options ask for and the driver cannot is Unplannable.

        Raises: Unplannable with a sentence, e.g. for too many parts.
        """

    def hardware(self, settings: Any) -> str | None:
        """Name what this route shares with others, e.g. the port of a modem with two SIMs: routes of one name are
        carried by one driver object. None where it shares nothing. Pure."""

    def clash(self, settings: Any, other: Any) -> str | None:
        """Say why two routes cannot both be configured so, as the end of "Routes A and B …"; None where they can."""

    async def open(self, settings: Any, context: OpenContext) -> Session:
        """Open and initialise a link; what shares its hardware waits for its turn.

        Raises: OpenError; whatever was acquired is released before.
        """

    async def wait_for_port(self, settings: Any) -> None:
        """Return as soon as opening is worth another try after PortAbsent; a second after the plug at most.

        May return early for no reason. Opens nothing.
        """

    def discover(self) -> Iterable[Candidate]:
        """List places worth a look; opens nothing."""

    async def diagnose(self, candidate: Candidate) -> Diagnosis:
        """Look at one candidate without sending an SMS or trying a PIN. Never raises DriverError."""
