"""SMS-STATUS-REPORT: what the SC says became of a message. Decodes, and encodes for simulators.

It does not match the report to a message, and leaves the meaning of TP-ST to the status module.
"""

from __future__ import annotations

from drivers.values import dataclass

from .address import Address, decode_address
from .errors import DecodeError, EncodeError
from .message_type import MessageType
from .reader import Reader
from .timestamp import OCTETS as TIMESTAMP_OCTETS
from .timestamp import Timestamp, decode_timestamp

# First octet, TS 23.040 §9.2.2.3
_NO_MORE_MESSAGES = 0x04
_QUALIFIER = 0x20


@dataclass(frozen=True, slots=True)
class StatusReport:
    """One SMS-STATUS-REPORT (TS 23.040 §9.2.2.3).

    `tp_mr` is the reference of the submit it answers, `scts` when the SC took that, `discharge` when the
    SC last tried, `status` TP-ST. `is_for_command`: it answers an SMS-COMMAND, none of ours. `optional` are
    the octets from TP-PI on, unread: faults there must not cost us the report.
    """

    tp_mr: int
    recipient: Address
    scts: Timestamp
    discharge: Timestamp
    status: int
    more_messages: bool = False
    is_for_command: bool = False
    optional: bytes = b""

    def encode(self) -> bytes:
        """The TPDU, without an SMSC address.

        Raises: EncodeError for a recipient without encoding, and where TP-MR or TP-ST is no octet.
        """
        if not (0 <= self.tp_mr <= 0xFF and 0 <= self.status <= 0xFF):
            raise EncodeError(f"TP-MR {self.tp_mr} and TP-ST {self.status} are one octet each")
        first = int(MessageType.STATUS_REPORT)
        if not self.more_messages:
            first |= _NO_MORE_MESSAGES
        if self.is_for_command:
            first |= _QUALIFIER
        return b"".join(
            (
                bytes((first, self.tp_mr)),
                self.recipient.encode(),
                self.scts.raw,
                self.discharge.raw,
                bytes((self.status,)),
                self.optional,
            )
        )

    @classmethod
    def decode(cls, tpdu: bytes) -> StatusReport:
        """Reads an SMS-STATUS-REPORT. Raises: DecodeError, and no other."""
        reader = Reader(tpdu, "report")
        first = reader.octet("first")
        if MessageType.of(first) is not MessageType.STATUS_REPORT:
            raise DecodeError("report.first", 0, f"TP-MTI is {first & 0x03}, not {MessageType.STATUS_REPORT}")
        tp_mr = reader.octet("mr")
        recipient, reader.at = decode_address(tpdu, reader.at, "report.ra")
        return cls(
            tp_mr=tp_mr,
            recipient=recipient,
            scts=decode_timestamp(reader.take(TIMESTAMP_OCTETS, "scts")),
            discharge=decode_timestamp(reader.take(TIMESTAMP_OCTETS, "dt")),
            status=reader.octet("st"),
            more_messages=not first & _NO_MORE_MESSAGES,
            is_for_command=bool(first & _QUALIFIER),
            optional=reader.rest(),
        )
