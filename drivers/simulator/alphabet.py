"""The simulator's own GSM 7-bit default alphabet: text to septets, septets to octets, and back.

Pure; knows nothing of TPDUs beyond the fill bits before the first septet. National language tables are not
decoded here: `tpdu` reports which tables a message names.
"""

# TS 23.038 §6.2.1, basic character set, in order of the septet value.
BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
# TS 23.038 §6.2.1.1, the extension table behind the escape septet.
EXTENSION = {
    0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\",
    0x3C: "[", 0x3D: "~", 0x3E: "]", 0x40: "|", 0x65: "€",
}  # fmt: skip
ESCAPE = 0x1B

_SEPTETS: dict[str, bytes] = {character: bytes([value]) for value, character in enumerate(BASIC) if value != ESCAPE}
_SEPTETS.update({character: bytes([ESCAPE, value]) for value, character in EXTENSION.items()})


def is_gsm7(text: str) -> bool:
    """Whether every character has a place in the basic or the extension table."""
    return all(character in _SEPTETS for character in text)


def septets_of(character: str) -> bytes:
    """One septet per octet; two for a character of the extension table. Raises KeyError if it has none."""
    return _SEPTETS[character]


def encode(text: str) -> bytes:
    """One septet per octet. Raises KeyError for a character outside the alphabet."""
    return b"".join(_SEPTETS[character] for character in text)


def decode(septets: bytes) -> str:
    """Text of one septet per octet.

    An escape before an unknown extension shows the basic character, as TS 23.038 §6.2.1.1 note asks; a lone
    escape at the end shows a space.
    """
    characters: list[str] = []
    escaped = False
    for value in septets:
        if escaped:
            characters.append(EXTENSION.get(value, " " if value == ESCAPE else BASIC[value]))
            escaped = False
        elif value == ESCAPE:
            escaped = True
        else:
            characters.append(BASIC[value])
    if escaped:
        characters.append(" ")
    return "".join(characters)


def pack(septets: bytes, fill_bits: int = 0) -> bytes:
    """Septets to octets, least significant bit first, after `fill_bits` zero bits (TS 23.038 §6.1.2.1.1)."""
    stream = 0
    for position, value in enumerate(septets):
        stream |= value << (7 * position)
    bits = fill_bits + 7 * len(septets)
    return (stream << fill_bits).to_bytes((bits + 7) // 8, "little")


def unpack(octets: bytes, count: int, fill_bits: int = 0) -> bytes:
    """The first `count` septets after `fill_bits`. Raises ValueError when the octets hold fewer."""
    if count < 0 or fill_bits + 7 * count > 8 * len(octets):
        raise ValueError(f"{count} septets do not fit {len(octets)} octets")
    stream = int.from_bytes(octets, "little") >> fill_bits
    return bytes((stream >> (7 * position)) & 0x7F for position in range(count))
