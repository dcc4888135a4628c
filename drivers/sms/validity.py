"""The relative validity period (TP-VP): seconds to one octet and back. It reads no clock."""

from __future__ import annotations

from .errors import EncodeError

_MINUTE = 60
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_WEEK = 7 * _DAY

MAX_VALIDITY_S = 63 * _WEEK


def encode_validity(validity_s: float) -> int:
    """The octet of the shortest period that is not shorter than `validity_s` (TS 23.040 §9.2.3.12.1).

    Five minutes is the shortest; what is above 63 weeks, the longest there is, becomes 63 weeks.
    Raises: EncodeError unless the period is positive.
    """
    if not validity_s > 0:
        raise EncodeError(f"a validity period of {validity_s} s is over before it begins")
    if validity_s <= 12 * _HOUR:
        return _steps(validity_s, 5 * _MINUTE) - 1
    if validity_s <= _DAY:
        return 143 + _steps(validity_s - 12 * _HOUR, 30 * _MINUTE)
    if validity_s <= 30 * _DAY:
        return 166 + _steps(validity_s, _DAY)
    return 192 + _steps(min(validity_s, MAX_VALIDITY_S), _WEEK)


def decode_validity(octet: int) -> int:
    """Seconds of a relative TP-VP, 0..255 (TS 23.040 §9.2.3.12.1)."""
    if octet <= 143:
        return (octet + 1) * 5 * _MINUTE
    if octet <= 167:
        return 12 * _HOUR + (octet - 143) * 30 * _MINUTE
    if octet <= 196:
        return (octet - 166) * _DAY
    return (octet - 192) * _WEEK


def _steps(seconds: float, step_s: int) -> int:
    """How many steps cover `seconds`, rounded up."""
    return int(-(-seconds // step_s))
