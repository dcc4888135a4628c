"""Remote agents: register, wake-up, claim before sending, report, hand in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx_sse
import pytest

from tests.agent.fakes import Box, FakeModem
from tests.upstreams.local.conftest import KEY, Rig


async def _queued(rig: Rig, device: int, *texts: str, **more: Any) -> list[int]:
    return [(await rig.send(text, device_id=device, **more))["id"] for text in texts]


async def _claimed(rig: Rig, device: int, limit: int = 10) -> list[int]:
    return [row["id"] for row in await rig.data("POST", f"/api/devices/{device}/claim", {"limit": limit})]


async def _report(rig: Rig, message: int, status: str, **more: Any) -> str:
    return str((await rig.data("PUT", f"/api/sms/{message}", {"status": status, **more}))["status"])


async def test_a_message_is_claimed_sent_and_delivered_by_the_agent(rig: Rig) -> None:
    device = await rig.agent()
    (message,) = await _queued(rig, device, "by the agent", sim_slot=1, priority=5, valid_for_s=600)
    (row,) = await rig.data("POST", f"/api/devices/{device}/claim", {"limit": 10})
    assert (row["id"], row["message"], row["status"], row["device_id"]) == (message, "by the agent", "pending", device)
    assert (row["sim_slot"], row["priority"]) == (1, 5) and 590 < row["valid_for_s"] <= 600
    assert await _claimed(rig, device) == [message]
    assert (await rig.api("POST", f"/api/sms/{message}/cancel"))[0] == 422
    assert await _report(rig, message, "sent") == "sent"
    assert await _claimed(rig, device) == []
    assert await _report(rig, message, "delivered") == "delivered"
    assert await _report(rig, message, "sent") == "delivered"
    kinds = [event.kind for event in await rig.box.gateway.history(message)]
    assert kinds == ["accepted", "claimed", "sent", "delivered"]
    assert rig.modem.sent == []
    assert (await rig.data("GET", "/api/sms/delivery-stats"))["today"]["delivered"] == 1


async def test_a_failure_has_the_agents_sentence_and_a_late_report_still_delivers(rig: Rig) -> None:
    device = await rig.agent()
    first, second, third = await _queued(rig, device, "one", "two", "three")
    assert await _claimed(rig, device) == [first, second, third]
    assert await _report(rig, first, "failed", error_message="no network") == "failed"
    assert (await rig.data("GET", f"/api/sms/{first}"))["error_message"] == "no network"
    assert await _report(rig, first, "delivered") == "delivered"
    assert await _report(rig, second, "sent") == "sent"
    assert await _report(rig, second, "failed", error_message="number unknown") == "failed"
    assert await _report(rig, third, "delivered") == "delivered"
    stats = (await rig.data("GET", "/api/sms/delivery-stats"))["today"]
    assert (stats["sent"], stats["delivered"], stats["failed"]) == (3, 2, 2)


async def test_a_plain_list_of_pending_messages_is_a_pull_that_claims(rig: Rig) -> None:
    device = await rig.agent()
    first, second = await _queued(rig, device, "one", "two")
    path = f"/api/sms?direction=outbound&status=pending&device_id={device}"
    for _ in range(2):
        page = await rig.data("GET", path)
        assert [row["id"] for row in page["data"]] == [second, first] and page["total"] == 2
    assert (await rig.api("POST", f"/api/sms/{first}/cancel"))[0] == 422
    await _report(rig, first, "sent")
    assert [row["id"] for row in (await rig.data("GET", path))["data"]] == [second]


async def test_what_is_not_claimed_can_be_cancelled_and_what_is_released_waits_again(rig: Rig) -> None:
    device = await rig.agent()
    first, second, third = await _queued(rig, device, "one", "two", "three")
    await rig.data("POST", f"/api/sms/{first}/cancel")
    assert await _claimed(rig, device, 1) == [second]
    assert await _claimed(rig, device, 0) == [second]
    released = await rig.data("POST", f"/api/devices/{device}/release", {"ids": [second, third, 999]})
    assert released == {"released": [second]}
    assert await _claimed(rig, device, 0) == []
    await rig.data("POST", f"/api/sms/{second}/cancel")
    assert await _claimed(rig, device) == [third]


async def test_a_claimed_message_whose_cancel_was_refused_fails_when_it_is_released(rig: Rig) -> None:
    device = await rig.agent()
    (message,) = await _queued(rig, device, "one")
    await _claimed(rig, device)
    await rig.api("POST", f"/api/sms/{message}/cancel")
    await rig.data("POST", f"/api/devices/{device}/release", {"ids": [message]})
    assert (await rig.data("GET", f"/api/sms/{message}"))["status"] == "failed"
    assert await _claimed(rig, device) == []


async def test_urgent_ones_are_claimed_first_and_never_by_two_agents(rig: Rig) -> None:
    device, other = await rig.agent("pi-2"), await rig.agent("pi-3")
    (later,) = await _queued(rig, device, "later")
    (urgent,) = await _queued(rig, device, "urgent", priority=100)
    assert await _claimed(rig, other) == []
    assert await _claimed(rig, device, 1) == [urgent]
    assert await _claimed(rig, device, 1) == [urgent, later]


async def test_what_is_too_old_expires_instead_of_being_handed_out(rig: Rig) -> None:
    device = await rig.agent()
    (message,) = await _queued(rig, device, "short-lived", valid_for_s=1)
    await asyncio.sleep(1.05)
    assert await _claimed(rig, device) == []
    assert (await rig.data("GET", f"/api/sms/{message}"))["status"] == "failed"


async def test_inbound_is_taken_once_by_its_fixed_id(rig: Rig) -> None:
    device = await rig.agent()
    body = {
        "message_id": "5f0c9a52-6a51-4c62-9b68-8a1f3d2d6c11", "sender_number": "+998907778899", "message": "Reply",
        "received_at": "2026-06-08T10:00:00.000000Z", "sim_slot": 0, "device_id": device,
    }  # fmt: skip
    status, first = await rig.api("POST", "/api/sms/inbound", body)
    again, second = await rig.api("POST", "/api/sms/inbound", body)
    assert (status, again) == (201, 200) and first["data"] == second["data"]
    inbox = await rig.data("GET", "/api/sms/inbox")
    assert [(row["message"], row["message_id"], row["device_id"]) for row in inbox["data"]] == [
        ("Reply", body["message_id"], device)
    ]
    assert inbox["data"][0]["created_at"] == body["received_at"]
    await rig.data("DELETE", f"/api/sms/{first['data']['id']}")
    assert (await rig.api("POST", "/api/sms/inbound", body))[0] == 200
    assert (await rig.data("GET", "/api/sms/inbox"))["total"] == 0


async def test_one_account_cannot_take_anothers_inbound_ids(shared: Rig) -> None:
    ali = await shared.account("ali")
    body = {"message_id": "fixed", "sender_number": "+998907778899", "message": "for the owner"}
    await shared.data("POST", "/api/sms/inbound", body)
    await shared.data("POST", "/api/sms/inbound", {**body, "message": "for ali"}, key=ali)
    assert [row["message"] for row in (await shared.data("GET", "/api/sms/inbox", key=ali))["data"]] == ["for ali"]


@asynccontextmanager
async def _events(rig: Rig, device: int) -> AsyncIterator[asyncio.Queue[int]]:
    heard: asyncio.Queue[int] = asyncio.Queue()
    headers = {"Authorization": f"Bearer {KEY}"}

    async def listen() -> None:
        async with httpx_sse.aconnect_sse(rig.http, "GET", f"/api/devices/{device}/events", headers=headers) as source:
            async for event in source.aiter_sse():
                assert event.event == "message"
                heard.put_nowait(json.loads(event.data)["pending"])

    task = asyncio.create_task(listen())
    try:
        yield heard
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_an_agent_is_woken_and_told_at_once_what_waits(rig: Rig) -> None:
    device = await rig.agent()
    await _queued(rig, device, "waits")
    async with _events(rig, device) as heard, asyncio.timeout(30):
        assert await heard.get() == 1
        await rig.send("by the route", device_id="route:a")
        await _queued(rig, device, "new")
        assert await heard.get() == 2
        assert heard.empty()
    async with asyncio.timeout(30):
        while rig.box.gateway._watchers:
            await asyncio.sleep(0.01)
    row = next(row for row in await rig.data("GET", "/api/devices") if row["id"] == device)
    assert row["last_seen_at"] is not None


@pytest.mark.parametrize(
    ("query", "settings"),
    [("limit=1", {}), ("timeout_s=0", {}), ("timeout_s=0.05", {}), ("", {"longest_event_stream_s": 0.1})],
)
async def test_a_stream_ends_when_it_was_asked_to(tmp_path: Any, query: str, settings: dict[str, float]) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        rig = Rig(box, **settings)
        await rig.start()
        try:
            device = await rig.agent()
            await _queued(rig, device, "waits")
            headers = {"Authorization": f"Bearer {KEY}"}
            async with asyncio.timeout(30):
                answer = await rig.http.get(f"/api/devices/{device}/events?{query}", headers=headers)
            assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
            assert answer.text == 'event: message\ndata: {"pending": 1}\n\n'
        finally:
            await rig.stop()


async def test_claims_and_keys_outlive_a_crash_and_unclaimed_messages_wait(tmp_path: Any) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        rig = Rig(box)
        await rig.start()
        device = await rig.agent()
        first, second = await _queued(rig, device, "one", "two")
        assert await _claimed(rig, device, 1) == [first]
        made = await rig.data("POST", "/api/tokens", {"name": "agent"})
        await rig.stop()
        again = await box.crash()
        try:
            rig = Rig(again)
            await rig.start()
            assert await rig.agent() == device
            pending = await rig.data("GET", "/api/sms?status=pending", key=made["token"])
            assert [row["id"] for row in pending["data"]] == [second, first]
            assert await _claimed(rig, device, 1) == [first, second]
            assert await _report(rig, first, "sent") == "sent"
            await rig.stop()
        finally:
            await again.journal.close()
            await box.__aenter__()
