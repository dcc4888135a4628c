"""UCS2 user data, which every phone fills with UTF-16BE: text to octets and back.

To join a message whose parts cut a surrogate pair in two, join the octets first and decode once.
"""

from __future__ import annotations

from .errors import EncodeError


def encode_ucs2(text: str) -> bytes:
    """UTF-16BE octets; a character outside the BMP is a surrogate pair, four octets.

    TS 23.038 §6.2.3 names UCS2; handsets show UTF-16, and emoji need it.
    Raises: EncodeError for half of a surrogate pair, which no receiver can show.
    """
    try:
        return text.encode("utf-16-be")
    except UnicodeEncodeError as fault:
        half = ord(text[fault.start])
        raise EncodeError(f"U+{half:04X} is half of a surrogate pair and no character by itself") from None


def decode_ucs2(octets: bytes) -> str:
    """Text of UTF-16BE octets. Never raises: half a pair or an odd last octet becomes U+FFFD."""
    return octets.decode("utf-16-be", "replace")
