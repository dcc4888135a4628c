"""SMSGate's client API beyond what its Python client shows: errors, accounts, tokens over restarts, webhooks."""

from __future__ import annotations

import asyncio
import base64
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from agent import e2e
from agent.upstreams.local.smsgate import jwt
from tests.agent.fakes import Box, FakeModem
from tests.upstreams.local.conftest import KEY, Receiver, Rig

TO = "+998901234567"
TEXT = {"textMessage": {"text": "Hello"}, "phoneNumbers": [TO]}
PREFIX = "/3rdparty/v1"
FAR = "2099-01-01T00:00:00Z"
SEALED = e2e.encrypt("secret", "passphrase", iterations=10)


async def _until(rig: Rig, key: str, state: str, **more: Any) -> Any:
    async with asyncio.timeout(30):
        while (found := (await rig.api("GET", f"/messages/{key}", **more))[1])["state"] != state:
            await asyncio.sleep(0.02)
    return found


BAD: list[tuple[str, str, Any, str]] = [
    ("POST", "/messages", None, "JSON object"),
    ("POST", "/messages", [], "JSON object"),
    ("POST", "/messages", {**TEXT, "phoneNumbers": []}, "phoneNumbers"),
    ("POST", "/messages", {**TEXT, "phoneNumbers": [TO, TO]}, "twice"),
    ("POST", "/messages", {**TEXT, "phoneNumbers": ["12x"]}, "phoneNumbers"),
    ("POST", "/messages", {"phoneNumbers": [TO]}, "exactly one"),
    ("POST", "/messages", {**TEXT, "message": "too"}, "exactly one"),
    ("POST", "/messages", {"phoneNumbers": [TO], "mmsMessage": {"text": "x"}}, "SMS only"),
    ("POST", "/messages", {"phoneNumbers": [TO], "dataMessage": {"data": "!", "port": 1}}, "base64"),
    ("POST", "/messages", {"phoneNumbers": [TO], "dataMessage": {"data": "AA==", "port": 0}}, "port"),
    ("POST", "/messages", {**TEXT, "simNumber": 0}, "simNumber"),
    ("POST", "/messages", {**TEXT, "ttl": 4}, "ttl"),
    ("POST", "/messages", {**TEXT, "ttl": 60, "validUntil": FAR}, "both"),
    ("POST", "/messages", {**TEXT, "validUntil": "2020-01-01T00:00:00Z"}, "over"),
    ("POST", "/messages", {**TEXT, "scheduleAt": "2020-01-01T00:00:00Z"}, "future"),
    ("POST", "/messages", {**TEXT, "scheduleAt": "soon"}, "time"),
    ("POST", "/messages", {**TEXT, "scheduleAt": FAR, "validUntil": "2098-01-01T00:00:00Z"}, "after scheduleAt"),
    ("POST", "/messages", {**TEXT, "priority": 128}, "priority"),
    ("POST", "/messages", {**TEXT, "deviceId": "nobody"}, "deviceId"),
    ("POST", "/messages", {**TEXT, "id": "a/b"}, "id"),
    ("POST", "/messages", {**TEXT, "isEncrypted": True}, "passphrase"),
    ("GET", "/messages?limit=101", None, "limit"),
    ("GET", "/messages?from=yesterday", None, "from"),
    ("GET", "/messages?state=Lost", None, "state"),
    ("GET", "/inbox?type=FAX", None, "type"),
    ("POST", "/inbox/refresh", {"since": FAR, "until": "2020-01-01T00:00:00Z"}, "since"),
    ("POST", "/inbox/refresh", {"since": FAR}, "until"),
    ("POST", "/webhooks", {"url": "ftp://x/", "event": "sms:sent"}, "URL"),
    ("POST", "/webhooks", {"url": "http://127.0.0.1/", "event": "sms:eaten"}, "event"),
    ("PATCH", "/settings", {"webhooks": {"retry_count": 0}}, "retry_count"),
    ("PUT", "/settings", {"messages": {"send_interval_min": 9, "send_interval_max": 1}}, "send_interval_min"),
    ("POST", "/auth/token", {"scopes": ["all:nothing"]}, "scope"),
    ("POST", "/auth/token", {"scopes": ["messages:send"], "ttl": 366 * 86_400}, "ttl"),
]


