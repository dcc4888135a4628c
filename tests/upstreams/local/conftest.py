"""A whole gateway with fake modems and the local server on a real socket, and a receiver for webhooks."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.config import parse
from agent.feed import Feed
from agent.journal import inbound
from agent.upstreams.local import LocalUpstream
from agent.upstreams.local.settings import LocalSettings
from drivers.api import InboundPart
from tests.agent.fakes import Box, FakeModem, report
from tests.mobsms_server.http1 import HttpServer, Request, Response, Wire

KEY = "the-owners-configured-key"


class Rig:
    """One life of gateway and server. `api(...)` asks with the owner's key, or with another."""

    def __init__(self, box: Box, **settings: Any) -> None:
        self.box = box
        keys = {"type": "local", "bind": "127.0.0.1:0", "api_key": KEY, "sms_rate": 100, **settings}
        given = {name: value for name, value in keys.items() if value is not None}
        self.settings: LocalSettings = parse({"upstream": [given]}).upstreams[0]
        self.upstream = LocalUpstream(self.settings, box.gateway)
        self.feed = Feed("local", self.upstream, box.journal, box.clock)
        box.gateway.feeds["local"] = self.feed

    async def start(self) -> None:
        await self.box.gateway.ensure_upstream("local", self.upstream.identity(), wants_inbound=True)
        self.box.start()
        for work in (self.upstream.run, self.feed.run, self.box.gateway.hooks.run):
            self.box.tasks.append(asyncio.create_task(work()))
        async with asyncio.timeout(10):
            while not await self._answers():
                await asyncio.sleep(0.01)
        self.http = httpx.AsyncClient(base_url=self.address, timeout=10)

    async def _answers(self) -> bool:
        for task in self.box.tasks:
            if task.done():
                task.result()
        if self.upstream.status()["connections"] is None or self.upstream.status()["address"] is None:
            return False
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        await writer.wait_closed()
        return True

    async def stop(self) -> None:
        await self.http.aclose()
        await self.box.stop()

    @property
    def address(self) -> str:
        return str(self.upstream.status()["address"])

    @property
    def port(self) -> int:
        return int(self.address.rpartition(":")[2])

    @property
    def modem(self) -> FakeModem:
        return next(iter(self.box.modems.values()))

    async def api(
        self, method: str, path: str, body: Any = None, *, key: str | None = KEY, **more: Any
    ) -> tuple[int, Any]:
        headers = {**({"Authorization": f"Bearer {key}"} if key else {}), **more.pop("headers", {})}
        answer = await self.http.request(method, path, json=body, headers=headers, **more)
        assert answer.headers["cache-control"] == "no-store"
        return answer.status_code, answer.json() if answer.content else None

    async def data(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """The `data` of an answer that must be good."""
        status, document = await self.api(method, path, body, **more)
        assert status in (200, 201), document
        assert document["success"] is True
        return document.get("data")

    async def send(self, text: str = "Hello", to: str = "+998901234567", **more: Any) -> Any:
        return await self.data("POST", "/api/sms", {"message": text, "recipient_number": to, **more})

    async def deliver(self, tp_mr: int, number: str, outcome: str = "delivered") -> None:
        """A status report from the network."""
        await self.modem.contexts[-1].emit(report(self.modem, tp_mr, number, outcome))

    async def receive(self, text: str, sender: str = "+998907778899", route: str = "a") -> int:
        """One inbound SMS; its message's id."""
        part = InboundPart(self.modem.iccid, sender, text, "gsm7", text.encode(), f"{sender} {text}".encode())
        found = await self.box.journal.write(lambda con: inbound.add_part(con, route, part, self.box.clock.now()))
        self.box.gateway.committed()
        assert found is not None
        return found

    async def agent(self, device_id: str = "pi-2", **more: Any) -> int:
        """Register a remote agent; its number."""
        row = await self.data("POST", "/api/devices", {"device_id": device_id, "device_name": "Pi 2"}, **more)
        return int(row["id"])

    async def account(self, name: str) -> str:
        """A second account (registration must be open); its key."""
        body = {
            "name": name, "email": f"{name}@example.com", "password": "secret123", "password_confirmation": "secret123",
        }  # fmt: skip
        return str((await self.data("POST", "/api/register", body, key=None))["token"])


class Receiver:
    """A customer's web server: keeps what it gets, answers as told."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.got: list[tuple[str, dict[str, Any]]] = []
        self.headers: list[dict[str, str]] = []
        self.raw: list[bytes] = []
        self.answer: Callable[[str, dict[str, Any]], Response | None] = lambda path, body: None
        self.server = HttpServer("127.0.0.1", 0, self._handle, tls)
        self.silent_s = 0.0

    async def _handle(self, request: Request) -> Response:
        body = json.loads(request.body)
        if self.silent_s:
            await asyncio.sleep(self.silent_s)
            return Response(200, wire=Wire.CLOSE)
        answer = self.answer(request.path, body) or Response(200, b"ok")
        if answer.status < 300:
            self.headers.append(request.headers)
            self.raw.append(request.body)
            self.got.append((request.path, body))
        return answer

    async def close(self) -> None:
        await self.server.close()
        # It keeps the port for another life; there is none.
        self.server._socket.close()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server.port}{path}"

    async def until(self, count: int, timeout_s: float = 30.0) -> list[tuple[str, dict[str, Any]]]:
        async with asyncio.timeout(timeout_s):
            while len(self.got) < count:
                await asyncio.sleep(0.01)
        return self.got


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    """One route "a", ready to send."""
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        running = Rig(box)
        await running.start()
        yield running
        await running.stop()


@pytest.fixture
async def shared(tmp_path: Path) -> AsyncIterator[Rig]:
    """The same, open for registration."""
    async with Box(tmp_path, {"a": FakeModem()}) as box:
        running = Rig(box, registration="open")
        await running.start()
        yield running
        await running.stop()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    running = Receiver()
    await running.server.open()
    yield running
    await running.close()
