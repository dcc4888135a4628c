"""WAP push: what an SMS to port 2948 announces, an MMS above all.

It reads the WSP Push PDU (WAP-230-WSP §8.2.4.1) and of its contents the MMS notification (OMA-TS-MMS_ENC §6.2 and
§7.3); it fetches nothing.
"""

from __future__ import annotations

from drivers.values import dataclass

from .errors import DecodeError
from .reader import Reader

PORTS = frozenset({2948, 2949})  # WAP push and secure WAP push, as IANA has them

MMS_MESSAGE = "application/vnd.wap.mms-message"

# WAP-230-WSP appendix A, table 40: the content types that are pushed to handsets.
_CONTENT_TYPES = {
    0x2D: "text/vnd.wap.si",
    0x2E: "application/vnd.wap.sic",
    0x2F: "text/vnd.wap.sl",
    0x30: "application/vnd.wap.slc",
    0x31: "text/vnd.wap.co",
    0x32: "application/vnd.wap.coc",
    0x36: "application/vnd.wap.connectivity-wbxml",
    0x3E: MMS_MESSAGE,
}
_PUSH, _CONFIRMED_PUSH = 0x06, 0x07
_QUOTE = 0x7F
_LENGTH_QUOTE = 31
_LONGEST_UINTVAR_OCTETS = 5

# OMA-TS-MMS_ENC §7.3: field numbers, with bit 7 set as they stand in the PDU.
_CONTENT_LOCATION, _EXPIRY, _FROM = 0x83, 0x88, 0x89
_MESSAGE_TYPE, _MESSAGE_SIZE, _SUBJECT, _TRANSACTION_ID = 0x8C, 0x8E, 0x96, 0x98
_NOTIFICATION = 0x82
_PRESENT, _RELATIVE = 0x80, 0x81
_CHARACTER_SETS = {3: "ascii", 4: "latin-1", 106: "utf-8", 1000: "utf-16-be", 1015: "utf-16"}  # IANA MIBenum


@dataclass(frozen=True, slots=True)
class MmsNotification:
    """M-Notification.ind. `expires_in_s` is None where the time is absolute or missing."""

    transaction_id: str
    location: str
    sender: str | None = None
    subject: str | None = None
    size_octets: int | None = None
    expires_in_s: int | None = None


@dataclass(frozen=True, slots=True)
class WapPush:
    """One push; `content` is what follows its headers, `mms` that content where it is an MMS notification."""

    content_type: str
    content: bytes
    mms: MmsNotification | None = None


def decode_push(octets: bytes) -> WapPush:
    """The joined user data of a WAP push.

    Raises: DecodeError, and no other, with offsets from the first octet of the push, of its headers under paths that
    begin with "push.headers", and of its content under "mms".
    """
    reader = Reader(octets, "push")
    reader.octet("transaction")
    kind = reader.octet("type")
    if kind not in (_PUSH, _CONFIRMED_PUSH):
        raise DecodeError("push.type", 1, f"PDU type 0x{kind:02X} is no push")
    headers_octets = _uintvar(reader, "headers")
    headers = Reader(reader.take(headers_octets, "headers"), "push.headers")
    content_type = _content_type(headers)
    content = reader.rest()
    return WapPush(content_type, content, _notification(content) if content_type == MMS_MESSAGE else None)


def _notification(content: bytes) -> MmsNotification | None:
    """The MMS notification; None for another message of MMS, e.g. a delivery report."""
    reader = Reader(content, "mms")
    values: dict[int, bytes] = {}
    while reader.left:
        field = reader.octet("field")
        if field < 0x80:  # an application header: two texts
            reader.at -= 1
            _value(reader)
        values.setdefault(field, _value(reader))
    if values.get(_MESSAGE_TYPE) != bytes((_NOTIFICATION,)):
        return None
    return MmsNotification(
        transaction_id=_text(values.get(_TRANSACTION_ID, b"")),
        location=_text(values.get(_CONTENT_LOCATION, b"")),
        sender=_sender(values.get(_FROM, b"")),
        subject=_encoded_string(values[_SUBJECT]) if _SUBJECT in values else None,
        size_octets=int.from_bytes(values[_MESSAGE_SIZE][1:], "big") if _MESSAGE_SIZE in values else None,
        expires_in_s=_relative_s(values.get(_EXPIRY, b"")),
    )


