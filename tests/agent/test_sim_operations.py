"""The operations `ussd` and `pin`, as the control socket calls them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.operations import OPERATIONS
from agent.request import Fields, Refused
from drivers.api import DriverError, OpenContext, PersonNeeded
from tests.agent.fakes import Box, FakeDriver, FakeModem

ICCID = "8949000000000000001"


async def ask(box: Box, operation: str, **fields: Any) -> dict[str, Any]:
    async def tell(_: dict[str, Any]) -> None:
        return None

    return await OPERATIONS[operation](box.gateway, Fields(fields), tell)


async def test_ussd_goes_to_the_route_and_needs_an_open_link(tmp_path: Path) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        with pytest.raises(DriverError, match="no open link"):
            await ask(box, "ussd", route="a", code="*100#")
        box.start()
        (accepted,) = await box.gateway.accept("cli", [_job()])
        await box.until(accepted.message_id, "sent")
        assert (await ask(box, "ussd", route="a", code="*100#"))["text"] == "answer to *100#"
        with pytest.raises(Refused, match="no route"):
            await ask(box, "ussd", route="nowhere", code="*100#")


async def test_a_pin_retry_clears_the_record_and_opens_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The route waits half a minute for a person; the person's word ends that."""

    async def locked(self: FakeDriver, settings: Any, context: OpenContext) -> Any:
        self.modem.contexts.append(context)
        if await context.memory.recall(ICCID, "pin") is None and len(self.modem.contexts) > 1:
            return await real(self, settings, context)
        await context.memory.remember(ICCID, "pin", "refused:digest")
        raise PersonNeeded("The SIM card refused this PIN before.")

    real = FakeDriver.open
    monkeypatch.setattr(FakeDriver, "open", locked)
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        box.start()
        (accepted,) = await box.gateway.accept("cli", [_job()])
        while not (shown := await ask(box, "pin", route="a"))["records"] or shown["problem"] is None:
            await box.until(accepted.message_id, "queued")
        assert shown["records"] == [{"sim": ICCID, "verdict": "refused"}] and "PIN" in shown["problem"]
        assert (await ask(box, "pin", route="a", retry=True))["cleared"] == [ICCID]
        await box.until(accepted.message_id, "sent")


def _job() -> Any:
    from agent.model import Job

    return Job("+4915112345678", "x")
