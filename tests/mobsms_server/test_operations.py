"""The operations as an application and a device meet them, over real connections to a real process.

Expected shapes are the examples of the published description.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .process import MobSmsServer

NO_MESSAGE = "No query results for model [SmsMessage]."


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MobSmsServer]:
    with MobSmsServer(tmp_path_factory.mktemp("mobsms")) as running:
        running.add_device("abc123", device_name="Pixel 7", phone_number="+998901234567")
        yield running


REFUSALS: list[tuple[str, str, str, Any, int, str]] = [
    ("root", "GET", "/", None, 404, "The route  could not be found."),
    ("unknown", "GET", "/api/nothing", None, 404, "The route api/nothing could not be found."),
    ("register a device", "POST", "/api/devices", {}, 404, "The route api/devices could not be found."),
    ("hand in inbound", "POST", "/api/sms/inbound", {}, 404, "The route api/sms/inbound could not be found."),
    (
        "device events",
        "GET",
        "/api/devices/1/events",
        None,
        404,
        "The route api/devices/1/events could not be found.",
    ),
    (
        "wrong method",
        "PATCH",
        "/api/sms",
        {},
        405,
        "The PATCH method is not supported for route api/sms. Supported methods: GET, HEAD, POST.",
    ),
    ("get no message", "GET", "/api/sms/999999", None, 404, NO_MESSAGE),
    ("report on no message", "PUT", "/api/sms/999999", {"status": "sent"}, 404, NO_MESSAGE),
    ("cancel no message", "POST", "/api/sms/999999/cancel", {}, 404, NO_MESSAGE),
    ("delete no message", "DELETE", "/api/sms/999999", None, 404, NO_MESSAGE),
    ("no text", "POST", "/api/sms", {"phone": "+1"}, 422, "The message field is required."),
    ("empty", "POST", "/api/sms", {}, 422, "The message field is required. (and 1 more error)"),
    (
        "too long",
        "POST",
        "/api/sms",
        {"message": "x" * 1601, "phone": "+1"},
        422,
        "The message field must not be greater than 1600 characters.",
    ),
    (
        "no such device",
        "POST",
        "/api/sms",
        {"message": "x", "phone": "+1", "device_id": "other"},
        422,
        "The selected device id is invalid.",
    ),
    ("wrong password", "POST", "/api/login", {"email": "a@b", "password": "no"}, 401, "Invalid credentials"),
    (
        "bad promo",
        "POST",
        "/api/subscriptions/redeem-promo",
        {"code": "no"},
        422,
        "This promo code is invalid or no longer available.",
    ),
]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "message"), [pytest.param(*row[1:], id=row[0]) for row in REFUSALS]
)
def test_refusals_are_worded_as_laravel_words_them(
    server: MobSmsServer, method: str, path: str, body: Any, status: int, message: str
) -> None:
    found, document = server.api(method, path, body)
    assert (found, document["message"]) == (status, message)


@pytest.mark.parametrize("key", ["", "Bearer wrong", "Basic abc"])
def test_a_missing_or_wrong_key_is_unauthenticated(server: MobSmsServer, key: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    connection.request("GET", "/api/devices", headers={"Authorization": key} if key else {})
    answer = connection.getresponse()
    assert (answer.status, answer.read()) == (401, b'{"message":"Unauthenticated."}')
    connection.close()


def test_a_queued_message_looks_like_the_example_and_waits_for_its_device(server: MobSmsServer) -> None:
    sending = {"message": "Hello 😀", "recipient_number": "+998901234567", "my_id": "order-42"}
    status, document = server.api("POST", "/api/sms", sending)
    assert (status, document["message"]) == (201, "SMS queued for sending")
    data = document["data"]
    assert data["status"] == "pending" and data["my_id"] == "order-42"
    status, page = server.api("GET", "/api/sms", direction="outbound", status="pending", device_id=1)
    newest = page["data"]["data"][0]
    assert (newest["id"], newest["message"]) == (data["id"], "Hello 😀")
    assert list(newest) == [
        "id", "message_id", "recipient_number", "sender_number", "message", "direction", "status", "price",
        "is_charged", "sent_at", "delivered_at", "created_at",
    ]  # fmt: skip
    assert newest["created_at"].endswith(".000000Z")
    by_uuid = server.api("GET", f"/api/sms/{newest['message_id']}")[1]["data"]
    assert by_uuid["id"] == data["id"] and by_uuid["error_message"] is None


def test_reports_are_taken_in_any_order_and_remembered_in_the_order_of_arrival(server: MobSmsServer) -> None:
    (number,) = server.enqueue()
    for status in ("delivered", "sent", "failed"):
        body = {"status": status, "error_message": "No network"} if status == "failed" else {"status": status}
        answer = server.api("PUT", f"/api/sms/{number}", body)
        assert answer == (
            200,
            {
                "success": True,
                "data": {"id": number, "status": status},
                "message": "SMS updated successfully",
            },
        )
    assert [report["status"] for report in server.reports()[number]] == ["delivered", "sent", "failed"]
    logged = [line for line in server.log("report") if line["id"] == number]
    assert [(line["previous"], line["status"]) for line in logged] == [
        ("pending", "delivered"),
        ("delivered", "sent"),
        ("sent", "failed"),
    ]
    assert logged[-1]["error_message"] == "No network"


def test_a_status_outside_the_documented_five_is_invalid(server: MobSmsServer) -> None:
    (number,) = server.enqueue()
    status, document = server.api("PUT", f"/api/sms/{number}", {"status": "queued"})
    assert (status, list(document["errors"])) == (422, ["status"])


def test_only_pending_messages_can_be_cancelled(server: MobSmsServer) -> None:
    first, second = server.enqueue(2)
    assert server.api("POST", f"/api/sms/{first}/cancel")[1]["data"] == {"id": first, "status": "cancelled"}
    server.api("PUT", f"/api/sms/{second}", {"status": "sent"})
    refused = {"success": False, "message": "Only pending messages can be cancelled"}
    assert server.api("POST", f"/api/sms/{second}/cancel") == (422, refused)


def test_a_deleted_message_is_gone_for_the_api_and_stays_in_the_dump(server: MobSmsServer) -> None:
    (number,) = server.enqueue()
    assert server.api("DELETE", f"/api/sms/{number}")[1]["message"] == "SMS deleted successfully"
    assert server.api("PUT", f"/api/sms/{number}", {"status": "sent"})[0] == 404
    assert next(m for m in server.messages() if m["id"] == number)["deleted"]


def test_the_list_has_pages_of_fifty_newest_first_by_creation(tmp_path: Path) -> None:
    with MobSmsServer(tmp_path) as server:
        server.add_device()
        server.enqueue(120, age_s=600, spread_s=1)
        (old,) = server.enqueue(age_s=90_000)
        pages = [server.api("GET", "/api/sms", status="pending", page=n)[1]["data"] for n in (1, 2, 3, 4)]
        assert [len(page["data"]) for page in pages] == [50, 50, 21, 0]
        assert [(page["current_page"], page["per_page"], page["total"]) for page in pages] == [
            (n, 50, 121) for n in (1, 2, 3, 4)
        ]
        listed = [row["id"] for page in pages for row in page["data"]]
        assert listed == [*range(120, 0, -1), old]


def test_bulk_fills_names_in_and_goes_round_the_active_devices(tmp_path: Path) -> None:
    with MobSmsServer(tmp_path) as server:
        assert server.api("POST", "/api/sms", {"message": "x", "phone": "+1"}) == (
            422,
            {"success": False, "message": "No active device available"},
        )
        server.add_device("one")
        server.add_device("two")
        server.add_device("off", is_active=False)
        recipients = ["+998901", {"number": "+998902", "name": "Ali"}, "+998903"]
        sending = {"message": "Hi {name}", "recipients": recipients, "device_id": "active"}
        assert server.api("POST", "/api/sms/bulk", sending)[0] == 201
        rows = server.messages()
        assert [row["message"] for row in rows] == ["Hi ", "Hi Ali", "Hi "]
        assert [row["device_id"] for row in rows] == [1, 2, 1]


def test_an_account_sees_only_its_own_messages_and_loses_a_revoked_key(server: MobSmsServer) -> None:
    (number,) = server.enqueue()
    person = {"name": "Ali", "email": "ali@example.com", "password": "secret123"}
    status, document = server.api("POST", "/api/register", {**person, "password_confirmation": "secret123"})
    assert (status, document["data"]["token_type"]) == (201, "Bearer")
    assert server.api("POST", "/api/register", {**person, "password_confirmation": "secret123"})[0] == 422
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=10)
    headers = {"Authorization": f"Bearer {document['data']['token']}"}
    for method, path, expected in (
        ("GET", f"/api/sms/{number}", 404),
        ("GET", "/api/user", 200),
        ("POST", "/api/logout", 200),
        ("GET", "/api/user", 401),
    ):
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        answer.read()
        assert (method, path, answer.status) == (method, path, expected)
    connection.close()


def test_settings_and_webhooks_are_read_back(server: MobSmsServer) -> None:
    assert server.api("PUT", "/api/settings", {"keep_inbound": False})[1]["data"] == {"keep_inbound": False}
    assert server.api("GET", "/api/settings")[1]["data"] == {"keep_inbound": False}
    before = server.api("GET", "/api/webhooks")[1]["data"]
    assert before == {"webhook_url_incoming": server.hook_url, "webhook_url_status": None}
    answer = server.api("PUT", "/api/webhooks", {"webhook_url_status": "ftp://x"})
    assert (answer[0], list(answer[1]["errors"])) == (422, ["webhook_url_status"])


def test_the_extensions_answer_only_when_asked_for(tmp_path: Path) -> None:
    with MobSmsServer(tmp_path, undocumented="extensions") as server:
        assert server.api("POST", "/api/devices", {"device_id": "pi"})[0] == 201
        assert server.api("POST", "/api/devices", {"device_id": "pi"})[0] == 200
        inbound = {"message_id": "u-1", "sender_number": "+998907778899", "message": "Hi", "device_id": "pi"}
        assert [server.api("POST", "/api/sms/inbound", inbound)[0] for _ in range(2)] == [201, 200]
        assert server.api("GET", "/api/sms/inbox")[1]["data"]["total"] == 1
