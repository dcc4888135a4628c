"""The GSM 7-bit alphabet: text to septets, septets to octets, and back.

It knows no user data header: who calls says which national tables apply and how many fill bits precede.
"""

from __future__ import annotations

import codecs
from collections.abc import Mapping
from functools import lru_cache

from .errors import DecodeError, EncodeError
from .national import DEFAULT, DEFAULT_EXTENSION, LOCKING, SINGLE

ESCAPE = 0x1B
_SPACE = 0x20


def is_gsm7(text: str, *, locking: int = 0, single: int = 0) -> bool:
    """Whether every character is in the alphabet or its extension (TS 23.038 §6.2.1, §6.2.1.1), or in these tables."""
    return _septets(locking, single).keys() >= set(text)


def encode_gsm7(text: str, *, locking: int = 0, single: int = 0) -> bytes:
    """Unpacked septets, one per octet; a character of the extension table takes two, 0x1B first.

    TS 23.038 §6.2.1 and §6.2.1.1; `locking` and `single` are national language identifiers (§6.2.1.2.4) that the
    header must name.
    Raises: EncodeError that names the first character without an encoding.
    """
    septets = _septets(locking, single)
    try:
        return b"".join([septets[character] for character in text])
    except KeyError as missing:
        character = missing.args[0]
        raise EncodeError(
            f"character {character!r} (U+{ord(character):04X}) is not in the GSM 7-bit alphabet"
        ) from None


def decode_gsm7(septets: bytes, *, locking: int = 0, single: int = 0) -> str:
    """Text of unpacked septets; the eighth bit of each is ignored. Never raises.

    `locking` and `single` are national language identifiers (TS 23.038 §6.2.1.2.4); one that has no table
    counts as 0, the default alphabet, as annex C has a non-supporting receiver do. A septet after an escape
    that the extension table lacks is read from the alphabet itself, two escapes and an escape at the end
    are a space (§6.2.1, §6.2.1.1).
    """
    alphabet = LOCKING.get(locking, DEFAULT)
    extension = SINGLE.get(single, DEFAULT_EXTENSION)
    plain = septets if septets.isascii() else bytes(septet & 0x7F for septet in septets)
    text = []
    at = 0
    while (escape := plain.find(ESCAPE, at)) >= 0:
        text.append(codecs.charmap_decode(plain[at:escape], "strict", alphabet)[0])
        code = plain[escape + 1 : escape + 2]
        text.append(_escaped(code[0], alphabet, extension) if code else " ")
        at = escape + 2
    text.append(codecs.charmap_decode(plain[at:], "strict", alphabet)[0])
    return "".join(text)


def pack_septets(septets: bytes, fill_bits: int = 0) -> bytes:
    """Octets of unpacked septets, least significant bit first, after `fill_bits` (0..6) zero bits.

    TS 23.038 §6.1.2.1.1; the fill bits that follow a header: TS 23.040 §9.2.3.24.
    """
    value = 0
    for septet in reversed(septets):
        value = value << 7 | septet & 0x7F
    return (value << fill_bits).to_bytes((len(septets) * 7 + fill_bits + 7) // 8, "little")


def unpack_septets(octets: bytes, count: int, fill_bits: int = 0) -> bytes:
    """The first `count` septets of `octets`, after `fill_bits` bits that are skipped; the inverse of packing.

    Raises: DecodeError when the octets do not hold that many.
    """
    needed = (count * 7 + fill_bits + 7) // 8
    if needed > len(octets):
        raise DecodeError("septets", len(octets), f"{count} septets need {needed} octets")
    value = int.from_bytes(octets[:needed], "little") >> fill_bits
    return bytes([value >> shift & 0x7F for shift in range(0, count * 7, 7)])


def _escaped(septet: int, alphabet: str, extension: str) -> str:
    if septet == ESCAPE:
        return " "
    character = extension[septet]
    return alphabet[septet] if character == " " else character


@lru_cache(maxsize=8)
def _septets(locking: int, single: int) -> Mapping[str, bytes]:
    """Character to septets; what the alphabet itself has is never escaped."""
    alphabet = LOCKING.get(locking, DEFAULT)
    extension = SINGLE.get(single, DEFAULT_EXTENSION)
    found = {
        character: bytes((ESCAPE, septet))
        for septet, character in enumerate(extension)
        if character != " " and septet != ESCAPE
    }
    found.update(
        (character, bytes((septet,)))
        for septet, character in enumerate(alphabet)
        # A space elsewhere stands for no character.
        if septet != ESCAPE and (character != " " or septet == _SPACE)
    )
    return found
