"""Each limit, as a table: what it holds up, until when, in which words; and each in a gateway with a real journal."""

from __future__ import annotations

import asyncio
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from agent.clock import Instant
from agent.journal.listing import Filter
from agent.model import Job, MessageState
from agent.pacing import Limits, Usage, hold, month, parse_quiet_hours, quiet_left_ms
from tests.agent.fakes import Box, FakeModem
from tests.clocks import SetClock

BERLIN = ZoneInfo("Europe/Berlin")
HOUR_S = 3_600
DAY_S = 86_400
_QUEUED = Filter(states=(MessageState.QUEUED,))


def at(local: str, *, fold: int = 0, zone: ZoneInfo = BERLIN) -> Instant:
    utc_ms = round(datetime.fromisoformat(local).replace(tzinfo=zone, fold=fold).timestamp() * 1000)
    return Instant(utc_ms, "boot", utc_ms)


def usage(now: Instant, *ages_s: float, last_s: float | None = None, month_used: int = 0) -> Usage:
    """Parts submitted so many seconds ago, newest first."""
    instants = [Instant(now.utc_ms - round(age * 1000), "boot", now.boot_ms - round(age * 1000)) for age in ages_s]
    last = None if last_s is None else Instant(0, "boot", now.boot_ms - round(last_s * 1000))
    return Usage(last, lambda n: instants[n - 1] if n <= len(instants) else None, lambda _: month_used)


@pytest.mark.parametrize(
    ("keys", "ages", "more", "wait_s", "why"),
    [
        ({"send_delay_s": 3}, (), {"last_s": 1}, 2, "send delay of 3 s"),
        ({"send_delay_s": 3}, (), {"last_s": 3}, None, None),
        ({"rate_per_minute": 2}, (5, 20), {}, 40, "minute limit of 2, next at 12:00:40"),
        ({"rate_per_minute": 2}, (5, 60), {}, None, None),
        ({"rate_per_hour": 2}, (5, 600), {}, 3_000, "hourly limit of 2, next at 12:50"),
        ({"rate_per_day": 2}, (5, HOUR_S), {}, 23 * HOUR_S, "daily limit of 2, next tomorrow at 11:00"),
        ({"rate_per_month": 2}, (), {"month_used": 2}, HOUR_S,
         "monthly limit of 2, 2 used, next on 2026-07-01 at 00:00"),
        ({"rate_per_month": 2}, (), {"month_used": 1}, None, None),
        ({"quiet_hours": "11:00-13:30"}, (), {}, 5_400, "quiet hours until 13:30"),
        ({"quiet_hours": "22:00-07:00"}, (), {}, None, None),
        ({"quiet_hours": "11:00-13:00", "rate_per_day": 1}, (5,), {}, DAY_S - 5,
         "daily limit of 1, next tomorrow at 12:00"),
    ],
    ids=["delay", "delay over", "minute", "minute has room", "hour", "day", "month", "month has room", "quiet",
         "not quiet", "the longest wait counts"],
)  # fmt: skip
def test_each_limit_holds_and_says_until_when(
    keys: dict[str, Any], ages: tuple[float, ...], more: dict[str, Any], wait_s: float | None, why: str | None
) -> None:
    now = at("2026-06-08 12:00")
    quiet = parse_quiet_hours(keys.pop("quiet_hours", None))
    found = hold(
        Limits(**keys, quiet_hours=quiet, timezone=BERLIN), usage(now, *ages, **more), now, clock_is_right=True
    )
    assert (found and found.wait_ms / 1000, found and found.why) == (wait_s, why)


@pytest.mark.parametrize(
    ("parts", "sent", "wait_s"),
    [(1, 2, None), (2, 2, 50), (3, 2, 55), (9, 0, None), (9, 1, 55)],
    ids=["fits", "needs the oldest gone", "needs all gone", "too long, nothing sent", "too long, one sent"],
)
def test_a_message_of_several_parts_waits_until_all_have_room(parts: int, sent: int, wait_s: float | None) -> None:
    now = at("2026-06-08 12:00")
    found = hold(Limits(rate_per_minute=3), usage(now, *[5, 10][:sent]), now, clock_is_right=True, parts=parts)
    assert (found and found.wait_ms / 1000) == wait_s


