"""Service centre time stamps (TP-SCTS, TP-DT, absolute TP-VP): seven octets with their zone.

It keeps what arrived. It reads no clock and judges no time as wrong.
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from drivers.values import dataclass

from .errors import DecodeError, EncodeError

OCTETS = 7
_CENTURY_PIVOT = 90  # SMS began in 1992: years from 90 are of the last century


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A time stamp as it arrived.

    `at` is aware and keeps the zone of the SC; None where the octets are no time at all.
    """

    raw: bytes
    at: datetime | None

    @property
    def offset_minutes(self) -> int | None:
        """The zone of the SC, minutes east of UTC."""
        offset = self.at.utcoffset() if self.at else None
        return None if offset is None else int(offset.total_seconds()) // 60

    @property
    def utc_ms(self) -> int | None:
        """The instant in milliseconds UTC."""
        return None if self.at is None else int(self.at.timestamp()) * 1000


def decode_timestamp(octets: bytes) -> Timestamp:
    """Year to second in swapped semi-octets, then the zone in quarter hours (TS 23.040 §9.2.3.11).

    Bit 3 of the zone octet is its sign. Octets that are no time (an SC without a clock sends zeros or ones)
    give `at=None` with the raw octets kept. The clause has a wrong digit read as 0; that would make up a
    time, so it counts as none.
    Raises: DecodeError unless there are seven octets.
    """
    if len(octets) != OCTETS:
        raise DecodeError("timestamp", min(len(octets), OCTETS), f"{len(octets)} octets, not {OCTETS}")
    return Timestamp(bytes(octets), _moment(octets))


def encode_timestamp(at: datetime) -> bytes:
    """The seven octets of an aware time, in its own zone; seconds and quarter hours are cut, not rounded.

    Raises: EncodeError for a naive time.
    """
    offset = at.utcoffset()
    if offset is None:
        raise EncodeError("a time stamp needs a time with a zone")
    quarters = abs(offset) // timedelta(minutes=15)
    fields = (at.year % 100, at.month, at.day, at.hour, at.minute, at.second, quarters)
    octets = bytearray(field // 10 | field % 10 << 4 for field in fields)
    if offset < timedelta(0):
        octets[6] |= 0x08
    return bytes(octets)


def _moment(octets: bytes) -> datetime | None:
    *date, zone = octets
    fields = [(octet & 0x0F) * 10 + (octet >> 4) for octet in date]
    quarters = (zone & 0x07) * 10 + (zone >> 4)
    if zone >> 4 > 9 or any(octet & 0x0F > 9 or octet >> 4 > 9 for octet in date):
        return None
    offset = timedelta(minutes=15 * quarters)
    year, month, day, hour, minute, second = fields
    try:
        return datetime(
            year + (1900 if year >= _CENTURY_PIVOT else 2000),
            month,
            day,
            hour,
            minute,
            second,
            tzinfo=timezone(-offset if zone & 0x08 else offset),
        )
    except ValueError:
        return None
