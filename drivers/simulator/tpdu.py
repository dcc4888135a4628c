"""The simulator's own reader and writer of TPDUs (TS 23.040 §9.2): reads SUBMIT, reads and writes DELIVER and
STATUS-REPORT.

Pure: no clock, no log. Every declared length is checked against its container; what does not fit raises
TpduError, which the modem answers with +CMS ERROR: 304.
"""

import time
from dataclasses import dataclass
from enum import Enum

from drivers.simulator import alphabet

_BCD = "0123456789*#abc"
_MAX_USER_DATA_OCTETS = 140  # TS 23.040 §9.2.3.24
_MAX_ADDRESS_DIGITS = 20  # TS 23.040 §9.1.2.5
_SCTS_OCTETS = 7


class TpduError(ValueError):
    """The octets are not a TPDU of the expected kind; the text names field and octet."""


class Coding(Enum):
    """What a DCS says about the user data (TS 23.038 §4)."""

    GSM7 = "gsm7"
    OCTETS = "8bit"
    UCS2 = "ucs2"


@dataclass(frozen=True, slots=True)
class Address:
    """An address: digits, with `+` for international, or alphanumeric text; `kind` is the TON/NPI octet."""

    number: str
    kind: int


@dataclass(frozen=True, slots=True)
class Concatenation:
    """The concatenation IE: reference (8 or 16 bits), number of parts, 1-based place of this part."""

    reference: int
    total: int
    sequence: int
    bits: int


@dataclass(frozen=True, slots=True)
class UserData:
    """Decoded user data; `locking`, `single` name national tables (IE 25, 24).

    `text` is None for 8-bit data, and where a national table is named: the wrong text would be worse.
    """

    text: str | None
    coding: Coding
    octets: bytes
    header: bytes
    concatenation: Concatenation | None
    locking: int | None
    single: int | None


@dataclass(frozen=True, slots=True)
class Submit:
    """An SMS-SUBMIT with the SMSC field before it; `smsc` is None where that field is empty."""

    smsc: Address | None
    tpdu: bytes
    reference: int
    recipient: Address
    protocol: int
    coding_scheme: int
    validity: bytes
    has_report_request: bool
    user_data: UserData


@dataclass(frozen=True, slots=True)
class Deliver:
    """An SMS-DELIVER; `timestamp` is TP-SCTS as `yy/MM/dd,hh:mm:ss±zz`, as text mode shows it."""

    sender: Address
    protocol: int
    coding_scheme: int
    timestamp: str
    user_data: UserData


@dataclass(frozen=True, slots=True)
class StatusReport:
    """An SMS-STATUS-REPORT, as far as text mode and the log need it."""

    reference: int
    recipient: Address
    timestamp: str
    discharge: str
    status: int


