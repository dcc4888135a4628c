"""What the server keeps: documents by kind and key, written through to a file so that a kill loses nothing."""

from __future__ import annotations

import json
import secrets
import sqlite3
import time
from pathlib import Path
from typing import Any

_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"
_CODE_ALPHABET = "23456789abcdefghjkmnpqrstuvwxyz"

STATES = ("Pending", "Cancelling", "Cancelled", "Processed", "Sent", "Delivered", "Failed")

Row = dict[str, Any]


def nanoid(length: int = 21) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))


def new_password() -> str:
    return "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(14))


def new_login() -> str:
    return "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(6))


def new_code() -> str:
    return "".join(secrets.choice(_CODE_ALPHABET) for _ in range(6))


class Store:
    """Kinds: user (by login), device (by id), message (by "device/id"), webhook (by id), settings (by login), code,
    call (received webhooks, by number)."""

    def __init__(self, path: Path) -> None:
        self._file = sqlite3.connect(path, isolation_level=None)
        self._file.execute("PRAGMA journal_mode = WAL")
        self._file.execute("PRAGMA synchronous = OFF")
        self._file.execute("CREATE TABLE IF NOT EXISTS doc (kind TEXT, key TEXT, value TEXT, PRIMARY KEY (kind, key))")
        self._docs: dict[str, dict[str, Row]] = {}
        for kind, key, value in self._file.execute("SELECT kind, key, value FROM doc"):
            self._docs.setdefault(kind, {})[key] = json.loads(value)

    def all(self, kind: str) -> dict[str, Row]:
        return self._docs.setdefault(kind, {})

    def put(self, kind: str, key: str, row: Row) -> Row:
        self.all(kind)[key] = row
        self._file.execute("INSERT OR REPLACE INTO doc VALUES (?, ?, ?)", (kind, key, json.dumps(row)))
        return row

    def drop(self, kind: str, key: str) -> None:
        self.all(kind).pop(key, None)
        self._file.execute("DELETE FROM doc WHERE kind = ? AND key = ?", (kind, key))

    # --- devices ------------------------------------------------------------------------------------

    def device_of(self, token: str) -> Row | None:
        found = next((row for row in self.all("device").values() if row["token"] == token), None)
        if found is not None:
            found["lastSeen"] = time.time()
        return found

    def register(self, login: str, body: Row) -> Row:
        device = {"id": nanoid(), "token": nanoid(), "login": login, "name": body.get("name"),
                  "pushToken": body.get("pushToken"), "simCards": body.get("simCards"), "updates": 0}  # fmt: skip
        return self.put("device", device["id"], device)

    # --- messages -----------------------------------------------------------------------------------

    def enqueue(self, device_id: str, row: Row) -> Row:
        message = {
            "id": row.get("id") or nanoid(), "deviceId": device_id, "state": "Pending", "states": {},
            "withDeliveryReport": row.get("withDeliveryReport", True), "createdAt": row.get("createdAt", now()),
            "recipients": [{"phoneNumber": number, "state": "Pending"} for number in row["phoneNumbers"]],
            "patches": [], **{key: value for key, value in row.items() if key != "id"},
        }  # fmt: skip
        return self.put("message", f"{device_id}/{message['id']}", message)

    def pending(self, device_id: str, order: str) -> list[Row]:
        """At most 100: scheduleAt ascending with none first, priority descending, then by age."""
        rows = [row for row in self.all("message").values()
                if row["deviceId"] == device_id and row["state"] in ("Pending", "Cancelling")]  # fmt: skip
        ages = {id(row): index for index, row in enumerate(self.all("message").values())}
        rows.sort(key=lambda row: ages[id(row)], reverse=order == "lifo")
        rows.sort(key=lambda row: -row.get("priority", 0))
        rows.sort(key=lambda row: row.get("scheduleAt") or "")
        return rows[:100]


def now(after_s: float = 0.0) -> str:
    at = time.time() + after_s
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at * 1000) % 1000:03}Z"
