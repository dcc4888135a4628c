"""Two phonebridges: one serves, the other is its remote device and sends. Both are real, over a real socket."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import TypeAdapter

from agent.feed import Feed
from agent.supervise import keep_running
from agent.upstreams.local import LocalUpstream
from agent.upstreams.local.settings import LocalSettings
from tests.agent.fakes import Box
from tests.upstreams.mobsms.conftest import Start, until

KEY = "1|key-of-the-owner"


@pytest.fixture
async def own(tmp_path: Path) -> AsyncIterator[str]:
    """The address of a local server without any route of its own."""
    async with Box(tmp_path / "server", {}) as box:
        settings = TypeAdapter(LocalSettings).validate_python(
            {"type": "local", "name": "local", "bind": "127.0.0.1:0", "api_key": KEY}
        )
        local = LocalUpstream(settings, box.gateway)
        box.gateway.feeds["local"] = Feed("local", local, box.journal, box.clock)
        await box.gateway.ensure_upstream("local", local.identity(), wants_inbound=True)
        box.tasks.append(asyncio.create_task(keep_running("local", local.run)))
        await until(lambda: local.status().get("address"))
        yield str(local.status()["address"])


async def test_a_remote_device_registers_claims_sends_reports_and_hands_in(own: str, start: Start) -> None:
    rig = await start(base_url=own, key=KEY, device_id="attic", poll_interval_s=30, idle_poll_interval_s=30)
    await until(lambda: rig.upstream.status()["mode"] == "claim with events")

    async with httpx.AsyncClient(base_url=own, headers={"Authorization": f"Bearer {KEY}"}) as application:

        async def answer(method: str, path: str, **body: Any) -> Any:
            response = await application.request(method, path, json=body or None)
            assert response.is_success, response.text
            return response.json()["data"]

        (device,) = await answer("GET", "/api/devices")
        sending = {"message": "Hello", "recipient_number": "+998901234567", "device_id": str(device["id"])}
        row = await answer("POST", "/api/sms", **sending)
        # By the event, not by the next poll half a minute later.
        await until(lambda: rig.modem.texts() == ["Hello"], 2)

        async def status_is(wanted: str) -> None:
            async with asyncio.timeout(30):
                while (await answer("GET", f"/api/sms/{row['id']}"))["status"] != wanted:
                    await asyncio.sleep(0.05)

        await status_is("sent")
        await rig.deliver("+998901234567")
        await status_is("delivered")
        await rig.receive("Hi back")
        async with asyncio.timeout(30):
            while (await answer("GET", "/api/sms/inbox"))["total"] != 1:
                await asyncio.sleep(0.05)
    assert rig.upstream.status()["inbound"] == "server"
    await rig.box.stop()