async def test_bad_input_is_400_with_one_sentence_in_both_spellings(rig: Rig) -> None:
    for method, path, body, said in BAD:
        for prefix in ("", PREFIX):
            status, document = await rig.api(method, f"{prefix}{path}", body)
            assert (status, list(document)) == (400, ["message"]), (method, path, body, document)
            assert said in document["message"], (path, document)
    assert rig.modem.sent == []
    assert (await rig.api("GET", "/messages"))[1] == []


async def test_older_names_and_the_codes_of_either_mode(rig: Rig) -> None:
    assert (await rig.api("POST", "/message", {**TEXT, "id": "m"}))[0] == 202
    await _until(rig, "m", "Sent")
    for prefix, late in (("", 400), (PREFIX, 409), (f"/api{PREFIX}", 409)):
        assert (await rig.api("GET", f"{prefix}/message/m"))[1]["id"] == "m"
        assert (await rig.api("DELETE", f"{prefix}/messages/m"))[0] == late
        (device,) = (await rig.api("GET", f"{prefix}/device"))[1]
        assert device["simCards"] == [{"slotIndex": 0, "simNumber": 1, "iccid": "***************0001"}]
        assert (await rig.api("GET", f"{prefix}/health", key=None))[1]["status"] == "pass"
        assert (await rig.api("GET", f"{prefix}/messages/m", key=None))[0] == 401
    basic = base64.b64encode(f"whoever:{KEY}".encode()).decode()
    for value, status in ((basic, 200), ("%%%", 401), (base64.b64encode(b"no colon").decode(), 401)):
        found = await rig.http.get("/messages/m", headers={"Authorization": f"Basic {value}"})
        assert found.status_code == status
    answer = await rig.http.get("/messages/m")
    assert answer.headers["www-authenticate"] == "Bearer"
    _, document = await rig.api("POST", f"{PREFIX}/nothing")
    assert document == {"message": "The route 3rdparty/v1/nothing could not be found."}


async def test_many_requests_with_one_id_are_one_message_and_a_key_repeats_the_answer(rig: Rig) -> None:
    found = await asyncio.gather(*(rig.api("POST", "/messages", {**TEXT, "id": "same"}) for _ in range(8)))
    assert sorted(status for status, _ in found) == [202] + [409] * 7
    more = {"headers": {"Idempotency-Key": "k"}}
    first = await rig.api("POST", "/messages", TEXT, **more)
    again = await rig.api("POST", "/messages", TEXT, **more)
    assert (first[0], again[0], again[1]["id"]) == (202, 202, first[1]["id"])
    assert (await rig.api("POST", "/messages", {**TEXT, "priority": 1}, **more))[0] == 409
    await _until(rig, first[1]["id"], "Sent")
    assert rig.modem.texts() == ["Hello", "Hello"]
    answer = await rig.http.get("/messages?includeContent=true&limit=1", headers={"Authorization": f"Bearer {KEY}"})
    assert answer.headers["x-total-count"] == "2" and answer.json()[0]["textMessage"] == {"text": "Hello"}


async def test_a_schedule_is_echoed_and_waits(rig: Rig) -> None:
    at = (datetime.now(UTC) + timedelta(milliseconds=600)).replace(microsecond=500_000)
    at += timedelta(seconds=at < datetime.now(UTC) + timedelta(milliseconds=300))
    body = {**TEXT, "id": "later", "scheduleAt": at.isoformat(), "ttl": 60}
    status, document = await rig.api("POST", "/messages", body)
    assert (status, document["state"]) == (202, "Pending")
    assert datetime.fromisoformat(document["scheduleAt"]) == at
    assert datetime.fromisoformat(document["validUntil"]) > at + timedelta(seconds=59)
    sent = await _until(rig, "later", "Sent")
    assert datetime.fromisoformat(sent["states"]["Sent"]) >= at - timedelta(milliseconds=1)


