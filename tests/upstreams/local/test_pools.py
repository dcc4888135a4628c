"""Agents that vanish: others of their pool take over, and what they had claimed is settled late and flagged."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent.upstreams.local import pools
from tests.agent.fakes import Box, FakeModem
from tests.upstreams.local.conftest import Rig
from tests.upstreams.local.test_remote_agents import _claimed, _events, _queued, _report


@pytest.fixture(params=["resend"])
async def slow(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Rig]:
    """A server whose own look at vanished agents never comes: the tests look."""
    async with Box(tmp_path, {"a": FakeModem()}, on_unknown=request.param) as box:
        rig = Rig(box, agent_absent_after_s=60, claim_expires_after_s=3600)
        await rig.start()
        yield rig
        await rig.stop()


async def _agents(rig: Rig, *names: str, pool: str | None = "cupboard", **more: Any) -> list[int]:
    body = {"device_name": "Pi", "pool": pool}
    return [int((await rig.data("POST", "/api/devices", {**body, "device_id": one}, **more))["id"]) for one in names]


def _vanish(rig: Rig, device: int, ago_s: float) -> None:
    rig.upstream._local.last_seen[device] -= round(ago_s * 1000)


async def _look(rig: Rig) -> None:
    await pools.look(rig.upstream._local, rig.box.clock.utc_ms())


async def _device_of(rig: Rig, message: int) -> int:
    return int((await rig.data("GET", f"/api/sms/{message}"))["device_id"])


async def test_what_a_vanished_agent_has_not_claimed_goes_to_its_pool_evenly_and_wakes_it(slow: Rig) -> None:
    gone, one, two = await _agents(slow, "gone", "one", "two")
    (stranger,) = await _agents(slow, "stranger", pool="attic")
    ids = await _queued(slow, gone, *"abcd")
    async with _events(slow, one) as heard, asyncio.timeout(30):
        assert await heard.get() == 0
        await _look(slow)
        assert await _claimed(slow, two) == []
        _vanish(slow, gone, 61)
        await _look(slow)
        assert await heard.get() == 2
    assert await _claimed(slow, stranger) == []
    assert sorted(await _claimed(slow, one) + await _claimed(slow, two)) == ids
    assert {await _device_of(slow, message) for message in ids} == {one, two}
    kinds = [event.kind for event in await slow.box.gateway.history(ids[0])]
    assert kinds == ["accepted", "rerouted", "claimed"]
    assert await _claimed(slow, gone) == []
    assert await _report(slow, ids[0], "sent") == "sent"


async def test_an_older_message_that_is_moved_wakes_its_new_agent(slow: Rig) -> None:
    gone, one = await _agents(slow, "gone", "one")
    await _queued(slow, gone, "older")
    await _queued(slow, one, "newer")
    async with _events(slow, one) as heard, asyncio.timeout(30):
        assert await heard.get() == 1
        _vanish(slow, gone, 61)
        await _look(slow)
        assert await heard.get() == 2


async def test_another_account_or_an_absent_or_switched_off_agent_takes_nothing_over(tmp_path: Path) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        rig = Rig(box, registration="open")
        await rig.start()
        ali = await rig.account("ali")
        gone, absent, off = await _agents(rig, "gone", "absent", "off")
        await _agents(rig, "alis", key=ali)
        (message,) = await _queued(rig, gone, "stays")
        for device in (gone, absent):
            _vanish(rig, device, 61)
        await rig.data("PUT", f"/api/devices/{off}", {"is_active": False})
        await _look(rig)
        assert await _device_of(rig, message) == gone
        rows = {row["id"]: row for row in await rig.data("GET", "/api/devices")}
        assert [rows[device]["is_online"] for device in (gone, absent, off)] == [False, False, True]
        assert rows[gone]["pool"] == "cupboard"
        await rig.data("PUT", f"/api/devices/{gone}", {"pool": None})
        assert (await rig.data("GET", "/api/devices"))[1]["pool"] is None
        await rig.stop()


async def test_what_was_claimed_moves_after_the_release_or_late_and_flagged(slow: Rig) -> None:
    gone, other = await _agents(slow, "gone", "other")
    released, kept = await _queued(slow, gone, "released", "kept")
    await _claimed(slow, gone)
    await slow.data("POST", f"/api/devices/{gone}/release", {"ids": [released]})
    _vanish(slow, gone, 61)
    await _look(slow)
    assert await _claimed(slow, other) == [released]
    row = await slow.data("GET", f"/api/sms/{released}")
    assert row["may_be_double"] is False and await _device_of(slow, kept) == gone
    _vanish(slow, gone, 3600)
    await _look(slow)
    assert await _claimed(slow, other) == [released, kept]
    row = await slow.data("GET", f"/api/sms/{kept}")
    assert row["may_be_double"] is True and row["device_id"] == other
    kinds = [event.kind for event in await slow.box.gateway.history(kept)]
    assert kinds == ["accepted", "claimed", "unknown", "resend", "rerouted", "claimed"]
    # The word of the one that vanished still counts: it had sent it.
    assert await _report(slow, kept, "delivered") == "delivered"
    assert await _claimed(slow, other) == [released]


async def test_without_anybody_to_take_over_a_claim_stays_with_its_agent(slow: Rig) -> None:
    (gone,) = await _agents(slow, "gone")
    (message,) = await _queued(slow, gone, "claimed")
    await _claimed(slow, gone)
    _vanish(slow, gone, 4000)
    await _look(slow)
    assert await _claimed(slow, gone) == [message]


@pytest.mark.parametrize("slow", ["fail"], indirect=True)
async def test_the_policy_may_be_to_fail(slow: Rig) -> None:
    gone, other = await _agents(slow, "gone", "other")
    (message,) = await _queued(slow, gone, "claimed")
    await _claimed(slow, gone)
    _vanish(slow, gone, 4000)
    await _look(slow)
    row = await slow.data("GET", f"/api/sms/{message}")
    assert row["status"] == "failed" and "nobody could say" in row["error_message"]
    assert await _claimed(slow, other) == []


async def test_the_server_looks_by_itself_and_gives_everybody_time_after_a_start(tmp_path: Path) -> None:
    async with Box(tmp_path, {}) as box:
        rig = Rig(box, agent_absent_after_s=1)
        await rig.start()
        gone, other = await _agents(rig, "gone", "other")
        (message,) = await _queued(rig, gone, "moves")
        async with asyncio.timeout(30):
            while await _device_of(rig, message) != other:
                await _claimed(rig, other, 0)
                await asyncio.sleep(0.1)
        await rig.stop()
