"""The stream with its traps; settings applied live; webhooks that the device calls; pings; export; encryption."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any

import pytest
from android_sms_gateway import Encryptor

from agent import e2e
from agent.journal.listing import Filter
from drivers.api import InboundKind
from tests.smsgate_server.process import SmsGateServer
from tests.smsgate_server.store import now
from tests.upstreams.smsgate.conftest import Rig, Start, text, until

A, B = "+4915100000001", "+4915100000002"


async def listening(rig: Rig) -> None:
    await rig.registered()
    await until(lambda: rig.facts["events"] == 1)


# --- the stream -------------------------------------------------------------------------------------


async def test_a_cut_stream_is_opened_again_and_what_was_missed_is_pulled(server: SmsGateServer, start: Start) -> None:
    rig = await start(poll_without_events_s=900)
    await listening(rig)
    server.control("cut")
    await until(lambda: server.look()["streams"] == 0)
    (id_,) = server.enqueue(text("while nobody listened"))
    await until(lambda: server.messages()[id_]["state"] == "Sent")
    await until(lambda: rig.facts["events"] == 1)


async def test_headers_that_come_late_hold_nothing_up(server: SmsGateServer, start: Start) -> None:
    server.control("knobs", keepalive_s=0)
    rig = await start(poll_without_events_s=900, silence_s=60)
    await rig.registered()
    await until(lambda: server.look()["streams"] >= 1)
    assert rig.facts["events"] == 0
    (id_,) = server.enqueue(text("the first event brings the headers"))
    await until(lambda: server.messages()[id_]["state"] == "Sent")
    assert rig.facts["events"] == 1


async def test_a_silent_stream_is_dead(server: SmsGateServer, start: Start) -> None:
    rig = await start(poll_without_events_s=900, silence_s=1)
    await listening(rig)
    server.control("knobs", is_silent=True)
    await until(lambda: rig.facts["events"] == 0)
    (id_,) = server.enqueue(text("nobody is told"))
    server.control("knobs", is_silent=False)
    await until(lambda: server.messages()[id_]["state"] == "Sent", timeout_s=15)


# --- settings ---------------------------------------------------------------------------------------


async def test_settings_count_at_once_null_takes_them_back_and_they_outlive_a_restart(
    server: SmsGateServer, start: Start
) -> None:
    rig = await start()
    await listening(rig)
    server.control(
        "settings",
        messages={"limit_period": "PerHour", "limit_value": 2.0, "work_hours_enabled": True,
                  "work_hours_start": "00:00", "work_hours_end": "00:00", "log_lifetime_days": 3},
        gateway={"notification_channel": "AUTO"}, future={"x": 1},
    )  # fmt: skip
    await until(lambda: rig.facts["limit_messages"] == 2)
    ids = server.enqueue(*(text(f"{n}", f"+49151000001{n}") for n in range(3)), text("all", A, B))
    await until(lambda: len(rig.modem.sent) == 2)
    urgent = server.enqueue(text("urgent", priority=100))
    await until(lambda: server.messages()[urgent[0]]["state"] == "Sent" and len(rig.modem.sent) == 3)
    await rig.crash()
    await rig.registered()
    assert rig.facts["limit_messages"] == 2 and len(rig.modem.sent) == 3
    await until(lambda: rig.facts["events"] == 1)
    server.control("settings", messages={"limit_period": None, "limit_value": None})
    await until(lambda: all(server.messages()[one]["state"] == "Sent" for one in ids))
    assert len(rig.modem.sent) == 6


async def test_round_robin_takes_the_sims_in_turn(server: SmsGateServer, start: Start) -> None:
    rig = await start(modems=3)
    await listening(rig)
    server.control("settings", messages={"sim_selection_mode": "RoundRobin"})
    await until(lambda: rig.upstream._shared.preferences.sim_selection == "RoundRobin")
    ids = server.enqueue(*(text(f"{n}", f"+49151000001{n}") for n in range(6)))
    await until(lambda: all(server.messages()[one]["state"] == "Sent" for one in ids))
    assert [len(modem.sent) for modem in rig.box.modems.values()] == [2, 2, 2]


# --- webhooks ---------------------------------------------------------------------------------------


async def hooked(server: SmsGateServer, rig: Rig, *events: str) -> None:
    for event in events:
        server.control("webhook", url=server.hook_url(rig.device), event=event)
    await until(lambda: rig.facts["webhooks"] == len(events))


async def test_webhooks_are_signed_tried_again_and_tell_all_that_a_modem_can(
    server: SmsGateServer, start: Start
) -> None:
    rig = await start(signing_key="the-key")
    await listening(rig)
    events = ("sms:received", "sms:data-received", "mms:received", "sms:sent", "sms:delivered", "sms:failed",
              "sms:cancelled", "system:ping")  # fmt: skip
    await hooked(server, rig, *events)
    await rig.receive("hello", "+4917000")
    await rig.receive("", kind=InboundKind.DATA, body=b"\x01\x02", port=53739)
    (sent,) = server.enqueue(text("out", A))
    await until(lambda: server.messages()[sent]["state"] == "Sent")
    await rig.deliver(A)
    failed, cancelled = server.enqueue(text("late", B, validUntil=now(-60)), text("never", B, scheduleAt=now(9999)))
    await until(lambda: server.messages()[failed]["state"] == "Failed")
    server.control("cancel", id=cancelled)
    wanted = {"sms:received", "sms:data-received", "sms:sent", "sms:delivered", "sms:failed", "sms:cancelled"}

    def ours() -> dict[str, dict[str, Any]]:
        return {body["event"]: body for body in server.calls() if body["deviceId"] == rig.device}

    await until(lambda: wanted <= set(ours()), timeout_s=15)
    found = ours()
    assert found["sms:received"]["payload"]["message"] == "hello"
    assert (
        found["sms:received"]["payload"]["sender"] == "+4917000" and found["sms:received"]["payload"]["simNumber"] == 1
    )
    assert found["sms:data-received"]["payload"]["data"] == "AQI="
    assert found["sms:sent"]["payload"]["messageId"] == sent and found["sms:sent"]["payload"]["partsCount"] == 1
    assert found["sms:delivered"]["payload"]["recipient"] == A
    assert found["sms:failed"]["payload"]["reason"] == "TTL expired"
    assert found["sms:cancelled"]["payload"]["messageId"] == cancelled
    for call in server.control("calls"):
        if call["name"] == rig.device:
            stamp, raw = call["headers"]["x-timestamp"], call["body"]
            want = hmac.new(b"the-key", raw.encode() + stamp.encode(), hashlib.sha256).hexdigest()
            assert call["headers"]["x-signature"] == want and call["headers"]["content-type"] == "application/json"


async def test_a_ping_tells_the_gateways_health_and_a_start_its_sims(server: SmsGateServer, start: Start) -> None:
    rig = await start()
    await listening(rig)
    await hooked(server, rig, "system:ping", "app:started")
    await rig.upstream._loops[0]._tell_ping()
    await rig.crash()

    def ours(event: str) -> list[dict[str, Any]]:
        return [body["payload"] for body in server.calls(event) if body["deviceId"] == rig.device]

    (ping,) = await until(lambda: ours("system:ping"))
    assert ping["health"]["status"] == "pass" and ping["health"]["checks"]["messages:failed"]["observedValue"] == 0
    (started,) = await until(lambda: ours("app:started"))
    assert "simCards" in started


async def test_stored_messages_are_told_again_on_request_one_by_one_or_in_batches(
    server: SmsGateServer, start: Start
) -> None:
    rig = await start()
    await listening(rig)
    await hooked(server, rig, "sms:received", "sms:batch:received")

    def ours(event: str) -> list[dict[str, Any]]:
        return [body["payload"] for body in server.calls(event) if body["deviceId"] == rig.device]

    for number in range(3):
        await rig.receive(f"m{number}")
    await until(lambda: len(ours("sms:received")) == 3)
    span = {"since": now(-3600), "until": now(3600)}
    server.control("export", **span, triggerWebhooks="true", webhookDelivery="Individual")
    await until(lambda: len(ours("sms:received")) == 6)
    server.control("export", **span, messageTypes="SMS,MMS", webhookDelivery="Batch")
    (batch,) = await until(lambda: ours("sms:batch:received"))
    assert sorted(one["message"] for one in batch["messages"]) == ["m0", "m1", "m2"]
    server.control("export", since=now(-7200), until=now(-3600))
    server.control("export", **span, triggerWebhooks="false")
    (id_,) = server.enqueue(text("behind it"))
    await until(lambda: server.messages()[id_]["state"] == "Sent")
    assert len(ours("sms:received")) == 6


# --- encryption -------------------------------------------------------------------------------------


def sealed(body: str, *numbers: str, passphrase: str = "pass") -> dict[str, Any]:
    client = Encryptor(passphrase, iterations=100)
    return {"textMessage": {"text": client.encrypt(body)}, "phoneNumbers": [client.encrypt(one) for one in numbers],
            "isEncrypted": True}  # fmt: skip


async def test_what_is_encrypted_goes_out_in_clear_and_is_told_as_it_came(server: SmsGateServer, start: Start) -> None:
    rig = await start(passphrase="pass")
    await listening(rig)
    message = sealed("secret", A, B)
    (id_,) = server.enqueue(message)
    row = await until(lambda: (found := server.messages()[id_])["state"] == "Sent" and found)
    assert [(part.recipient, part.body) for _, part in rig.modem.sent] == [(A, b"secret"), (B, b"secret")]
    assert [one["phoneNumber"] for one in row["patches"][-1]["recipients"]] == message["phoneNumbers"]


@pytest.mark.parametrize(
    ("keys", "has_extra", "reason"),
    [
        pytest.param({}, True, "this upstream has no passphrase", id="no passphrase"),
        pytest.param({"passphrase": "other"}, True, "cannot be decrypted", id="another passphrase"),
        pytest.param({"passphrase": "pass"}, False, "phonebridge[e2e] is not installed", id="no extra"),
    ],
)
async def test_what_cannot_be_decrypted_fails_with_the_reason(
    server: SmsGateServer, start: Start, monkeypatch: pytest.MonkeyPatch, keys: Any, has_extra: bool, reason: str
) -> None:
    monkeypatch.setattr(e2e, "is_available", lambda: has_extra)
    rig = await start(**keys)
    await rig.registered()
    message = sealed("secret " * 5, A)
    (id_,) = server.enqueue(message)
    row = await until(lambda: (found := server.messages()[id_])["state"] == "Failed" and found)
    told = row["patches"][-1]["recipients"][0]
    assert reason in told["error"] and told["phoneNumber"] == message["phoneNumbers"][0]
    assert rig.modem.sent == [] and "pass" not in json.dumps(rig.facts)
    (kept,) = (await rig.box.gateway.page(Filter(direction="outbound"))).messages
    assert kept.text == ""
