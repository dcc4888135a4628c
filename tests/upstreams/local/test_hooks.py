"""Webhooks: what is told to whom, in order, again where it was not taken, and nobody held up by another."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from agent.clock import Clock
from agent.hooks import Call, Hooks, host_of, problem_of, wait_before_try
from agent.journal.store import Journal
from tests.agent.fakes import Box, FakeModem
from tests.mobsms_server.http1 import Response
from tests.upstreams.local.conftest import Receiver, Rig

DAY_S = 86_400


async def test_states_go_to_the_accounts_webhook_and_the_end_to_the_messages_own(rig: Rig, receiver: Receiver) -> None:
    await rig.data("PUT", "/api/webhooks", {"webhook_url_status": receiver.url("/status")})
    sent = await rig.send(callback_url=receiver.url("/own"), my_id="order-42")
    await rig.box.until(sent["id"], "sent")
    await rig.deliver(1, "+998901234567")
    got = await receiver.until(3)
    assert [(path, body["data"]["status"]) for path, body in got if path == "/status"] == [
        ("/status", "sent"), ("/status", "delivered"),
    ]  # fmt: skip
    own = [body for path, body in got if path == "/own"]
    assert [body["data"]["status"] for body in own] == ["delivered"]
    assert own[0]["event"] == "status" and own[0]["timestamp"].endswith("Z")
    assert (own[0]["data"]["id"], own[0]["data"]["my_id"]) == (sent["id"], "order-42")
    first = next(body for path, body in got if path == "/status")
    assert first["data"]["delivered_at"] is None and first["data"]["sent_at"] is not None


async def test_a_message_that_never_left_is_told_with_its_reason(rig: Rig, receiver: Receiver) -> None:
    body = {"message": "x", "recipients": ["nonsense"], "callback_url": receiver.url("/own")}
    await rig.data("POST", "/api/sms/bulk", body)
    ((_, told),) = await receiver.until(1)
    assert told["data"]["status"] == "failed" and "not a phone number" in told["data"]["error_message"]


async def test_inbound_is_told_with_its_text_also_where_none_is_kept(rig: Rig, receiver: Receiver) -> None:
    await rig.data("PUT", "/api/settings", {"keep_inbound": False})
    await rig.data("PUT", "/api/webhooks", {"webhook_url_incoming": receiver.url("/in")})
    message = await rig.receive("secret reply")
    ((path, body),) = await receiver.until(1)
    assert (path, body["event"], body["data"]["message"]) == ("/in", "incoming", "secret reply")
    assert body["data"]["sender_number"] == "+998907778899"
    assert (await rig.data("GET", f"/api/sms/{message}"))["message"] == ""


async def test_a_refused_call_is_made_again_and_its_successors_wait(tmp_path: Path, receiver: Receiver) -> None:
    refusals = [500, 302]
    receiver.answer = lambda path, body: Response(refusals.pop(0)) if refusals and body["n"] == 1 else None
    async with _hooks(tmp_path) as (hooks, clock):
        await hooks.add(
            [_call(receiver.url("/a"), 1, 1), _call(receiver.url("/a"), 1, 2), _call(receiver.url("/a"), 2, 3)]
        )
        await receiver.until(1)
        assert [body["n"] for _, body in receiver.got] == [3]
        for waited_s in (10, 20):
            await asyncio.sleep(0.1)
            assert len(receiver.got) == 1
            clock.ahead_ms += waited_s * 1000 + 1
            hooks.wake()
        got = await receiver.until(3)
        assert [body["n"] for _, body in got] == [3, 1, 2]


async def test_the_same_thing_is_told_once_and_a_receiver_away_for_an_hour_gets_all_in_order(
    tmp_path: Path, receiver: Receiver
) -> None:
    receiver.answer = lambda path, body: Response(503)
    async with _hooks(tmp_path) as (hooks, clock):
        calls = [_call(receiver.url(f"/{lane}"), lane, n) for lane in (1, 2, 3) for n in (1, 2, 3)]
        await hooks.add(calls)
        await hooks.add(calls)
        for _ in range(8):
            await asyncio.sleep(0.05)
            clock.ahead_ms += 450_000
            hooks.wake()
        receiver.answer = lambda path, body: None
        for _ in range(4):
            await asyncio.sleep(0.05)
            clock.ahead_ms += 3_600_000
            hooks.wake()
        got = await receiver.until(9)
        await asyncio.sleep(0.1)
        assert len(got) == 9
        for lane in (1, 2, 3):
            assert [body["n"] for path, body in got if path == f"/{lane}"] == [1, 2, 3]


async def test_a_silent_host_holds_up_nobody_else(tmp_path: Path, receiver: Receiver) -> None:
    silent = Receiver()
    silent.silent_s = 3.0
    await silent.server.open()
    async with _hooks(tmp_path) as (hooks, _):
        await hooks.add([_call(silent.url("/"), lane, 1) for lane in range(100)])
        await asyncio.sleep(0.1)
        await hooks.add([_call(receiver.url("/"), 1000 + lane, 1) for lane in range(50)])
        await receiver.until(50, timeout_s=2.0)
    await silent.close()


async def test_calls_outlive_a_crash(tmp_path: Path, receiver: Receiver) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        rig = Rig(box)
        await rig.start()
        await receiver.server.close()
        sent = await rig.send(callback_url=receiver.url("/own"))
        await rig.box.until(sent["id"], "sent")
        await rig.deliver(1, "+998901234567")
        async with asyncio.timeout(5):
            while not await rig.box.journal.read(
                lambda con: con.execute("SELECT 1 FROM hook WHERE tries > 0").fetchone()
            ):
                await asyncio.sleep(0.01)
        await rig.stop()
        again = await box.crash()
        await receiver.server.open()
        try:
            # A restart does not shorten the wait; the table says when.
            await again.journal.write(lambda con: con.execute("UPDATE hook SET due_ms = 0"))
            rig = Rig(again)
            await rig.start()
            ((_, body),) = await receiver.until(1)
            assert body["data"]["status"] == "delivered"
            await rig.stop()
        finally:
            await again.journal.close()
            await box.__aenter__()


def test_waits_double_from_10_s_to_6_h_and_end_after_three_days() -> None:
    waits = []
    while (wait_s := wait_before_try(len(waits) + 2)) is not None:
        waits.append(wait_s)
    assert waits[:3] == [10, 20, 40] and waits[-1] == 6 * 3600
    assert 2.5 * DAY_S < sum(waits) < 3.5 * DAY_S


@pytest.mark.parametrize(
    ("url", "is_good"),
    [
        ("http://127.0.0.1:8000/x?y=z", True), ("https://user:pw@example.com/", True), ("ftp://x/", False),
        ("file:///etc/passwd", False), ("javascript:alert(1)", False), ("http://", False), ("//x/", False),
        ("http://x:99999/", False), ("http://[::1/", False), ("http://x/\r\nHost: y", False), ("x" * 3000, False),
    ],
)  # fmt: skip
def test_only_http_addresses_are_called(url: str, is_good: bool) -> None:
    assert (problem_of(url) is None) is is_good


def test_who_shares_a_fate_is_told_by_scheme_host_and_port() -> None:
    assert host_of("https://user:pw@Example.com:8443/a?b") == "https://example.com:8443"


# --- pieces -----------------------------------------------------------------------------------------


class _Clock(Clock):
    ahead_ms = 0

    def utc_ms(self) -> int:
        return super().utc_ms() + self.ahead_ms


def _call(url: str, lane: int, number: int) -> Call:
    return Call(f"{lane}:{number}", lane, 1, url, f'{{"n": {number}}}')


class _hooks:
    """Hooks alone, on a journal, running."""

    def __init__(self, directory: Path) -> None:
        self.clock = _Clock("trusted")
        self.journal = Journal(directory / "journal.db")
        self.hooks = Hooks(self.journal, self.clock)

    async def __aenter__(self) -> tuple[Hooks, _Clock]:
        await self.journal.start(self.clock.utc_ms())
        self.task = asyncio.create_task(self.hooks.run())
        return self.hooks, self.clock

    async def __aexit__(self, *_: Any) -> None:
        self.task.cancel()
        await asyncio.gather(self.task, return_exceptions=True)
        await self.journal.close()
