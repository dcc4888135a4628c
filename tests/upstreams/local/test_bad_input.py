"""Whatever comes in is answered in the documented form, never with a fault of ours."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from agent.journal.store import JournalFull
from tests.upstreams.local.conftest import KEY, Rig

GOOD = {"message": "x", "recipient_number": "+998901234567"}
NO_MESSAGE = {"message": "No query results for model [SmsMessage]."}

# id, path, body, field, first sentence
INVALID: list[tuple[str, str, Any, str, str]] = [
    ("nothing", "/api/sms", {}, "message", "The message field is required. (and 1 more error)"),
    ("no body", "/api/sms", None, "body", "The body must be a JSON object, with Content-Type: application/json."),
    ("a list", "/api/sms", [1], "body", "The body must be a JSON object, with Content-Type: application/json."),
    ("null text", "/api/sms", {**GOOD, "message": None}, "message", "The message field is required."),
    ("empty text", "/api/sms", {**GOOD, "message": ""}, "message", "The message field is required."),
    ("number as text", "/api/sms", {**GOOD, "message": 5}, "message", "The message field must be a string."),
    ("long text", "/api/sms", {**GOOD, "message": "x" * 1601}, "message",
     "The message field must not be greater than 1600 characters."),
    ("half a pair", "/api/sms", {**GOOD, "message": "\ud83d"}, "message", "The message field must be a string."),
    ("no number at all", "/api/sms", {**GOOD, "recipient_number": "nonsense"}, "recipient_number",
     '"nonsense" is not a phone number: 3 to 15 digits with an optional + are'),
    ("a number as recipient", "/api/sms", {"message": "x", "recipient_number": 5}, "recipient_number",
     "The recipient number field must be a string."),
    ("unknown device", "/api/sms", {**GOOD, "device_id": "other"}, "device_id", "The selected device id is invalid."),
    ("device an object", "/api/sms", {**GOOD, "device_id": {}}, "device_id", "The device id field must be a string."),
    ("price below", "/api/sms", {**GOOD, "price": -1}, "price", "The price field must be at least 0."),
    ("price is a word", "/api/sms", {**GOOD, "price": "x"}, "price", "The price field must be a number."),
    ("price is huge", "/api/sms", {**GOOD, "price": 1e300}, "price", "The price field must not be greater than 1e+09."),
    ("priority", "/api/sms", {**GOOD, "priority": 128}, "priority", "The priority field must not be greater than 127."),
    ("slot", "/api/sms", {**GOOD, "sim_slot": -1}, "sim_slot", "The sim slot field must be at least 0."),
    ("validity", "/api/sms", {**GOOD, "valid_for_s": 0}, "valid_for_s", "The valid for s field must be at least 1."),
    ("callback scheme", "/api/sms", {**GOOD, "callback_url": "file:///etc/passwd"}, "callback_url",
     "The callback url field must be a valid URL: only http:// and https:// addresses are called."),
    ("callback port", "/api/sms", {**GOOD, "callback_url": "http://x:99999/"}, "callback_url",
     "The callback url field must be a valid URL: it is not a valid address."),
    ("no recipients", "/api/sms/bulk", {"message": "x", "recipients": []}, "recipients",
     "The recipients field must have at least 1 items."),
    ("recipients is a word", "/api/sms/bulk", {"message": "x", "recipients": "+1"}, "recipients",
     "The recipients field must be an array."),
    ("recipient without number", "/api/sms/bulk", {"message": "x", "recipients": [{"name": "Ali"}]},
     "recipients.0.number", "The recipients.0.number field is required."),
    ("recipient is a number", "/api/sms/bulk", {"message": "x", "recipients": [5]}, "recipients.0",
     "The recipients.0 field must be an object."),
    ("key without name", "/api/tokens", {}, "name", "The name field is required."),
    ("no default device", "/api/devices/default-device", {"device_id": "7777"}, "device_id",
     "The selected device id is invalid."),
    ("device without id", "/api/devices", {"device_name": "x"}, "device_id", "The device id field is required."),
    ("device named as a route", "/api/devices", {"device_id": "route:a", "device_name": "x"}, "device_id",
     'The device id field must not be a number, "active" or begin with "route:".'),
    ("inbound at no time", "/api/sms/inbound",
     {"message_id": "1", "sender_number": "1", "message": "x", "received_at": "now"}, "received_at",
     "The received at field must be an ISO 8601 time."),
]  # fmt: skip


async def test_invalid_bodies_are_answered_as_laravel_does(rig: Rig) -> None:
    before = await rig.data("GET", "/api/sms")
    for name, path, body, field, sentence in INVALID:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"} if body is not None else {}
        status, document = await rig.api("POST", path, content=content, headers=headers)
        assert (status, document["message"]) == (422, sentence), name
        assert next(iter(document["errors"])) == field and sentence.startswith(document["errors"][field][0]), name
    assert (await rig.data("GET", "/api/sms"))["total"] == before["total"] == 0


PATHS: list[tuple[str, str, int, Any]] = [
    ("GET", "/api/sms/999", 404, NO_MESSAGE),
    ("GET", "/api/sms/not-a-uuid", 404, NO_MESSAGE),
    ("GET", "/api/sms/" + "9" * 5000, 404, NO_MESSAGE),
    ("GET", "/api/sms/" + "9" * 200, 404, NO_MESSAGE),
    ("GET", "/api/sms/٣", 404, NO_MESSAGE),
    ("GET", "/api/sms/%00", 404, NO_MESSAGE),
    ("PUT", "/api/sms/999", 404, NO_MESSAGE),
    ("POST", "/api/sms/999/cancel", 404, NO_MESSAGE),
    ("DELETE", "/api/sms/999", 404, NO_MESSAGE),
    ("DELETE", "/api/tokens/999", 404, {"message": "No query results for model [PersonalAccessToken]."}),
    ("DELETE", "/api/tokens/x", 404, {"message": "No query results for model [PersonalAccessToken]."}),
    ("POST", "/api/devices/999/claim", 404, {"message": "No query results for model [Device]."}),
    ("GET", "/api/devices/x/events", 404, {"message": "No query results for model [Device]."}),
    ("GET", "/api/nothing", 404, {"message": "The route api/nothing could not be found."}),
    ("GET", "/nothing", 404, {"message": "The route nothing could not be found."}),
    ("PATCH", "/api/user", 405, None),
    ("GET", "/api/sms?page=0", 422, None),
    ("GET", "/api/sms?page=99999999999999999999", 422, None),
    ("GET", "/api/sms?page=x", 422, None),
    ("GET", "/api/sms?direction=sideways", 422, None),
    ("GET", "/api/sms?status=lost", 422, None),
    ("GET", "/api/sms?device_id=x", 422, None),
    ("GET", "/api/sms?page=10000000", 200, None),
    ("GET", "/api/sms?device_id=999&status=pending", 200, None),
    ("GET", "/api/sms?direction=inbound&status=sent", 200, None),
]


async def test_paths_and_queries(rig: Rig) -> None:
    for method, path, status, document in PATHS:
        found, answer = await rig.api(method, path)
        assert found == status and (document is None or answer == document), (method, path[:80], answer)
        assert status != 422 or answer["errors"], path


NO_OBJECTS = [b"{", b"\xff\xfe", b"[" * 100_000, b"null", b'"text"', b'{"a":' * 5000, b"1" * 5000, b"\x00", b"{}{}"]


async def test_bodies_that_are_no_json_object(rig: Rig) -> None:
    for content in NO_OBJECTS:
        for path in ("/api/sms", "/api/tokens", "/api/login"):
            headers = {"Content-Type": "application/json"}
            status, document = await rig.api("POST", path, content=content, headers=headers)
            assert status in (400, 422) and isinstance(document["message"], str), content[:20]
        status, _ = await rig.api("POST", "/api/sms", content=content, headers={"Content-Type": "text/plain"})
        assert status == 422, content[:20]


async def test_nan_is_no_price(rig: Rig) -> None:
    content = json.dumps({**GOOD, "price": float("nan")}).encode()
    status, _ = await rig.api("POST", "/api/sms", content=content, headers={"Content-Type": "application/json"})
    assert status == 422


async def test_a_body_over_a_mebibyte_is_refused_with_and_without_its_length(rig: Rig) -> None:
    large = b"x" * ((1 << 20) + 1)

    async def pieces() -> Any:
        for _ in range(20):
            yield large[: 1 << 16]

    headers = {"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"}
    for content in (large, pieces()):
        answer = await rig.http.post("/api/sms", content=content, headers=headers)
        assert answer.status_code == 413 and "larger" in answer.json()["message"]


HOSTS = [
    ("127.0.0.1", 200), ("localhost:8080", 200), ("[::1]:8080", 200), ("LOCALHOST", 200), ("evil.example", 421),
    ("127.0.0.1.evil.example:80", 421), ("", 421), ("10.0.0.1", 421),
]  # fmt: skip


async def test_only_our_own_names_are_served(rig: Rig) -> None:
    for host, status in HOSTS:
        answer = await rig.http.get("/healthz", headers={"Host": host})
        assert answer.status_code == status, host
        assert "access-control-allow-origin" not in answer.headers


async def test_bytes_that_are_no_http_end_only_their_connection(rig: Rig) -> None:
    for raw in (
        b"\x16\x03\x01\x02\x00\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"G" * 100_000,
        b"POST /api/sms HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    ):
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        writer.write(raw)
        try:
            async with asyncio.timeout(30):
                assert b" 500 " not in await reader.read()
        except ConnectionResetError:
            pass
        writer.close()
    assert (await rig.api("GET", "/api/user"))[0] == 200


async def test_a_full_disk_is_a_503_with_a_sentence_and_nothing_is_accepted(rig: Rig) -> None:
    async def full(*_: Any, **__: Any) -> Any:
        raise JournalFull("the journal could not be written (disk full); free some space on its disk")

    rig.box.gateway.accept = full  # type: ignore[method-assign]
    status, document = await rig.api("POST", "/api/sms", GOOD)
    assert status == 503 and document["message"].endswith("free some space on its disk.")
