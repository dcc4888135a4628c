"""TP-MTI, the two bits that tell TPDUs apart. The names are those of the direction that AT commands carry."""

from __future__ import annotations

from enum import IntEnum


class MessageType(IntEnum):
    """Bits 1 and 0 of the first octet (TS 23.040 §9.2.3.1)."""

    DELIVER = 0
    SUBMIT = 1
    STATUS_REPORT = 2
    RESERVED = 3  # read as DELIVER

    @classmethod
    def of(cls, first: int) -> MessageType:
        """The type in a first octet."""
        return cls(first & 0x03)
