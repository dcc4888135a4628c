"""Choosing how a text is encoded: which alphabet, which national tables, and what may stand for what.

It knows the parts that each choice takes, and no recipient: who calls says what the recipient's handset can read.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from enum import StrEnum
from functools import lru_cache

from drivers.values import dataclass

from .alphabet import Alphabet, encode_ucs2
from .gsm7 import encode_gsm7, is_gsm7
from .national import LOCKING, SINGLE
from .udh import IE_NATIONAL_LOCKING_SHIFT, IE_NATIONAL_SINGLE_SHIFT, InformationElement


class NationalTables(StrEnum):
    """Which national language tables may be used for sending; each allows what those before it allow."""

    OFF = "off"
    SINGLE = "single"
    LOCKING = "locking"


@dataclass(frozen=True, slots=True)
class Encoded:
    """A text as one body. `locking` and `single` are national language identifiers, 0 for none."""

    alphabet: Alphabet
    body: bytes
    locking: int = 0
    single: int = 0

    @property
    def elements(self) -> tuple[InformationElement, ...]:
        """What the header of each part must say (TS 23.040 §9.2.3.24.15, §9.2.3.24.16)."""
        named = ((IE_NATIONAL_SINGLE_SHIFT, self.single), (IE_NATIONAL_LOCKING_SHIFT, self.locking))
        return tuple(InformationElement(identifier, bytes((language,))) for identifier, language in named if language)


def encodings(text: str, national: NationalTables) -> Iterator[Encoded]:
    """Every encoding of `text` that is allowed, the one that more handsets read first.

    Where the plain alphabet has every character it is the only one. Else UCS2, which every handset reads; then
    single shift tables, which an old handset shows as base letters; then locking shift, which it shows as garbage.
    Raises: EncodeError for half of a surrogate pair.
    """
    if is_gsm7(text):
        yield Encoded(Alphabet.GSM7, encode_gsm7(text))
        return
    yield Encoded(Alphabet.UCS2, encode_ucs2(text))
    if national is NationalTables.OFF:
        return
    characters = frozenset(text)
    for locking in sorted(LOCKING) if national is NationalTables.LOCKING else (0,):
        # None, else that of the same language, which a handset more likely has.
        for single in sorted(SINGLE, key=lambda language: (language != 0, language != locking, language)):
            if (locking or single) and characters <= _characters(locking) | _extension(single):
                yield Encoded(
                    Alphabet.GSM7, encode_gsm7(text, locking=locking, single=single), locking=locking, single=single
                )


def simplified(text: str) -> str:
    """`text` with plain quotes, dashes, spaces and dots for typographic ones, in composed form (NFC).

    Letters stay what they are: no accent is dropped and no script is written in another.
    """
    return unicodedata.normalize("NFC", text).translate(_PLAIN)


_PLAIN = str.maketrans(
    {
        **dict.fromkeys("‘’‚‛′‵ʹʼ`´", "'"),  # noqa: RUF001 - the very characters that are meant
        **dict.fromkeys("“”„‟″‶«»", '"'),
        **dict.fromkeys("‹", "<"),  # noqa: RUF001
        **dict.fromkeys("›", ">"),  # noqa: RUF001
        **dict.fromkeys("‐‑‒–—―−﹘﹣－", "-"),  # noqa: RUF001
        **dict.fromkeys("•‣∙·", "*"),
        "…": "...",
        "‥": "..",
        **dict.fromkeys("⁄∕", "/"),  # noqa: RUF001
        **dict.fromkeys("\t\u00a0\u1680\u202f\u205f\u3000", " "),
        **dict.fromkeys(map(chr, range(0x2000, 0x200B)), " "),
        **dict.fromkeys("\u2028\u2029\u0085", "\n"),
        # Marks that show nothing by themselves: soft hyphen, zero width space, word joiner, byte order mark.
        **dict.fromkeys("\u00ad\u200b\u2060\ufeff", ""),
    }
)


@lru_cache(maxsize=16)
def _characters(locking: int) -> frozenset[str]:
    return frozenset(LOCKING[locking])


@lru_cache(maxsize=16)
def _extension(single: int) -> frozenset[str]:
    return frozenset(SINGLE[single])
