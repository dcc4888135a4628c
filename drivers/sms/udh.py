"""The user data header (UDH): its information elements (IE) and the few that we act on.

It knows octets and bounds, not the text that follows the header.
"""

from __future__ import annotations

from collections.abc import Iterable

from drivers.values import dataclass

from .errors import DecodeError, EncodeError

# Identifiers, TS 23.040 §9.2.3.24
IE_CONCATENATION = 0x00
IE_SPECIAL_MESSAGE = 0x01
IE_PORTS_8BIT = 0x04
IE_PORTS_16BIT = 0x05
IE_CONCATENATION_WIDE = 0x08
IE_NATIONAL_SINGLE_SHIFT = 0x24
IE_NATIONAL_LOCKING_SHIFT = 0x25

_MAX_UDHL = 139  # TP-UD is at most 140 octets, one of them is UDHL itself


@dataclass(frozen=True, slots=True)
class InformationElement:
    """One IE as it stands in the header; `data` excludes identifier and length."""

    identifier: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Concatenation:
    """Which part of which message this is (TS 23.040 §9.2.3.24.1; `wide`: 16-bit reference, §9.2.3.24.8).

    Raises: EncodeError when a value does not fit its field.
    """

    reference: int
    total: int
    sequence: int
    wide: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.reference <= (0xFFFF if self.wide else 0xFF):
            raise EncodeError(f"concatenation reference {self.reference} does not fit")
        if not 1 <= self.sequence <= self.total <= 255:
            raise EncodeError(f"part {self.sequence} of {self.total} cannot be expressed")

    def element(self) -> InformationElement:
        identifier = IE_CONCATENATION_WIDE if self.wide else IE_CONCATENATION
        reference = self.reference.to_bytes(2 if self.wide else 1, "big")
        return InformationElement(identifier, reference + bytes((self.total, self.sequence)))


@dataclass(frozen=True, slots=True)
class Ports:
    """Application ports (TS 23.040 §9.2.3.24.3; `wide`: 16-bit, §9.2.3.24.4)."""

    destination: int
    originator: int
    wide: bool = True

    def element(self) -> InformationElement:
        """Raises: EncodeError when a port does not fit its field."""
        octets = 2 if self.wide else 1
        if not (0 <= self.destination < 1 << 8 * octets and 0 <= self.originator < 1 << 8 * octets):
            raise EncodeError(f"port {self.destination} or {self.originator} does not fit into {octets} octet(s)")
        data = self.destination.to_bytes(octets, "big") + self.originator.to_bytes(octets, "big")
        return InformationElement(IE_PORTS_16BIT if self.wide else IE_PORTS_8BIT, data)


def encode_elements(elements: Iterable[InformationElement]) -> bytes:
    """The elements one after the other, without UDHL: how a plan is kept until its concatenation is known.

    `decode_header` is the inverse.
    """
    return b"".join(bytes((element.identifier, len(element.data))) + element.data for element in elements)


def encode_header(elements: Iterable[InformationElement]) -> bytes:
    """UDHL and the elements; nothing at all without elements.

    Raises: EncodeError when the header is longer than user data can be.
    """
    body = encode_elements(elements)
    if len(body) > _MAX_UDHL:
        raise EncodeError(f"a user data header of {len(body)} octets is longer than user data")
    return bytes((len(body),)) + body if body else b""


def decode_header(octets: bytes, path: str = "udh", octet: int = 0) -> tuple[InformationElement, ...]:
    """The elements of a header given without its UDHL octet; `octet` is where it stands in the TPDU.

    Raises: DecodeError when the last element does not end where the header ends. TS 23.040 §9.2.3.24 then
    has a receiver ignore the whole header, which is left to the caller.
    """
    elements = []
    at = 0
    while at < len(octets):
        if at + 2 > len(octets):
            raise DecodeError(f"{path}.ie", octet + at, "information element has no length octet")
        end = at + 2 + octets[at + 1]
        if end > len(octets):
            raise DecodeError(f"{path}.ie", octet + at, "information element runs past the header")
        elements.append(InformationElement(octets[at], octets[at + 2 : end]))
        at = end
    return tuple(elements)


def take_concatenation(
    elements: tuple[InformationElement, ...],
) -> tuple[Concatenation | None, tuple[InformationElement, ...]]:
    """The concatenation that counts, and the elements without it.

    The last usable one counts (§9.2.3.24: of repeated or exclusive elements, the last). One with total 0,
    sequence 0 or a sequence above its total is ignored (§9.2.3.24.1) and stays among the elements.
    """
    for at in range(len(elements) - 1, -1, -1):
        concatenation = _concatenation(elements[at])
        if concatenation is not None:
            return concatenation, elements[:at] + elements[at + 1 :]
    return None, elements


def find_ports(elements: Iterable[InformationElement]) -> Ports | None:
    """The application ports of the last element that has them."""
    ports = None
    for element in elements:
        data = element.data
        if element.identifier == IE_PORTS_8BIT and len(data) == 2:
            ports = Ports(data[0], data[1], wide=False)
        elif element.identifier == IE_PORTS_16BIT and len(data) == 4:
            ports = Ports(int.from_bytes(data[:2], "big"), int.from_bytes(data[2:], "big"), wide=True)
    return ports


def find_language(elements: Iterable[InformationElement], identifier: int) -> int:
    """The national language of the last such IE (TS 23.040 §9.2.3.24.15, §9.2.3.24.16); 0 without one."""
    language = 0
    for element in elements:
        if element.identifier == identifier and len(element.data) == 1:
            language = element.data[0]
    return language


def _concatenation(element: InformationElement) -> Concatenation | None:
    wide = element.identifier == IE_CONCATENATION_WIDE
    if element.identifier not in (IE_CONCATENATION, IE_CONCATENATION_WIDE):
        return None
    if len(element.data) != (4 if wide else 3):
        return None
    total, sequence = element.data[-2:]
    if not 1 <= sequence <= total:
        return None
    return Concatenation(int.from_bytes(element.data[:-2], "big"), total, sequence, wide)
