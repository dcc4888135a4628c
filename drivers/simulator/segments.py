"""Cuts an inbound text into the TPDUs that a network would deliver. Pure."""

from dataclasses import dataclass

from drivers.simulator import alphabet, tpdu

# Septets and UTF-16 units in one part: alone, with 8-bit and with 16-bit reference (TS 23.040 §9.2.3.24.1).
_GSM7_ROOM = {0: 160, 8: 153, 16: 152}
_UCS2_ROOM = {0: 70, 8: 67, 16: 66}
_MAX_PARTS = 255


@dataclass(frozen=True, slots=True)
class Part:
    """One DELIVER TPDU of a text, with its own piece of the text; `sequence` is 1-based."""

    tpdu: bytes
    text: str
    sequence: int
    total: int


def deliver_parts(
    sender: str, text: str, at_s: float, *, reference: int, reference_bits: int = 8, scheme: int | None = None
) -> tuple[Part, ...]:
    """The text as one DELIVER, or as concatenated ones that split no escape and no surrogate pair.

    Raises TpduError beyond 255 parts, and KeyError where `scheme` wants GSM 7-bit and a character has none.
    """
    coding = tpdu.coding_of(scheme) if scheme is not None else None
    is_gsm7 = coding is tpdu.Coding.GSM7 or (coding is None and alphabet.is_gsm7(text))
    if scheme is None:
        scheme = 0x00 if is_gsm7 else 0x08
    room = _GSM7_ROOM if is_gsm7 else _UCS2_ROOM
    pieces = _pieces(text, room[0], is_gsm7=is_gsm7)
    address = tpdu.address_of(sender)
    if len(pieces) == 1:
        return (Part(tpdu.write_deliver(address, text, at_s, scheme=scheme), text, 1, 1),)
    pieces = _pieces(text, room[reference_bits], is_gsm7=is_gsm7)
    if len(pieces) > _MAX_PARTS:
        raise tpdu.TpduError(f"{len(pieces)} parts")
    parts: list[Part] = []
    for sequence, piece in enumerate(pieces, start=1):
        header = _concatenation(reference, reference_bits, len(pieces), sequence)
        octets = tpdu.write_deliver(address, piece, at_s, header=header, scheme=scheme)
        parts.append(Part(octets, piece, sequence, len(pieces)))
    return tuple(parts)


def _pieces(text: str, room: int, *, is_gsm7: bool) -> list[str]:
    pieces: list[str] = []
    piece: list[str] = []
    used = 0
    for character in text:
        cost = len(alphabet.septets_of(character)) if is_gsm7 else len(character.encode("utf-16-be")) // 2
        if used + cost > room:
            pieces.append("".join(piece))
            piece, used = [], 0
        piece.append(character)
        used += cost
    pieces.append("".join(piece))
    return pieces


def _concatenation(reference: int, bits: int, total: int, sequence: int) -> bytes:
    width = bits // 8
    identifier = 0x00 if width == 1 else 0x08
    value = (reference % (1 << bits)).to_bytes(width, "big")
    return bytes([identifier, width + 2]) + value + bytes([total, sequence])
