"""The test's own calls: what the client API would do, faults and knobs, and a receiver for webhooks."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import Any

from .mobile import Mobile
from .store import Row, Store, nanoid
from .stream import Streams


class Control:
    def __init__(self, store: Store, mobile: Mobile, streams: Streams) -> None:
        self.store = store
        self.mobile = mobile
        self.streams = streams
        self.requests: Counter[str] = Counter()
        self.faults: list[Row] = []
        self.refused_calls = 0

    def count(self, method: str, path: str) -> None:
        self.requests[f"{method} {path}"] += 1

    def fault_for(self, method: str, path: str) -> Row | None:
        for fault in self.faults:
            if fault.get("path") in (None, path) and fault.get("method") in (None, method) and fault["count"] > 0:
                fault["count"] -= 1
                return fault
        return None

    def handle(self, path: str, headers: Row, body: bytes) -> tuple[int, Any]:
        if path.startswith("/__hook/"):
            return self._called(path.removeprefix("/__hook/"), headers, body)
        call = getattr(self, "do_" + path.removeprefix("/__control/"), None)
        if call is None:
            return 404, {"message": path}
        return 200, call(**json.loads(body or b"{}"))

    def _called(self, name: str, headers: Row, body: bytes) -> tuple[int, Any]:
        if self.refused_calls > 0:
            self.refused_calls -= 1
            return 503, {"message": "not now"}
        calls = self.store.all("call")
        kept = {key: value for key, value in headers.items() if key.startswith(("x-", "content-type"))}
        self.store.put("call", str(len(calls)), {"name": name, "headers": kept, "body": body.decode(),
                                                 "at": time.time()})  # fmt: skip
        return 200, {}

    # --- what a client of the account does ----------------------------------------------------------

    def do_enqueue(self, messages: list[Row], device: str | None = None) -> list[str]:
        target = self._device(device)
        ids = [self.store.enqueue(target["id"], row)["id"] for row in messages]
        self.streams.emit(target, "MessageEnqueued", None)
        return ids

    def do_cancel(self, id: str, device: str | None = None) -> bool:
        target = self._device(device)
        row = self.store.all("message")[f"{target['id']}/{id}"]
        if row["state"] != "Pending":
            return False
        row["state"] = "Cancelling"
        self.store.put("message", f"{target['id']}/{id}", row)
        self.streams.emit(target, "MessageCancelled", {"messageId": id})
        return True

    def do_webhook(self, url: str, event: str, device: str | None = None) -> str:
        login = self._device(device)["login"]
        key = nanoid()
        self.store.put("webhook", key, {"id": key, "url": url, "event": event, "login": login, "deviceId": device})
        self._to_all(login, "WebhooksUpdated", None)
        return key

    def do_settings(self, **sections: Any) -> None:
        login = self._device(None)["login"]
        self.store.put("settings", login, sections)
        self._to_all(login, "SettingsUpdated", None)

    def do_export(self, device: str | None = None, **data: str) -> None:
        self.streams.emit(self._device(device), "MessagesExportRequested", data)

    def do_user(self, login: str, password: str) -> None:
        self.store.put("user", login, {"login": login, "password": password})

    def do_code(self, login: str, ttl_s: float = 60.0) -> str:
        code = nanoid(6).lower().replace("_", "a").replace("-", "b")
        self.store.put("code", code, {"login": login, "until": time.time() + ttl_s})
        return code

    def do_delete_device(self, id: str) -> None:
        self.store.drop("device", id)
        for key in [key for key in self.store.all("message") if key.startswith(f"{id}/")]:
            self.store.drop("message", key)

    def do_delete_user(self, login: str) -> None:
        self.store.drop("user", login)

    # --- knobs and looks ----------------------------------------------------------------------------

    def do_cut(self) -> int:
        return self.streams.cut()

    def do_knobs(self, **values: Any) -> None:
        for name, value in values.items():
            setattr(self.streams.knobs, name, value)

    def do_fault(self, status: int, count: int = 1, **match: Any) -> None:
        self.faults.append({"status": status, "count": count, **match})

    def do_mend(self) -> None:
        self.faults.clear()

    def do_refuse_calls(self, count: int) -> None:
        self.refused_calls = count

    def do_state(self, id: str, state: str, device: str | None = None) -> None:
        """As if the last report had not been stored."""
        key = f"{self._device(device)['id']}/{id}"
        self.store.put("message", key, {**self.store.all("message")[key], "state": state})

    def do_look(self) -> Row:
        return {
            "devices": list(self.store.all("device").values()),
            "users": list(self.store.all("user").values()),
            "streams": len(self.streams.open),
            "streams_opened": self.streams.opened,
            "requests": dict(self.requests),
        }

    def do_messages(self) -> list[Row]:
        return list(self.store.all("message").values())

    def do_calls(self) -> list[Row]:
        return list(self.store.all("call").values())

    def _device(self, device_id: str | None) -> Row:
        devices = self.store.all("device")
        return devices[device_id] if device_id is not None else next(reversed(devices.values()))

    def _to_all(self, login: str, event: str, data: Any) -> None:
        for device in self.store.all("device").values():
            if device["login"] == login:
                self.streams.emit(device, event, data)