async def test_accounts_see_only_their_own(shared: Rig, receiver: Receiver) -> None:
    ali = await shared.account("ali")
    await shared.api("POST", "/messages", {**TEXT, "id": "mine"})
    await shared.api("POST", "/webhooks", {"id": "w", "url": receiver.url("/mine"), "event": "sms:sent"})
    assert (await shared.api("POST", "/messages", {**TEXT, "id": "mine"}, key=ali))[0] == 202
    found = (await shared.api("GET", "/messages", key=ali))[1]
    assert [one["id"] for one in found] == ["mine"]
    for method, path in (("GET", "/messages/other"), ("DELETE", "/webhooks/w"), ("DELETE", "/devices/pi-2")):
        await shared.api("POST", "/messages", {**TEXT, "id": "other"})
        assert (await shared.api(method, path, key=ali))[0] == 404, path
    assert (await shared.api("GET", "/webhooks", key=ali))[1] == []
    logs = (await shared.api("GET", "/logs", key=ali))[1]
    own = (await shared.api("GET", "/api/sms", key=ali))[1]["data"]["data"]
    assert {one["context"]["messageId"] for one in logs} == {row["id"] for row in own}
    # A key that may only send cannot make a token that may do more.
    token = (await shared.data("POST", "/api/tokens", {"name": "t", "abilities": ["account"]}, key=ali))["token"]
    assert (await shared.api("POST", "/auth/token", {"scopes": ["messages:send"]}, key=token))[0] == 403
    made = (await shared.api("POST", "/auth/token", {"scopes": ["webhooks:list"]}, key=token))[1]
    assert (await shared.api("GET", "/webhooks", key=made["access_token"]))[0] == 200
    assert (await shared.api("GET", "/messages", key=made["access_token"]))[0] == 403
    (row,) = [one for one in await shared.data("GET", "/api/tokens", key=ali) if one["name"] == "t"]
    await shared.data("DELETE", f"/api/tokens/{row['id']}", key=ali)
    assert (await shared.api("GET", "/webhooks", key=made["access_token"]))[0] == 401
    assert (await shared.api("POST", "/auth/token/refresh", key=made["refresh_token"]))[0] == 401


async def test_tokens_and_webhooks_outlive_a_crash_and_revocations_too(tmp_path: Path, receiver: Receiver) -> None:
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        rig = Rig(box)
        await rig.start()
        kept, gone, used = [
            (await rig.api("POST", f"{PREFIX}/auth/token", {"scopes": ["all:any"]}))[1] for _ in range(3)
        ]
        await rig.api("DELETE", f"/auth/token/{gone['id']}")
        assert (await rig.api("POST", "/auth/token/refresh", key=used["refreshToken"]))[0] == 200
        for event in ("app:started", "system:ping"):
            await rig.api("POST", "/webhooks", {"url": receiver.url("/self"), "event": event})
        await rig.stop()
        again = await box.crash()
        try:
            rig = Rig(again)
            await rig.start()
            assert (await rig.api("GET", "/devices", key=kept["accessToken"]))[0] == 200
            assert (await rig.api("GET", "/devices", key=gone["accessToken"]))[0] == 401
            assert (await rig.api("POST", f"{PREFIX}/auth/token/refresh", key=used["refreshToken"]))[0] == 401
            assert (await rig.api("POST", f"{PREFIX}/auth/token/refresh", key=kept["accessToken"]))[0] == 401
            assert (await rig.api("POST", f"{PREFIX}/auth/token/refresh", key=kept["refreshToken"]))[0] == 201
            await rig.api("PATCH", "/settings", {"ping": {"interval_seconds": 1}})
            got = await receiver.until(2)
            assert [body["event"] for _, body in got[:2]] == ["app:started", "system:ping"]
            assert got[0][1]["payload"]["simCards"][0]["simNumber"] == 1
            assert got[1][1]["payload"]["health"]["status"] == "pass"
            await rig.stop()
        finally:
            await again.journal.close()
            await box.__aenter__()


async def test_webhooks_tell_failures_cancellations_and_data(rig: Rig, receiver: Receiver) -> None:
    for event in ("sms:failed", "sms:cancelled", "sms:delivered"):
        await rig.api("POST", "/webhooks", {"url": receiver.url("/x"), "event": event})
    await rig.api("POST", "/messages?skipPhoneValidation=true", {**TEXT, "id": "bad", "phoneNumbers": ["nobody"]})
    ((_, failed),) = await receiver.until(1)
    assert (failed["payload"]["recipient"], failed["payload"]["messageId"]) == ("nobody", "bad")
    assert failed["payload"]["reason"] and failed["payload"]["failedAt"].endswith("Z")
    await rig.box.gateway.pause("a", is_paused=True)
    await rig.api("POST", "/messages", {**TEXT, "id": "gone"})
    document = (await rig.api("DELETE", f"{PREFIX}/messages/gone"))[1]
    assert document["state"] == "Cancelling"
    assert (await receiver.until(2))[1][1]["payload"]["cancelledAt"]
    await rig.box.gateway.pause("a", is_paused=False)
    await rig.api("POST", "/messages", {**TEXT, "id": "good"})
    await _until(rig, "good", "Sent")
    await rig.deliver(1, TO)
    assert (await receiver.until(3))[2][1]["payload"]["deliveredAt"]


