"""What went wrong with a submit, as one table per kind of code: class, sentence, waits. Pure.

The class says what to do; `error` turns it into the exception of the contract. Codes above 511 mean different things
at different makers, and are looked up by the maker's name first (TS 27.005 §3.2.5; 0-255 are RP causes of TS 24.011
§8.2.5.4 and TP-FCS of TS 23.040 §9.2.3.22).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from drivers.api import NotReady, OutcomeUnknown, Refused, RouteRefused, SubmitError, TryLater


class CauseClass(Enum):
    """What to do about a cause."""

    TRANSIENT = auto()
    """The same part may pass later."""
    PERMANENT = auto()
    """This part never passes."""
    REENCODE = auto()
    """Never as it is; perhaps without validity, report or class."""
    ACCOUNT = auto()
    """No part passes on this SIM."""
    SIM = auto()
    """The SIM is locked, broken or gone: look at it afresh."""
    UNKNOWN = auto()
    """It may have been sent."""
    STORAGE = auto()
    """Free some memory, then again."""
    HOLD = auto()
    """No service: wait for it, nobody's fault."""
    DUPLICATE = auto()
    """The service centre has it already."""


@dataclass(frozen=True, slots=True)
class Cause:
    """One row. `delays_s` are the waits before the next tries, for the classes that have any."""

    kind: CauseClass
    sentence: str
    delays_s: tuple[float, ...] = ()


_T, _P, _S, _U = CauseClass.TRANSIENT, CauseClass.PERMANENT, CauseClass.ACCOUNT, CauseClass.UNKNOWN
_SIM, _MEM, _ENC = CauseClass.SIM, CauseClass.STORAGE, CauseClass.REENCODE

_SOON = (5.0, 10.0, 30.0)
_BACK_OFF = (30.0, 60.0, 120.0, 300.0, 900.0)
_TWICE = (30.0, 120.0)
_SPACED = (600.0, 1800.0)
"""For a spam filter or an empty account: trying faster makes it worse."""
_BUSY_SIM = (2.0, 4.0, 8.0, 16.0, 30.0)

NO_PROMPT = Cause(_T, "The modem did not get ready to take the message.", (2.0, 5.0, 30.0))
BARE_ERROR = Cause(_T, "The modem refused the message without giving a reason.", (5.0, 30.0, 120.0))
UNANSWERED = Cause(_U, "The modem took the message and did not say what became of it.")
_UNLISTED = Cause(_T, "The network or the modem refused the message for a reason of its own.", _TWICE)

_NETWORK = "The network is out of order or busy at the moment."
_NOT_SUPPORTED = "The network does not take this kind of message."
_NO_PERMIT = "The account of this SIM card does not allow sending SMS."
_SIM_FULL = "The memory for messages is full."

