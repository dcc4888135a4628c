"""SMS-SUBMIT: what leaves our SIM (MO). Encodes one part, and decodes one for display.

It takes a body that is already cut to size; it assigns neither references nor routes.
"""

from __future__ import annotations

from drivers.values import dataclass

from .address import decode_address, encode_address
from .alphabet import Alphabet, decode_text
from .coding import DataCoding, decode_coding
from .errors import DecodeError, EncodeError
from .message_type import MessageType
from .reader import Reader
from .timestamp import OCTETS as TIMESTAMP_OCTETS
from .timestamp import Timestamp, decode_timestamp
from .udh import (
    IE_NATIONAL_LOCKING_SHIFT,
    IE_NATIONAL_SINGLE_SHIFT,
    Concatenation,
    InformationElement,
    find_language,
    take_concatenation,
)
from .user_data import decode_user_data, encode_user_data
from .validity import decode_validity, encode_validity

# First octet, TS 23.040 §9.2.2.2
_REJECT_DUPLICATES = 0x04
_VPF_SHIFT = 3
_STATUS_REPORT_REQUEST = 0x20
_UDHI = 0x40

# TP-VPF, TS 23.040 §9.2.3.3
_VPF_NONE, _VPF_ENHANCED, _VPF_RELATIVE, _VPF_ABSOLUTE = range(4)


@dataclass(frozen=True, slots=True)
class Submit:
    """One SMS-SUBMIT (TS 23.040 §9.2.2.2).

    `body` is unpacked septets (GSM7) or octets, without the header. `validity_s` becomes the next longer
    relative period. `reference` is TP-MR, which modems overwrite. `elements` are the IEs beside the
    concatenation. `valid_until` is set by decoding an absolute validity period only, and never encoded.
    """

    recipient: str
    alphabet: Alphabet
    body: bytes
    concatenation: Concatenation | None = None
    validity_s: int | None = None
    status_report: bool = False
    message_class: int | None = None
    reject_duplicates: bool = False
    reference: int = 0
    pid: int = 0
    elements: tuple[InformationElement, ...] = ()
    valid_until: Timestamp | None = None

    @property
    def text(self) -> str:
        """The text of this part alone; empty for 8-bit data."""
        return decode_text(
            self.alphabet,
            self.body,
            locking=find_language(self.elements, IE_NATIONAL_LOCKING_SHIFT),
            single=find_language(self.elements, IE_NATIONAL_SINGLE_SHIFT),
        )

    def encode(self) -> bytes:
        """The TPDU, without an SMSC address.

        Raises: EncodeError for a recipient, class, reference or validity that has no encoding, and for
        user data above 140 octets.
        """
        if not (0 <= self.reference <= 0xFF and 0 <= self.pid <= 0xFF):
            raise EncodeError(f"TP-MR {self.reference} and TP-PID {self.pid} are one octet each")
        coding = DataCoding.of(self.alphabet, self.message_class)
        elements = self.elements
        if self.concatenation is not None:
            elements = (self.concatenation.element(), *elements)
        first = int(MessageType.SUBMIT)
        validity = b""
        if self.validity_s is not None:
            first |= _VPF_RELATIVE << _VPF_SHIFT
            validity = bytes((encode_validity(self.validity_s),))
        if self.reject_duplicates:
            first |= _REJECT_DUPLICATES
        if self.status_report:
            first |= _STATUS_REPORT_REQUEST
        if elements:
            first |= _UDHI
        return b"".join(
            (
                bytes((first, self.reference)),
                encode_address(self.recipient),
                bytes((self.pid, coding.octet)),
                validity,
                encode_user_data(self.alphabet, self.body, elements),
            )
        )

    @classmethod
    def decode(cls, tpdu: bytes) -> Submit:
        """Reads an SMS-SUBMIT. Compressed user data comes as OCTETS. Raises: DecodeError, and no other."""
        reader = Reader(tpdu, "submit")
        first = reader.octet("first")
        if MessageType.of(first) is not MessageType.SUBMIT:
            raise DecodeError("submit.first", 0, f"TP-MTI is {first & 0x03}, not {MessageType.SUBMIT}")
        reference = reader.octet("mr")
        recipient, reader.at = decode_address(tpdu, reader.at, "submit.da")
        pid = reader.octet("pid")
        coding = decode_coding(reader.octet("dcs"))
        validity_s, valid_until = _decode_validity(reader, first >> _VPF_SHIFT & 0x03)
        user_data = decode_user_data(reader, "submit", coding, has_header=bool(first & _UDHI))
        concatenation, elements = take_concatenation(user_data.elements)
        return cls(
            recipient=recipient.number,
            alphabet=Alphabet.OCTETS if coding.is_compressed else coding.alphabet,
            body=user_data.body,
            concatenation=concatenation,
            validity_s=validity_s,
            status_report=bool(first & _STATUS_REPORT_REQUEST),
            message_class=coding.message_class,
            reject_duplicates=bool(first & _REJECT_DUPLICATES),
            reference=reference,
            pid=pid,
            elements=elements,
            valid_until=valid_until,
        )


def _decode_validity(reader: Reader, vpf: int) -> tuple[int | None, Timestamp | None]:
    if vpf == _VPF_RELATIVE:
        return decode_validity(reader.octet("vp")), None
    if vpf == _VPF_ABSOLUTE:
        return None, decode_timestamp(reader.take(TIMESTAMP_OCTETS, "vp"))
    if vpf == _VPF_ENHANCED:
        return _enhanced_validity(reader.take(TIMESTAMP_OCTETS, "vp")), None
    return None, None


def _enhanced_validity(octets: bytes) -> int | None:
    """Seconds of the enhanced format (TS 23.040 §9.2.3.12.3); None where it sets none or is reserved."""
    indicator, *value = octets
    if indicator & 0x80:  # a further indicator octet follows, of a later release than any SC uses
        return None
    match indicator & 0x07:
        case 1:
            return decode_validity(value[0])
        case 2:
            return value[0]
        case 3:
            hours, minutes, seconds = ((octet & 0x0F) * 10 + (octet >> 4) for octet in value[:3])
            return hours * 3600 + minutes * 60 + seconds
        case _:
            return None
