"""Status reports where TP-MR alone cannot tell parts apart: many outstanding, and days late."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from agent.journal import evidence
from agent.model import Job
from drivers.api import MayBeDouble, Submitted
from tests.agent.fakes import Box, FakeModem, report

DAY_MS = 86_400_000


def _age(con: Any, age_ms: int) -> None:
    con.execute("UPDATE attempt SET at_ms = at_ms - ?", (age_ms,))


def _copy(con: Any, count: int) -> None:
    con.execute(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?) "
        "INSERT INTO attempt (message_id, sequence, route, iccid, recipient, recipient_tail, at_ms, boot_id, boot_ms, "
        "tp_mr, report_asked, outcome) SELECT message_id, sequence, route, iccid, recipient, recipient_tail, at_ms, "
        "boot_id, boot_ms, i % 256, 1, 'sent' FROM attempt, n WHERE attempt.id = 1",
        (count,),
    )


async def test_with_too_many_reports_outstanding_none_is_asked_for_until_they_came(tmp_path: Path) -> None:
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        (first,) = await box.gateway.accept("cli", [Job("+491511", "one")])
        await box.until(first.message_id, "sent")
        await box.journal.write(lambda con: _copy(con, 200))
        (young,) = await box.gateway.accept("cli", [Job("+491512", "young")])
        await box.until(young.message_id, "sent")
        await box.journal.write(lambda con: _age(con, 60_000))
        (many,) = await box.gateway.accept("cli", [Job("+491513", "many")])
        await box.until(many.message_id, "sent")
        await box.journal.write(lambda con: con.execute("UPDATE attempt SET outcome = 'delivered' WHERE id > 1"))
        (again,) = await box.gateway.accept("cli", [Job("+491514", "again")])
        await box.until(again.message_id, "sent")
        assert [part.status_report for _, part in modem.sent] == [True, True, False, True]


async def test_a_report_that_comes_days_late_still_finds_its_part(tmp_path: Path) -> None:
    modem = FakeModem(answers=[Submitted(7), Submitted(8), Submitted(7)])
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        jobs = [Job("+4915110000001", "x"), Job("+4915110000002", "y"), Job("+4915110000003", "z")]
        accepted = await box.gateway.accept("cli", jobs)
        for item in accepted:
            await box.until(item.message_id, "sent")
        await box.journal.write(lambda con: _age(con, 5 * DAY_MS))
        late = report(modem, 7, "+4915110000001")
        await box.journal.write(lambda con: evidence.add_report(con, late, box.clock.now()))
        assert await box.state(accepted[0].message_id) == "delivered"
        assert await box.state(accepted[2].message_id) == "sent"


async def test_a_report_that_precedes_the_answer_is_kept_for_it(tmp_path: Path) -> None:
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}) as box:
        early = report(modem, 9, "+4915110000001")

        async def answer(_: Any) -> Submitted:
            await box.journal.write(lambda con: evidence.add_report(con, early, box.clock.now()))
            return Submitted(9)

        modem.answers = [answer]
        box.start()
        (accepted,) = await box.gateway.accept("cli", [Job("+4915110000001", "x")])
        assert await box.until(accepted.message_id, "delivered") == "delivered"


async def test_a_service_with_wide_numbers_is_asked_however_many_are_outstanding(tmp_path: Path) -> None:
    modem = FakeModem(answers=[Submitted(70_001)])
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        (first,) = await box.gateway.accept("cli", [Job("+491511", "one")])
        await box.until(first.message_id, "sent")
        await box.journal.write(lambda con: _copy(con, 300))
        await box.journal.write(lambda con: con.execute("UPDATE attempt SET tp_mr = 70000 + id"))
        await box.journal.write(lambda con: _age(con, 60_000))
        (many,) = await box.gateway.accept("cli", [Job("+491513", "many")])
        await box.until(many.message_id, "sent")
        assert [part.status_report for _, part in modem.sent] == [True, True]


async def test_a_service_reports_what_nobody_asked_for_and_says_what_it_sent_twice(tmp_path: Path) -> None:
    modem = FakeModem(answers=[Submitted(70_001, reports_anyway=True)])
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        (accepted,) = await box.gateway.accept("cli", [Job("+4915110000001", "x", wants_report=False)])
        await box.until(accepted.message_id, "sent")
        assert [part.status_report for _, part in modem.sent] == [False]
        emit = modem.contexts[0].emit
        await emit(MayBeDouble(modem.iccid, 70_001, "The gateway is gone: it goes by another one."))
        await emit(MayBeDouble(modem.iccid, 70_002, "Of nothing that is known here."))
        await emit(replace(report(modem, 1, "+4915110000001"), tp_mr=70_001))
        await box.until(accepted.message_id, "delivered")
        (message,) = await box.journal.read(
            lambda con: con.execute("SELECT may_be_double FROM message WHERE id = ?", (accepted.message_id,)).fetchall()
        )
        assert message["may_be_double"] == 1
