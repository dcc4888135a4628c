"""Another phonebridge with only the local server, in the role of the MobSMS cloud: same methods as MobSmsServer.

What it is asked for goes over HTTP, as any application would ask; the history of reports is noted from its events.
"""

from __future__ import annotations

import json
import socket
import time
import urllib.request
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from tests.mobsms_server.process import MobSmsServer
from tests.prove import stage as _stage

_KEY = "local-server-key-of-the-proof-0123456789"


class LocalServer(MobSmsServer):
    """`with LocalServer(directory) as server:`; its own state lives in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._port = 0
        self._device: int | None = None
        self._daemon: _stage.Daemon | None = None

    def __enter__(self) -> Self:
        self._port = free_port()
        self._daemon = _stage.Daemon(
            self._directory,
            {"upstream": [{"type": "local", "bind": f"127.0.0.1:{self._port}", "api_key": _KEY}]},
        )
        self._daemon.start()
        _stage.wait_until("the local server answers", self._is_up, 20)
        return self

    def __exit__(self, *_: object) -> None:
        if self._daemon is not None:
            self._daemon.kill()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    @property
    def key(self) -> str:
        return _KEY

    def add_device(self, device_id: str = "phonebridge", **fields: Any) -> dict[str, Any]:
        _, answer = self.api("POST", "/api/devices", {"device_id": device_id, "device_name": "prove"})
        self._device = answer["data"]["id"]
        _, answer = self.api("PUT", f"/api/devices/{self._device}", fields)
        device: dict[str, Any] = answer["data"]
        return device

    def enqueue(self, count: int | None = None, **fields: Any) -> list[int]:
        ids = []
        for number in range(count or 0):
            body = {
                "message": fields["text"].replace("{n}", str(number + 1)),
                "recipient_number": f"+99890{number:07d}",
                "device_id": str(self._device),
            }
            status, answer = self.api("POST", "/api/sms", body)
            if status != 201:
                raise AssertionError(f"POST /api/sms answered {status}: {answer}")
            ids.append(answer["data"]["id"])
        return ids

    def messages(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = []
        page = 1
        while True:
            _, answer = self.api("GET", "/api/sms", None, page=page)
            rows += answer["data"]["data"]
            if len(answer["data"]["data"]) < answer["data"]["per_page"]:
                return rows
            page += 1

    def dump(self, path: Path | None = None) -> dict[str, Any]:
        """As the accountant reads it; a message's reports are its own times of sending and delivery."""
        messages = []
        for row in self.messages():
            reports = [
                {"status": status, "previous": None, "error_message": None, "at": _ms(row[key])}
                for status, key in (("sent", "sent_at"), ("delivered", "delivered_at"))
                if row.get(key)
            ]
            messages.append({**row, "deleted": False, "reports": reports})
        dump: dict[str, Any] = {"messages": messages, "hooks": []}
        if path is not None:
            path.write_text(json.dumps(dump))
        return dump

    def api(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any]:
        suffix = "?" + "&".join(f"{key}={value}" for key, value in query.items()) if query else ""
        request = urllib.request.Request(
            f"{self.url}{path}{suffix}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {_KEY}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def _is_up(self) -> bool:
        try:
            return self.api("GET", "/api/devices")[0] == 200
        except OSError:
            time.sleep(0.05)
            return False


def _ms(at: str) -> int:
    return round(datetime.fromisoformat(at).timestamp() * 1000)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