class _Reader:
    """Takes octets in order; an overrun names the field and the octet where it began."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets
        self._offset = 0

    def take(self, count: int, field: str) -> bytes:
        end = self._offset + count
        if end > len(self._octets):
            raise TpduError(f"{field} at octet {self._offset} wants {count} octets beyond the end")
        taken = self._octets[self._offset : end]
        self._offset = end
        return taken

    def octet(self, field: str) -> int:
        return self.take(1, field)[0]

    def rest(self) -> bytes:
        return self.take(len(self._octets) - self._offset, "rest")


def split_smsc(octets: bytes) -> tuple[Address | None, bytes]:
    """The SMSC field of an AT-command PDU (27.005 §4) and the TPDU behind it. Raises TpduError."""
    reader = _Reader(octets)
    count = reader.octet("SMSC")
    if count == 0:
        return None, reader.rest()
    if count < 2 or count > 11:
        raise TpduError(f"SMSC of {count} octets")
    kind = reader.octet("SMSC type")
    digits = _digits(reader.take(count - 1, "SMSC"), "SMSC")
    return Address(_with_plus(digits, kind), kind), reader.rest()


def read_submit(octets: bytes) -> Submit:
    """An SMS-SUBMIT with its SMSC field. Raises TpduError where field and container disagree."""
    smsc, tpdu = split_smsc(octets)
    reader = _Reader(tpdu)
    first = reader.octet("TP-MTI")
    if first & 0x03 != 0x01:
        raise TpduError(f"TP-MTI {first & 0x03} is not SUBMIT")
    reference = reader.octet("TP-MR")
    recipient = _address(reader, "TP-DA")
    if not recipient.number.strip("+"):
        raise TpduError("TP-DA has no digits")
    protocol, scheme = reader.octet("TP-PID"), reader.octet("TP-DCS")
    validity = reader.take((0, 7, 1, 7)[first >> 3 & 0x03], "TP-VP")
    data = _user_data(reader, scheme, has_header=bool(first & 0x40))
    return Submit(smsc, tpdu, reference, recipient, protocol, scheme, validity, bool(first & 0x20), data)


def read_deliver(tpdu: bytes) -> Deliver:
    """An SMS-DELIVER without SMSC field. Raises TpduError."""
    reader = _Reader(tpdu)
    first = reader.octet("TP-MTI")
    if first & 0x03 != 0x00:
        raise TpduError(f"TP-MTI {first & 0x03} is not DELIVER")
    sender = _address(reader, "TP-OA")
    protocol, scheme = reader.octet("TP-PID"), reader.octet("TP-DCS")
    timestamp = _timestamp_text(reader.take(_SCTS_OCTETS, "TP-SCTS"))
    data = _user_data(reader, scheme, has_header=bool(first & 0x40))
    return Deliver(sender, protocol, scheme, timestamp, data)


def read_status_report(tpdu: bytes) -> StatusReport:
    """An SMS-STATUS-REPORT without SMSC field. Raises TpduError."""
    reader = _Reader(tpdu)
    first = reader.octet("TP-MTI")
    if first & 0x03 != 0x02:
        raise TpduError(f"TP-MTI {first & 0x03} is not STATUS-REPORT")
    reference = reader.octet("TP-MR")
    recipient = _address(reader, "TP-RA")
    timestamp = _timestamp_text(reader.take(_SCTS_OCTETS, "TP-SCTS"))
    discharge = _timestamp_text(reader.take(_SCTS_OCTETS, "TP-DT"))
    return StatusReport(reference, recipient, timestamp, discharge, reader.octet("TP-ST"))


def write_deliver(
    sender: Address,
    text: str,
    at_s: float,
    *,
    header: bytes = b"",
    protocol: int = 0,
    scheme: int | None = None,
) -> bytes:
    """An SMS-DELIVER without SMSC field, in GSM 7-bit where possible, else UCS2 (or as `scheme` says).

    `at_s` is a POSIX time, shown in the local zone; `header` is the UDH without its length octet.
    """
    if scheme is None:
        scheme = 0x00 if alphabet.is_gsm7(text) else 0x08
    head = bytes([len(header)]) + header if header else b""
    if coding_of(scheme) is Coding.GSM7:
        fill = -8 * len(head) % 7
        septets = alphabet.encode(text)
        count = (8 * len(head) + fill) // 7 + len(septets)
        data = head + alphabet.pack(septets, fill)
    else:
        data = head + text.encode("utf-16-be" if coding_of(scheme) is Coding.UCS2 else "latin-1")
        count = len(data)
    if len(data) > _MAX_USER_DATA_OCTETS:
        raise TpduError(f"user data of {len(data)} octets")
    first = 0x04 | (0x40 if header else 0)  # TP-MMS set: no more messages wait
    return (
        bytes([first]) + write_address(sender) + bytes([protocol, scheme]) + write_timestamp(at_s)
        + bytes([count]) + data
    )  # fmt: skip


def write_status_report(
    reference: int, recipient: Address, submitted_s: float, discharged_s: float, status: int
) -> bytes:
    """An SMS-STATUS-REPORT without SMSC field; times are POSIX seconds."""
    return (
        bytes([0x06, reference]) + write_address(recipient)
        + write_timestamp(submitted_s) + write_timestamp(discharged_s) + bytes([status])
    )  # fmt: skip


def address_of(number: str) -> Address:
    """TON/NPI as a network would set it: `+` international, digits unknown, anything else alphanumeric."""
    digits = number.removeprefix("+")
    if digits and all(character in _BCD for character in digits):
        return Address(number, 0x91 if number.startswith("+") else 0x81)
    return Address(number, 0xD0)


def write_address(address: Address) -> bytes:
    """An address field of a TPDU (TS 23.040 §9.1.2.5): its length counts semi-octets."""
    if address.kind & 0x70 == 0x50:
        septets = alphabet.encode(address.number)
        return bytes([(len(septets) * 7 + 3) // 4, address.kind]) + alphabet.pack(septets)
    digits = address.number.removeprefix("+")
    return bytes([len(digits), address.kind]) + _semi_octets(digits)


def write_smsc(number: str) -> bytes:
    """The SMSC field of an AT-command PDU: its length counts octets."""
    body = _semi_octets(number.removeprefix("+"))
    return bytes([len(body) + 1, 0x91 if number.startswith("+") else 0x81]) + body


def write_timestamp(at_s: float) -> bytes:
    """Seven semi-octet pairs with the local zone in quarters of an hour (TS 23.040 §9.2.3.11)."""
    local = time.localtime(at_s)
    quarters = round(local.tm_gmtoff / 900)
    values = (local.tm_year % 100, local.tm_mon, local.tm_mday, local.tm_hour, local.tm_min, local.tm_sec)
    zone = _swapped(abs(quarters)) | (0x08 if quarters < 0 else 0)
    return bytes([*(_swapped(value) for value in values), zone])


def coding_of(scheme: int) -> Coding:
    """The alphabet of a DCS (TS 23.038 §4); reserved values read as GSM 7-bit, as the clause asks."""
    group = scheme >> 4
    if group < 0x08:
        return (Coding.GSM7, Coding.OCTETS, Coding.UCS2, Coding.GSM7)[scheme >> 2 & 0x03]
    if group == 0x0E:
        return Coding.UCS2
    if group == 0x0F:
        return Coding.OCTETS if scheme & 0x04 else Coding.GSM7
    return Coding.GSM7


def class_of(scheme: int) -> int | None:
    """The message class of a DCS, or None (TS 23.038 §4)."""
    if scheme >> 4 == 0x0F or (scheme >> 4 < 0x08 and scheme & 0x10):
        return scheme & 0x03
    return None


def _user_data(reader: _Reader, scheme: int, *, has_header: bool) -> UserData:
    count = reader.octet("TP-UDL")
    octets = reader.rest()
    coding = coding_of(scheme)
    wanted = (count * 7 + 7) // 8 if coding is Coding.GSM7 else count
    if wanted != len(octets):
        raise TpduError(f"TP-UDL {count} wants {wanted} octets, {len(octets)} are there")
    if wanted > _MAX_USER_DATA_OCTETS:
        raise TpduError(f"TP-UD of {wanted} octets")
    header = b""
    if has_header:
        inner = _Reader(octets)
        header = inner.take(inner.octet("UDHL"), "UDH")
    concatenation, locking, single = _elements(header)
    head = 1 + len(header) if has_header else 0
    text: str | None = None
    if coding is Coding.GSM7:
        fill = -8 * head % 7
        septets = count - (8 * head + fill) // 7
        if septets < 0:
            raise TpduError("UDH is longer than TP-UD")
        decoded = alphabet.decode(alphabet.unpack(octets[head:], septets, fill))
        text = decoded if locking is None and single is None else None
    elif coding is Coding.UCS2:
        if (count - head) % 2:
            raise TpduError("UCS2 text of an odd number of octets")
        text = octets[head:].decode("utf-16-be", "surrogatepass")
    return UserData(text, coding, octets[head:], header, concatenation, locking, single)


def _elements(header: bytes) -> tuple[Concatenation | None, int | None, int | None]:
    """Concatenation, locking table and single table named in a UDH; a repeated IE counts last (§9.2.3.24)."""
    reader = _Reader(header)
    concatenation: Concatenation | None = None
    tables: dict[int, int] = {}
    remaining = len(header)
    while remaining:
        identifier, size = reader.octet("IEI"), reader.octet("IEL")
        body = reader.take(size, f"IE {identifier:02X}")
        remaining -= 2 + size
        if identifier in (0x00, 0x08):
            width = 1 if identifier == 0x00 else 2
            if size != width + 2:
                raise TpduError(f"IE {identifier:02X} of {size} octets")
            total, sequence = body[width], body[width + 1]
            if 1 <= sequence <= total:
                reference = int.from_bytes(body[:width], "big")
                concatenation = Concatenation(reference, total, sequence, 8 * width)
        elif identifier in (0x24, 0x25) and size == 1:
            tables[identifier] = body[0]
    return concatenation, tables.get(0x25), tables.get(0x24)


def _address(reader: _Reader, field: str) -> Address:
    count, kind = reader.octet(field), reader.octet(f"{field} type")
    if count > _MAX_ADDRESS_DIGITS:
        raise TpduError(f"{field} of {count} digits")
    if not kind & 0x80:
        raise TpduError(f"{field} type {kind:02X} lacks its extension bit")
    octets = reader.take((count + 1) // 2, field)
    if kind & 0x70 == 0x50:
        return Address(alphabet.decode(alphabet.unpack(octets, count * 4 // 7)), kind)
    digits = _digits(octets, field)
    if len(digits) != count:
        raise TpduError(f"{field} announces {count} digits and has {len(digits)}")
    return Address(_with_plus(digits, kind), kind)


def _digits(octets: bytes, field: str) -> str:
    nibbles = [half for octet in octets for half in (octet & 0x0F, octet >> 4)]
    if nibbles and nibbles[-1] == 0x0F:
        nibbles.pop()
    if 0x0F in nibbles:
        raise TpduError(f"{field} has a filler inside")
    return "".join(_BCD[nibble] for nibble in nibbles)


def _with_plus(digits: str, kind: int) -> str:
    return f"+{digits}" if kind & 0x70 == 0x10 else digits


def _semi_octets(digits: str) -> bytes:
    nibbles = [_BCD.index(digit) for digit in digits]
    if len(nibbles) % 2:
        nibbles.append(0x0F)
    return bytes(low | high << 4 for low, high in zip(nibbles[::2], nibbles[1::2], strict=True))


def _swapped(value: int) -> int:
    return value % 10 << 4 | value // 10


def _timestamp_text(octets: bytes) -> str:
    values = [(octet & 0x0F) * 10 + (octet >> 4) for octet in octets[:6]]
    zone = octets[6]
    quarters = (zone & 0x07) * 10 + (zone >> 4)
    sign = "-" if zone & 0x08 else "+"
    date = "/".join(f"{value:02d}" for value in values[:3])
    clock = ":".join(f"{value:02d}" for value in values[3:])
    return f"{date},{clock}{sign}{quarters:02d}"
