"""Home Assistant's MQTT discovery: the gateway and each of its routes as a device. Pure.

Device-based discovery, one retained message per device, as "MQTT" of Home Assistant's documentation recommends for
more than one entity (home-assistant.io/integrations/mqtt, "Device discovery payload"; Home Assistant 2024.12 or
newer). Names of entities are without the device's, which Home Assistant puts before them.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Any

import agent
from agent.model import RouteState, RouteView
from drivers.api import Registration
from drivers.mqtt.topics import OFFLINE, ONLINE, Topics

SMS_EVENTS = ("text", "data", "wap_push", "mms")
CALL_EVENTS = ("ringing", "rejected")

_NOT_AN_ID = re.compile(r"[^a-zA-Z0-9_-]")
_MESSAGES = "messages"


def config_topic(prefix: str, object_id: str) -> str:
    """Where a device is announced; an empty payload there removes it."""
    return f"{prefix}/device/{object_id}/config"


def gateway_id(own: Topics) -> str:
    """The object id of the gateway: letters, digits, "_" and "-", and another for another gateway."""
    return _object_id(f"phonebridge_{own.device}", own.base)


def route_id(own: Topics, route: str) -> str:
    """The object id of a route."""
    return _object_id(f"phonebridge_{own.device}_{route}", f"{own.base}/{route}")


def event_topic(own: Topics, route: str, what: str) -> str:
    """Where the events of an entity are published: `what` is "sms" or "call"."""
    return f"{own.base}/route/{route}/{what}"


def gateway(own: Topics, recipients: Mapping[str, str]) -> bytes:
    """The gateway as a device: whether it is there, and SMS by whichever route."""
    object_id = gateway_id(own)
    entities = {
        "connected": {
            "platform": "binary_sensor", "name": "Connected", "device_class": "connectivity",
            "entity_category": "diagnostic", "state_topic": own.availability, "payload_on": ONLINE.decode(),
            "payload_off": OFFLINE.decode(),
            # It must be there to say that the gateway is not.
            "availability": [],
        },
        **_notify(own, recipients, None),
    }  # fmt: skip
    device = {
        "identifiers": [object_id],
        "name": f"phonebridge {own.device}",
        "manufacturer": "phonebridge",
        "model": "SMS gateway",
        "sw_version": agent.__version__,
    }
    return _payload(own, object_id, device, entities)


def route(own: Topics, view: RouteView, recipients: Mapping[str, str]) -> bytes:
    """A route as a device below the gateway."""
    link = view.link
    device = {
        "identifiers": [route_id(own, view.name)],
        "name": f"{own.device} {view.name}",
        "manufacturer": link and link.manufacturer,
        "model": link and link.model,
        "sw_version": link and link.firmware,
        "serial_number": link and link.imei,
        "via_device": gateway_id(own),
    }
    entities = {
        **_sensors(own, view.name),
        **_events(own, view.name),
        **_buttons(own, view.name),
        **_notify(own, recipients, view.name),
    }
    return _payload(own, route_id(own, view.name), device, entities)


def sms_event(found: Mapping[str, Any], *, with_text: bool) -> bytes:
    """An event of the entity "SMS" from a message as it stands in the inbox topic."""
    kept = {key: value for key, value in found.items() if with_text or key not in ("text", "details")}
    return _json({"event_type": found["kind"], **{key: value for key, value in kept.items() if key != "kind"}})


def call_event(found: Mapping[str, Any]) -> bytes:
    """An event of the entity "Call" from a call as it stands in the calls topic."""
    kept = {key: value for key, value in found.items() if key != "rejected"}
    return _json({"event_type": "rejected" if found["rejected"] else "ringing", **kept})


# --- entities ---------------------------------------------------------------------------------------


def _sensors(own: Topics, name: str) -> dict[str, dict[str, Any]]:
    def sensor(key: str, **more: Any) -> dict[str, Any]:
        template = f"{{{{ value_json.{key} }}}}"
        return {"platform": "sensor", "state_topic": own.route_state(name), "value_template": template, **more}

    diagnostic = {"entity_category": "diagnostic"}
    counted = {"unit_of_measurement": _MESSAGES, "state_class": "total_increasing"}
    return {
        "state": sensor("state", name="State", device_class="enum", options=[state.value for state in RouteState]),
        "problem": {
            "platform": "binary_sensor", "name": "Problem", "device_class": "problem", **diagnostic,
            "state_topic": own.route_state(name),
            "value_template": "{{ 'ON' if value_json.problem else 'OFF' }}",
            "json_attributes_topic": own.route_state(name),
            "json_attributes_template": "{{ {'problem': value_json.problem} | tojson }}",
        },
        "signal": sensor("signal_dbm", name="Signal", device_class="signal_strength", state_class="measurement",
                         unit_of_measurement="dBm", **diagnostic),
        "registration": sensor("registration", name="Registration", device_class="enum",
                               options=[word.value for word in Registration], **diagnostic),
        "operator": sensor("operator", name="Operator", icon="mdi:radio-tower", **diagnostic),
        "balance": sensor("balance", name="Balance", icon="mdi:cash", **diagnostic),
        "queue": sensor("queued", name="Queue", icon="mdi:tray-full", unit_of_measurement=_MESSAGES,
                        state_class="measurement"),
        "sent_today": sensor("sent_today", name="Sent today", icon="mdi:message-arrow-right", **counted),
        "failed_today": sensor("failed_today", name="Failed today", icon="mdi:message-alert", **counted),
        "last_inbound": sensor("last_inbound_at", name="Last SMS received", device_class="timestamp"),
    }  # fmt: skip


def _events(own: Topics, name: str) -> dict[str, dict[str, Any]]:
    return {
        "sms": {"platform": "event", "name": "SMS", "icon": "mdi:message-text", "event_types": list(SMS_EVENTS),
                "state_topic": event_topic(own, name, "sms")},
        "call": {"platform": "event", "name": "Call", "icon": "mdi:phone-incoming", "event_types": list(CALL_EVENTS),
                 "state_topic": event_topic(own, name, "call")},
    }  # fmt: skip


def _buttons(own: Topics, name: str) -> dict[str, dict[str, Any]]:
    button = {"platform": "button", "command_topic": own.route_do(name), "qos": 1}
    return {
        "reset": {**button, "name": "Restart modem", "payload_press": "reset", "device_class": "restart",
                  "entity_category": "config"},
        "ask_balance": {**button, "name": "Ask for balance", "payload_press": "balance", "icon": "mdi:cash-refund",
                        "entity_category": "diagnostic"},
    }  # fmt: skip


def _notify(own: Topics, recipients: Mapping[str, str], name: str | None) -> dict[str, dict[str, Any]]:
    """A notify entity has a message and no recipient: one for each that is configured, and one that reads the number
    from the beginning of the message."""
    entity = {"platform": "notify", "command_topic": own.send, "qos": 1, "icon": "mdi:message-plus"}
    by = "" if name is None else f", 'route': {json.dumps(name)}"
    found: dict[str, dict[str, Any]] = {
        "notify": {
            **entity,
            "name": "SMS to any number",
            "command_template": "{% set parts = value.split(':', 1) %}{{ {'to': parts[0] | trim, "
            f"'text': parts[1:] | join | trim{by}}} | tojson }}}}",
        }
    }
    for who, number in recipients.items():
        found[f"notify_{_object_id(who, who)}"] = {
            **entity,
            "name": f"SMS to {who}",
            "command_template": f"{{{{ {{'to': {json.dumps(number)}, 'text': value{by}}} | tojson }}}}",
        }
    return found


# --- pieces -----------------------------------------------------------------------------------------


def _payload(
    own: Topics, object_id: str, device: Mapping[str, Any], entities: Mapping[str, Mapping[str, Any]]
) -> bytes:
    components: dict[str, dict[str, Any]] = {}
    for key, entity in entities.items():
        components[key] = {**entity, "unique_id": f"{object_id}_{key}"}
        if entity.get("availability") == []:
            del components[key]["availability"]
        else:
            components[key]["availability"] = [{"topic": own.availability}]
    found = {
        "device": {key: value for key, value in device.items() if value},
        "origin": {"name": "phonebridge", "sw_version": agent.__version__},
        "components": components,
    }
    return _json(found)


def _object_id(name: str, whole: str) -> str:
    """Another for another name, also where only characters differ that an id cannot hold."""
    plain = _NOT_AN_ID.sub("_", name)
    return plain if plain == name else f"{plain}_{hashlib.sha256(whole.encode()).hexdigest()[:8]}"


def _json(found: Mapping[str, Any]) -> bytes:
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()
