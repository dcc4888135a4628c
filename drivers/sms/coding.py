"""The data coding scheme (TP-DCS): alphabet, compression, message class, message waiting.

It reads one octet and knows no user data.
"""

from __future__ import annotations

from enum import IntEnum, StrEnum

from drivers.values import dataclass

from .alphabet import Alphabet
from .errors import EncodeError


class CodingGroup(StrEnum):
    """Which group of TS 23.038 §4 the octet belongs to."""

    GENERAL = "general"
    AUTOMATIC_DELETION = "automatic deletion"
    RESERVED = "reserved"
    WAITING_DISCARD = "message waiting, discard"
    WAITING_STORE = "message waiting, store"
    WAITING_STORE_UCS2 = "message waiting, store, UCS2"
    CODING_AND_CLASS = "coding and class"


class WaitingKind(IntEnum):
    """What waits, bits 1 and 0 of the message waiting groups."""

    VOICEMAIL = 0
    FAX = 1
    EMAIL = 2
    OTHER = 3


@dataclass(frozen=True, slots=True)
class MessageWaiting:
    """A message waiting indication; `is_active` False clears it. `is_stored` False: no text for a person.

    `count` is how many wait, where that is told.
    """

    kind: WaitingKind
    is_active: bool
    is_stored: bool
    count: int | None = None


@dataclass(frozen=True, slots=True)
class DataCoding:
    """A TP-DCS, decoded; `octet` is as it arrived.

    `message_class`: 0 shown at once, 1 for the ME, 2 for the SIM, 3 for the TE; None without one.
    """

    octet: int
    group: CodingGroup
    alphabet: Alphabet
    is_compressed: bool = False
    message_class: int | None = None
    waiting: MessageWaiting | None = None

    @classmethod
    def of(cls, alphabet: Alphabet, message_class: int | None = None) -> DataCoding:
        """The coding for sending, from the general group.

        Raises: EncodeError for a class that is not 0..3.
        """
        octet = _ALPHABETS.index(alphabet) << 2
        if message_class is not None:
            if not 0 <= message_class <= 3:
                raise EncodeError(f"message class {message_class} does not exist; 0 to 3 do")
            octet |= 0x10 | message_class
        return cls(octet, CodingGroup.GENERAL, alphabet, message_class=message_class)


_ALPHABETS = (Alphabet.GSM7, Alphabet.OCTETS, Alphabet.UCS2)  # bits 3 and 2 of the general group
_HIGH_GROUPS = {  # bits 7 to 4, from 0b1000 on
    0xC: CodingGroup.WAITING_DISCARD,
    0xD: CodingGroup.WAITING_STORE,
    0xE: CodingGroup.WAITING_STORE_UCS2,
    0xF: CodingGroup.CODING_AND_CLASS,
}


def decode_coding(octet: int) -> DataCoding:
    """Every TP-DCS from 0 to 255 (TS 23.038 §4); a reserved one is read as 0, the default alphabet."""
    group = _group(octet)
    match group:
        case CodingGroup.GENERAL | CodingGroup.AUTOMATIC_DELETION:
            return _general(octet, group)
        case CodingGroup.CODING_AND_CLASS:
            alphabet = Alphabet.OCTETS if octet & 0x04 else Alphabet.GSM7
            return DataCoding(octet, group, alphabet, message_class=octet & 0x03)
        case CodingGroup.RESERVED:
            return DataCoding(octet, group, Alphabet.GSM7)
        case _:
            alphabet = Alphabet.UCS2 if group is CodingGroup.WAITING_STORE_UCS2 else Alphabet.GSM7
            return DataCoding(octet, group, alphabet, waiting=_waiting(octet, group))


def _group(octet: int) -> CodingGroup:
    if octet < 0x40:
        return CodingGroup.GENERAL
    if octet < 0x80:
        return CodingGroup.AUTOMATIC_DELETION
    return _HIGH_GROUPS.get(octet >> 4, CodingGroup.RESERVED)


def _general(octet: int, group: CodingGroup) -> DataCoding:
    character_set = octet >> 2 & 0x03
    if character_set == 3:
        return DataCoding(octet, CodingGroup.RESERVED, Alphabet.GSM7)
    return DataCoding(
        octet,
        group,
        _ALPHABETS[character_set],
        is_compressed=bool(octet & 0x20),
        message_class=octet & 0x03 if octet & 0x10 else None,
    )


def _waiting(octet: int, group: CodingGroup) -> MessageWaiting:
    return MessageWaiting(
        kind=WaitingKind(octet & 0x03),
        is_active=bool(octet & 0x08),
        is_stored=group is not CodingGroup.WAITING_DISCARD,
    )
