"""Recorded requests to the local server: made from the description of the API, so that a new operation is searched by
itself, and those of the page.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import quote

KEY = "fuzz-key-0123456789abcdef"
AGENT = "agent-1"
"""A remote agent that is registered before."""
_AGENTS_ROW = "3"
_LEFT_OUT = frozenset({"deviceId", "serviceId"})
"""Optional, and refused unless they name one that is there."""
_NUMBER, _URL = "+491701234567", "https://example.com/h"
_SAMPLES: dict[str, Any] = {
    "recipient_number": _NUMBER, "phone": _NUMBER, "phone_number": _NUMBER, "to": "905550000000",
    "recipients": [_NUMBER, {"number": "+491701234568", "name": "Ann"}], "phoneNumbers": [_NUMBER],
    "message": "hi {name}", "device_id": AGENT, "email": "a@example.com", "password": "secret1",
    "password_confirmation": "secret1", "callback_url": _URL, "url": _URL, "webhook_url_incoming": _URL,
    "webhook_url_status": _URL, "event": "sms:received", "status": "sent", "id": "1", "username": "ann",
    "textMessage": {"text": "hi"}, "ttl": 3600, "work_hours_start": "08:00", "work_hours_end": "20:00",
}  # fmt: skip
_KINDS = {str: "string", list: "array", dict: "object", int: "integer"}
_AUTHORIZED = f"Authorization: Bearer {KEY}\nx-api-key: {KEY}"


def recorded(document: dict[str, Any], pattern: str) -> tuple[bytes, ...]:
    """A request for each operation whose path is like this, with a body that its schema allows."""
    schemas = document["components"]["schemas"]
    found = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items() if re.match(pattern, path) else ():
            query = "&".join(
                f"{one['name']}={quote(str(_sample(one['schema'], schemas, one['name'])))}"
                for one in operation.get("parameters", ())
                if one["in"] == "query" and one["name"] not in _LEFT_OUT
            )
            number = _AGENTS_ROW if path.startswith("/api/devices/") else "1"
            target = re.sub(r"\{\w+\}", number, path) + (f"?{query}" if query else "")
            text = f"{method.upper()} {target} HTTP/1.1\n{_AUTHORIZED}"
            if body := operation.get("requestBody"):
                ((kind, content),) = body["content"].items()
                text += f"\nContent-Type: {kind}\n\n{json.dumps(_sample(content['schema'], schemas, ''))}"
            found.append(text.encode())
    return (
        *found,
        *(f"{one[0]} HTTP/1.1\n{_AUTHORIZED}\n{_JSON}\n\n{one[1]}".encode() for one in MORE.get(pattern, ())),
    )


def _sample(schema: dict[str, Any], schemas: dict[str, Any], name: str) -> Any:
    """A value that a schema allows, most often."""
    sample = _SAMPLES.get(name)
    if sample is not None and _KINDS[type(sample)] == schema.get("type", _KINDS[type(sample)]):
        return sample
    if "$ref" in schema:
        return _sample(schemas[schema["$ref"].rpartition("/")[2]], schemas, name)
    for choice in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        if choice.get("type") != "null":
            return _sample(choice, schemas, name)
    if schema.get("enum"):
        return schema["enum"][0]
    kind = schema.get("type", "string")
    if kind == "object":
        return {
            key: _sample(value, schemas, key)
            for key, value in schema.get("properties", {}).items()
            if key not in _LEFT_OUT
        }
    if kind == "array":
        return [_sample(schema.get("items", {}), schemas, name)]
    if kind == "string":
        return {"date-time": "2026-11-25T10:00:00Z", "uri": "https://example.com/"}.get(
            schema.get("format", ""), "text"
        )
    return {"integer": 1, "number": 1.5, "boolean": True}.get(kind)


_MOBSMS, _YAZSANA = r"/api/(?!3rdparty)", r"/yazsana/"
_SMSGATE = r"/(3rdparty|messages|inbox|webhooks|devices|settings|logs|health|auth)"
LIKE = {"mobsms-api": _MOBSMS, "yazsana-api": _YAZSANA, "smsgate-api": _SMSGATE}
"""The dialects by their paths."""

_SERVICE = "45b03538-3e12-516d-93d7-070ccf62048e"
"""Of route sim0: made from its name."""
_JSON = "Content-Type: application/json"
MORE = {
    _YAZSANA: (
        ("POST /yazsana/sms-sendings/one", f'{{"to": "905550000000", "message": "hi", "serviceId": "{_SERVICE}"}}'),
        ("POST /yazsana/sms-sendings/simple", f'{{"to": ["90555000000"], "message": "x", "serviceId": "{_SERVICE}"}}'),
    ),
    _SMSGATE: (
        ("POST /3rdparty/v1/messages", '{"phoneNumbers": ["+491701234567"], "textMessage": {"text": "hi"},'
         '"id": "m1", "ttl": 60, "simNumber": 1, "withDeliveryReport": true, "priority": 100, "isEncrypted": false}'),
        ("POST /messages", '{"phoneNumbers": ["+491701234567"], "dataMessage": {"data": "AQID", "port": 53739},'
         '"validUntil": "2027-11-25T10:00:00Z", "scheduleAt": "2027-11-25T10:00:00+01:00"}'),
        ("GET /3rdparty/v1/messages/m1", ""),
        ("GET /messages?from=2026-01-01T00:00:00Z&to=2027-01-01T00:00:00Z&limit=5&offset=1", ""),
        ("POST /webhooks", '{"id": "w1", "url": "https://example.com/h", "event": "sms:received"}'),
        ("POST /3rdparty/v1/auth/token", '{"ttl": 3600, "scopes": ["messages:send"]}'),
    ),
}  # fmt: skip
"""What a description cannot tell: exactly one of several keys, and ids that are there."""

_BROWSER = "Accept: text/html\nCookie: phonebridge_session=SESSION"
_READ = (
    "",
    "send?to=112&text=hi",
    "messages?page=2&q=a",
    "inbox",
    "messages/1",
    "devices",
    "keys",
    "webhooks",
    "events",
)
_DONE = {
    "send": "to=%2B491701234567&text=hi&device=1&once=a", "count": "to=112&text=hi", "messages/1/cancel": "",
    "messages/1/resend": "", "messages/1/release": "", "devices/1/default": "", "devices/1/switch": "",
    "keys": "name=a&abilities=*", "keys/7/revoke": "", "webhooks": "incoming=https%3A%2F%2Fexample.com%2F&status=",
    "webhooks/test": "", "webhooks/1/replay": "", "routes/sim0/pause": "", "routes/sim0/resume": "",
}  # fmt: skip
_FORM = "Content-Type: application/x-www-form-urlencoded"
PAGE = (
    *(f"GET /ui/{path} HTTP/1.1\n{_BROWSER}".encode() for path in _READ),
    *(f"POST /ui/{path} HTTP/1.1\n{_BROWSER}\n{_FORM}\n\ncsrf=TOKEN&{form}".encode() for path, form in _DONE.items()),
)
"""Of somebody who is logged in: SESSION and TOKEN stand for what is not known before."""
