"""Clocks for a box that may have none: instants that survive a reboot, and waits that trust the smaller clock.

Pure apart from `Clock`, which is the only place that reads a clock or the boot id.
"""

from __future__ import annotations

import ctypes
import time
from datetime import MAXYEAR, MINYEAR, UTC, datetime
from pathlib import Path
from typing import Literal

from drivers.values import dataclass

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_TIMESYNC_MARK = Path("/run/systemd/timesync/synchronized")
_RTC = Path("/sys/class/rtc/rtc0")
# adjtimex(2): the return value of a clock that nothing disciplines.
_TIME_ERROR = 5
# struct timex is 208 octets on 64-bit and 128 on 32-bit kernels; only the return value is read.
_TIMEX_BYTES = 512


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on three clocks: UTC in ms, the boot it belongs to, and CLOCK_BOOTTIME in ms."""

    utc_ms: int
    boot_id: str
    boot_ms: int


def elapsed_ms(since: Instant, now: Instant, *, at_most_ms: int) -> int:
    """Time that has certainly passed, in ms, between 0 and `at_most_ms`.

    In the same boot this is CLOCK_BOOTTIME. Across a reboot only the wall clock is left, and it may be wrong:
    the difference counts at most as the whole wait (DESIGN decision 10).
    """
    passed = now.boot_ms - since.boot_ms if since.boot_id == now.boot_id else now.utc_ms - since.utc_ms
    return max(0, min(passed, at_most_ms))


def remaining_ms(since: Instant, now: Instant, *, wait_ms: int) -> int:
    """What is left of a wait that began at `since`, in ms, never more than the wait."""
    return wait_ms - elapsed_ms(since, now, at_most_ms=wait_ms)


def jumped_ms(before: Instant, now: Instant) -> int:
    """By how much the wall clock was set between two moments of one boot, in ms; 0 across a reboot."""
    if before.boot_id != now.boot_id:
        return 0
    return (now.utc_ms - before.utc_ms) - (now.boot_ms - before.boot_ms)


def iso_utc(utc_ms: int) -> str:
    """ISO 8601 with microseconds and Z, the form MobSMS uses."""
    return datetime.fromtimestamp(utc_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_iso_utc(text: str) -> int | None:
    """Integer UTC ms of an ISO 8601 time, None where it is not one. A time without a zone is taken as UTC.

    In the first and the last year that there are it is none either: another zone may have no such day.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return round(at.timestamp() * 1000) if MINYEAR < at.year < MAXYEAR else None


class Clock:
    """The box's clocks. `trust` "trusted" says that the wall clock is right without asking the kernel."""

    def __init__(self, trust: Literal["auto", "trusted"] = "auto") -> None:
        self._trust = trust
        self._boot_id = _BOOT_ID.read_text().strip()
        self._synchronised = False

    @property
    def boot_id(self) -> str:
        return self._boot_id

    def now(self) -> Instant:
        return Instant(self.utc_ms(), self._boot_id, self.boot_ms())

    def utc_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def boot_ms(self) -> int:
        return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000

    def is_synchronised(self) -> bool:
        """Whether the wall clock may be used to expire or to schedule.

        A clock that was right once stays right enough until the next boot, so a yes is kept.
        """
        if not self._synchronised:
            self._synchronised = (
                self._trust == "trusted" or _TIMESYNC_MARK.exists() or _RTC.exists() or _is_disciplined()
            )
        return self._synchronised


def _is_disciplined() -> bool:
    libc = ctypes.CDLL(None)
    # -1: not allowed to ask (a seccomp filter), which is no yes.
    return int(libc.adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))) not in (-1, _TIME_ERROR)
