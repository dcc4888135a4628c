"""`send --wait` tells every step, whenever it happens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent import operations
from agent.model import Event, Job, Message
from tests.agent.fakes import TO, Box, FakeModem, report


async def test_a_step_between_two_looks_at_the_journal_is_told_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    modem = FakeModem()
    async with Box(tmp_path, {"a": modem}) as box:
        box.start()
        (accepted,) = await box.gateway.accept("cli", [Job(TO, "x")])
        message_id = accepted.message_id or 0
        await box.until(message_id, "sent")
        history, message = box.gateway.history, box.gateway.message
        looks = 0

        async def deliver_after_the_first() -> None:
            nonlocal looks
            looks += 1
            if looks == 1:
                await modem.contexts[-1].emit(report(modem, 1, TO))
                await box.until(message_id, "delivered")

        async def slow_history(number: int) -> list[Event]:
            found = await history(number)
            await deliver_after_the_first()
            return found

        async def slow_message(number: int | str) -> Message | None:
            found = await message(number)  # type: ignore[arg-type]
            await deliver_after_the_first()
            return found

        monkeypatch.setattr(box.gateway, "history", slow_history)
        monkeypatch.setattr(box.gateway, "message", slow_message)
        told: list[Any] = []

        async def tell(step: Any) -> None:
            told.append(step["kind"])

        await operations._follow(box.gateway, message_id, tell)
        assert told[-1] == "delivered"
