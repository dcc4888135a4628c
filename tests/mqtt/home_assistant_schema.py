"""What Home Assistant's documentation allows in a discovery message, as tables, and a check against them.

Sources (home-assistant.io/integrations, read in November 2026): `mqtt` "Device discovery payload" for the message, its
device, origin and availability; `sensor.mqtt`, `binary_sensor.mqtt`, `button.mqtt`, `event.mqtt` and `notify.mqtt` for
the keys of each platform; `sensor`, `binary_sensor` and `button` for device classes. Home Assistant ignores unknown
keys; here they are faults, since a key that nobody reads is a mistake of ours.
"""

from __future__ import annotations

import json
import re
from typing import Any

import jinja2

TOPIC, TEMPLATE, TEXT, BOOLEAN, NUMBER, LIST = "topic", "template", "text", "boolean", "number", "list"

_ENTITY = {
    "platform": TEXT, "name": TEXT, "unique_id": TEXT, "availability": LIST, "availability_mode": TEXT,
    "availability_template": TEMPLATE, "availability_topic": TOPIC, "payload_available": TEXT,
    "payload_not_available": TEXT, "device_class": TEXT, "enabled_by_default": BOOLEAN, "encoding": TEXT,
    "entity_category": TEXT, "entity_picture": TEXT, "icon": TEXT, "json_attributes_template": TEMPLATE,
    "json_attributes_topic": TOPIC, "object_id": TEXT, "default_entity_id": TEXT, "qos": NUMBER,
}  # fmt: skip
PLATFORMS: dict[str, dict[str, str]] = {
    "sensor": {
        **_ENTITY, "state_topic": TOPIC, "value_template": TEMPLATE, "expire_after": NUMBER, "force_update": BOOLEAN,
        "last_reset_value_template": TEMPLATE, "options": LIST, "suggested_display_precision": NUMBER,
        "state_class": TEXT, "unit_of_measurement": TEXT,
    },
    "binary_sensor": {
        **_ENTITY, "state_topic": TOPIC, "value_template": TEMPLATE, "expire_after": NUMBER, "force_update": BOOLEAN,
        "off_delay": NUMBER, "payload_on": TEXT, "payload_off": TEXT,
    },
    "button": {
        **_ENTITY, "command_topic": TOPIC, "command_template": TEMPLATE, "payload_press": TEXT, "retain": BOOLEAN,
    },
    "event": {**_ENTITY, "state_topic": TOPIC, "value_template": TEMPLATE, "event_types": LIST},
    "notify": {**_ENTITY, "command_topic": TOPIC, "command_template": TEMPLATE, "retain": BOOLEAN},
}  # fmt: skip
REQUIRED = {
    "sensor": {"state_topic"}, "binary_sensor": {"state_topic"}, "button": set[str](),
    "event": {"state_topic", "event_types"}, "notify": set[str](),
}  # fmt: skip
# "When set, the entity category must be `diagnostic` for sensors."
CATEGORIES = {"sensor": {"diagnostic"}, "binary_sensor": {"diagnostic"}}
ANY_CATEGORY = {"config", "diagnostic"}
# Those of the documented classes that fit what we tell, with the units that Home Assistant lists for them.
SENSOR_CLASSES = {"enum": None, "timestamp": None, "signal_strength": {"dB", "dBm"}}
OTHER_CLASSES = {"binary_sensor": {"connectivity", "problem"}, "button": {"identify", "restart", "update"}}
STATE_CLASSES = {"measurement", "measurement_angle", "total", "total_increasing"}

DEVICE = {
    "configuration_url", "connections", "hw_version", "identifiers", "manufacturer", "model", "model_id", "name",
    "serial_number", "suggested_area", "sw_version", "via_device",
}  # fmt: skip
ORIGIN = {"name", "sw_version", "support_url"}
ROOT = {"device", "origin", "components", "availability", "availability_mode", "state_topic", "command_topic", "qos",
        "encoding"}  # fmt: skip

