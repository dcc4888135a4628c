"""Addresses: the digits or letters of an originator, a recipient or an SMSC, with their type of number.

It encodes what it is given: turning a national number into E.164 is decided elsewhere.
"""

from __future__ import annotations

from enum import IntEnum

from drivers.values import dataclass

from .errors import DecodeError, EncodeError
from .gsm7 import decode_gsm7, encode_gsm7, pack_septets, unpack_septets

E164 = 1  # ISDN/telephone numbering plan (E.164), the NPI of nearly every address
_MAX_DIGITS = 20  # an address field is at most 12 octets: length, type of address, 10 of value (§9.1.2.5)

_DIGITS = "0123456789*#abc"  # §9.1.2.3; 0b1111 is the end mark
_NIBBLES = {digit: nibble for nibble, digit in enumerate(_DIGITS)} | {"A": 12, "B": 13, "C": 14}
_END_MARK = 0x0F


class TypeOfNumber(IntEnum):
    """TON, bits 6 to 4 of the type of address (TS 23.040 §9.1.2.5)."""

    UNKNOWN = 0
    INTERNATIONAL = 1
    NATIONAL = 2
    NETWORK_SPECIFIC = 3
    SUBSCRIBER = 4
    ALPHANUMERIC = 5
    ABBREVIATED = 6
    RESERVED = 7


@dataclass(frozen=True, slots=True)
class Address:
    """An address as a person reads it: `number` has a leading + where the TON is international.

    `npi` is the numbering plan identification, 0..15; 0 where the TON is alphanumeric.
    """

    number: str
    ton: TypeOfNumber = TypeOfNumber.UNKNOWN
    npi: int = E164

    @classmethod
    def of(cls, number: str) -> Address:
        """The address of a dialable number: `+…` is international, all else (short codes too) unknown.

        Many networks refuse a short code that is marked international, so no TON is ever guessed.
        """
        international = number.startswith("+")
        return cls(number, TypeOfNumber.INTERNATIONAL if international else TypeOfNumber.UNKNOWN)

    @classmethod
    def alphanumeric(cls, name: str) -> Address:
        return cls(name, TypeOfNumber.ALPHANUMERIC, 0)

    @property
    def is_alphanumeric(self) -> bool:
        return self.ton is TypeOfNumber.ALPHANUMERIC

    def encode(self) -> bytes:
        """The address field: length in semi-octets, type of address, value (TS 23.040 §9.1.2.5).

        Raises: EncodeError for a character that an address cannot carry, and above 20 semi-octets.
        """
        if self.is_alphanumeric:
            septets = encode_gsm7(self.number)
            value = pack_septets(septets)
            semi_octets = (len(septets) * 7 + 3) // 4
        else:
            value = _semi_octets(self.number)
            semi_octets = len(self.number.removeprefix("+"))
        if semi_octets > _MAX_DIGITS:
            raise EncodeError(f"{self.number!r} is too long: an address has {_MAX_DIGITS} digits or 11 letters")
        return bytes((semi_octets, self._type_of_address)) + value

    def encode_smsc(self) -> bytes:
        """The SMSC address before a TPDU: here the length counts octets (TS 24.011 §8.2.5.2).

        Raises: EncodeError for what is no number.
        """
        value = _semi_octets(self.number)
        return bytes((1 + len(value), self._type_of_address)) + value

    @property
    def _type_of_address(self) -> int:
        return 0x80 | self.ton << 4 | self.npi & 0x0F


def encode_address(number: str) -> bytes:
    """The address field (TP-DA) of a dialable number; see `Address.of` for its type.

    Raises: EncodeError when `number` is empty, longer than 20 digits, or has anything but digits, `*`, `#`,
    `a`, `b`, `c` after an optional `+`.
    """
    return Address.of(number).encode()


def decode_address(octets: bytes, offset: int = 0, path: str = "address") -> tuple[Address, int]:
    """The address field that starts at `offset`, and the offset behind it (TS 23.040 §9.1.2.5).

    An address longer than the 12 octets of the clause is read all the same: the text behind it matters more.
    Raises: DecodeError when it runs past the octets.
    """
    if len(octets) < offset + 2:
        raise DecodeError(path, offset, "needs a length and a type of address")
    semi_octets, type_of_address = octets[offset], octets[offset + 1]
    start = offset + 2
    end = start + (semi_octets + 1) // 2
    if end > len(octets):
        raise DecodeError(path, offset, f"{semi_octets} semi-octets run past the end")
    return _decode_value(octets[start:end], type_of_address, semi_octets), end


def decode_smsc(octets: bytes) -> tuple[Address | None, int]:
    """The SMSC address at the front of a PDU, and the offset of the TPDU; None when it has no number.

    TS 24.011 §8.2.5.1. Raises: DecodeError when it runs past the octets.
    """
    if not octets:
        raise DecodeError("smsc", 0, "the PDU is empty")
    end = 1 + octets[0]
    if end > len(octets):
        raise DecodeError("smsc", 0, f"{octets[0]} octets run past the end")
    if octets[0] < 2:
        return None, end
    value = octets[2:end]
    return _decode_value(value, octets[1], 2 * len(value)), end


def _decode_value(value: bytes, type_of_address: int, semi_octets: int) -> Address:
    ton = TypeOfNumber(type_of_address >> 4 & 0x07)
    npi = type_of_address & 0x0F
    if ton is TypeOfNumber.ALPHANUMERIC:
        # Odd lengths leave less than a septet over; the count rounds down.
        septets = unpack_septets(value, semi_octets * 4 // 7)
        return Address(decode_gsm7(septets), ton, npi)
    digits: list[int] = []
    for octet in value:
        digits += (octet & 0x0F, octet >> 4)
    del digits[semi_octets:]
    if _END_MARK in digits:
        # Some SCs count the end mark as a digit; an SMSC's length in octets always does.
        del digits[digits.index(_END_MARK) :]
    number = "".join(_DIGITS[digit] for digit in digits)
    if ton is TypeOfNumber.INTERNATIONAL and number:
        number = "+" + number
    return Address(number, ton, npi)


def _semi_octets(number: str) -> bytes:
    digits = number.removeprefix("+")
    if not digits:
        raise EncodeError(f"{number!r} has no digits")
    try:
        nibbles = [_NIBBLES[digit] for digit in digits]
    except KeyError as missing:
        digit = missing.args[0]
        raise EncodeError(f"{number!r} is not a phone number: {digit!r} cannot be dialled") from None
    if len(nibbles) % 2:
        nibbles.append(_END_MARK)
    return bytes(low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=True))
