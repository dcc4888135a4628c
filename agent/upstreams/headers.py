"""What an answer's headers say about when to come again. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_LONGEST_RETRY_AFTER_S = 3600.0


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds from Retry-After (a number or a date) or X-RateLimit-Reset; dates count by the server's own clock."""
    given = headers.get("Retry-After", "").strip()
    if _is_number(given):
        return min(_LONGEST_RETRY_AFTER_S, float(given))
    now_s, until_s = _date_s(headers.get("Date", "")), _date_s(given)
    reset = headers.get("X-RateLimit-Reset", "")
    if until_s is None and _is_number(reset):
        until_s = float(reset)
    if now_s is None or until_s is None:
        return None
    return max(1.0, min(_LONGEST_RETRY_AFTER_S, until_s - now_s))


def rate_limit(headers: Mapping[str, str]) -> tuple[int | None, int | None]:
    """Requests that Laravel's throttle allows in a minute, and those left of them; None where it does not say."""
    limit, left = headers.get("X-RateLimit-Limit", ""), headers.get("X-RateLimit-Remaining", "")
    return (
        max(1, int(limit)) if _is_number(limit) else None,
        int(left) if _is_number(left) else None,
    )


def _is_number(text: str) -> bool:
    # 12 digits are enough for a time in seconds, and few enough to be harmless.
    return text.isascii() and text.isdigit() and len(text) <= 12


def _date_s(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
