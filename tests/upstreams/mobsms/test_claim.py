"""On a server with our extensions: claimed before sent, woken by events, with SIM slot, priority and validity."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.upstreams.mobsms.claim_server import ClaimServer
from tests.upstreams.mobsms.conftest import Start, until


@pytest.fixture
async def own() -> AsyncIterator[ClaimServer]:
    async with ClaimServer() as server:
        yield server


async def test_messages_are_claimed_oldest_first_and_the_list_is_never_asked(own: ClaimServer, start: Start) -> None:
    own.put(120)
    rig = await start(base_url=own.url, device_id="pi")
    await until(lambda: len(own.reports) == 120)
    assert rig.modem.texts() == [f"m{number}" for number in range(1, 121)]
    assert own.listed == 0
    await rig.box.stop()


async def test_no_more_is_claimed_than_can_be_sent_soon(own: ClaimServer, start: Start) -> None:
    own.put(250)
    rig = await start(base_url=own.url, device_id="pi", has_service=False)
    await until(lambda: len(own.limits) >= 4)
    assert len(own.claimed) == 100 and set(own.limits[1:]) == {0}
    await rig.box.stop()


async def test_an_event_wakes_the_pull_at_once(own: ClaimServer, start: Start) -> None:
    rig = await start(base_url=own.url, device_id="pi", poll_interval_s=60, idle_poll_interval_s=60)
    await until(lambda: own.listeners and len(own.limits) >= 2)
    assert rig.upstream.status()["mode"] == "claim with events"
    own.put(1)
    await own.announce()
    await until(lambda: rig.modem.sent, 1)
    await rig.box.stop()


async def test_rows_carry_slot_priority_and_validity(own: ClaimServer, start: Start) -> None:
    own.put(1, sim_slot=1, priority=5, valid_for_s=3600)
    rig = await start(base_url=own.url, device_id="pi", modems=2)
    await until(lambda: own.reports)
    message = await rig.box.gateway.message(1)
    assert message is not None and (message.route, message.priority) == ("b", 5)
    await rig.box.stop()


async def test_what_is_gone_from_the_claimed_is_withdrawn(own: ClaimServer, start: Start) -> None:
    own.put(2)
    rig = await start(base_url=own.url, device_id="pi", has_service=False)
    await until(lambda: rig.upstream.status()["pending"] == 2)
    own.claimed[1]["status"] = "cancelled"
    del own.claimed[2]
    assert await rig.box.until(1, "cancelled") == "cancelled"
    assert await rig.box.until(2, "cancelled") == "cancelled"
    await asyncio.sleep(0.2)
    assert own.reports == []
    await rig.box.stop()