@pytest.mark.parametrize(
    ("quiet", "local", "fold", "hours"),
    [
        ("22:00-07:00", "2026-06-08 21:59", 0, 0),
        ("22:00-07:00", "2026-06-08 22:00", 0, 9),
        ("22:00-07:00", "2026-06-09 06:59", 0, 1 / 60),
        ("22:00-07:00", "2026-03-28 22:00", 0, 8),
        ("22:00-07:00", "2026-10-24 22:00", 0, 10),
        ("22:00-02:30", "2026-03-28 23:00", 0, 3.5),
        ("22:00-02:30", "2026-10-25 02:15", 0, 0.25),
        ("22:00-02:30", "2026-10-25 02:15", 1, 0.25),
        ("12:00-14:00", "2026-06-08 12:30", 0, 1.5),
        ("12:00-14:00", "2026-06-08 14:00", 0, 0),
    ],
    ids=["before", "over midnight", "last minute", "spring: an hour less", "autumn: an hour more",
         "end in the hour that spring leaves out", "first of two 02:15", "second of two 02:15", "at noon", "end"],
)  # fmt: skip
def test_quiet_hours_in_local_time(quiet: str, local: str, fold: int, hours: float) -> None:
    limits = Limits(quiet_hours=parse_quiet_hours(quiet), timezone=BERLIN)
    assert quiet_left_ms(limits, at(local, fold=fold).utc_ms) == round(hours * 3_600_000)


@pytest.mark.parametrize(
    ("starts_on", "local", "begin", "end"),
    [
        (1, "2026-06-08 12:00", "2026-06-01", "2026-07-01"),
        (15, "2026-06-08 12:00", "2026-05-15", "2026-06-15"),
        (15, "2026-06-15 00:00", "2026-06-15", "2026-07-15"),
        (15, "2026-01-03 00:00", "2025-12-15", "2026-01-15"),
        (28, "2026-12-31 23:59", "2026-12-28", "2027-01-28"),
    ],
)
def test_the_month_of_a_plan(starts_on: int, local: str, begin: str, end: str) -> None:
    limits = Limits(month_starts_on=starts_on, timezone=BERLIN)
    assert month(limits, at(local).utc_ms) == (at(begin).utc_ms, at(end).utc_ms)


def test_without_a_right_clock_no_quiet_hours_begin_and_no_month() -> None:
    now = at("1970-01-01 03:00")
    limits = Limits(quiet_hours=parse_quiet_hours("22:00-07:00"), rate_per_month=1, timezone=BERLIN)
    assert hold(limits, usage(now), now, clock_is_right=False) is None
    found = hold(limits, usage(now, month_used=1), now, clock_is_right=False)
    assert found is not None and found.why.endswith("when the clock is set")


# --- in a gateway -------------------------------------------------------------------------------------


def _box(directory: Path, modem: FakeModem, clock: SetClock, **route: Any) -> Box:
    return Box(directory, {"a": modem}, routes={"a": route}, clock=clock, timezone="Europe/Berlin")


async def _fates(box: Box, *jobs: Job) -> list[str]:
    """Accept, and wait until each is sent or says why not."""
    ids = [one.message_id or 0 for one in await box.gateway.accept("cli", list(jobs))]
    return await _fates_of(box, ids)


async def _fates_of(box: Box, ids: list[int]) -> list[str]:
    async with asyncio.timeout(30):
        while True:
            waits = await box.gateway.waits(ids)
            fates = [waits.get(one, await box.state(one)) for one in ids]
            if not {"queued", "sending"} & set(fates):
                return fates
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("keys", "passes_s", "why"),
    [
        ({"rate_per_minute": 2}, 61, "route a: minute limit of 2, next at"),
        ({"rate_per_hour": 2}, HOUR_S + 1, "route a: hourly limit of 2, next at"),
        ({"rate_per_day": 2}, DAY_S + 1, "route a: daily limit of 2, next tomorrow at"),
        ({"rate_per_month": 2}, 31 * DAY_S, "route a: monthly limit of 2, 2 used, next on"),
        ({"send_delay_s": 60}, 61, "route a: send delay of 60 s"),
    ],
    ids=["minute", "hour", "day", "month", "delay"],
)
async def test_limit_holds_urgent_passes_and_time_lets_go(
    tmp_path: Path, keys: dict[str, Any], passes_s: float, why: str
) -> None:
    modem, clock = FakeModem(), SetClock()
    clock.set_to("2026-06-08 12:00", BERLIN)
    async with _box(tmp_path, modem, clock, **keys) as box:
        box.start()
        first = 1 if "send_delay_s" in keys else 2
        jobs = [Job(f"+49170000{n}", f"text {n}") for n in range(3)]
        found = await _fates(box, *jobs[:first], jobs[2])
        assert found[:first] == ["sent"] * first and found[first].startswith(why), found
        assert await _fates(box, Job("+491701", "urgent", priority=100)) == ["sent"]
        assert (await box.gateway.route_holds())["a"].startswith(why.removeprefix("route a: ").split(",")[0])
        clock.pass_by(passes_s)
        box.gateway.outbox.wake()
        for message in (await box.gateway.page(_QUEUED)).messages:
            await box.until(message.id, "sent")
        assert modem.texts()[-1] == "text 2"


