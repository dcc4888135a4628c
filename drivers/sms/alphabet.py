"""The alphabets of user data, and text in whichever of them fits.

It knows bodies (unpacked septets, UTF-16BE octets, plain octets), no headers and no TPDUs.
"""

from __future__ import annotations

from enum import StrEnum

from .gsm7 import decode_gsm7, encode_gsm7, is_gsm7, pack_septets, unpack_septets
from .ucs2 import decode_ucs2, encode_ucs2

__all__ = [
    "Alphabet",
    "decode_gsm7",
    "decode_text",
    "decode_ucs2",
    "encode_gsm7",
    "encode_text",
    "encode_ucs2",
    "is_gsm7",
    "pack_septets",
    "unpack_septets",
]


class Alphabet(StrEnum):
    """The character sets of TS 23.038 §4."""

    GSM7 = "gsm7"
    UCS2 = "ucs2"
    OCTETS = "8bit"


def encode_text(text: str) -> tuple[Alphabet, bytes]:
    """The alphabet that fits `text`, GSM 7-bit where possible, and its body.

    Raises: EncodeError for half of a surrogate pair.
    """
    if is_gsm7(text):
        return Alphabet.GSM7, encode_gsm7(text)
    return Alphabet.UCS2, encode_ucs2(text)


def decode_text(alphabet: Alphabet, body: bytes, *, locking: int = 0, single: int = 0) -> str:
    """Text of a body, or of the joined bodies of several parts. Never raises.

    Joining before decoding heals an escape or a surrogate pair that a sender cut in two. Octets without an
    alphabet (8-bit data) have no text: the result is empty.
    """
    match alphabet:
        case Alphabet.GSM7:
            return decode_gsm7(body, locking=locking, single=single)
        case Alphabet.UCS2:
            return decode_ucs2(body)
        case Alphabet.OCTETS:
            return ""
