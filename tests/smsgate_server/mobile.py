"""The device's API: registration, pull, report, webhooks, settings. Answers are (status, document or text)."""

from __future__ import annotations

import base64
import binascii
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .store import STATES, Row, Store, new_code, new_login, new_password

_FIELDS = (
    "id", "textMessage", "dataMessage", "message", "mmsMessage", "phoneNumbers", "isEncrypted", "simNumber",
    "withDeliveryReport", "validUntil", "scheduleAt", "priority", "state", "createdAt",
)  # fmt: skip


@dataclass
class Answer:
    status: int
    document: Any = None  # a text is sent as text/plain


def error(status: int, message: str) -> Answer:
    return Answer(status, {"message": message})


class Mobile:
    def __init__(self, store: Store, private_token: str | None) -> None:
        self.store = store
        self.private_token = private_token

    def handle(self, method: str, path: str, query: Row, authorization: str, body: Any) -> Answer:
        if (method, path) == ("POST", "/device"):
            return self.register(authorization, body)
        if (method, path) == ("GET", "/user/code"):
            return self.code(authorization)
        scheme, _, token = authorization.partition(" ")
        device = self.store.device_of(token) if scheme == "Bearer" else None
        if (method, path) == ("GET", "/device"):
            known = None if device is None else {"id": device["id"], "name": device["name"]}
            return Answer(200, {"externalIp": "127.0.0.1", **({"device": known} if known else {})})
        if device is None:
            return error(401, "Unauthorized")
        path = {"/messages": "/message"}.get(path, path)
        handlers = {
            ("PATCH", "/device"): lambda: self.update(device, body),
            ("GET", "/message"): lambda: self.pull(device, query.get("order", "lifo")),
            ("PATCH", "/message"): lambda: self.report(device, body),
            ("GET", "/webhooks"): lambda: self.webhooks(device),
            ("GET", "/settings"): lambda: Answer(200, self.store.all("settings").get(device["login"], {})),
        }
        handler = handlers.get((method, path))
        return Answer(404, "Not Found") if handler is None else handler()

    # --- registration -------------------------------------------------------------------------------

    def register(self, authorization: str, body: Any) -> Answer:
        if not isinstance(body, dict) or len(str(body.get("name") or "")) > 128:
            return error(400, "Bad Request")
        scheme, _, value = authorization.partition(" ")
        if scheme == "Basic":
            login = self._login(value)
            return error(401, "Unauthorized") if login is None else self._registered(login, body, None)
        if scheme == "Code":
            code = self.store.all("code").get(value.lower())
            if code is None or code["until"] < time.time():
                return error(401, "Unauthorized")
            self.store.drop("code", value.lower())
            return self._registered(code["login"], body, None)
        if self.private_token is not None and (scheme != "Bearer" or value != self.private_token):
            said = "Invalid or expired API Key" if authorization else "missing or malformed API Key"
            return Answer(401, said)
        login, password = new_login(), new_password()
        self.store.put("user", login, {"login": login, "password": password})
        return self._registered(login, body, password)

    def _registered(self, login: str, body: Row, password: str | None) -> Answer:
        device = self.store.register(login, body)
        given = {"id": device["id"], "token": device["token"], "login": login}
        return Answer(201, given if password is None else {**given, "password": password})

    def code(self, authorization: str) -> Answer:
        scheme, _, value = authorization.partition(" ")
        login = self._login(value) if scheme == "Basic" else None
        if login is None:
            return error(401, "Unauthorized")
        code, until = new_code(), time.time() + 60
        self.store.put("code", code, {"login": login, "until": until})
        return Answer(200, {"code": code, "validUntil": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(until))})

    def _login(self, value: str) -> str | None:
        try:
            login, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            return None
        user = self.store.all("user").get(login)
        return login if user is not None and user["password"] == password else None

    def update(self, device: Row, body: Any) -> Answer:
        if not isinstance(body, dict):
            return error(400, "Bad Request")
        if body.get("id") != device["id"]:
            return error(403, "Forbidden")
        device["simCards"] = body.get("simCards", device["simCards"])
        device["updates"] += 1
        self.store.put("device", device["id"], device)
        return Answer(204)

    # --- messages -----------------------------------------------------------------------------------

    def pull(self, device: Row, order: str) -> Answer:
        if order not in ("lifo", "fifo"):
            return error(400, "order: must be lifo or fifo")
        return Answer(200, [self._shown(row) for row in self.store.pending(device["id"], order)])

    @staticmethod
    def _shown(row: Row) -> Row:
        shown = {key: row[key] for key in _FIELDS if row.get(key) not in (None, False, 0) or key in
                 ("withDeliveryReport",)}  # fmt: skip
        if "validUntil" in row:
            left = datetime.fromisoformat(row["validUntil"]).timestamp() - time.time()
            shown["ttl"] = max(0, int(left))
        return shown

    def report(self, device: Row, body: Any) -> Answer:
        if not isinstance(body, list) or not all(_is_valid(item) for item in body):
            return error(400, "failed to validate")
        for item in body:
            self._store(device, item)
        return Answer(204)

    def _store(self, device: Row, item: Row) -> None:
        """Whatever happens here, the answer is 204."""
        row = self.store.all("message").get(f"{device['id']}/{item['id']}")
        if row is None:
            return
        row["patches"].append({"at": time.time(), "state": item["state"], "recipients": item["recipients"]})
        is_stored = all(name in STATES for name in item.get("states") or {})
        is_stored = is_stored and all(len(one.get("error") or "") <= 256 for one in item["recipients"])
        if is_stored:
            row["state"] = _kept(item["state"])
            for name, at in (item.get("states") or {}).items():
                row["states"].setdefault(name, at)
            numbers = {one["phoneNumber"]: one for one in row["recipients"]}
            for told in item["recipients"]:
                number = told["phoneNumber"]
                found = numbers.get(number if number.startswith("+") else f"+{number}")
                if found is not None:
                    found.update(state=_kept(told["state"]), error=told.get("error"))
        else:
            row["rolledBack"] = row.get("rolledBack", 0) + 1
        self.store.put("message", f"{device['id']}/{row['id']}", row)

    def webhooks(self, device: Row) -> Answer:
        found = [row for row in self.store.all("webhook").values()
                 if row["login"] == device["login"] and row.get("deviceId") in (None, device["id"])]  # fmt: skip
        return Answer(200, [{key: row.get(key) for key in ("id", "deviceId", "url", "event")} for row in found])


def _kept(state: str) -> str:
    return "Processed" if state == "Pending" else state


def _is_valid(item: Any) -> bool:
    if not isinstance(item, dict) or not isinstance(item.get("id"), str) or not 0 < len(item["id"]) <= 36:
        return False
    recipients = item.get("recipients")
    if item.get("state") not in STATES or not isinstance(recipients, list) or not recipients:
        return False
    return all(isinstance(one, dict) and isinstance(one.get("phoneNumber"), str) and one["phoneNumber"]
               and one.get("state") in STATES for one in recipients)  # fmt: skip
