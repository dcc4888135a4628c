"""Cutting a text into the parts that fit one TPDU each.

It counts septets, UTF-16 units and octets. It assigns no concatenation reference: that belongs to whoever
keeps references apart per recipient.
"""

from __future__ import annotations

from collections.abc import Iterable

from drivers.values import dataclass

from .alphabet import Alphabet
from .choice import Encoded, NationalTables, encodings, simplified
from .errors import EncodeError
from .gsm7 import ESCAPE, is_gsm7
from .udh import (
    IE_NATIONAL_LOCKING_SHIFT,
    IE_NATIONAL_SINGLE_SHIFT,
    Concatenation,
    InformationElement,
    encode_header,
    find_language,
)
from .user_data import MAX_OCTETS

MAX_PARTS = 255  # TS 23.040 §9.2.3.24.1: the total is one octet


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a message; `sequence` counts from 1.

    `body`: unpacked septets (GSM7), UTF-16BE octets (UCS2) or octets (OCTETS), without the header. `elements` are
    those that its header needs beside the concatenation.
    """

    alphabet: Alphabet
    body: bytes
    total: int
    sequence: int
    elements: tuple[InformationElement, ...] = ()

    def concatenation(self, reference: int, *, wide: bool = False) -> Concatenation | None:
        """The concatenation element that this part carries; None for the only part of a message.

        Raises: EncodeError when the reference does not fit.
        """
        if self.total == 1:
            return None
        return Concatenation(reference, self.total, self.sequence, wide)


def segment(
    text: str,
    *,
    wide_reference: bool = False,
    national: NationalTables = NationalTables.OFF,
    is_smart: bool = False,
    elements: Iterable[InformationElement] = (),
) -> tuple[Segment, ...]:
    """The parts of `text`; an empty text is one part.

    GSM 7-bit where every character has it, else UCS2, or the national tables that `national` allows where they take
    fewer parts. `is_smart` lets typographic characters become plain ones where GSM 7-bit is won by it. Alone a part
    has 160 septets or 70 UTF-16 units, of several 153 or 67 with an 8-bit reference, 152 or 66 with a wide (16-bit)
    one, and less by what `elements` and tables take of the header. Neither an escape nor a surrogate pair is cut
    (TS 23.040 §9.2.3.24.1).
    Raises: EncodeError above 255 parts, and for half of a surrogate pair.
    """
    fixed = tuple(elements)
    plans = [_plan(encoded, fixed, wide_reference) for encoded in encodings(text, national)]
    # The least parts, and of those the first: `encodings` begins with what more handsets read.
    best = min(plans, key=len)
    if is_smart and not is_gsm7(text):
        simple = [_plan(encoded, fixed, wide_reference) for encoded in encodings(simplified(text), national)]
        best = min((best, *(plan for plan in simple if plan[0].alphabet is Alphabet.GSM7)), key=_cost)
    return _checked(best)


def segment_octets(
    octets: bytes, *, wide_reference: bool = False, elements: Iterable[InformationElement] = ()
) -> tuple[Segment, ...]:
    """The parts of 8-bit data: 140 octets alone, 134 or 133 with a reference, less by what `elements` take.

    Raises: EncodeError above 255 parts.
    """
    return _checked(_plan(Encoded(Alphabet.OCTETS, octets), tuple(elements), wide_reference))


def count_parts(text: str, *, wide_reference: bool = False) -> int:
    """How many TPDUs `text` takes. Raises: EncodeError as `segment` does."""
    return len(segment(text, wide_reference=wide_reference))


def _plan(encoded: Encoded, fixed: tuple[InformationElement, ...], wide: bool) -> list[Segment]:
    elements = (*fixed, *encoded.elements)
    alphabet, body = encoded.alphabet, encoded.body
    if len(body) <= room(alphabet, elements):
        return [Segment(alphabet, body, 1, 1, elements)]
    most = room(alphabet, (Concatenation(0, 1, 1, wide).element(), *elements))
    bodies = []
    start = 0
    while start < len(body):
        end = _cut(alphabet, body, start + most)
        bodies.append(body[start:end])
        start = end
    return [Segment(alphabet, part, len(bodies), number, elements) for number, part in enumerate(bodies, 1)]


def _checked(plan: list[Segment]) -> tuple[Segment, ...]:
    if len(plan) > MAX_PARTS:
        raise EncodeError(f"the message needs {len(plan)} parts, a receiver can join {MAX_PARTS}")
    return tuple(plan)


def _cost(plan: list[Segment]) -> tuple[int, int]:
    """Parts; and among equals the plain alphabet first, then the text as it was given, then what was made of it."""
    needs_tables = find_language(plan[0].elements, IE_NATIONAL_SINGLE_SHIFT) or find_language(
        plan[0].elements, IE_NATIONAL_LOCKING_SHIFT
    )
    return len(plan), 1 if plan[0].alphabet is not Alphabet.GSM7 or needs_tables else 0


def header_octets(elements: Iterable[InformationElement]) -> int:
    """What a header with these elements takes of 140 octets, its length octet included."""
    return len(encode_header(elements))


def room(alphabet: Alphabet, elements: Iterable[InformationElement]) -> int:
    """Body of one part beside a header with these elements: septets for GSM7, else octets (TS 23.040 §9.2.3.16).

    Raises: EncodeError where the header leaves none.
    """
    octets = MAX_OCTETS - header_octets(elements)
    left = octets
    if alphabet is Alphabet.GSM7:
        left = octets * 8 // 7
    elif alphabet is Alphabet.UCS2:
        left = octets - octets % 2
    # An escape with its character, or a surrogate pair, must fit as a whole.
    if left < 4:
        raise EncodeError("the header leaves no room for a text")
    return left


def _cut(alphabet: Alphabet, body: bytes, end: int) -> int:
    """The last place at or before `end` that splits no character."""
    if end >= len(body):
        return len(body)
    if alphabet is Alphabet.GSM7 and body[end - 1] == ESCAPE:
        return end - 1
    if alphabet is Alphabet.UCS2 and 0xD8 <= body[end - 2] <= 0xDB:  # a high surrogate is the last unit
        return end - 2
    return end