CMS: dict[int, Cause] = {
    1: Cause(_P, "The number does not exist."),
    8: Cause(_S, "The operator has barred this SIM card from sending."),
    10: Cause(_S, "Outgoing traffic of this SIM card is barred."),
    17: Cause(_T, "The network failed while it took the message.", (30.0, 120.0, 600.0)),
    21: Cause(_T, "The network rejected the message; credit, number or a spam filter may be why.", _SPACED),
    22: Cause(_T, "The network is congested.", _BACK_OFF),
    27: Cause(_T, "The recipient's network cannot be reached at the moment.", _BACK_OFF),
    28: Cause(_S, "The network does not know the subscriber of this SIM card."),
    29: Cause(_S, _NO_PERMIT),
    30: Cause(_P, "The network does not know the recipient."),
    38: Cause(_T, _NETWORK, _BACK_OFF),
    41: Cause(_T, _NETWORK, _BACK_OFF),
    42: Cause(_T, "The network is congested.", _BACK_OFF),
    47: Cause(_T, "The network has no room for the message at the moment.", _BACK_OFF),
    50: Cause(_S, _NO_PERMIT),
    69: Cause(_S, "The network does not offer sending SMS to this SIM card."),
    81: Cause(_T, "The network lost track of the message.", (2.0,)),
    **dict.fromkeys((95, 96, 97, 98, 99), Cause(_ENC, "The network finds the message malformed.")),
    111: Cause(_T, "The network reported a protocol error; the SMSC number may be wrong.", _TWICE),
    127: Cause(_T, "The networks could not pass the message on; SMSC number or credit may be why.", _TWICE),
    **dict.fromkeys(
        (128, 129, 130, 143, 144, 145, 159, 160, 161, 175, 176), Cause(_ENC, _NOT_SUPPORTED)
    ),
    192: Cause(_T, "The operator's message centre is busy.", _BACK_OFF),
    193: Cause(_S, "This SIM card has no account at that message centre (SMSC)."),
    194: Cause(_T, "The operator's message centre failed.", _BACK_OFF),
    195: Cause(_P, "The number is not valid."),
    196: Cause(_P, "The operator does not deliver to this number."),
    197: Cause(CauseClass.DUPLICATE, "The message centre has this message already."),
    198: Cause(_ENC, "The message centre does not take a validity period."),
    199: Cause(_ENC, "The message centre does not take a validity period of this form."),
    **dict.fromkeys((208, 209, 210, 211, 213), Cause(_MEM, _SIM_FULL, (10.0, 30.0, 60.0))),
    212: Cause(_T, "The SIM card is busy with its own programs.", (5.0, 10.0, 30.0)),
    224: Cause(_U, "The modem repeated the message in vain and cannot say whether it was sent."),
    225: Cause(_U, "The network's answer did not come in time."),
    226: Cause(_U, "The radio link broke while the message was sent."),
    255: Cause(_T, "The network refused the message without giving a reason.", _TWICE),
    300: Cause(_T, "The modem failed.", (5.0, 30.0, 120.0)),
    301: Cause(_T, "The modem's message service is taken.", (5.0, 30.0, 120.0)),
    302: Cause(_T, "The modem is not ready for messages yet.", _SOON),
    303: Cause(_ENC, "The modem does not support this kind of message."),
    304: Cause(_ENC, "The modem finds the message malformed."),
    305: Cause(_ENC, "The modem finds the message malformed."),
    310: Cause(_SIM, "There is no SIM card in the modem."),
    311: Cause(_SIM, "The SIM card asks for its PIN."),
    312: Cause(_SIM, "The modem is locked to another SIM card and asks for a code."),
    313: Cause(_SIM, "The SIM card failed."),
    314: Cause(_T, "The SIM card is busy.", _BUSY_SIM),
    315: Cause(_SIM, "This is the wrong SIM card for the modem."),
    316: Cause(_SIM, "The SIM card is blocked and asks for its PUK."),
    317: Cause(_SIM, "The SIM card asks for its PIN2."),
    318: Cause(_SIM, "The SIM card asks for its PUK2."),
    320: Cause(_MEM, "The modem's memory failed.", _SOON),
    321: Cause(_T, "The modem lost the message before it was sent.", (2.0,)),
    322: Cause(_MEM, _SIM_FULL, (10.0, 30.0, 60.0)),
    330: Cause(_S, "The SMSC number is missing or wrong; set `smsc` for this route."),
    331: Cause(CauseClass.HOLD, "The modem has no network service."),
    332: Cause(_U, "The network did not answer in time; the message may have been sent."),
    340: Cause(_T, "The modem is out of step with its acknowledgements.", (2.0,)),
    341: Cause(_T, "The modem's memory failed.", _SOON),
    500: Cause(_U, "The modem reports an unknown error; the message may have been sent."),
}  # fmt: skip

