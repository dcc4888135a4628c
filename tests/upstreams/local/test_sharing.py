"""Idempotency-Key, several accounts, and devices."""

from __future__ import annotations

import asyncio

from agent.model import Job
from tests.upstreams.local.conftest import KEY, Rig

BODY = {"message": "once", "recipient_number": "+998901234567"}


async def test_the_same_key_and_request_get_the_same_answer_and_one_message(rig: Rig) -> None:
    headers = {"Idempotency-Key": "order-42"}
    answers = await asyncio.gather(*(rig.api("POST", "/api/sms", BODY, headers=headers) for _ in range(10)))
    first = answers[0]
    assert first[0] == 201 and all(answer == first for answer in answers)
    await rig.box.until(first[1]["data"]["id"], "sent")
    await rig.box.gateway.pause("a", is_paused=True)
    assert await rig.api("POST", "/api/sms", BODY, headers=headers) == first
    assert rig.modem.texts() == ["once"]
    status, document = await rig.api("POST", "/api/sms", {**BODY, "message": "other"}, headers=headers)
    assert (status, document["success"]) == (422, False) and "Idempotency-Key" in document["message"]
    assert (await rig.api("POST", "/api/sms", BODY, headers={"Idempotency-Key": "x" * 300}))[0] == 422


async def test_bulk_is_idempotent_as_a_whole(rig: Rig) -> None:
    body = {"message": "Hi", "recipients": ["+998901112233", "nonsense"]}
    headers = {"Idempotency-Key": "campaign"}
    first = await rig.api("POST", "/api/sms/bulk", body, headers=headers)
    await rig.box.until(first[1]["data"][0]["id"], "sent")
    assert await rig.api("POST", "/api/sms/bulk", body, headers=headers) == first
    assert rig.modem.texts() == ["Hi"]


async def test_two_accounts_may_use_the_same_idempotency_key(shared: Rig) -> None:
    ali = await shared.account("ali")
    headers = {"Idempotency-Key": "1"}
    one = await shared.data("POST", "/api/sms", BODY, headers=headers)
    two = await shared.data("POST", "/api/sms", BODY, headers=headers, key=ali)
    assert one["id"] != two["id"]


async def test_each_account_sees_only_its_own(shared: Rig) -> None:
    ali, eve = await shared.account("ali"), await shared.account("eve")
    of_ali = await shared.data("POST", "/api/sms", BODY, key=ali)
    await shared.box.until(of_ali["id"], "sent")
    device = await shared.agent("pi-ali", key=ali)
    token = (await shared.data("GET", "/api/tokens", key=ali))[0]
    await shared.data("PUT", "/api/webhooks", {"webhook_url_status": "http://127.0.0.1:1/"}, key=ali)
    for key in (eve, KEY):
        assert (await shared.data("GET", "/api/sms", key=key))["total"] == 0
        for method, path in (
            ("GET", f"/api/sms/{of_ali['id']}"), ("GET", f"/api/sms/{of_ali['message_id']}"),
            ("PUT", f"/api/sms/{of_ali['id']}"), ("DELETE", f"/api/sms/{of_ali['id']}"),
            ("POST", f"/api/sms/{of_ali['id']}/cancel"), ("DELETE", f"/api/tokens/{token['id']}"),
            ("POST", f"/api/devices/{device}/claim"), ("GET", f"/api/devices/{device}/events"),
        ):  # fmt: skip
            assert (await shared.api(method, path, {} if method != "GET" else None, key=key))[0] == 404, path
        assert [row["device_id"] for row in await shared.data("GET", "/api/devices", key=key)] == ["route:a"]
        assert (await shared.data("GET", "/api/webhooks", key=key))["webhook_url_status"] is None
        status, _ = await shared.api("POST", "/api/sms", {**BODY, "device_id": device}, key=key)
        assert status == 422
        assert (await shared.data("GET", "/api/account", key=key))["usage"]["total_sms"] == 0
    assert (await shared.api("PUT", "/api/devices/1", {"device_name": "mine"}, key=eve))[0] == 403
    assert (await shared.data("GET", "/api/sms", key=ali))["total"] == 1


