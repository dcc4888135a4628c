"""Outcomes that nobody knows at first, on real gateway, outbox, journal and routes: what settles them, and what is
sent again."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from agent.model import Job
from drivers.api import (
    LateOutcome,
    OutcomeUnknown,
    PartToSend,
    Submitted,
)
from tests.agent.fakes import Box, FakeModem, report

TO = "+4915112345678"


async def test_unknown_outcome_is_resent_once_and_flagged(tmp_path: Path) -> None:
    modem = FakeModem(answers=[OutcomeUnknown("no answer")])
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        first, second = await box.gateway.accept("cli", [Job(TO, "x"), Job(TO, "y")])
        await box.until(first.message_id, "unknown")
        assert modem.texts() == ["x"], "nothing else goes to a recipient with an unknown outcome"
        await box.until(second.message_id, "sent")
        assert modem.texts() == ["x", "x", "y"]
        message = await box.gateway.message(first.message_id or 0)
        assert message is not None
        assert message.may_be_double


async def test_what_is_sent_again_by_its_sim_is_not_overtaken_by_a_later_one_of_another(tmp_path: Path) -> None:
    """As soon as it was decided, both SIMs were free to send to that number, and the later message went first."""
    modems = {"a": FakeModem(answers=[OutcomeUnknown("no answer")]), "b": FakeModem(iccid="8949000000000000002")}
    async with Box(tmp_path, modems) as box:
        box.start()
        (first,) = await box.gateway.accept("cli", [Job(TO, "x", route="a")])
        await box.until(first.message_id, "unknown")
        (second,) = await box.gateway.accept("cli", [Job(TO, "y", route="b")])
        await box.gateway.pause("a", is_paused=True)
        await box.until(first.message_id, "queued")
        await asyncio.sleep(0.4)
        assert modems["b"].texts() == []
        await box.gateway.pause("a", is_paused=False)
        await box.until(second.message_id, "sent")
        assert modems["a"].texts() == ["x", "x"]


async def test_unknown_outcome_fails_where_the_owner_wants_no_double(tmp_path: Path) -> None:
    modem = FakeModem(answers=[OutcomeUnknown("no answer")])
    async with Box(tmp_path, {"a": modem}, on_unknown="fail") as box:
        box.start()
        (accepted,) = await box.gateway.accept("cli", [Job(TO, "x")])
        await box.until(accepted.message_id, "failed")
        assert modem.texts() == ["x"]
        await modem.contexts[0].emit(report(modem, 9, TO))
        await asyncio.sleep(0)
        assert await box.state(accepted.message_id) == "failed", "a report that fits no attempt changes nothing"


@pytest.mark.parametrize("outcome", ["delivered", "failed", "pending"])
async def test_a_report_settles_an_unknown_outcome_and_nothing_is_resent(tmp_path: Path, outcome: str) -> None:
    modem = FakeModem(answers=[OutcomeUnknown("no answer")])
    async with Box(tmp_path, {"a": modem}, unknown_wait_s=60) as box:
        box.start()
        (accepted,) = await box.gateway.accept("cli", [Job(TO, "x")])
        await box.until(accepted.message_id, "unknown")
        await modem.contexts[0].emit(report(modem, 77, TO, outcome))
        assert await box.state(accepted.message_id) == {"pending": "sent"}.get(outcome, outcome)
        assert modem.texts() == ["x"]


async def test_late_answer_settles_an_unknown_outcome(tmp_path: Path) -> None:
    modem = FakeModem(answers=[OutcomeUnknown("no answer")])
    async with Box(tmp_path, {"a": modem}, unknown_wait_s=60) as box:
        box.start()
        (accepted,) = await box.gateway.accept("cli", [Job(TO, "one|two")])
        await box.until(accepted.message_id, "unknown")
        modem.on_open = [LateOutcome(modem.iccid, submitted=Submitted(5))]
        modem.lost.set()
        await box.until(accepted.message_id, "sent")
        assert modem.texts() == ["one", "two"]
        assert modem.contexts[1].leftover


async def test_crash_between_claim_and_answer_is_unknown_and_resent_once(tmp_path: Path) -> None:
    hang = asyncio.Event()

    async def never(_: PartToSend) -> Submitted:
        await hang.wait()
        raise AssertionError

    modem = FakeModem(answers=[never])
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        (accepted,) = await box.gateway.accept("cli", [Job(TO, "x")])
        while not modem.sent:
            await asyncio.sleep(0.01)
        again = await box.crash()
        assert await again.state(accepted.message_id) == "unknown"
        again.start()
        await again.until(accepted.message_id, "sent")
        assert modem.texts() == ["x", "x"]
        await again.__aexit__()


async def test_report_before_the_answer_is_applied_when_the_answer_comes(tmp_path: Path) -> None:
    modem = FakeModem()

    async def early(part: PartToSend) -> Submitted:
        await modem.contexts[0].emit(report(modem, 42, part.recipient))
        return Submitted(42)

    modem.answers = [early]
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        (accepted,) = await box.gateway.accept("cli", [Job(TO, "x")])
        await box.until(accepted.message_id, "delivered")
        states = [event.state for event in await box.gateway.history(accepted.message_id or 0) if event.state]
        assert states == ["sending", "sent", "delivered"]
