"""The MQTT upstream on a real broker: what goes in, what is told, and what survives a crash of either end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from agent.config import ConfigError, parse
from agent.inbox import Inbox
from agent.journal.store import JournalFull
from agent.upstreams.mqtt import MqttUpstream
from agent.upstreams.mqtt.settings import broker
from drivers.api import InboundPart, IncomingCall, PartToSend, Refused, Registration, Submitted
from drivers.mqtt.link import Link, LinkDown
from drivers.mqtt.topics import Topics
from tests.agent.fakes import FakeModem, report
from tests.mqtt.broker import DURABLE
from tests.mqtt.stage import Stage

NUMBER = "+491701234567"


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path) as found:
        yield found


def _inbox(stage: Stage) -> Inbox:
    gateway = stage.box.gateway
    return Inbox(stage.box.journal, stage.box.clock, gateway.committed, gateway.outbox.wake)


def _job(job_id: str, text: str = "hello", **more: Any) -> dict[str, Any]:
    return {"id": job_id, "to": NUMBER, "text": text, **more}


async def test_a_job_is_accepted_sent_and_delivered_in_this_order(stage: Stage) -> None:
    await stage.say("send", _job("1"))
    await stage.until_statuses("1", "accepted", "sent")
    await _inbox(stage).take("a", report(stage.modems["a"], 1, NUMBER))
    await stage.until_statuses("1", "accepted", "sent", "delivered")
    told = stage.person.heard("status")
    assert all(row["to"] == NUMBER and row["uid"] and row["at"].endswith("Z") for row in told)
    assert told[1]["route"] == "a" and told[1]["parts"] == 1


async def test_every_key_of_a_job_reaches_the_modem(tmp_path: Path) -> None:
    modems = {"a": FakeModem(), "b": FakeModem(iccid="8949000000000000002")}
    async with Stage(tmp_path, modems) as stage:
        await stage.say("send", _job("1", "by slot", sim_slot=1, valid_for_s=600, flash=True))
        await stage.say("send", _job("2", "by name", route="b", priority=-3))
        await stage.until_statuses("2", "accepted", "sent")
        (_, first), (_, second) = modems["b"].sent
        assert (first.body, first.validity_s, first.message_class) == (b"by slot", 600, 0)
        assert second.body == b"by name" and modems["a"].sent == []


async def test_what_cannot_be_sent_is_failed_with_a_sentence_and_harms_nobody(stage: Stage) -> None:
    stage.modems["a"].answers.append(Refused("The network refuses it.", code="CMS 21"))
    for payload in (b"\xff", "{", "[]", _job("typo", prio=1), _job("big", "x" * 70_000), _job("~own"), {"id": 3}):
        await stage.say("send", payload)
    await stage.say("send", {"id": "nobody", "to": "not a number", "text": "x"})
    await stage.say("send", _job("slot", sim_slot=7))
    await stage.say("send", _job("refused"))
    await stage.say("send", _job("good"))
    await stage.until_statuses("good", "accepted", "sent")
    await stage.until_statuses("refused", "accepted", "failed")
    await stage.until_statuses("nobody", "accepted", "failed")
    await stage.until_statuses("slot", "accepted", "failed")
    for job_id in ("typo", "big", "~own", "3"):
        assert stage.person.statuses(job_id) == ["failed"]
    errors = {row["id"]: row["error"] for row in stage.person.heard("status") if row["status"] == "failed"}
    assert errors["typo"].startswith('there is no key "prio"') and errors[None]
    assert errors["slot"] == "there is no SIM slot 7 in this gateway; it has 0"
    assert errors["refused"] == "The network refuses it. (CMS 21)"
    assert stage.upstream.status()["refused"] == 7


async def test_people_send_the_text_alone_to_a_number_in_the_topic(stage: Stage) -> None:
    await stage.say("send/00491701234567", "plain, wörtlich")
    await stage.until(lambda: [row["status"] for row in stage.person.heard("status")] == ["accepted", "sent"])
    (told, _) = stage.person.heard("status")
    assert told["id"] == told["uid"] and told["to"] == NUMBER
    assert stage.modems["a"].texts() == ["plain, wörtlich"]


async def test_a_repeated_id_is_answered_with_its_state_and_never_sent_again_over_restarts(stage: Stage) -> None:
    await stage.say("send", _job("1"))
    await stage.until_statuses("1", "accepted", "sent")
    await stage.say("send", _job("1", "another text"))
    await stage.until_statuses("1", "accepted", "sent", "sent")
    message = (await stage.box.gateway.known("mqtt", ["1"]))["1"]
    assert message.message_id is not None
    await stage.until(lambda: not stage.feed.is_unsaved)
    await stage.crash()
    await stage.start()
    await stage.say("send", _job("1"))
    await stage.until_statuses("1", "accepted", "sent", "sent", "sent")
    await stage.box.gateway.delete(message.message_id)
    await stage.say("send", _job("1"))
    await stage.until_statuses("1", "accepted", "sent", "sent", "sent", "sent")
    assert stage.modems["a"].texts() == ["hello"]


async def test_one_that_waits_is_answered_with_accepted_again(tmp_path: Path) -> None:
    async with Stage(tmp_path, {"a": FakeModem(registration=Registration.SEARCHING)}) as stage:
        await stage.say("send", _job("1"))
        await stage.until_statuses("1", "accepted")
        await stage.say("send", _job("1"))
        await stage.until_statuses("1", "accepted", "accepted")


async def test_jobs_for_a_gateway_that_is_down_arrive_when_it_is_back(stage: Stage) -> None:
    await stage.box.stop()
    await stage.until(lambda: stage.person.raw("availability")[-1] == b"offline")
    for number in range(40):
        await stage.say("send", _job(f"{number}", f"text {number}"))
    await stage.crash()
    await stage.start()
    await stage.until_statuses("39", "accepted", "sent")
    assert stage.modems["a"].texts() == [f"text {number}" for number in range(40)]
    assert stage.upstream.status()["session"] == "resumed"


@pytest.mark.parametrize(
    ("topic", "payload"),
    [("send", {"id": "1", "to": NUMBER, "text": "x"}), ("send", {"to": NUMBER, "text": "x"}), ("send/112", "x")],
    ids=["with an id", "without an id", "plain text"],
)
async def test_a_crash_before_the_acknowledgement_makes_no_double(
    stage: Stage, topic: str, payload: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Link, "acknowledge", lambda *_: None)
    await stage.say(topic, payload)
    await stage.until(lambda: stage.modems["a"].texts() == ["x"])
    await stage.crash()
    monkeypatch.undo()
    before = len(stage.person.heard("status"))
    await stage.start()
    await stage.until(lambda: len(stage.person.heard("status")) > before)
    # The same from the sender is another wish where it has no id, and the broker's repetition is over.
    await stage.say(topic, payload)
    wishes = ["x"] if topic == "send" and "id" in payload else ["x", "x"]
    await stage.say("send", _job("last", "last"))
    await stage.until(lambda: stage.modems["a"].texts() == [*wishes, "last"])


async def test_what_was_not_told_when_the_broker_died_is_told_when_it_is_back(tmp_path: Path) -> None:
    async with Stage(tmp_path, options=DURABLE) as stage:
        is_answered = asyncio.Event()

        async def answer(_: PartToSend) -> Submitted:
            await is_answered.wait()
            return Submitted(1)

        stage.modems["a"].answers.append(answer)
        await stage.say("send", _job("1"))
        await stage.until_statuses("1", "accepted")
        # What the broker passed on and did not live to acknowledge would rightly be told again.
        await stage.until(lambda: not stage.feed.waiting)
        await asyncio.to_thread(stage.broker.kill)
        await stage.until(lambda: stage.upstream.status()["problem"] is not None)
        assert "was lost" in str(stage.upstream.status()["problem"]) or "reached" in str(
            stage.upstream.status()["problem"]
        )
        is_answered.set()
        await stage.until(lambda: bool(stage.feed.waiting))
        await asyncio.to_thread(stage.broker.start)
        await stage.until_statuses("1", "accepted", "sent")
        await stage.until(lambda: stage.upstream.status()["problem"] is None)
        await stage.say("send", _job("2"))
        await stage.until_statuses("2", "accepted", "sent")


async def test_a_full_disk_leaves_the_job_with_the_broker(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("agent.upstreams.mqtt.orders._FULL_PAUSE_S", 0.05)
    accept = stage.box.gateway.accept

    async def full(*_: Any, **__: Any) -> Any:
        raise JournalFull("the disk is full")

    monkeypatch.setattr(stage.box.gateway, "accept", full)
    await stage.say("send", _job("1"))
    await stage.until(lambda: stage.upstream.status()["problem"] == "the disk is full")
    assert stage.person.statuses("1") == []
    monkeypatch.setattr(stage.box.gateway, "accept", accept)
    await stage.until_statuses("1", "accepted", "sent")


async def test_a_job_is_cancelled_or_given_back_while_it_is_untried_and_told_its_state_otherwise(stage: Stage) -> None:
    await stage.box.gateway.pause("a", is_paused=True)
    for job_id in ("cancel", "back", "held back"):
        await stage.say("send", _job(job_id))
    await stage.say("cancel", {"id": "cancel"})
    await stage.say("release", "back")
    await stage.until_statuses("cancel", "accepted", "cancelled")
    await stage.until_statuses("back", "accepted", "released")
    await stage.say("cancel", {"no": "id"})
    await stage.until(lambda: any(row["id"] is None for row in stage.person.heard("status")))
    await stage.box.gateway.pause("a", is_paused=False)
    await stage.until_statuses("held back", "accepted", "sent")
    await stage.say("release", {"id": "held back"})
    await stage.until_statuses("held back", "accepted", "sent", "sent")
    # Given back before it came: it is not taken any more.
    await stage.say("release", {"id": "late"})
    await stage.until_statuses("late", "released")
    await stage.say("send", _job("late"))
    await stage.until_statuses("late", "released", "released")
    assert stage.modems["a"].texts() == ["hello"]


async def test_received_messages_and_calls_are_published_once(stage: Stage) -> None:
    part = InboundPart(stage.modems["a"].iccid, NUMBER, "an answer", "gsm7", b"an answer", b"tpdu")
    await _inbox(stage).take("a", part)
    await _inbox(stage).take("a", part)
    await stage.until(lambda: stage.person.heard("inbox"))
    await stage.until(lambda: stage.last("route/a/state").get("last_inbound_at"))
    (row,) = stage.person.heard("inbox")
    assert (row["from"], row["text"], row["route"], row["sim_slot"], row["kind"]) == (
        NUMBER, "an answer", "a", 0, "text",
    )  # fmt: skip
    await _inbox(stage).take("a", IncomingCall(stage.modems["a"].iccid, NUMBER, is_rejected=True))
    await _inbox(stage).take("a", IncomingCall(stage.modems["a"].iccid, None))
    await stage.until(lambda: len(stage.person.heard("calls")) == 2)
    calls = stage.person.heard("calls")
    assert [(call["from"], call["rejected"], call["route"]) for call in calls] == [
        (NUMBER, True, "a"), (None, False, "a"),
    ]  # fmt: skip


async def test_alerts_are_told_and_what_is_wrong_now_is_kept(stage: Stage) -> None:
    await stage.until(lambda: stage.last("alerts") == {"active": []})
    watch = stage.box.gateway.alerts
    watch.gave_up(3)
    await watch.look()
    await stage.until(lambda: stage.person.heard("alert"))
    (told,) = stage.person.heard("alert")
    assert (told["event"], told["state"], told["kind"]) == ("alert", "raised", "given_up")
    await stage.until(lambda: stage.last("alerts")["active"])
    assert stage.last("alerts")["active"][0]["id"] == told["id"]


async def test_states_are_kept_at_the_broker_for_whoever_comes_later(stage: Stage) -> None:
    await stage.until(lambda: stage.last("capacity").get("free") == 20)
    await stage.say("send", _job("1"))
    await stage.until(lambda: stage.last("route/a/state").get("sent_today") == 1)
    state = stage.last("route/a/state")
    assert state["state"] == "ready" and state["registration"] == "home" and state["queued"] == 0
    await stage.say("route/a/do", "pause")
    await stage.until(lambda: stage.last("capacity").get("room") == 0)
    await stage.until(lambda: stage.last("route/a/state")["paused"] is True)
    await stage.say("send", _job("2"))
    await stage.until(lambda: stage.last("route/a/state")["queued"] == 0 and stage.last("capacity")["queued"] == 1)
    for nonsense in ("explode", b"\xff"):
        await stage.say("route/a/do", nonsense)
    await stage.say("route/nowhere/do", "pause")
    await stage.say("route/a/do", "resume")
    await stage.until_statuses("2", "accepted", "sent")
    await stage.until(lambda: stage.last("capacity")["free"] == 20)
    assert stage.person.raw("availability")[-1] == b"online"


async def test_counts_of_today_are_right_after_a_restart(stage: Stage) -> None:
    stage.modems["a"].answers.append(Refused("no"))
    for number in range(3):
        await stage.say("send", _job(f"{number}"))
    await stage.until(lambda: stage.last("route/a/state").get("sent_today") == 2)
    await stage.crash()
    await stage.start()
    await stage.until(lambda: stage.last("route/a/state").get("sent_today") == 2)
    assert stage.last("route/a/state")["failed_today"] == 1


async def test_doctor_asks_the_broker_without_taking_the_daemons_session(stage: Stage, tmp_path: Path) -> None:
    (settings,) = parse({"upstream": [{"type": "mqtt", "url": stage.broker.url, "device_id": "pi"}]}).upstreams
    checks = await MqttUpstream.diagnose(settings, "pi")
    assert [check.ok for check in checks] == [True, True]
    await stage.say("send", _job("1"))
    await stage.until_statuses("1", "accepted", "sent")
    assert stage.upstream.status()["connected"] and stage.upstream.status()["problem"] is None
    await asyncio.to_thread(stage.broker.kill)
    (check,) = await MqttUpstream.diagnose(settings, "pi")
    assert not check.ok and "cannot be reached: Connection refused" in check.finding and check.remedy


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"url": "http://host"}, 'upstream[mqtt].url: "http://host" is no broker; write "mqtt://host:1883"'),
        ({"url": "mqtt://me:secret@host"}, "give user name and password by username and password_file"),
        ({"url": "mqtt://host/x"}, "give only host and port"),
        ({"device_id": "a/b"}, '"a/b" cannot be part of a topic'),
        ({"topic_prefix": "a//b"}, "cannot be part of a topic"),
        ({"password": "x"}, "a password needs a username"),
        ({"ca_file": __file__}, 'ca_file and cert_file are for TLS; begin url with "mqtts://"'),
        ({"url": "mqtts://host", "key_file": __file__}, "give that as cert_file"),
        ({"home_assistant_recipients": {"me": "x"}}, 'me: "x" is not a phone number'),
        ({"recieve_maximum": 5}, 'did you mean "receive_maximum"?'),
    ],
)
def test_a_wrong_key_is_one_sentence(keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse({"upstream": [{"type": "mqtt", "url": "mqtt://host", **keys}]})
    assert sentence in str(caught.value)


def test_a_ca_that_is_none_is_one_sentence(tmp_path: Path) -> None:
    (settings,) = parse({"upstream": [{"type": "mqtt", "url": "mqtts://host", "ca_file": __file__}]}).upstreams
    with pytest.raises(ConfigError, match="ca_file, cert_file or key_file cannot be used"):
        broker(settings, Topics("phonebridge", "pi"))


async def test_it_ends_when_it_is_cancelled_in_the_moment_in_which_the_link_is_lost(stage: Stage) -> None:
    upstream = asyncio.create_task(stage.upstream.run())
    await stage.until(lambda: "session" in stage.upstream.status())
    link = stage.upstream._link
    assert link is not None
    # Both before any task has run: the fault of a child, and the cancellation of its group.
    link._mqtt._disconnected.set_exception(LinkDown("gone"))
    await asyncio.sleep(0)
    for task in (upstream, *stage.box.tasks):
        task.cancel()
    _, alive = await asyncio.wait([upstream, *stage.box.tasks], timeout=5)
    assert not alive
