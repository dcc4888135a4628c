"""Every cause of a failed submit as data: class, sentence, waits. One table per kind of code.

The classes say what to do; `causes` turns them into the exceptions of the contract. 0-255 are RP causes of TS 24.011
§8.2.5.4 and TP-FCS of TS 23.040 §9.2.3.22, the others those of TS 27.005 §3.2.5 and of the makers.
"""

from __future__ import annotations

from enum import Enum, auto

from drivers.values import dataclass


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
    is_plain_first: bool = False
    """Once more without report, validity and class before anybody is blamed."""


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
UNLISTED = Cause(_T, "The network or the modem refused the message for a reason of its own.", _TWICE)

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
    29: Cause(_S, _NO_PERMIT, is_plain_first=True),
    30: Cause(_P, "The network does not know the recipient."),
    38: Cause(_T, _NETWORK, _BACK_OFF),
    41: Cause(_T, _NETWORK, _BACK_OFF),
    42: Cause(_T, "The network is congested.", _BACK_OFF),
    47: Cause(_T, "The network has no room for the message at the moment.", _BACK_OFF),
    50: Cause(_S, _NO_PERMIT, is_plain_first=True),
    69: Cause(_S, "The network does not offer sending SMS to this SIM card.", is_plain_first=True),
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
    604: Cause(_T, "The modem's message service is not available now.", _TWICE),
    **dict.fromkeys((615, 616), Cause(_T, "The network failed while it took the message.", _TWICE)),
    2162: Cause(_T, "The modem could not reach the network for the message.", _TWICE),
}  # fmt: skip
"""+CMS ERROR; 0 to 127 are RP causes, 128 to 255 TP-FCS, 300 to 511 the modem's own."""

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
    258: Cause(_T, "The network did not accept the request now.", _TWICE),
    515: Cause(_T, "The modem is busy.", _SOON),
}  # fmt: skip
"""+CME ERROR (TS 27.007 §9.2); 515 is Sierra's and Wavecom's, 258 was seen with USSD."""

VENDOR_CME: dict[str, dict[int, Cause]] = {
    "simcom800": {
        **dict.fromkeys(range(600, 615), Cause(_T, "The modem's data service failed.", _TWICE)),
        **dict.fromkeys(range(765, 772), Cause(_T, "The modem refused the command in its present state.", _SOON)),
        772: Cause(_SIM, "The SIM card is switched off."),
        **dict.fromkeys(range(791, 797), Cause(_T, "The modem is busy with something else.", _SOON)),
        797: Cause(CauseClass.HOLD, "The modem's radio is switched off."),
    },
}
"""Codes of makers by `Profile.codes`; SIM800 Series AT Command Manual (797: +CFUN is 0 or 4)."""

VENDOR_CMS: dict[str, dict[int, Cause]] = {
    # SIM800 Series AT Command Manual, +CMS ERROR (modem.md 3.2).
    "simcom800": {
        **dict.fromkeys((323, 324, 325), Cause(_ENC, "The modem finds the message malformed.")),
        512: Cause(_T, "The modem reports an error that it calls none.", _TWICE),
        513: Cause(_P, "The message is too long for the modem."),
        514: Cause(_P, "The modem finds the message malformed."),
        515: Cause(_MEM, "The modem's memory failed.", _SOON),
        517: Cause(_T, "The modem is in the wrong mode for messages.", _SOON),
        519: Cause(_P, "The modem finds the message malformed."),
        520: Cause(_P, "The message has too many parts for the modem."),
        521: Cause(_T, "The modem is not ready for messages yet.", _SOON),
        522: Cause(CauseClass.HOLD, "The modem has no network service."),
        528: Cause(_T, "The modem is busy with an MMS.", _SOON),
        529: Cause(_S, _NO_PERMIT),
        530: Cause(_T, "The network has suspended the link.", _SOON),
        531: Cause(_MEM, _SIM_FULL, (10.0, 30.0, 60.0)),
        532: Cause(_T, "The SIM card is being read anew.", _SOON),
    },
    # MC75i AT Command Set, +CMS ERROR (modem.md 3.2).
    "cinterion": {
        512: Cause(_T, "The modem broke the sending off.", _SOON),
        513: Cause(_MEM, "The modem could not store the message.", _SOON),
        514: Cause(_T, "The modem finds the message in a wrong state.", _SOON),
        515: Cause(_P, "The number has a character that the modem does not take."),
        517: Cause(_P, "The modem finds the message malformed."),
        521: Cause(_U, "The network did not answer in time; the message may have been sent."),
        532: Cause(_T, "The SIM card is not ready yet.", _SOON),
        535: Cause(_T, "The modem is busy.", _SOON),
        549: Cause(_P, "The modem finds the message malformed."),
    },
    "sierra": {
        # A collision with an incoming message or call, or a weak signal (Wavecom; smstools' FAQ).
        512: Cause(_T, "The modem could not set up the link to the network.", (5.0, 10.0, 30.0)),
        513: Cause(_T, "The radio link failed.", _SOON),
        514: Cause(_T, "The network is congested.", _BACK_OFF),
    },
    "quectel": {512: Cause(_T, "The SIM card is not ready yet.", _SOON)},
}
"""Codes from 512 mean different things at different makers: by `Profile.codes`."""

TEXTS: dict[str, tuple[str, int]] = {
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
