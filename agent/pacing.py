"""When a route may send its next message. Pure: values and `now` in, waits out.

The server's delay spaces all messages of that upstream's device, the route's own all messages of the route; the
parts of one message follow each other at once; from URGENT_PRIORITY up nothing here applies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

from agent.clock import Instant, elapsed_ms, remaining_ms

_MINUTE_MS = 60_000
_HOUR_MS = 3_600_000
_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one route. Counts are parts per sliding window; `quiet_hours` is (from, to) local time."""

    send_delay_s: float = 0.0
    rate_per_minute: int | None = None
    rate_per_hour: int | None = None
    rate_per_day: int | None = None
    quiet_hours: tuple[time, time] | None = None
    timezone: tzinfo = UTC

    @property
    def windows(self) -> tuple[tuple[int, int], ...]:
        """(window in ms, parts allowed in it) for each limit that is set."""
        pairs = (
            (_MINUTE_MS, self.rate_per_minute),
            (_HOUR_MS, self.rate_per_hour),
            (_DAY_MS, self.rate_per_day),
        )
        return tuple((window, count) for window, count in pairs if count is not None)


def delay_left_ms(delay_s: float, last: Instant | None, now: Instant) -> int:
    """What is left of a send delay whose last message ended at `last`, in ms."""
    if last is None or delay_s <= 0:
        return 0
    return remaining_ms(last, now, wait_ms=round(delay_s * 1000))


def drawn_delay_s(shortest_s: float, longest_s: float, last: Instant | None) -> float:
    """A delay between two values, the same whenever it is asked for after the same message."""
    if last is None or longest_s <= shortest_s:
        return shortest_s
    # Knuth's multiplicative hash: neighbouring milliseconds give delays that look random.
    share = (last.utc_ms * 2654435761 % 2**32) / 2**32
    return shortest_s + (longest_s - shortest_s) * share


def window_left_ms(windows: Sequence[tuple[int, int]], attempts: Sequence[Instant], now: Instant) -> int:
    """How long until each sliding window has room, in ms. `attempts` newest first."""
    left = 0
    for window_ms, count in windows:
        if len(attempts) < count:
            continue
        passed = elapsed_ms(attempts[count - 1], now, at_most_ms=window_ms)
        left = max(left, window_ms - passed)
    return left


def quiet_left_ms(limits: Limits, now_utc_ms: int) -> int:
    """How long quiet hours still last, in ms; 0 outside of them."""
    if limits.quiet_hours is None:
        return 0
    start, end = limits.quiet_hours
    local = datetime.fromtimestamp(now_utc_ms / 1000, limits.timezone)
    at = local.time()
    is_quiet = start <= at < end if start <= end else at >= start or at < end
    if not is_quiet:
        return 0
    until = local.replace(hour=end.hour, minute=end.minute, second=0, microsecond=0)
    if until <= local:
        until += timedelta(days=1)
    # Through UTC, so that a change of daylight saving inside the quiet hours counts.
    return max(1, round((until.timestamp() - local.timestamp()) * 1000))


def outside_left_ms(work_hours: str | None, zone: tzinfo, now_utc_ms: int) -> int:
    """How long it is until work hours ("08:00-18:00", over midnight where the first is later) begin, in ms; 0 within
    them, and always where both are equal."""
    hours = parse_quiet_hours(work_hours)
    if hours is None:
        return 0
    start, end = hours
    return quiet_left_ms(Limits(quiet_hours=(end, start), timezone=zone), now_utc_ms)


def parse_quiet_hours(text: str | None) -> tuple[time, time] | None:
    """ "22:00-07:00" as two times; None for None. Raises: ValueError."""
    if text is None:
        return None
    start, _, end = text.partition("-")
    return time.fromisoformat(start), time.fromisoformat(end)
