"""Home Assistant's discovery: the messages against its documentation, and what its side then does with them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import jinja2
import pytest

from agent.inbox import Inbox
from agent.model import RouteState, RouteView
from agent.upstreams.mqtt import home_assistant, words
from drivers.api import InboundPart, IncomingCall, Link, Registration, Sim
from drivers.mqtt import payloads
from drivers.mqtt.topics import Topics
from tests.agent.fakes import FakeModem
from tests.mqtt.home_assistant_schema import faults
from tests.mqtt.stage import Stage

OWN = Topics("phonebridge", "pi")
RECIPIENTS = {"me": "+491701234567", "Großmutter & co": '+4917"0'}
LINK = Link(Registration.HOME, -71, "O'Net", "Quectel", "EC25", "EC25EFAR06", "861234567890123")
VIEW = RouteView("sim0", 0, "at", RouteState.READY, None, Sim("8949"), LINK, is_sending=False, is_paused=False)
BARE = RouteView("böse.sim", None, "at", RouteState.ABSENT, "not there", None, None, is_sending=False, is_paused=False)
GATEWAY = "homeassistant/device/phonebridge_pi/config"
ROUTE = "homeassistant/device/phonebridge_pi_a/config"


def _messages() -> dict[str, bytes]:
    found = {home_assistant.gateway_id(OWN): home_assistant.gateway(OWN, RECIPIENTS)}
    for view in (VIEW, BARE):
        found[home_assistant.route_id(OWN, view.name)] = home_assistant.route(OWN, view, RECIPIENTS)
    return {home_assistant.config_topic("homeassistant", key): payload for key, payload in found.items()}


def _render(template: str, **values: Any) -> str:
    return jinja2.Environment().from_string(template).render(**values)


@pytest.mark.parametrize("topic", list(_messages()))
def test_a_discovery_message_is_what_the_documentation_allows(topic: str) -> None:
    assert faults(topic, _messages()[topic]) == []


def test_the_check_finds_what_is_wrong() -> None:
    message = json.loads(_messages()["homeassistant/device/phonebridge_pi_sim0/config"])
    message["components"]["signal"]["unit_of_measurement"] = "bars"
    message["components"]["state"]["state_class"] = "measurement"
    message["components"]["sms"].pop("event_types")
    message["components"]["queue"]["value_template"] = "{{ open"
    message["components"]["reset"]["press"] = "x"
    del message["origin"]["name"], message["device"]["identifiers"]
    assert len(faults("homeassistant/device/a b/config", json.dumps(message).encode())) == 8


def test_a_route_has_everything_that_was_asked_for() -> None:
    (message,) = (json.loads(payload) for topic, payload in _messages().items() if topic.endswith("sim0/config"))
    platforms = {key: entity["platform"] for key, entity in message["components"].items()}
    assert platforms == {
        "state": "sensor", "problem": "binary_sensor", "signal": "sensor", "registration": "sensor",
        "operator": "sensor", "balance": "sensor", "queue": "sensor", "sent_today": "sensor",
        "failed_today": "sensor", "last_inbound": "sensor", "sms": "event", "call": "event", "reset": "button",
        "ask_balance": "button", "notify": "notify", "notify_me": "notify",
        next(key for key in platforms if key.startswith("notify_Gro")): "notify",
    }  # fmt: skip
    assert message["device"] == {
        "identifiers": ["phonebridge_pi_sim0"], "name": "pi sim0", "manufacturer": "Quectel", "model": "EC25",
        "sw_version": "EC25EFAR06", "serial_number": "861234567890123", "via_device": "phonebridge_pi",
    }  # fmt: skip
    assert all(entity["availability"] == [{"topic": OWN.availability}] for entity in message["components"].values())


@pytest.mark.parametrize(("view", "signal"), [(VIEW, "-71"), (BARE, "None")], ids=["in service", "without a modem"])
def test_templates_find_what_the_state_has(view: RouteView, signal: str) -> None:
    state = words.route_state(view, queued=1, sent_today=2, failed_today=0, last_inbound_ms=None)
    components = json.loads(home_assistant.route(OWN, view, {}))["components"]
    values = {
        key: _render(entity["value_template"], value_json=state)
        for key, entity in components.items()
        if "value_template" in entity
    }
    assert values["signal"] == signal and values["queue"] == "1" and values["sent_today"] == "2"
    assert values["state"] in components["state"]["options"]
    assert values["registration"] in (*components["registration"]["options"], "None")
    assert values["problem"] == ("OFF" if view.problem is None else "ON")


@pytest.mark.parametrize("text", ['He said: "no" & <left>', "ä 😀\nline", "12:30 o'clock", "{{ value }}"])
def test_what_notify_publishes_is_a_job(text: str) -> None:
    components = json.loads(home_assistant.route(OWN, VIEW, RECIPIENTS))["components"]
    job = payloads.job(_render(components["notify_me"]["command_template"], value=text).encode())
    assert (job.to, job.text, job.route) == (RECIPIENTS["me"], text, "sim0")
    job = payloads.job(_render(components["notify"]["command_template"], value=f"+4916: {text}").encode())
    assert (job.to, job.text, job.route) == ("+4916", text, "sim0")
    anywhere = json.loads(home_assistant.gateway(OWN, RECIPIENTS))["components"]["notify_me"]
    assert payloads.job(_render(anywhere["command_template"], value=text).encode()).route is None


def test_ids_differ_where_names_do() -> None:
    names = ["a", "a b", "a_b", "a.b", "ä"]
    assert len({home_assistant.route_id(OWN, name) for name in names}) == len(names)


async def test_it_is_announced_again_for_a_fresh_home_assistant_and_removed_when_it_is_gone(tmp_path: Path) -> None:
    modems = {"a": FakeModem(), "b": FakeModem(iccid="8949000000000000002")}
    async with Stage(tmp_path, modems, also=("homeassistant/#",), home_assistant=True) as stage:
        second = ROUTE.replace("_a/", "_b/")
        for topic in (GATEWAY, ROUTE, second):
            await stage.until(lambda topic=topic: stage.person.raw(topic))
            assert faults(topic, stage.person.raw(topic)[-1]) == []
        stage.person.publish("homeassistant/status", b"online")
        await stage.until(lambda: len(stage.person.raw(ROUTE)) == 2)
        del stage.modems["b"]
        await stage.crash()
        await stage.start()
        await stage.until(lambda: stage.person.raw(second)[-1] == b"")
        await stage.until(lambda: stage.person.raw("route/b/state")[-1] == b"")
        stage.keys["home_assistant"] = False
        await stage.crash()
        await stage.start()
        await stage.until(lambda: stage.person.raw(ROUTE)[-1] == stage.person.raw(GATEWAY)[-1] == b"")
        assert stage.person.raw("route/a/state")[-1] != b""


@pytest.mark.parametrize("with_texts", [True, False])
async def test_received_messages_and_calls_are_events(tmp_path: Path, with_texts: bool) -> None:
    async with Stage(tmp_path, home_assistant=True, home_assistant_texts=with_texts) as stage:
        gateway, iccid = stage.box.gateway, stage.modems["a"].iccid
        # From here on calls are told: those before the first look are history.
        await stage.until(lambda: stage.person.raw("route/a/state"))
        inbox = Inbox(stage.box.journal, stage.box.clock, gateway.committed, gateway.outbox.wake)
        await inbox.take("a", InboundPart(iccid, "+4917", "secret", "gsm7", b"secret", b"tpdu"))
        await inbox.take("a", IncomingCall(iccid, "+4918", is_rejected=True))
        await stage.until(lambda: stage.person.heard("route/a/sms"))
        (event,) = stage.person.heard("route/a/sms")
        assert (event["event_type"], event["from"], event.get("text")) == (
            "text", "+4917", "secret" if with_texts else None,
        )  # fmt: skip
        await stage.until(lambda: stage.person.heard("route/a/call"))
        (call,) = stage.person.heard("route/a/call")
        assert (call["event_type"], call["from"]) == ("rejected", "+4918")
        components = json.loads(home_assistant.route(OWN, VIEW, {}))["components"]
        assert event["event_type"] in components["sms"]["event_types"]
        assert call["event_type"] in components["call"]["event_types"]
        # Whoever is new hears no old texts: only states are kept at the broker.
        assert not any(retained for _, topic, _, retained in stage.person._heard if topic.endswith(("/sms", "/call")))


async def test_the_restart_button_opens_the_route_anew_after_the_part_in_flight(tmp_path: Path) -> None:
    async with Stage(tmp_path, {"a": FakeModem(radio_s=0.3)}) as stage:
        modem = stage.modems["a"]
        await stage.say("send", {"id": "1", "to": "+4917", "text": "in flight"})
        await stage.until(lambda: modem.texts() == ["in flight"])
        await stage.say("route/a/do", "reset")
        await stage.say("route/a/do", "balance")
        await stage.until(lambda: len(modem.contexts) == 2)
        await stage.until_statuses("1", "accepted", "sent")
        assert modem.contexts[1].leftover is False
        await stage.say("send", {"id": "2", "to": "+4917", "text": "after"})
        await stage.until_statuses("2", "accepted", "sent")
        await asyncio.sleep(0)
