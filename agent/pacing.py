"""When a route may send its next message, and why not now. Pure: values and `now` in, waits and sentences out.

The server's delay spaces all messages of that upstream's device, the route's own all messages of the route; the
parts of one message follow each other at once; from URGENT_PRIORITY up nothing here applies. Quotas count parts
that were submitted by the SIM: per minute, hour and day in sliding windows, which a wrong clock cannot stretch
(DESIGN decision 10), per month by the calendar, as plans are billed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, time, timedelta, tzinfo

from agent.clock import Instant, elapsed_ms, remaining_ms
from drivers.values import dataclass

_MINUTE_MS = 60_000
HOUR_MS = 3_600_000
_DAY_MS = 86_400_000
# A wait for a new month is asked about again this often, for the clock may have been set meanwhile.
_LONGEST_CALENDAR_WAIT_MS = HOUR_MS


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of whatever sends: a route, or an upstream. Counts are parts; `quiet_hours` is (from, to) local
    time; a month begins on day `month_starts_on` (1 to 28) of `timezone`."""

    send_delay_s: float = 0.0
    rate_per_minute: int | None = None
    rate_per_hour: int | None = None
    rate_per_day: int | None = None
    rate_per_month: int | None = None
    month_starts_on: int = 1
    quiet_hours: tuple[time, time] | None = None
    timezone: tzinfo = UTC

    @property
    def windows(self) -> tuple[tuple[int, int], ...]:
        """(window in ms, parts allowed in it) for each sliding limit that is set."""
        pairs = (
            (_MINUTE_MS, self.rate_per_minute),
            (HOUR_MS, self.rate_per_hour),
            (_DAY_MS, self.rate_per_day),
        )
        return tuple((window, count) for window, count in pairs if count is not None)


@dataclass(frozen=True, slots=True)
class Hold:
    """Nothing that is not urgent goes out for `wait_ms`; ask again then. `why` is a sentence's end for people."""

    wait_ms: int
    why: str


@dataclass(frozen=True, slots=True)
class Usage:
    """What was sent before. `nth_newest(n)` is when the n-th newest part was submitted, None where there are
    fewer; `since(utc_ms)` counts parts from then on; `last` is when the last message ended."""

    last: Instant | None
    nth_newest: Callable[[int], Instant | None]
    since: Callable[[int], int]


def hold(limits: Limits, usage: Usage, now: Instant, *, clock_is_right: bool, parts: int = 1) -> Hold | None:
    """What holds a message of so many parts up, the longest wait first; None where it may go now.

    A message goes whole: it waits until all its parts have room, or where it is longer than the limit itself,
    until nothing counts any more. On a clock that is not right no quiet hours begin and no new month does.
    """
    holds = []
    if left := delay_left_ms(limits.send_delay_s, usage.last, now):
        holds.append(Hold(left, f"send delay of {limits.send_delay_s:g} s"))
    for window_ms, count in limits.windows:
        nth = usage.nth_newest(max(1, count - parts + 1))
        passed = window_ms if nth is None else elapsed_ms(nth, now, at_most_ms=window_ms)
        if passed < window_ms:
            until = _time(limits, now, window_ms - passed)
            holds.append(Hold(window_ms - passed, f"{_PERIODS[window_ms]} limit of {count}, next {until}"))
    if limits.rate_per_month is not None:
        begin_ms, end_ms = month(limits, now.utc_ms)
        used = usage.since(begin_ms)
        if used and used + parts > limits.rate_per_month:
            until = _time(limits, now, end_ms - now.utc_ms) if clock_is_right else "when the clock is set"
            wait_ms = min(max(1, end_ms - now.utc_ms), _LONGEST_CALENDAR_WAIT_MS)
            holds.append(Hold(wait_ms, f"monthly limit of {limits.rate_per_month}, {used} used, next {until}"))
    if clock_is_right and (left := quiet_left_ms(limits, now.utc_ms)):
        holds.append(Hold(left, f"quiet hours until {_time(limits, now, left).removeprefix('at ')}"))
    return max(holds, key=lambda one: one.wait_ms, default=None)


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
    """How long until each sliding window has room for one part, in ms. `attempts` newest first."""
    left = 0
    for window_ms, count in windows:
        if len(attempts) < count:
            continue
        passed = elapsed_ms(attempts[count - 1], now, at_most_ms=window_ms)
        left = max(left, window_ms - passed)
    return left


def month(limits: Limits, utc_ms: int) -> tuple[int, int]:
    """The month of the plan that an instant lies in: its begin, and the next one's, in UTC ms."""
    local = datetime.fromtimestamp(utc_ms / 1000, limits.timezone)
    year, number = local.year, local.month
    if local.day < limits.month_starts_on:
        year, number = (year, number - 1) if number > 1 else (year - 1, 12)
    begin = datetime(year, number, limits.month_starts_on, tzinfo=limits.timezone)
    year, number = (year, number + 1) if number < 12 else (year + 1, 1)
    end = datetime(year, number, limits.month_starts_on, tzinfo=limits.timezone)
    return round(begin.timestamp() * 1000), round(end.timestamp() * 1000)


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


_PERIODS = {_MINUTE_MS: "minute", HOUR_MS: "hourly", _DAY_MS: "daily"}


def _time(limits: Limits, now: Instant, wait_ms: int) -> str:
    """ "at 07:00", with seconds below a minute and the date from a day on, in the limits' time zone."""
    # Rounded up: at the time shown it is certainly over.
    then = datetime.fromtimestamp((now.utc_ms + wait_ms + 999) // 1000, limits.timezone)
    if wait_ms <= _MINUTE_MS:
        return f"at {then:%H:%M:%S}"
    if then.second:
        then = (then + timedelta(minutes=1)).replace(second=0)
    if wait_ms > _DAY_MS:
        return f"on {then:%Y-%m-%d} at {then:%H:%M}"
    # The next time that a clock shows it needs no day, unless it shows nearly that now.
    is_far = wait_ms > _DAY_MS // 2 and then.date() > datetime.fromtimestamp(now.utc_ms / 1000, limits.timezone).date()
    return f"tomorrow at {then:%H:%M}" if is_far else f"at {then:%H:%M}"
