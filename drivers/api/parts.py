"""One part on its way out: as planned, as handed to a session, and as taken by the network."""

from __future__ import annotations

from dataclasses import field
from typing import Any

from drivers.values import dataclass


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