async def test_quiet_hours_hold_and_urgent_passes(tmp_path: Path) -> None:
    modem, clock = FakeModem(), SetClock()
    clock.set_to("2026-06-08 23:00", BERLIN)
    async with _box(tmp_path, modem, clock, quiet_hours="22:00-07:00") as box:
        box.start()
        assert await _fates(box, Job("+491702", "calm")) == ["route a: quiet hours until 07:00"]
        assert await _fates(box, Job("+491701", "urgent", priority=100)) == ["sent"]
        assert modem.texts() == ["urgent"]
        clock.set_to("2026-06-09 07:00", BERLIN)
        box.gateway.outbox.wake()
        (message,) = (await box.gateway.page(_QUEUED)).messages
        await box.until(message.id, "sent")


@pytest.mark.parametrize("keys", [{"rate_per_day": 1}, {"rate_per_month": 1}], ids=["day", "month"])
async def test_a_swapped_sim_begins_anew_and_the_old_one_takes_its_account_along(
    tmp_path: Path, keys: dict[str, int]
) -> None:
    old, clock = FakeModem(), SetClock()
    clock.set_to("2026-06-08 12:00", BERLIN)
    box = await _box(tmp_path, old, clock, **keys).__aenter__()
    box.start()
    assert await _fates(box, Job("+491702", "one")) == ["sent"]
    await box.stop()
    old.iccid = "8949000000000000002"
    box.start()
    assert await _fates(box, Job("+491703", "two")) == ["sent"]
    await box.stop()
    old.iccid = "8949000000000000001"
    box.start()
    (why,) = await _fates(box, Job("+491704", "three"))
    await box.__aexit__()
    assert "limit of 1" in why


@pytest.mark.parametrize(
    ("jump_s", "keys"),
    [
        (10 * DAY_S, {"rate_per_day": 1}), (-10 * DAY_S, {"rate_per_day": 1}),
        (10 * DAY_S, {"rate_per_month": 1}), (-4 * DAY_S, {"rate_per_month": 1}),
        (-10 * DAY_S, {"rate_per_minute": 2}),
    ],
    ids=["day +10", "day -10", "month +10", "month -4", "minute -10"],
)  # fmt: skip
async def test_a_clock_that_jumps_opens_no_limit(tmp_path: Path, jump_s: float, keys: dict[str, int]) -> None:
    modem, clock = FakeModem(), SetClock()
    clock.set_to("2026-06-08 12:00", BERLIN)
    async with _box(tmp_path, modem, clock, **keys) as box:
        box.start()
        sent = await _fates(box, *[Job(f"+49170000{n}", "before") for n in range(max(keys.values()))])
        assert set(sent) == {"sent"}
        clock.jump(jump_s)
        (why,) = await _fates(box, Job("+491703", "after"))
        assert "limit of" in why


async def test_what_was_sent_in_a_future_that_never_was_counts_once_and_does_not_starve(tmp_path: Path) -> None:
    modem, clock = FakeModem(), SetClock()
    clock.set_to("2031-06-08 12:00", BERLIN)
    async with _box(tmp_path, modem, clock, rate_per_month=3) as box:
        box.start()
        assert await _fates(box, Job("+491702", "in 2031")) == ["sent"]
        clock.set_to("2026-06-08 12:00", BERLIN)
        assert await _fates(box, Job("+491703", "today")) == ["sent"]
        clock.set_to("2026-07-01 00:00", BERLIN)
        assert await _fates(box, Job("+491704", "next month")) == ["sent"]


async def test_a_box_that_starts_in_1970_keeps_to_its_month(tmp_path: Path) -> None:
    modem, clock = FakeModem(), SetClock()
    clock.set_to("2026-06-08 12:00", BERLIN)
    async with _box(tmp_path, modem, clock, rate_per_month=1) as box:
        box.start()
        assert await _fates(box, Job("+491702", "before the power cut")) == ["sent"]
        clock.reboot("second")
        clock.set_to("1970-01-01 00:01", ZoneInfo("UTC"))
        clock.is_right = False
        (why,) = await _fates(box, Job("+491703", "in 1970"))
        assert why.endswith("when the clock is set")
        clock.set_to("2026-07-01 00:01", BERLIN)
        clock.is_right = True
        (in_july,) = await _fates(box, Job("+491704", "the clock is set"))
        assert modem.texts() == ["before the power cut", "in 1970"] and "next on 2026-08-01" in in_july
