"""What an upstream asks of sending: its pace, a start in the future, several recipients of one message."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from agent import pacing
from agent.clock import Instant
from agent.journal.upstream_pace import Pace
from agent.model import Job
from tests.agent.fakes import Box, FakeModem

UPSTREAM = "server"


def at(hour: int, minute: int = 0) -> int:
    return round(datetime(2026, 11, 25, hour, minute, tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("hours", "now", "left_min"),
    [
        pytest.param(None, at(3), 0, id="no hours"),
        pytest.param("08:00-18:00", at(12), 0, id="within"),
        pytest.param("08:00-18:00", at(7), 60, id="before"),
        pytest.param("08:00-18:00", at(18), 14 * 60, id="after: until tomorrow"),
        pytest.param("22:00-06:00", at(23), 0, id="over midnight, within"),
        pytest.param("22:00-06:00", at(12), 600, id="over midnight, outside"),
        pytest.param("09:00-09:00", at(3), 0, id="equal: always"),
    ],
)
def test_work_hours(hours: str | None, now: int, left_min: int) -> None:
    assert pacing.outside_left_ms(hours, UTC, now) == left_min * 60_000


def test_a_drawn_delay_stays_between_its_ends_and_differs_from_message_to_message() -> None:
    drawn = [pacing.drawn_delay_s(2.0, 5.0, Instant(utc_ms, "boot", 0)) for utc_ms in range(1000, 1200)]
    assert all(2.0 <= delay <= 5.0 for delay in drawn)
    assert len(set(drawn)) > 100 and min(drawn) < 2.5 and max(drawn) > 4.5
    assert pacing.drawn_delay_s(2.0, 0.0, Instant(1, "boot", 0)) == 2.0


async def rig(directory: Path, *modems: str) -> Box:
    box = await Box(directory, {name: FakeModem(iccid=f"8949{name}") for name in modems or ("a",)}).__aenter__()
    await box.gateway.ensure_upstream(UPSTREAM, "here")
    return box


async def accepted(box: Box, *jobs: Job) -> list[int]:
    return [taken.message_id or 0 for taken in await box.gateway.accept(UPSTREAM, jobs)]


async def test_a_limit_counts_a_message_of_several_recipients_once_and_urgent_ones_pass(tmp_path: Path) -> None:
    box = await rig(tmp_path)
    try:
        await box.gateway.set_pace(UPSTREAM, Pace(limit_messages=3, limit_window_ms=3_600_000))
        jobs = [Job(f"+49{n}", f"one {n}", bundle="g1") for n in range(100, 103)]
        jobs += [Job("+49200", "two"), Job("+49300", "three"), Job("+49400", "urgent", priority=100)]
        ids = await accepted(box, *jobs)
        box.start()
        for message_id in (*ids[:4], ids[5]):
            await box.until(message_id, "sent")
        assert await box.state(ids[4]) == "queued"
        await box.gateway.set_pace(UPSTREAM, Pace())
        await box.until(ids[4], "sent")
    finally:
        await box.__aexit__()


async def test_recipients_of_one_message_follow_each_other_without_the_delay(tmp_path: Path) -> None:
    box = await rig(tmp_path, "a", "b")
    try:
        await box.gateway.set_pace(UPSTREAM, Pace(delay_s=3600, longest_delay_s=7200))
        jobs = [Job(f"+49{n}", f"{n}", bundle="g") for n in range(100, 104)]
        ids = await accepted(box, *jobs, Job("+49200", "the next"))
        box.start()
        for message_id in ids[:4]:
            await box.until(message_id, "sent")
        assert await box.state(ids[4]) == "queued"
        found = await box.gateway.bundle(UPSTREAM, "g")
        assert [member.number for member in found.members] == ["+49100", "+49101", "+49102", "+49103"]
        assert {event.kind for event in found.events} >= {"accepted", "sending", "sent"}
    finally:
        await box.__aexit__()


async def test_what_its_dialect_refuses_fails_with_that_reason_and_no_report_is_asked_where_none_is_wanted(
    tmp_path: Path,
) -> None:
    box = await rig(tmp_path)
    try:
        refused, plain = await accepted(
            box, Job("$aes-…", "x", refusal="it is encrypted"), Job("+491", "y", wants_report=False)
        )
        box.start()
        await box.until(plain, "sent")
        message = await box.gateway.message(refused)
        assert message is not None and (message.state, message.error) == ("failed", "it is encrypted")
        assert [part.status_report for _, part in box.modems["a"].sent] == [False]
    finally:
        await box.__aexit__()


async def test_facts_belong_to_their_owner_and_can_be_forgotten(tmp_path: Path) -> None:
    box = await rig(tmp_path)
    try:
        facts = box.gateway.facts
        await facts.remember("one", "token", "t")
        await facts.remember("one", "token", "u")
        assert await facts.recall("one") == {"token": "u"} and await facts.recall("two") == {}
        await facts.remember("one", "token", None)
        assert await facts.recall("one") == {}
    finally:
        await box.__aexit__()
