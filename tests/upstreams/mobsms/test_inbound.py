"""Inbound on a server without an endpoint for it: the agent itself calls the user's webhook."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.mobsms_server.process import MobSmsServer
from tests.upstreams.mobsms.conftest import Start, told, until


def heard(server: MobSmsServer, text: str) -> list[dict[str, Any]]:
    return [hook["body"]["data"] for hook in server.hooks() if hook["body"]["data"]["message"] == text]


async def test_inbound_goes_to_the_webhook_with_a_fixed_id(server: MobSmsServer, device: str, start: Start) -> None:
    number = server.add_device(device)["id"]
    rig = await start()
    await until(lambda: rig.upstream.status()["device_number"])
    await rig.receive("Reply 😀")
    await rig.receive("second")
    await until(lambda: heard(server, "Reply 😀") and heard(server, "second"))
    (data,) = heard(server, "Reply 😀")
    message = await rig.box.gateway.message(1)
    assert message is not None
    assert data["message_id"] == message.uid
    assert (data["sender_number"], data["device_id"], data["sim_slot"]) == ("+998907778899", number, 0)
    hook = next(hook for hook in server.hooks() if hook["body"]["data"] == data)
    assert hook["body"]["event"] == "incoming" and hook["body"]["timestamp"].endswith("Z")
    tried = [line for line in server.log("request") if line["path"] == "/api/sms/inbound"]
    assert len([line for line in tried if message.uid in line["body"]]) <= 1 and len(tried) >= 1


async def test_the_key_never_goes_to_the_webhook(server: MobSmsServer, device: str, start: Start) -> None:
    seen: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        port = listener.sockets[0].getsockname()[1]
        server.set_account(webhook_url_incoming=f"http://127.0.0.1:{port}/x")
        rig = await start()
        await until(lambda: rig.upstream.status()["device_number"])
        await rig.receive("hello")
        await until(lambda: seen)
    assert b"authorization" not in seen[0].lower()
    assert server.key.encode() not in seen[0]


async def test_a_failing_webhook_is_retried_and_holds_up_no_report(
    server: MobSmsServer, device: str, start: Start
) -> None:
    server.fault("status", listener="hook", status=500, count=1)
    rig = await start()
    await until(lambda: rig.upstream.status()["device_number"])
    await rig.receive("tried twice")
    (number,) = server.enqueue(1, device=device)
    await until(lambda: told(server, number) == ["sent"])
    await until(lambda: heard(server, "tried twice"))
    assert rig.feed.problem is None and rig.feed.parked == 0


async def test_without_a_webhook_nobody_wants_it(server: MobSmsServer, device: str, start: Start) -> None:
    server.set_account(webhook_url_incoming=None)
    rig = await start()
    await until(lambda: rig.upstream.status()["device_number"])
    await rig.receive("to nobody")
    await until(lambda: rig.upstream.status()["inbound"] == "nobody" and rig.feed.waiting == 0)
    assert heard(server, "to nobody") == []


@pytest.mark.parametrize("status", [403, 405])
async def test_an_endpoint_that_is_not_for_us_leads_to_the_webhook(
    server: MobSmsServer, device: str, start: Start, status: int
) -> None:
    server.fault("status", status=status, path="/api/sms/inbound")
    rig = await start()
    await until(lambda: rig.upstream.status()["device_number"])
    await rig.receive(f"by webhook {status}")
    await until(lambda: heard(server, f"by webhook {status}"))


async def test_a_404_of_something_else_is_not_taken_for_a_missing_endpoint(
    server: MobSmsServer, device: str, start: Start
) -> None:
    rig = await start()
    await until(lambda: rig.upstream.status()["device_number"])
    # A proxy in front of the server answers 404 to everything for a moment.
    server.fault("status", status=404, body="<html>404</html>", seconds=0.5)
    await rig.receive("later")
    await until(lambda: heard(server, "later"))
