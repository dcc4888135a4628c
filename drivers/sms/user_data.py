"""User data (TP-UDL and TP-UD): a header and a body within their declared lengths.

It knows alphabets and headers; which TPDU they stand in, only as the path of an error.
"""

from __future__ import annotations

from collections.abc import Iterable

from drivers.values import dataclass

from .alphabet import Alphabet
from .coding import DataCoding
from .errors import DecodeError, EncodeError
from .gsm7 import pack_septets, unpack_septets
from .reader import Reader
from .udh import InformationElement, decode_header, encode_header

MAX_OCTETS = 140  # TS 23.040 §9.2.3.24


@dataclass(frozen=True, slots=True)
class UserData:
    """`body` is unpacked septets (GSM7) or octets; `header_fault` says why a header was ignored."""

    elements: tuple[InformationElement, ...]
    body: bytes
    header_fault: str | None


def encode_user_data(alphabet: Alphabet, body: bytes, elements: Iterable[InformationElement]) -> bytes:
    """TP-UDL and TP-UD; the length counts septets for GSM7, else octets, header included (§9.2.3.16).

    Raises: EncodeError when header and body exceed 140 octets, or a septet has eight bits.
    """
    header = encode_header(elements)
    if alphabet is Alphabet.GSM7:
        if not body.isascii():
            raise EncodeError("a GSM 7-bit body has a septet above 0x7F")
        fill_bits = -len(header) * 8 % 7
        packed = pack_septets(body, fill_bits)
        count = _header_septets(len(header)) + len(body)
    else:
        packed = body
        count = len(header) + len(body)
    if len(header) + len(packed) > MAX_OCTETS:
        raise EncodeError(f"{len(header) + len(packed)} octets of user data, {MAX_OCTETS} fit in one part")
    return bytes((count,)) + header + packed


def decode_user_data(reader: Reader, path: str, coding: DataCoding, *, has_header: bool) -> UserData:
    """What stands from TP-UDL on; octets behind the declared length are left unread.

    Every length is held to its container: TP-UD to the TPDU, UDHL to TP-UD, an IE to UDHL. A header whose
    last IE does not end with it is ignored as a whole, the text behind it is kept (TS 23.040 §9.2.3.24).
    Compressed text (TS 23.042) is counted in octets and stays as it is.
    Raises: DecodeError when TP-UD runs past the TPDU or the header past TP-UD.
    """
    count = reader.octet("udl")
    start = reader.at
    in_septets = coding.alphabet is Alphabet.GSM7 and not coding.is_compressed
    octets = reader.take((count * 7 + 7) // 8 if in_septets else count, "ud")
    elements: tuple[InformationElement, ...] = ()
    fault = None
    header_octets = 0
    if has_header:
        header_octets = _header_octets(octets, f"{path}.udhl", start)
        try:
            elements = decode_header(octets[1:header_octets], f"{path}.udh", start + 1)
        except DecodeError as error:
            fault = str(error)
    if not in_septets:
        return UserData(elements, octets[header_octets:], fault)
    septets = count - _header_septets(header_octets)
    if septets < 0:
        raise DecodeError(f"{path}.udhl", start, "header runs past the user data")
    body = unpack_septets(octets[header_octets:], septets, -header_octets * 8 % 7) if septets else b""
    return UserData(elements, body, fault)


def _header_octets(octets: bytes, path: str, at: int) -> int:
    """Octets of the header, UDHL included."""
    if not octets:
        raise DecodeError(path, at, "a header is announced, the user data is empty")
    if 1 + octets[0] > len(octets):
        raise DecodeError(path, at, "header runs past the user data")
    return 1 + octets[0]


def _header_septets(octets: int) -> int:
    """Septets that a header takes, its fill bits included."""
    return (octets * 8 + 6) // 7
