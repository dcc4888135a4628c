"""A plan for people and programs: which alphabet, which tables, how many parts, what stands in each. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from drivers import sms
from drivers.api import PlannedPart

TEXT_ALPHABETS = frozenset(alphabet.value for alphabet in sms.Alphabet)


def described(parts: Sequence[PlannedPart]) -> dict[str, Any]:
    """`alphabet` None where nothing is planned; "text" where whoever carries it splits the text."""
    if not parts:
        return {"alphabet": None, "tables": None, "flash": False, "port": None, "parts": []}
    first = parts[0]
    elements = sms.decode_header(first.header)
    ports = sms.find_ports(elements)
    return {
        "alphabet": first.alphabet,
        "tables": tables(elements),
        "flash": first.message_class == 0,
        "port": None if ports is None else ports.destination,
        "parts": [_part(part, number, len(parts)) for number, part in enumerate(parts, 1)],
    }


def tables(elements: Sequence[sms.InformationElement]) -> dict[str, str] | None:
    """The national language tables that a header names, by language."""
    found = {
        name: sms.LANGUAGES.get(language, f"unknown ({language})")
        for name, identifier in (
            ("locking", sms.IE_NATIONAL_LOCKING_SHIFT),
            ("single", sms.IE_NATIONAL_SINGLE_SHIFT),
        )
        if (language := sms.find_language(elements, identifier))
    }
    return found or None


def _part(part: PlannedPart, sequence: int, total: int) -> dict[str, Any]:
    if part.alphabet not in TEXT_ALPHABETS:
        return {"sequence": sequence, "used": len(part.body), "room": None, "header_octets": 0,
                "text": part.body.decode("utf-8", "replace"), "data": None}  # fmt: skip
    alphabet = sms.Alphabet(part.alphabet)
    elements = list(sms.decode_header(part.header))
    if total > 1:
        elements.insert(0, sms.Concatenation(0, total, sequence).element())
    return {
        "sequence": sequence,
        # Septets, or octets, as the alphabet has them.
        "used": len(part.body),
        "room": sms.room(alphabet, elements),
        "header_octets": sms.header_octets(elements),
        "text": None if alphabet is sms.Alphabet.OCTETS else _text(alphabet, part.body, elements),
        "data": part.body.hex() if alphabet is sms.Alphabet.OCTETS else None,
    }


def _text(alphabet: sms.Alphabet, body: bytes, elements: Sequence[sms.InformationElement]) -> str:
    return sms.decode_text(
        alphabet,
        body,
        locking=sms.find_language(elements, sms.IE_NATIONAL_LOCKING_SHIFT),
        single=sms.find_language(elements, sms.IE_NATIONAL_SINGLE_SHIFT),
    )