async def test_secrets_of_the_settings_are_never_shown_and_put_keeps_them(rig: Rig) -> None:
    given = {"encryption": {"passphrase": "passphrase"}, "webhooks": {"signing_key": "sk", "retry_count": 3}}
    assert (await rig.api("PATCH", "/settings", given))[1] == {"webhooks": {"retry_count": 3}}
    assert (await rig.api("PUT", "/settings", {"logs": {"lifetime_days": 5.0}}))[1] == {"logs": {"lifetime_days": 5}}
    assert await rig.box.gateway.hooks.secret(1) == "sk"
    sealed = {"textMessage": {"text": SEALED}, "phoneNumbers": [e2e.encrypt(TO, "passphrase", iterations=10)]}
    status, document = await rig.api("POST", "/messages", {**sealed, "isEncrypted": True, "id": "s"})
    assert status == 202, document
    await _until(rig, "s", "Sent")
    assert rig.modem.texts() == ["secret"]
    wrong = e2e.encrypt(TO, "another", iterations=10)
    slow = e2e.encrypt(TO, "passphrase", iterations=10).replace("i=10$", "i=5000000$")
    for number in (wrong, TO):
        assert (await rig.api("POST", "/messages", {**sealed, "isEncrypted": True, "phoneNumbers": [number]}))[0] == 400
    many = [slow.replace("i=5000000", f"i={5_000_000 - n}") for n in range(5)]
    refused = await rig.api("POST", "/messages", {**sealed, "isEncrypted": True, "phoneNumbers": many})
    assert refused[0] == 400 and "iterations" in refused[1]["message"]


async def test_the_list_has_what_came_by_other_ways_and_filters_by_device(rig: Rig) -> None:
    sent = await rig.send("by MobSMS")
    await rig.box.until(sent["id"], "sent")
    agent = await rig.agent("pi-2")
    await rig.api("POST", "/messages", {**TEXT, "id": "elsewhere", "deviceId": "pi-2"})
    here, there = [
        [one["id"] for one in (await rig.api("GET", f"/messages?deviceId={device['id']}"))[1]]
        for device in (await rig.api("GET", "/devices"))[1]
    ]
    assert (here, there) == ([sent["message_id"]], ["elsewhere"])
    assert (await rig.api("GET", f"/messages/{sent['message_id']}"))[1]["recipients"][0]["phoneNumber"] == TO
    for state, wanted in (("Pending", ["elsewhere"]), ("Sent", [sent["message_id"]]), ("Cancelling", [])):
        assert [one["id"] for one in (await rig.api("GET", f"/messages?state={state}"))[1]] == wanted
    assert (
        agent
        and (await rig.http.delete("/devices/pi-2", headers={"Authorization": f"Bearer {KEY}"})).status_code == 204
    )
    assert [one["id"] for one in (await rig.api("GET", "/messages"))[1]] == [sent["message_id"]]


@pytest.mark.parametrize("change", ["signature", "claims", "none", "parts", "over"])
def test_a_token_that_was_changed_or_has_ended_is_none(change: str) -> None:
    key, claims = b"k" * 32, {"jti": "a", "exp": 2000, "scopes": ["all:any"]}
    token = jwt.signed(claims, key)
    assert jwt.claims(token, key, 1999.0) == claims
    head, body, signature = token.split(".")
    other = jwt.signed({**claims, "jti": "b"}, key).split(".")[1]
    none = base64.urlsafe_b64encode(b'{"alg":"none"}').rstrip(b"=").decode()
    changed = {
        "signature": f"{head}.{body}.{signature[:-2]}AA", "claims": f"{head}.{other}.{signature}",
        "none": f"{none}.{body}.", "parts": f"{head}.{body}", "over": token,
    }[change]  # fmt: skip
    assert jwt.claims(changed, key, 2000.0 if change == "over" else 1999.0) is None