CME: dict[int, Cause] = {
    0: Cause(_T, "The modem failed.", _TWICE),
    3: Cause(_T, "The modem does not allow this in its present state.", _SOON),
    4: Cause(_ENC, "The modem does not support this kind of message."),
    5: Cause(_SIM, "The modem is locked to another SIM card and asks for a code."),
    10: Cause(_SIM, "There is no SIM card in the modem."),
    11: Cause(_SIM, "The SIM card asks for its PIN."),
    12: Cause(_SIM, "The SIM card is blocked and asks for its PUK."),
    13: Cause(_SIM, "The SIM card failed."),
    14: Cause(_T, "The SIM card is busy.", _BUSY_SIM),
    15: Cause(_SIM, "This is the wrong SIM card for the modem."),
    16: Cause(_SIM, "The PIN is wrong."),
    17: Cause(_SIM, "The SIM card asks for its PIN2."),
    18: Cause(_SIM, "The SIM card asks for its PUK2."),
    20: Cause(_MEM, _SIM_FULL, (10.0, 30.0, 60.0)),
    21: Cause(_T, "The modem lost the message before it was sent.", (2.0,)),
    22: Cause(_T, "The modem lost the message before it was sent.", (2.0,)),
    23: Cause(_MEM, "The modem's memory failed.", _SOON),
    **dict.fromkeys((24, 25, 26, 27), Cause(_ENC, "The modem finds the message malformed.")),
    30: Cause(CauseClass.HOLD, "The modem has no network service."),
    31: Cause(_U, "The network did not answer in time; the message may have been sent."),
    32: Cause(CauseClass.HOLD, "The network allows emergency calls only."),
    100: Cause(_U, "The modem reports an unknown error; the message may have been sent."),
    103: Cause(_S, "The network has blocked this SIM card."),
    106: Cause(_S, "The network has blocked this modem."),
    **dict.fromkeys((107, 111, 112, 113), Cause(_S, "The network does not allow this SIM card here.")),
    **dict.fromkeys((132, 133, 134), Cause(_T, "The network does not offer the service now.", _BACK_OFF)),
    148: Cause(_T, _NETWORK, _BACK_OFF),
    515: Cause(_T, "The modem is busy.", _SOON),
}  # fmt: skip

VENDOR_CMS: dict[str, dict[int, Cause]] = {
    "simcom": {
        513: Cause(_P, "The message is too long for the modem."),
        514: Cause(_P, "The modem finds the message malformed."),
        519: Cause(_P, "The modem finds the message malformed."),
        521: Cause(_T, "The modem is not ready for messages yet.", _SOON),
        522: Cause(CauseClass.HOLD, "The modem has no network service."),
        529: Cause(_S, _NO_PERMIT),
        531: Cause(_MEM, _SIM_FULL, (10.0, 30.0, 60.0)),
    },
    "cinterion": {
        515: Cause(_P, "The number has a character that the modem does not take."),
        517: Cause(_P, "The modem finds the message malformed."),
        521: Cause(_U, "The network did not answer in time; the message may have been sent."),
        532: Cause(_T, "The SIM card is not ready yet.", _SOON),
        549: Cause(_P, "The modem finds the message malformed."),
    },
    "sierra": {
        # A collision with an incoming message or call, or a weak signal.
        512: Cause(_T, "The modem could not set up the link to the network.", (5.0, 10.0, 30.0)),
        513: Cause(_T, "The radio link failed.", _SOON),
        514: Cause(_T, "The network is congested.", _BACK_OFF),
    },
    "quectel": {512: Cause(_T, "The SIM card is not ready yet.", _SOON)},
}
"""Codes from 512 by the family of the maker; the family's name is part of what AT+CGMI answers, see `profiles`."""

