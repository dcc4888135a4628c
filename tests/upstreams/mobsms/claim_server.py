"""A server with the extensions of our own one: claims, and events by SSE. Raw HTTP over a real socket."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any, Self

from agent.clock import iso_utc

DEVICE = {"id": 7, "device_id": "pi", "is_active": True, "send_delay_seconds": 0, "default_sim_slot": None}


class ClaimServer:
    """`rows` wait unclaimed; `claimed` were handed out and are not reported."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.claimed: dict[int, dict[str, Any]] = {}
        self.limits: list[int] = []
        self.reports: list[tuple[int, str]] = []
        self.listed = 0
        self.listeners: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        for writer in self.listeners:
            writer.close()
        self.server.close()

    def put(self, count: int, **fields: Any) -> None:
        first = len(self.rows) + len(self.claimed) + len(self.reports) + 1
        for number in range(first, first + count):
            self.rows.append(
                {"id": number, "recipient_number": f"+99890{number:07d}", "message": f"m{number}", "status": "pending",
                 "created_at": iso_utc(round(time.time() * 1000)), **fields}
            )  # fmt: skip

    async def announce(self) -> None:
        for writer in self.listeners:
            writer.write(f"event: message\ndata: {json.dumps({'pending': len(self.rows)})}\n\n".encode())
            await writer.drain()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                method, path, _ = head.split(" ", 2)
                length = next(
                    (int(line[15:]) for line in head.lower().split("\r\n") if line.startswith("content-length:")), 0
                )
                body = json.loads(await reader.readexactly(length)) if length else {}
                if path == "/api/devices/7/events":
                    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n: hello\n\n")
                    self.listeners.append(writer)
                    return
                status, document = self._answer(method, path, body)
                payload = json.dumps(document).encode()
                writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(payload)}\r\n\r\n".encode() + payload)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def _answer(self, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
        if (method, path) == ("GET", "/api/devices"):
            return 200, {"success": True, "data": [DEVICE]}
        if path == "/api/settings":
            return 200, {"success": True, "data": {"keep_inbound": True}}
        if path == "/api/devices/7/claim":
            self.limits.append(body["limit"])
            taken, self.rows = self.rows[: body["limit"]], self.rows[body["limit"] :]
            self.claimed.update({row["id"]: row for row in taken})
            # Newest first, as its lists are: the order of the answer must not matter.
            return 200, {"success": True, "data": list(reversed(self.claimed.values()))}
        if path.startswith("/api/sms?"):
            self.listed += 1
        if path.startswith("/api/sms/"):
            number = int(path.removeprefix("/api/sms/"))
            if method == "PUT":
                self.reports.append((number, body["status"]))
                self.claimed.pop(number, None)
                return 200, {"success": True, "data": {"id": number, "status": body["status"]}}
            if number in self.claimed:
                return 200, {"success": True, "data": self.claimed[number]}
            return 404, {"message": "No query results for model [SmsMessage]."}
        return 404, {"message": "The route could not be found."}
