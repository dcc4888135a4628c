"""Cutting a text into the parts that fit one TPDU each.

It counts septets, UTF-16 units and octets. It assigns no concatenation reference: that belongs to whoever
keeps references apart per recipient.
"""

from __future__ import annotations

from dataclasses import dataclass

from .alphabet import Alphabet, encode_text
from .errors import EncodeError
from .gsm7 import ESCAPE
from .udh import Concatenation

MAX_PARTS = 255  # TS 23.040 §9.2.3.24.1: the total is one octet

# Body size of a part (septets for GSM7, else octets): alone, with an 8-bit and with a 16-bit reference.
# 140 octets of TP-UD, less the 6 or 7 octets of the header (TS 23.040 §9.2.3.24.1 and §9.2.3.24.8).
_LIMITS = {
    Alphabet.GSM7: (160, 153, 152),
    Alphabet.UCS2: (140, 134, 132),
    Alphabet.OCTETS: (140, 134, 133),
}


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a message; `sequence` counts from 1.

    `body`: unpacked septets (GSM7), UTF-16BE octets (UCS2) or octets (OCTETS), without the header.
    """

    alphabet: Alphabet
    body: bytes
    total: int
    sequence: int

    def concatenation(self, reference: int, *, wide: bool = False) -> Concatenation | None:
        """The concatenation element that this part carries; None for the only part of a message.

        Raises: EncodeError when the reference does not fit.
        """
        if self.total == 1:
            return None
        return Concatenation(reference, self.total, self.sequence, wide)


def segment(text: str, *, wide_reference: bool = False) -> tuple[Segment, ...]:
    """The parts of `text`, in GSM 7-bit where every character has it, else UCS2; an empty text is one part.

    160 septets or 70 UTF-16 units alone, 153 or 67 with an 8-bit reference, 152 or 66 with a wide (16-bit)
    one. Neither an escape nor a surrogate pair is cut (TS 23.040 §9.2.3.24.1).
    Raises: EncodeError above 255 parts, and for half of a surrogate pair.
    """
    alphabet, body = encode_text(text)
    return _segments(alphabet, body, wide_reference=wide_reference)


def segment_octets(octets: bytes, *, wide_reference: bool = False) -> tuple[Segment, ...]:
    """The parts of 8-bit data: 140 octets alone, 134 or 133 with a reference.

    Raises: EncodeError above 255 parts.
    """
    return _segments(Alphabet.OCTETS, octets, wide_reference=wide_reference)


def count_parts(text: str, *, wide_reference: bool = False) -> int:
    """How many TPDUs `text` takes. Raises: EncodeError as `segment` does."""
    return len(segment(text, wide_reference=wide_reference))


def _segments(alphabet: Alphabet, body: bytes, *, wide_reference: bool) -> tuple[Segment, ...]:
    alone, narrow, wide = _LIMITS[alphabet]
    if len(body) <= alone:
        return (Segment(alphabet, body, total=1, sequence=1),)
    limit = wide if wide_reference else narrow
    bodies = []
    start = 0
    while start < len(body):
        end = _cut(alphabet, body, start + limit)
        bodies.append(body[start:end])
        start = end
    if len(bodies) > MAX_PARTS:
        raise EncodeError(f"the message needs {len(bodies)} parts, a receiver can join {MAX_PARTS}")
    return tuple(Segment(alphabet, part, len(bodies), number) for number, part in enumerate(bodies, 1))


def _cut(alphabet: Alphabet, body: bytes, end: int) -> int:
    """The last place at or before `end` that splits no character."""
    if end >= len(body):
        return len(body)
    if alphabet is Alphabet.GSM7 and body[end - 1] == ESCAPE:
        return end - 1
    if alphabet is Alphabet.UCS2 and 0xD8 <= body[end - 2] <= 0xDB:  # a high surrogate is the last unit
        return end - 2
    return end
