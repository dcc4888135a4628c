"""What a driver finds and a session shows, for people and for `doctor`; nothing in it is history."""

from __future__ import annotations

from dataclasses import field
from enum import StrEnum

from drivers.values import dataclass


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


@dataclass(frozen=True, slots=True)
class Ussd:
    """What the network answered. `raw` is what the modem gave; `expects_answer` says that it was a menu."""

    text: str
    raw: str
    expects_answer: bool = False


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
