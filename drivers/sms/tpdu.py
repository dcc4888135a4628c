"""PDUs as AT commands carry them: an SMSC address, then a TPDU, in hexadecimal.

It tells the TPDUs apart. It knows no AT command but the lengths that AT+CMGS counts.
"""

from __future__ import annotations

from enum import StrEnum

from drivers.values import dataclass

from .address import Address, decode_smsc
from .deliver import Deliver, join_text
from .errors import DecodeError
from .message_type import MessageType
from .status_report import StatusReport
from .submit import Submit

__all__ = [
    "DecodedPdu",
    "Deliver",
    "Direction",
    "IncomingPdu",
    "StatusReport",
    "Submit",
    "decode_any",
    "decode_incoming",
    "join_text",
    "parse_hex",
    "pdu_hex",
    "tpdu_octets",
]

_MAX_SMSC_OCTETS = 12  # length octet excluded: type of address and up to 20 digits (TS 24.011 §8.2.5.1)


class Direction(StrEnum):
    """Which way a PDU goes; TP-MTI means another TPDU each way (TS 23.040 §9.2.3.1)."""

    INCOMING = "incoming"
    OUTGOING = "outgoing"


@dataclass(frozen=True, slots=True)
class IncomingPdu:
    """A PDU that arrived; `tpdu` are its octets without the SMSC address."""

    smsc: Address | None
    tpdu: bytes
    message: Deliver | StatusReport


@dataclass(frozen=True, slots=True)
class DecodedPdu:
    """A PDU of either direction."""

    smsc: Address | None
    tpdu: bytes
    message: Deliver | StatusReport | Submit


def decode_incoming(pdu: bytes) -> IncomingPdu:
    """A PDU as +CMGR, +CMGL, +CMT and +CDS give it: an SMSC address (its length may be 0), then the TPDU.

    Raises: DecodeError, and no other. A stored SMS-SUBMIT, which a SIM may hold too, is one.
    """
    smsc, start = decode_smsc(pdu)
    tpdu = pdu[start:]
    return IncomingPdu(smsc, tpdu, _decode_incoming_tpdu(tpdu))


def decode_any(pdu: bytes, direction: Direction | None = None) -> DecodedPdu:
    """A PDU whose SMSC address may be missing, of either direction; for a person who looks at it.

    Without a direction TP-MTI decides: AT commands carry no submit reports or deliver reports.
    Raises: DecodeError, that of the reading with an SMSC address where one may be there.
    """
    if not _may_have_smsc(pdu):
        return DecodedPdu(None, pdu, _decode_tpdu(pdu, direction))
    try:
        smsc, start = decode_smsc(pdu)
        return DecodedPdu(smsc, pdu[start:], _decode_tpdu(pdu[start:], direction))
    except DecodeError as fault:
        try:
            return DecodedPdu(None, pdu, _decode_tpdu(pdu, direction))
        except DecodeError:
            raise fault from None


def tpdu_octets(tpdu: bytes) -> int:
    """The length that AT+CMGS and AT+CMGW ask for: the TPDU without SMSC address (TS 27.005 §4.3, §4.4)."""
    return len(tpdu)


def pdu_hex(tpdu: bytes, smsc: str | None = None) -> str:
    """What to send at the prompt of AT+CMGS: upper-case hexadecimal, SMSC address first.

    Without an SMSC its length is 00, and the modem takes the one of AT+CSCA.
    Raises: EncodeError when `smsc` is no number.
    """
    prefix = b"\0" if smsc is None else Address.of(smsc).encode_smsc()
    return (prefix + tpdu).hex().upper()


def parse_hex(text: str) -> bytes:
    """The octets of a PDU in hexadecimal, upper or lower case, spaces around it allowed.

    Raises: DecodeError that names the octet where the hexadecimal breaks off.
    """
    digits = text.strip()
    for at, digit in enumerate(digits):
        if digit not in "0123456789abcdefABCDEF":
            raise DecodeError("pdu", at // 2, f"{digit!r} is no hexadecimal digit")
    if len(digits) % 2:
        raise DecodeError("pdu", len(digits) // 2, "half an octet")
    return bytes.fromhex(digits)


def _decode_tpdu(tpdu: bytes, direction: Direction | None) -> Deliver | StatusReport | Submit:
    is_submit = bool(tpdu) and MessageType.of(tpdu[0]) is MessageType.SUBMIT
    if direction is Direction.OUTGOING or (direction is None and is_submit):
        return Submit.decode(tpdu)
    return _decode_incoming_tpdu(tpdu)


def _decode_incoming_tpdu(tpdu: bytes) -> Deliver | StatusReport:
    if not tpdu:
        raise DecodeError("tpdu", 0, "the TPDU is empty")
    match MessageType.of(tpdu[0]):
        case MessageType.STATUS_REPORT:
            return StatusReport.decode(tpdu)
        case MessageType.SUBMIT:
            raise DecodeError("tpdu.first", 0, f"TP-MTI {MessageType.SUBMIT} is of a submit, which never arrives")
        case _:
            return Deliver.decode(tpdu)


def _may_have_smsc(pdu: bytes) -> bool:
    """Whether the PDU begins like an SMSC address: length 0, or a type of address, whose bit 7 is set."""
    if not pdu or pdu[0] == 0:
        return True
    return 2 <= pdu[0] <= _MAX_SMSC_OCTETS and len(pdu) > pdu[0] and bool(pdu[1] & 0x80)