_DISCOVERY_TOPIC = re.compile(r"[^+#]+/device/[a-zA-Z0-9_-]+/config")


def faults(topic: str, payload: bytes) -> list[str]:
    """What the documentation does not allow in a device's discovery message; [] where all is right."""
    found = [] if _DISCOVERY_TOPIC.fullmatch(topic) else [f"topic {topic}"]
    message = json.loads(payload)
    found += [f"root key {key}" for key in message.keys() - ROOT]
    found += [f"root lacks {key}" for key in {"device", "origin", "components"} - message.keys()]
    device = message["device"]
    found += [f"device key {key}" for key in device.keys() - DEVICE]
    found += [f"device.{key} is no text" for key in device.keys() - {"identifiers", "connections"}
              if not isinstance(device[key], str)]  # fmt: skip
    if not device.get("identifiers") and not device.get("connections"):
        found.append("device without identifiers and connections")
    found += [f"origin key {key}" for key in message["origin"].keys() - ORIGIN]
    if not message["origin"].get("name"):
        found.append("origin without a name")
    for key, component in message["components"].items():
        found += [f"{key}: {fault}" for fault in _component(component)]
    ids = [component.get("unique_id") for component in message["components"].values()]
    found += [f"unique_id {one} twice" for one in set(ids) if ids.count(one) > 1]
    return found


def _component(entity: dict[str, Any]) -> list[str]:
    platform = entity.get("platform")
    if platform not in PLATFORMS:
        return [f"platform {platform}"]
    found = [f"lacks {key}" for key in (REQUIRED[platform] | {"unique_id"}) - entity.keys()]
    for key, value in entity.items():
        kind = PLATFORMS[platform].get(key)
        if kind is None or not _is(kind, value):
            found.append(f"{key} = {value!r}")
    for one in entity.get("availability", []):
        if not {"topic"} <= one.keys() <= {"topic", "payload_available", "payload_not_available", "value_template"}:
            found.append(f"availability {one}")
    if "availability" in entity and "availability_topic" in entity:
        found.append("availability and availability_topic")
    category = entity.get("entity_category")
    if category is not None and category not in CATEGORIES.get(platform, ANY_CATEGORY):
        found.append(f"entity_category {category}")
    return found + (_sensor(entity) if platform == "sensor" else _other(platform, entity))


def _sensor(entity: dict[str, Any]) -> list[str]:
    found = []
    device_class, unit = entity.get("device_class"), entity.get("unit_of_measurement")
    if device_class is not None and device_class not in SENSOR_CLASSES:
        found.append(f"device_class {device_class}")
    units = SENSOR_CLASSES.get(device_class or "")
    if units is not None and unit not in units:
        found.append(f"unit {unit} of {device_class}")
    if entity.get("state_class") not in (None, *STATE_CLASSES):
        found.append(f"state_class {entity['state_class']}")
    has_options = "options" in entity
    if has_options != (device_class == "enum") or (has_options and not entity["options"]):
        found.append("options and device_class enum belong together")
    if (has_options or device_class == "timestamp") and (unit or entity.get("state_class")):
        found.append(f"{device_class} with a unit or a state_class")
    return found


def _other(platform: str, entity: dict[str, Any]) -> list[str]:
    device_class = entity.get("device_class")
    if device_class is not None and device_class not in OTHER_CLASSES.get(platform, set()):
        return [f"device_class {device_class}"]
    return []


def _is(kind: str, value: Any) -> bool:
    if kind == TEMPLATE:
        try:
            jinja2.Environment().parse(value)
        except jinja2.TemplateError:
            return False
        return isinstance(value, str)
    if kind == TOPIC:
        return isinstance(value, str) and bool(value) and not set("+#\0") & set(value)
    if kind == LIST:
        return isinstance(value, list) and bool(value)
    if kind == NUMBER:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, bool if kind == BOOLEAN else str)
