"""The documented operations over a socket, field by field against the published examples."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from tests.upstreams.local.conftest import KEY, Rig

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def assert_like(found: Any, example: Any, where: str = "") -> None:
    """Every field of the example is there, with its type; a time looks like one. None in the example: anything."""
    if isinstance(example, dict):
        assert isinstance(found, dict), where
        for name, value in example.items():
            assert name in found, f"{where}.{name} is missing"
            assert_like(found[name], value, f"{where}.{name}")
    elif isinstance(example, list):
        assert isinstance(found, list), where
        for item in found:
            assert_like(item, example[0], f"{where}[]")
    elif isinstance(example, str) and TIME.fullmatch(example):
        assert isinstance(found, str) and TIME.fullmatch(found), f"{where}: {found!r}"
    elif isinstance(example, bool):
        assert isinstance(found, bool), f"{where}: {found!r}"
    elif isinstance(example, int | float):
        assert isinstance(found, int | float) and not isinstance(found, bool), f"{where}: {found!r}"
    elif example is not None:
        assert isinstance(found, type(example)), f"{where}: {found!r}"


AT = "2026-06-08T10:00:00.000000Z"
USER = {"id": 1, "name": "Ali", "email": "ali@example.com"}
OVERVIEW = {
    "user": USER,
    "balance": 0,
    "sms_rate": 100,
    "usage": {
        "total_sms": 1200, "total_spent": 120000, "today_sms": 8, "today_spent": 800, "month_sms": 240,
        "month_spent": 24000,
    },
    "stats": {
        "total_sent": 1100, "total_delivered": 1050, "total_failed": 50, "total_pending": 0, "total_received": 30,
        "devices": 2, "active_devices": 1,
    },
    "subscription": {
        "plan": "premium", "is_premium": True, "premium_expires_at": AT,
        "prices": {"monthly": 5, "yearly": 50, "currency": "USD"}, "features": ["api", "webhooks", "bulk"],
    },
}  # fmt: skip
DEVICE = {
    "id": 5, "device_id": "abc123", "device_name": "Pixel 7", "phone_number": None, "is_active": True,
    "is_default": True, "sms_rate": 100, "send_delay_seconds": 0, "default_sim_slot": 0,
}  # fmt: skip
SENT = {
    "id": 101, "message_id": "9f1c...uuid", "recipient_number": "+998901234567", "status": "pending", "price": 100,
    "is_charged": False, "direction": "outbound", "callback_url": None,
}  # fmt: skip
LISTED = {
    "id": 101, "message_id": "9f1c-uuid", "recipient_number": None, "sender_number": None, "message": "Hello",
    "direction": "outbound", "status": "delivered", "price": 100, "is_charged": False, "sent_at": None,
    "delivered_at": None, "created_at": AT,
}  # fmt: skip
ONE = {
    "id": 101, "message_id": "9f1c-uuid", "recipient_number": "+998901234567", "status": "delivered", "price": 100,
    "is_charged": False, "sent_at": AT, "delivered_at": None, "error_message": None, "callback_url": None,
}  # fmt: skip
PAGE = {"current_page": 1, "data": [LISTED], "per_page": 50, "total": 1}
RATES = {"sent": 8, "delivered": 7, "failed": 1, "delivery_rate": 87.5}
TOKEN = {"id": 5, "name": "Production server", "abilities": ["*"], "last_used_at": None, "created_at": AT}

# id, method, path, body, status, example of the whole answer; {sms} is a message that was sent, {key} a key's id
TABLE: list[tuple[str, str, str, Any, int, Any]] = [
    ("tokens", "GET", "/api/tokens", None, 200, {"success": True, "data": [TOKEN]}),
    ("create token", "POST", "/api/tokens", {"name": "Production server"}, 201,
     {"success": True, "message": "API key created", "data": {"id": 6, "name": "", "token": "6|aB", "created_at": AT}}),
    ("revoke token", "DELETE", "/api/tokens/{key}", None, 200, {"success": True, "message": "API key revoked"}),
    ("account", "GET", "/api/account", None, 200, {"success": True, "data": OVERVIEW}),
    ("balance", "GET", "/api/balance", None, 200, {"success": True, "data": OVERVIEW}),
    ("user", "GET", "/api/user", None, 200,
     {"success": True, "data": {**USER, "plan": "premium", "premium_expires_at": AT}}),
    ("devices", "GET", "/api/devices", None, 200, {"success": True, "data": [DEVICE]}),
    ("default device", "POST", "/api/devices/default-device", {"device_id": "route:a"}, 200,
     {"success": True, "data": {"id": 5, "device_name": "Pixel 7", "is_default": True}, "message": ""}),
    ("send", "POST", "/api/sms", {"message": "x", "phone": "+998901234567", "my_id": "order-42", "price": 100}, 201,
     {"success": True, "message": "SMS queued for sending", "data": SENT}),
    ("bulk", "POST", "/api/sms/bulk", {"message": "Hi {name}", "recipients": ["+998901112233"]}, 201,
     {"success": True, "data": [{k: v for k, v in SENT.items() if k != "callback_url"}], "message": ""}),
    ("stats", "GET", "/api/sms/delivery-stats", None, 200,
     {"success": True, "data": {"today": RATES, "this_week": RATES, "this_month": RATES}, "message": ""}),
    ("outbox", "GET", "/api/sms/outbox", None, 200, {"success": True, "data": PAGE}),
    ("inbox", "GET", "/api/sms/inbox", None, 200, {"success": True, "data": PAGE}),
    ("list", "GET", "/api/sms?direction=outbound&status=sent&page=1", None, 200, {"success": True, "data": PAGE}),
    ("get", "GET", "/api/sms/{sms}", None, 200, {"success": True, "data": ONE}),
    ("update", "PUT", "/api/sms/{sms}", {}, 200,
     {"success": True, "data": {"id": 101, "status": "delivered"}, "message": ""}),
    ("delete", "DELETE", "/api/sms/{sms}", None, 200, {"success": True, "message": "SMS deleted successfully"}),
    ("settings", "GET", "/api/settings", None, 200, {"success": True, "data": {"keep_inbound": True}}),
    ("update settings", "PUT", "/api/settings", {"keep_inbound": False}, 200,
     {"success": True, "data": {"keep_inbound": False}, "message": ""}),
    ("webhooks", "GET", "/api/webhooks", None, 200,
     {"success": True, "data": {"webhook_url_incoming": None, "webhook_url_status": None}}),
    ("update webhooks", "PUT", "/api/webhooks", {"webhook_url_incoming": "https://example.com/incoming"}, 200,
     {"success": True, "data": {"webhook_url_incoming": "", "webhook_url_status": None}, "message": ""}),
]  # fmt: skip


async def test_every_operation_answers_with_the_documented_fields(rig: Rig) -> None:
    sent = await rig.send()
    await rig.box.until(sent["id"], "sent")
    await rig.receive("Reply text")
    key = await rig.data("POST", "/api/tokens", {"name": "old"})
    known = {"sms": sent["id"], "key": key["id"]}
    for name, method, path, body, status, example in TABLE:
        found, document = await rig.api(method, path.format(**known), body)
        assert found == status, (name, document)
        assert_like(document, example, name)


async def test_a_message_goes_from_pending_to_delivered(rig: Rig) -> None:
    sent = await rig.send("Hello 😀", my_id="order-42")
    await rig.box.until(sent["id"], "sent")
    assert rig.modem.texts() == ["Hello 😀"]
    await rig.deliver(1, "+998901234567")
    await rig.box.until(sent["id"], "delivered")
    row = await rig.data("GET", f"/api/sms/{sent['message_id']}")
    assert (row["id"], row["status"], row["my_id"], row["message"]) == (sent["id"], "delivered", "order-42", "Hello 😀")
    assert row["delivered_at"] is not None and row["device_id"] == 1
    listed = await rig.data("GET", "/api/sms?status=delivered&device_id=1")
    assert [one["id"] for one in listed["data"]] == [sent["id"]] and listed["total"] == 1
    stats = await rig.data("GET", "/api/sms/delivery-stats")
    assert stats["today"] == {"sent": 1, "delivered": 1, "failed": 0, "delivery_rate": 100}
    account = await rig.data("GET", "/api/account")
    assert account["usage"]["today_sms"] == 1 and account["usage"]["today_spent"] == 100
    assert account["stats"]["total_delivered"] == account["stats"]["total_sent"] == 1


async def test_what_waits_can_be_cancelled_once_and_what_left_cannot(rig: Rig) -> None:
    await rig.box.gateway.pause("a", is_paused=True)
    assert (await rig.data("GET", "/api/devices"))[0]["is_active"] is False
    refused = {"success": False, "message": "No active device available"}
    assert await rig.api("POST", "/api/sms", {"message": "x", "phone": "+1234"}) == (422, refused)
    sent = await rig.send("waits", device_id="route:a")
    assert await rig.data("POST", f"/api/sms/{sent['id']}/cancel") == {"id": sent["id"], "status": "cancelled"}
    only = {"success": False, "message": "Only pending messages can be cancelled"}
    assert await rig.api("POST", f"/api/sms/{sent['id']}/cancel") == (422, only)
    await rig.box.gateway.pause("a", is_paused=False)
    left = await rig.send("leaves")
    await rig.box.until(left["id"], "sent")
    assert await rig.api("POST", f"/api/sms/{left['id']}/cancel") == (422, only)
    assert rig.modem.texts() == ["leaves"]


async def test_a_state_of_our_own_route_cannot_be_set_from_outside(rig: Rig) -> None:
    sent = await rig.send()
    await rig.box.until(sent["id"], "sent")
    status, document = await rig.api("PUT", f"/api/sms/{sent['id']}", {"status": "delivered"})
    assert (status, document["success"]) == (422, False)
    assert await rig.data("PUT", f"/api/sms/{sent['id']}", {"status": "sent"}) == {"id": sent["id"], "status": "sent"}


async def test_bulk_fills_names_in_and_one_bad_number_fails_alone(rig: Rig) -> None:
    recipients = ["+998901112233", {"number": "+998901112244", "name": "Ali"}, "nonsense"]
    body = {"message": "Hi {name}!", "recipients": recipients, "device_id": "active"}
    rows = await rig.data("POST", "/api/sms/bulk", body)
    assert [row["status"] for row in rows] == ["pending", "pending", "failed"]
    assert "not a phone number" in rows[2]["error_message"]
    await rig.box.until(rows[1]["id"], "sent")
    assert sorted(rig.modem.texts()) == ["Hi !", "Hi Ali!"]


async def test_the_newest_inbound_stands_first_and_blank_where_it_is_not_kept(rig: Rig) -> None:
    await rig.receive("first")
    await rig.receive("second")
    inbox = await rig.data("GET", "/api/sms/inbox")
    assert [row["message"] for row in inbox["data"]] == ["second", "first"]
    assert_like(inbox["data"][0], {"id": 55, "sender_number": "", "message": "", "status": "", "created_at": AT})
    await rig.data("PUT", "/api/settings", {"keep_inbound": False})
    third = await rig.receive("third")
    async with asyncio.timeout(30):
        while (await rig.data("GET", f"/api/sms/{third}"))["message"]:
            await asyncio.sleep(0.01)
    assert (await rig.data("GET", "/api/sms?status=received"))["total"] == 3


async def test_keys_are_shown_once_work_until_revoked_and_remember_their_use(rig: Rig) -> None:
    made = await rig.data("POST", "/api/tokens", {"name": "shop", "abilities": ["sms:send"]})
    assert re.fullmatch(r"\d+\|\S{40}", made["token"])
    assert (await rig.data("GET", "/api/tokens"))[0]["last_used_at"] is None
    assert (await rig.data("GET", "/api/user", key=made["token"]))["name"] == "owner"
    listed = (await rig.data("GET", "/api/tokens"))[0]
    assert listed["last_used_at"] is not None and listed["abilities"] == ["sms:send"] and "token" not in listed
    kept = await rig.box.journal.read(lambda con: [tuple(row) for row in con.execute("SELECT * FROM token")])
    assert made["token"].partition("|")[2] not in repr(kept)
    await rig.data("DELETE", f"/api/tokens/{made['id']}")
    assert await rig.api("GET", "/api/user", key=made["token"]) == (401, {"message": "Unauthenticated."})


async def test_registration_is_closed_by_default(rig: Rig) -> None:
    status, document = await rig.api("POST", "/api/register", {"name": "x"}, key=None)
    assert (status, document["success"]) == (403, False)
    assert "closed" in document["message"]


async def test_register_log_in_and_out_where_it_is_open(shared: Rig) -> None:
    key = await shared.account("ali")
    assert (await shared.data("GET", "/api/user", key=key))["email"] == "ali@example.com"
    wrong = {"email": "ali@example.com", "password": "other"}
    assert await shared.api("POST", "/api/login", wrong, key=None) == (
        401, {"success": False, "message": "Invalid credentials"},
    )  # fmt: skip
    nobody = {"email": "owner@localhost", "password": "secret123"}
    assert (await shared.api("POST", "/api/login", nobody, key=None))[0] == 401
    body = {"email": "Ali@example.com", "password": "secret123"}
    signed_in = await shared.data("POST", "/api/login", body, key=None)
    assert_like(signed_in, {"token": "9|aB", "user": USER, "token_type": "Bearer"})
    assert (await shared.api("POST", "/api/logout", key=signed_in["token"]))[1] == {
        "success": True, "message": "Logout successful",
    }  # fmt: skip
    assert (await shared.api("GET", "/api/user", key=signed_in["token"]))[0] == 401
    assert (await shared.api("POST", "/api/logout", key=KEY))[0] == 422
    again = {"name": "b", "email": "ALI@example.com", "password": "secret123", "password_confirmation": "secret123"}
    status, document = await shared.api("POST", "/api/register", again, key=None)
    assert (status, document["errors"]) == (422, {"email": ["The email has already been taken."]})


async def test_without_a_good_key_nobody_is_let_in(rig: Rig) -> None:
    for key in (None, "wrong", "1|wrong", "|", "9999999999999999|x"):
        assert await rig.api("GET", "/api/devices", key=key) == (401, {"message": "Unauthenticated."})
        assert await rig.api("POST", "/api/sms", None, key=key, content=b"{") == (401, {"message": "Unauthenticated."})
