"""SMS-DELIVER: what arrives (MT). Decodes one part, joins the text of several, encodes for simulators.

It does not decide which parts belong together; that takes the sender and a memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from drivers.values import dataclass

from .address import Address, decode_address
from .alphabet import Alphabet, decode_text
from .coding import DataCoding, MessageWaiting, WaitingKind, decode_coding
from .errors import DecodeError, EncodeError
from .message_type import MessageType
from .reader import Reader
from .timestamp import OCTETS as TIMESTAMP_OCTETS
from .timestamp import Timestamp, decode_timestamp
from .udh import (
    IE_NATIONAL_LOCKING_SHIFT,
    IE_NATIONAL_SINGLE_SHIFT,
    IE_SPECIAL_MESSAGE,
    Concatenation,
    InformationElement,
    Ports,
    find_language,
    find_ports,
    take_concatenation,
)
from .user_data import decode_user_data, encode_user_data

# First octet, TS 23.040 §9.2.2.1
_NO_MORE_MESSAGES = 0x04
_STATUS_REPORT_INDICATION = 0x20
_UDHI = 0x40
_REPLY_PATH = 0x80

# TP-PID, TS 23.040 §9.2.3.9
_PID_TYPE_0 = 0x40
_PID_REPLACE_1, _PID_REPLACE_7 = 0x41, 0x47


@dataclass(frozen=True, slots=True)
class Deliver:
    """One SMS-DELIVER (TS 23.040 §9.2.2.1).

    `body` is unpacked septets (GSM7) or octets, without the header. `elements` are the IEs beside the
    concatenation, unknown ones too. `header_fault` tells why a header was ignored, else None.
    """

    originator: Address
    scts: Timestamp
    dcs: DataCoding
    body: bytes
    concatenation: Concatenation | None = None
    elements: tuple[InformationElement, ...] = ()
    pid: int = 0
    more_messages: bool = False
    status_report_indication: bool = False
    reply_path: bool = False
    header_fault: str | None = None

    @property
    def alphabet(self) -> Alphabet:
        """What `body` is made of; compressed text (TS 23.042) is octets to us."""
        return Alphabet.OCTETS if self.dcs.is_compressed else self.dcs.alphabet

    @property
    def text(self) -> str:
        """The text of this part alone; empty for 8-bit data. Several parts: `join_text`."""
        locking, single = self.languages
        return decode_text(self.alphabet, self.body, locking=locking, single=single)

    @property
    def message_class(self) -> int | None:
        return self.dcs.message_class

    @property
    def ports(self) -> Ports | None:
        return find_ports(self.elements)

    @property
    def is_type_0(self) -> bool:
        """A silent message: acknowledged, shown to nobody (TP-PID 0x40, §9.2.3.9)."""
        return self.pid == _PID_TYPE_0

    @property
    def replace_type(self) -> int | None:
        """1 to 7 for a message that replaces the last of its originator and type (§9.2.3.9), else None."""
        return self.pid - _PID_TYPE_0 if _PID_REPLACE_1 <= self.pid <= _PID_REPLACE_7 else None

    @property
    def waiting(self) -> tuple[MessageWaiting, ...]:
        """What waits for the subscriber elsewhere: by TP-DCS, and by each such element (§9.2.3.24.2)."""
        special = [element.data for element in self.elements if element.identifier == IE_SPECIAL_MESSAGE]
        told = [
            MessageWaiting(WaitingKind(data[0] & 0x03), data[1] > 0, bool(data[0] & 0x80), count=data[1])
            for data in special
            if len(data) == 2
        ]
        # The element tells the same and the number too.
        if self.dcs.waiting is not None and all(item.kind is not self.dcs.waiting.kind for item in told):
            told.insert(0, self.dcs.waiting)
        return tuple(told)

    @property
    def is_waiting_only(self) -> bool:
        """An indication whose text is for nobody; stored when TP-DCS or an element asks for it (§9.2.3.24.2)."""
        told = self.waiting
        by_coding = self.dcs.waiting is not None and self.dcs.waiting.is_stored
        return bool(told) and not by_coding and not any(item.is_stored for item in told)

    def encode(self) -> bytes:
        """The TPDU, without an SMSC address.

        Raises: EncodeError for an originator without encoding and for user data above 140 octets.
        """
        if not 0 <= self.pid <= 0xFF:
            raise EncodeError(f"TP-PID {self.pid} is one octet")
        elements = self.elements
        if self.concatenation is not None:
            elements = (self.concatenation.element(), *elements)
        first = int(MessageType.DELIVER)
        if not self.more_messages:
            first |= _NO_MORE_MESSAGES
        if self.status_report_indication:
            first |= _STATUS_REPORT_INDICATION
        if elements:
            first |= _UDHI
        if self.reply_path:
            first |= _REPLY_PATH
        return b"".join(
            (
                bytes((first,)),
                self.originator.encode(),
                bytes((self.pid, self.dcs.octet)),
                self.scts.raw,
                encode_user_data(self.alphabet, self.body, elements),
            )
        )

    @classmethod
    def decode(cls, tpdu: bytes) -> Deliver:
        """Reads an SMS-DELIVER, and a TPDU of the reserved type 3 as one (§9.2.3.1).

        Raises: DecodeError, and no other.
        """
        reader = Reader(tpdu, "deliver")
        first = reader.octet("first")
        if MessageType.of(first) not in (MessageType.DELIVER, MessageType.RESERVED):
            raise DecodeError("deliver.first", 0, f"TP-MTI is {first & 0x03}, not {MessageType.DELIVER}")
        originator, reader.at = decode_address(tpdu, reader.at, "deliver.oa")
        pid = reader.octet("pid")
        dcs = decode_coding(reader.octet("dcs"))
        scts = decode_timestamp(reader.take(TIMESTAMP_OCTETS, "scts"))
        user_data = decode_user_data(reader, "deliver", dcs, has_header=bool(first & _UDHI))
        concatenation, elements = take_concatenation(user_data.elements)
        return cls(
            originator=originator,
            scts=scts,
            dcs=dcs,
            body=user_data.body,
            concatenation=concatenation,
            elements=elements,
            pid=pid,
            more_messages=not first & _NO_MORE_MESSAGES,
            status_report_indication=bool(first & _STATUS_REPORT_INDICATION),
            reply_path=bool(first & _REPLY_PATH),
            header_fault=user_data.header_fault,
        )

    @property
    def languages(self) -> tuple[int, int]:
        """The national language identifiers of its locking and its single shift table, 0 for none."""
        return (
            find_language(self.elements, IE_NATIONAL_LOCKING_SHIFT),
            find_language(self.elements, IE_NATIONAL_SINGLE_SHIFT),
        )

    @property
    def _encoding(self) -> tuple[Alphabet, int, int]:
        return (self.alphabet, *self.languages)


def join_text(parts: Sequence[Deliver]) -> str:
    """The text of parts that are in order of their sequence.

    Neighbours in the same alphabet are joined before decoding: some senders cut an escape or a surrogate
    pair in two, and only the joined body still has the character.
    """
    return "".join(
        decode_text(alphabet, b"".join(part.body for part in run), locking=locking, single=single)
        for (alphabet, locking, single), run in groupby(parts, key=lambda part: part._encoding)
    )