def _value(reader: Reader) -> bytes:
    """One value of any field, whole, by its first octet (WAP-230-WSP §8.4.1.2)."""
    start = reader.at
    first = reader.octet("value")
    if first < _LENGTH_QUOTE:
        return bytes((first,)) + reader.take(first, "value")
    if first == _LENGTH_QUOTE:
        octets = _uintvar(reader, "value")
        # Given as if it had the short form, so that one octet of length precedes what is in it.
        return bytes((_LENGTH_QUOTE,)) + reader.take(octets, "value")
    if first >= 0x80:
        return bytes((first,))
    reader.at = start
    return _until_nul(reader)


def _until_nul(reader: Reader) -> bytes:
    found = bytearray()
    while octet := reader.octet("text"):
        found.append(octet)
    return bytes(found)


def _uintvar(reader: Reader, field: str) -> int:
    """Seven bits an octet, the most significant first (WAP-230-WSP §8.1.2)."""
    value = 0
    for _ in range(_LONGEST_UINTVAR_OCTETS):
        octet = reader.octet(field)
        value = value << 7 | octet & 0x7F
        if not octet & 0x80:
            return value
    raise reader.error(field, "a number does not end")


def _content_type(headers: Reader) -> str:
    """The content type that the headers begin with (WAP-230-WSP §8.4.2.24); parameters are left out."""
    value = _value(headers)
    if value[:1] and value[0] <= _LENGTH_QUOTE:
        value = value[1:]
        if value[:1] and value[0] < _LENGTH_QUOTE:  # a long integer
            return _CONTENT_TYPES.get(int.from_bytes(value[1 : 1 + value[0]], "big"), "unknown")
    if value[:1] and value[0] >= 0x80:
        return _CONTENT_TYPES.get(value[0] & 0x7F, f"0x{value[0] & 0x7F:02X}")
    return _text(value.partition(b"\0")[0]).lower()


def _text(value: bytes) -> str:
    return value.removeprefix(bytes((_QUOTE,))).partition(b"\0")[0].decode("utf-8", "replace")


def _encoded_string(value: bytes) -> str:
    """A text, or a character set and a text behind a length (OMA-TS-MMS_ENC §7.2.9)."""
    if not value or value[0] > _LENGTH_QUOTE:
        return _text(value)
    value = value[1:]
    if value[:1] and value[0] >= 0x80:
        character_set, text = value[0] & 0x7F, value[1:]
    elif value[:1] and value[0] < _LENGTH_QUOTE:
        character_set, text = int.from_bytes(value[1 : 1 + value[0]], "big"), value[1 + value[0] :]
    else:
        return _text(value)
    name = _CHARACTER_SETS.get(character_set, "utf-8")
    if name.startswith("utf-16"):
        return text[: len(text) & ~1].decode(name, "replace").partition("\0")[0]
    return text.removeprefix(bytes((_QUOTE,))).partition(b"\0")[0].decode(name, "replace")


def _sender(value: bytes) -> str | None:
    """The address without its type: `+4915…/TYPE=PLMN`; None where the MMSC is to insert it."""
    if len(value) < 2 or value[1] != _PRESENT:
        return None
    return _encoded_string(value[2:]).partition("/TYPE=")[0] or None


def _relative_s(value: bytes) -> int | None:
    if len(value) < 3 or value[1] != _RELATIVE:
        return None
    if value[2] >= 0x80:
        return value[2] & 0x7F
    return int.from_bytes(value[3 : 3 + value[2]], "big")