_TEXTS: dict[str, tuple[str, int]] = {
    "phone failure": ("CME", 0), "operation not allowed": ("CME", 3), "operation not supported": ("CME", 4),
    "ph-sim pin required": ("CME", 5), "sim not inserted": ("CME", 10), "sim pin required": ("CME", 11),
    "sim puk required": ("CME", 12), "sim failure": ("CME", 13), "sim busy": ("CME", 14), "sim wrong": ("CME", 15),
    "incorrect password": ("CME", 16), "sim pin2 required": ("CME", 17), "sim puk2 required": ("CME", 18),
    "memory full": ("CME", 20), "invalid index": ("CME", 21), "not found": ("CME", 22), "memory failure": ("CME", 23),
    "no network service": ("CME", 30), "network timeout": ("CME", 31), "unknown": ("CME", 100),
    "emergency calls only": ("CME", 32), "network not allowed - emergency calls only": ("CME", 32),
    "me failure": ("CMS", 300), "sms service of me reserved": ("CMS", 301), "invalid pdu mode parameter": ("CMS", 304),
    "invalid text mode parameter": ("CMS", 305), "invalid memory index": ("CMS", 321), "sms memory full": ("CMS", 322),
    "smsc address unknown": ("CMS", 330), "sim pin necessary": ("CMS", 311), "sim not ready": ("CME", 14),
    "unknown error": ("CMS", 500), "no +cnma acknowledgement expected": ("CMS", 340),
}  # fmt: skip
"""What AT+CMEE=2 says in place of the numbers (TS 27.007 §9.2); the same words serve both kinds of error."""

_RESULT = re.compile(r"\+(CM[ES]) ERROR[\s:]*(.*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Code:
    """A final result that is an error: its kind ("CMS", "CME" or "ERROR"), and its number where it has one."""

    kind: str
    number: int | None = None
    text: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.number}" if self.number is not None else f"{self.kind} {self.text}".strip()


def parse(final: str) -> Code:
    """Return the code of a final result; texts of AT+CMEE=2 become their numbers."""
    found = _RESULT.fullmatch(final.strip())
    if found is None:
        return Code("ERROR")
    kind, rest = found[1].upper(), found[2].strip().strip('"')
    if rest.isascii() and rest.isdigit() and len(rest) < 7:
        return Code(kind, int(rest))
    named = _TEXTS.get(rest.lower())
    return Code(*named) if named is not None else Code(kind, None, rest[:80])


def find(code: Code, family: str = "") -> Cause:
    """Return the row of a code; a row for "everything else" where there is none."""
    if code.number is None:
        return BARE_ERROR
    if code.kind == "CME":
        return CME.get(code.number, _UNLISTED)
    own = VENDOR_CMS.get(family, {}).get(code.number)
    return own or CMS.get(code.number, _UNLISTED)


def error(final: str, *, handed_over: bool, family: str = "") -> SubmitError | None:
    """Return what to raise for the final result of a submit; None where it counts as sent.

    `handed_over` says that the PDU had left. Before, nothing is ever unknown; after, a bare ERROR is.
    """
    code = parse(final)
    cause = find(code, family)
    if handed_over and code.number is None:
        cause = UNANSWERED
    sentence, raw = cause.sentence, str(code)
    match cause.kind:
        case CauseClass.DUPLICATE:
            return None
        case CauseClass.UNKNOWN if handed_over:
            return OutcomeUnknown(sentence, code=raw)
        case CauseClass.UNKNOWN:
            return TryLater(BARE_ERROR.sentence, delays_s=BARE_ERROR.delays_s, code=raw)
        case CauseClass.TRANSIENT | CauseClass.STORAGE:
            return TryLater(sentence, delays_s=cause.delays_s, code=raw)
        case _:
            return _PLAIN[cause.kind](sentence, code=raw)


_PLAIN: dict[CauseClass, type[Refused] | type[RouteRefused] | type[NotReady]] = {
    CauseClass.PERMANENT: Refused,
    CauseClass.REENCODE: Refused,
    CauseClass.ACCOUNT: RouteRefused,
    CauseClass.HOLD: NotReady,
    CauseClass.SIM: NotReady,
}


def is_late_answer(final: str) -> bool:
    """Tell whether a stray error settles a submit: a cause of the network's own, never one of a storage command."""
    code = parse(final)
    if code.kind != "CMS" or code.number is None or find(code).kind is CauseClass.UNKNOWN:
        return False
    return code.number < 256 or code.number == 331