async def test_a_reply_belongs_to_who_wrote_last_and_else_to_the_owner(shared: Rig) -> None:
    ali = await shared.account("ali")
    sent = await shared.data("POST", "/api/sms", BODY, key=ali)
    await shared.box.until(sent["id"], "sent")
    await shared.receive("to ali", BODY["recipient_number"])
    await shared.receive("to the owner", "+998900000000")
    assert [row["message"] for row in (await shared.data("GET", "/api/sms/inbox", key=ali))["data"]] == ["to ali"]
    assert [row["message"] for row in (await shared.data("GET", "/api/sms/inbox"))["data"]] == ["to the owner"]


async def test_the_owner_sees_what_other_upstreams_brought(shared: Rig) -> None:
    ali = await shared.account("ali")
    (accepted,) = await shared.box.gateway.accept("cli", [Job("+998901234567", "from the CLI")])
    own = await shared.send("by HTTP")
    listed = await shared.data("GET", "/api/sms")
    assert [row["id"] for row in listed["data"]] == [own["id"], accepted.message_id] and listed["total"] == 2
    assert (await shared.data("GET", f"/api/sms/{accepted.message_id}"))["message"] == "from the CLI"
    assert (await shared.api("GET", f"/api/sms/{accepted.message_id}", key=ali))[0] == 404
    await shared.box.until(own["id"], "sent")
    await shared.box.until(accepted.message_id, "sent")
    assert (await shared.data("GET", "/api/sms/delivery-stats"))["today"]["sent"] == 2


async def test_the_default_device_takes_what_names_none(rig: Rig) -> None:
    number = await rig.agent()
    await rig.data("POST", "/api/devices/default-device", {"device_id": number})
    assert [row["is_default"] for row in await rig.data("GET", "/api/devices")] == [False, True]
    sent = await rig.send("for the agent")
    assert (await rig.data("GET", f"/api/sms/{sent['id']}"))["device_id"] == number
    by_route = await rig.send("by the route", device_id="route:a")
    await rig.box.until(by_route["id"], "sent")
    by_slot = await rig.send("by no such slot", sim_slot=7, device_id="active")
    assert by_slot["status"] == "failed" and "slot 7" in by_slot["error_message"]


async def test_bulk_goes_round_the_active_devices(rig: Rig) -> None:
    number = await rig.agent()
    off = await rig.agent("pi-3")
    await rig.data("PUT", f"/api/devices/{off}", {"is_active": False})
    body = {"message": "x", "recipients": [f"+99890111223{n}" for n in range(6)], "device_id": "active"}
    rows = await rig.data("POST", "/api/sms/bulk", body)
    devices = [(await rig.data("GET", f"/api/sms/{row['id']}"))["device_id"] for row in rows]
    assert sorted(devices) == [1, 1, 1, number, number, number] and devices[0] != devices[1]
    refused = {"success": False, "message": "No active device available"}
    assert await rig.api("POST", "/api/sms", {**BODY, "device_id": off}) == (422, refused)


async def test_a_device_is_registered_once_and_changed_in_place(rig: Rig) -> None:
    body = {"device_id": "pi-2", "device_name": "Pi", "phone_number": "+998900000001"}
    status, first = await rig.api("POST", "/api/devices", body)
    again, second = await rig.api("POST", "/api/devices", {**body, "device_name": "Pi of the attic"})
    assert (status, again, first["data"]["id"]) == (201, 200, second["data"]["id"])
    changes = {"send_delay_seconds": 3, "default_sim_slot": 1, "sms_rate": 50, "is_active": False}
    row = await rig.data("PUT", f"/api/devices/{first['data']['id']}", changes)
    assert {name: row[name] for name in changes} == changes and row["device_name"] == "Pi of the attic"
    assert (await rig.data("PUT", "/api/devices/pi-2", {"default_sim_slot": None}))["default_sim_slot"] is None
    status, document = await rig.api("PUT", "/api/devices/1", {"send_delay_seconds": 3})
    assert status == 422 and "send_delay_s" in document["message"]
    assert (await rig.data("PUT", "/api/devices/1", {"device_name": "Balcony"}))["device_name"] == "Balcony"
