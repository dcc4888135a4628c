"""A phonebridge as server and another as its remote agent, over real connections."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from agent.config import parse
from agent.feed import Feed
from agent.supervise import keep_running
from agent.upstreams.mobsms import MobSmsUpstream
from drivers.api import InboundPart
from tests.agent.fakes import Box, FakeModem, report
from tests.upstreams.local.conftest import KEY, Rig

COUNT = 20


async def _until(is_so: Callable[[], Awaitable[Any]], timeout_s: float = 30.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not await is_so():
            await asyncio.sleep(0.02)


async def test_messages_go_by_the_remote_agent_once_and_come_back_as_reports(tmp_path: Path) -> None:
    modem = FakeModem()
    for name in ("server", "agent"):
        (tmp_path / name).mkdir()
    async with Box(tmp_path / "server", {}) as server_box, Box(tmp_path / "agent", {"a": modem}) as agent_box:
        server = Rig(server_box)
        await server.start()
        keys = {"type": "mobsms", "base_url": server.address, "api_key": KEY, "device_id": "pi-2"}
        upstream = MobSmsUpstream(parse({"upstream": [keys]}).upstreams[0], agent_box.gateway)
        feed = Feed("mobsms", upstream, agent_box.journal, agent_box.clock)
        agent_box.gateway.feeds["mobsms"] = feed
        await agent_box.gateway.ensure_upstream("mobsms", upstream.identity(), wants_inbound=True)
        agent_box.start()
        for work in (upstream.run, feed.run):
            agent_box.tasks.append(asyncio.create_task(keep_running("mobsms", work)))

        async def registered() -> Any:
            return [row["device_id"] for row in await server.data("GET", "/api/devices")] == ["pi-2"]

        await _until(registered)
        body = {"message": "by pi-2", "recipients": [f"+9989011122{n:02}" for n in range(COUNT)]}
        rows = await server.data("POST", "/api/sms/bulk", body)

        async def all_sent() -> Any:
            return (await server.data("GET", "/api/sms?status=sent"))["total"] == COUNT

        await _until(all_sent)
        sent = [part.recipient for _, part in modem.sent]
        assert sorted(sent) == sorted(body["recipients"])
        await modem.contexts[-1].emit(report(modem, 1, sent[0]))
        part = InboundPart(modem.iccid, sent[0], "Reply", "gsm7", b"Reply", b"tpdu of the reply")
        await modem.contexts[-1].emit(part)

        async def came_back() -> Any:
            delivered = (await server.data("GET", "/api/sms?status=delivered"))["total"]
            return delivered == 1 and (await server.data("GET", "/api/sms/inbox"))["total"] == 1

        await _until(came_back)
        assert len(rows) == len(modem.sent) == COUNT
        await agent_box.stop()
        await server.stop()
