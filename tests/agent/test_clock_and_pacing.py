"""Waits that survive reboots and wrong clocks; limits of a route."""

from __future__ import annotations

from datetime import datetime, time
from zoneinfo import ZoneInfo

import pytest

from agent.clock import Clock, Instant, elapsed_ms, iso_utc, parse_iso_utc, remaining_ms
from agent.pacing import Limits, delay_left_ms, parse_quiet_hours, quiet_left_ms, window_left_ms


@pytest.mark.parametrize(
    ("since", "now", "left"),
    [
        (Instant(1_000, "a", 500), Instant(3_000, "a", 2_500), 8_000),
        (Instant(1_000, "a", 500), Instant(900_000_000, "a", 2_500), 8_000),
        (Instant(1_000, "a", 500), Instant(0, "a", 2_500), 8_000),
        (Instant(1_000, "a", 500_000), Instant(5_000, "b", 10), 6_000),
        (Instant(1_000, "a", 500_000), Instant(0, "b", 10), 10_000),
        (Instant(1_000, "a", 500_000), Instant(10**12, "b", 10), 0),
    ],
    ids=["same boot", "clock jumped ahead", "clock jumped back", "reboot", "reboot, clock behind", "reboot, far ahead"],
)
def test_what_is_left_of_a_ten_second_wait(since: Instant, now: Instant, left: int) -> None:
    assert remaining_ms(since, now, wait_ms=10_000) == left
    assert elapsed_ms(since, now, at_most_ms=10_000) == 10_000 - left


def test_iso_times_round_trip_and_garbage_is_none() -> None:
    assert iso_utc(1_780_912_800_123) == "2026-06-08T10:00:00.123000Z"
    assert parse_iso_utc("2026-06-08T10:00:00.123000Z") == 1_780_912_800_123
    assert parse_iso_utc("2026-06-08T12:00:00.123+02:00") == 1_780_912_800_123
    assert parse_iso_utc("yesterday") is None
    # No other zone can show these.
    assert parse_iso_utc("9999-12-31T23:59:59-23:59") is None
    assert parse_iso_utc("0001-01-01T00:00:00+23:59") is None


def test_clock_can_be_declared_right() -> None:
    assert Clock("trusted").is_synchronised()


def test_delay_counts_from_the_end_of_the_last_message() -> None:
    assert delay_left_ms(3, Instant(0, "a", 1_000), Instant(0, "a", 2_500)) == 1_500
    assert delay_left_ms(0, Instant(0, "a", 1_000), Instant(0, "a", 1_000)) == 0
    assert delay_left_ms(3, None, Instant(0, "a", 1_000)) == 0


def test_sliding_window_opens_when_its_oldest_attempt_leaves() -> None:
    now = Instant(100_000, "a", 100_000)
    attempts = [Instant(at, "a", at) for at in (99_000, 70_000, 45_000)]
    assert window_left_ms([(60_000, 4)], attempts, now) == 0
    assert window_left_ms([(60_000, 3)], attempts, now) == 5_000
    assert window_left_ms([(60_000, 1), (60_000, 3)], attempts, now) == 59_000


@pytest.mark.parametrize(
    ("at", "hours"),
    [("21:59", 0), ("22:00", 9), ("03:00", 4), ("06:59", 1 / 60), ("07:00", 0)],
)
def test_quiet_hours_over_midnight(at: str, hours: float) -> None:
    limits = Limits(quiet_hours=parse_quiet_hours("22:00-07:00"), timezone=ZoneInfo("Europe/Berlin"))
    clock = time.fromisoformat(at)
    local = datetime(2026, 6, 8, clock.hour, clock.minute, tzinfo=ZoneInfo("Europe/Berlin"))
    assert quiet_left_ms(limits, round(local.timestamp() * 1000)) == round(hours * 3_600_000)


def test_quiet_hours_over_the_change_of_daylight_saving_last_an_hour_less() -> None:
    limits = Limits(quiet_hours=parse_quiet_hours("22:00-07:00"), timezone=ZoneInfo("Europe/Berlin"))
    local = datetime(2026, 3, 28, 22, 0, tzinfo=ZoneInfo("Europe/Berlin"))
    assert quiet_left_ms(limits, round(local.timestamp() * 1000)) == 8 * 3_600_000
