"""Messages that start later, ask for no report, or belong together; and a journal of version 1 that learns of them."""

from __future__ import annotations

from pathlib import Path

from agent.journal import dispatch
from agent.model import Job
from agent.pacing import Limits
from tests.agent.fakes import Box, FakeModem

TO = "+4915112345678"


def _call(*, clock_is_right: bool = True) -> dispatch.RouteCall:
    return dispatch.RouteCall(
        "a", "8949000000000000001", Limits(), may_send=True, takes_any=True, reports_asked=True,
        clock_is_right=clock_is_right,
    )  # fmt: skip


async def test_a_scheduled_message_waits_and_holds_up_no_later_one_to_the_same_number(tmp_path: Path) -> None:
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        start = box.clock.utc_ms() + 400
        later, at_once = await box.gateway.accept("cli", [Job(TO, "later", starts_ms=start), Job(TO, "now")])
        await box.until(at_once.message_id, "sent")
        assert await box.state(later.message_id) == "queued"
        await box.until(later.message_id, "sent")
        assert box.clock.utc_ms() >= start
        assert modem.texts() == ["now", "later"]


async def test_a_schedule_survives_a_restart_and_can_be_cancelled(tmp_path: Path) -> None:
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}) as box:
        far = box.clock.utc_ms() + 3_600_000
        one, two = await box.gateway.accept("cli", [Job(TO, "one", starts_ms=far), Job(TO, "two", starts_ms=far)])
        again = await box.crash()
        assert await again.gateway.cancel(one.message_id or 0)
        now = again.clock.now()
        early = await again.journal.write(lambda con: dispatch.claim(con, _call(), now))
        assert isinstance(early, dispatch.Nothing)
        assert early.due_boot_ms is not None and early.due_boot_ms > now.boot_ms
        then = type(now)(far + 1, now.boot_id, now.boot_ms)
        unsure = await again.journal.write(lambda con: dispatch.claim(con, _call(clock_is_right=False), then))
        assert isinstance(unsure, dispatch.Nothing) and unsure.due_boot_ms is not None
        found = await again.journal.write(lambda con: dispatch.claim(con, _call(), then))
        assert isinstance(found, dispatch.Claim) and found.message_id == two.message_id
        await again.journal.close()
        await box.__aenter__()


async def test_validity_in_the_sms_is_what_is_left_of_it_at_the_start(tmp_path: Path) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        start = box.clock.utc_ms() + 60_000
        await box.gateway.accept("cli", [Job(TO, "x", starts_ms=start, valid_for_s=90)])
        now = box.clock.now()
        then = type(now)(start, now.boot_id, now.boot_ms + 60_000)
        found = await box.journal.write(lambda con: dispatch.claim(con, _call(), then))
        assert isinstance(found, dispatch.Claim) and found.part.validity_s in (29, 30)


async def test_a_report_is_asked_for_only_where_one_is_wanted(tmp_path: Path) -> None:
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        jobs = [Job(TO, "with"), Job("+4915112345679", "without", wants_report=False, bundle="b")]
        found = await box.gateway.accept("cli", jobs)
        for one in found:
            await box.until(one.message_id, "sent")
        assert {part.body: part.status_report for _, part in modem.sent} == {b"with": True, b"without": False}
        message = await box.gateway.message(found[1].message_id or 0)
        assert message is not None and message.bundle == "b"
