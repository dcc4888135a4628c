"""The program: the API's port, the webhook receiver's port, the control port; the log; being away.

Puts faults and limits before the operations of `routes` and writes one log line per request.
"""

from __future__ import annotations

import asyncio
import json
import re
import ssl
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import control, routes
from .cloud import Cloud
from .faults import Fault, Faults, Limit, struck
from .http1 import HttpServer, Request, Response, json_response
from .record import Log, now_ms
from .store import Hook, Store

_EXCERPT_CHARACTERS = 2000
_MESSAGE_PATH = re.compile(r"/api/sms/(\d+)(/cancel)?")


@dataclass(frozen=True, slots=True)
class Options:
    log: Path
    key: str
    host: str = "127.0.0.1"
    port: int = 0
    control: int | None = 0  # None: on the API's own port
    hook_port: int | None = None
    certificate: Path | None = None
    private_key: Path | None = None
    state: Path | None = None
    undocumented: routes.Undocumented = routes.Undocumented.NOT_FOUND
    call_webhooks: bool = True
    seed: int = 0


class Server:
    """All listeners over one state. `control` works on it through the public names."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.log = Log(options.log)
        self.store = Store(options.state)
        self.cloud = Cloud(self.store, self.log, call_webhooks=options.call_webhooks)
        self.faults: Faults = Faults(options.seed)
        self.limit: Limit | None = None
        self._return: asyncio.Task[None] | None = None
        tls = None
        if options.certificate is not None:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(options.certificate, options.private_key)
        self.api = HttpServer(options.host, options.port, self._serve_api, tls)
        self.control: HttpServer | None = None
        if options.control is not None:
            self.control = HttpServer(options.host, options.control, self._serve_control)
        self.hook: HttpServer | None = None
        if options.hook_port is not None:
            self.hook = HttpServer(options.host, options.hook_port, self._serve_hook)
        self._found_owner()

    @property
    def hook_url(self) -> str | None:
        return f"http://{self.options.host}:{self.hook.port}/incoming" if self.hook else None

    async def start(self) -> dict[str, Any]:
        """Opens every port; the record that the program prints when it is ready."""
        for listener in (self.api, self.control, self.hook):
            if listener is not None:
                await listener.open()
        ports = {
            "port": self.api.port,
            "control_port": self.control.port if self.control else self.api.port,
            "hook_port": self.hook.port if self.hook else None,
            "hook_url": self.hook_url,
        }
        self.log.write("start", **ports, messages=len(self.store.messages))
        return ports

    async def stop(self) -> None:
        self.log.write("stop")
        for listener in (self.api, self.control, self.hook):
            if listener is not None:
                await listener.close()

    async def go_away(self, seconds: float | None) -> None:
        """Refuses connections on the API's port for `seconds`, or until `come_back`; drops the open ones."""
        if self._return is not None:
            self._return.cancel()
            self._return = None
        self.log.write("away", seconds=seconds)
        await self.api.close()
        if seconds is not None:
            self._return = asyncio.get_running_loop().create_task(self._come_back_after(seconds))

    async def come_back(self) -> None:
        await self.api.open()
        self.log.write("back")

    async def _come_back_after(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        await self.come_back()

    def _found_owner(self) -> None:
        if not self.store.users:
            self.store.add_user("Owner", "owner@example.com", "secret123")
        owner = self.store.users[1]
        if not any(token.secret == self.options.key for token in self.store.tokens.values()):
            self.store.add_token(owner, "Test key", ["*"], self.options.key)

    async def _serve_control(self, request: Request) -> Response:
        return await control.answer(self, request)

    async def _serve_api(self, request: Request) -> Response:
        if self.control is None and request.path.startswith(control.PREFIX):
            return await control.answer(self, request)
        began = time.monotonic()
        target = request.path + (f"?{request.raw_query}" if request.raw_query else "")
        fault = self.faults.strike("api", request.method, target)
        real = self._operate(request) if fault is None or fault.needs_answer else None
        applied = real is not None and real.status < 400
        response = real if fault is None else struck(fault, real)
        assert response is not None
        # Written before the wait: the client or a kill may end this request during it.
        self._log_request(request, response, fault, applied, began)
        if fault is not None and fault.delay_s and fault.kind != "drip":
            await asyncio.sleep(fault.delay_s)
        return response

    def _operate(self, request: Request) -> Response:
        headers: dict[str, str] = {}
        if self.limit is not None:
            passes, headers = self.limit.take(time.monotonic())
            if not passes:
                return json_response(429, {"message": "Too Many Attempts."}, headers)
        response = routes.answer(self.cloud, request, self.options.undocumented)
        response.headers.update(headers)
        return response

    def _log_request(
        self, request: Request, response: Response, fault: Fault | None, applied: bool, began: float
    ) -> None:
        """`status` is null where nothing was answered; `applied` says whether the operation was done."""
        record: dict[str, Any] = {
            "event": "request",
            "method": request.method,
            "path": request.path,
            "query": request.query,
            "status": response.status or None,
            "device": self._device(request),
            "body": request.body.decode(errors="replace")[:_EXCERPT_CHARACTERS],
            "fault": fault.kind if fault else None,
            "applied": applied,
            "took_ms": round((time.monotonic() - began) * 1000, 3),
            "connection": request.connection,
        }
        if request.method == "GET" and request.path == "/api/sms" and applied:
            record["listed"] = _listed(response)
        self.log.write_all([record])

    def _device(self, request: Request) -> int | None:
        """The device that a request is about: the filter's, or that of its message."""
        wanted = request.query.get("device_id", "")
        if wanted.isascii() and wanted.isdigit():
            return int(wanted)
        match = _MESSAGE_PATH.fullmatch(request.path)
        message = self.store.messages.get(int(match.group(1))) if match else None
        return message.device_id if message else None

    async def _serve_hook(self, request: Request) -> Response:
        began = time.monotonic()
        fault = self.faults.strike("hook", request.method, request.path)
        real = json_response(200, {"ok": True})
        taken = fault is None or fault.needs_answer
        response = real if fault is None else struck(fault, real)
        try:
            body: Any = json.loads(request.body)
        except ValueError:
            body = request.body.decode(errors="replace")
        answered = response.status or None
        hook = Hook(self.store.next_id(Hook), request.path, body, answered, now_ms())
        if taken:
            self.store.save(hook)
        self.log.write(
            "hook",
            method=request.method,
            path=request.path,
            body=body,
            status=answered,
            fault=fault.kind if fault else None,
            applied=taken,
            took_ms=round((time.monotonic() - began) * 1000, 3),
        )
        if fault is not None and fault.delay_s and fault.kind != "drip":
            await asyncio.sleep(fault.delay_s)
        return response


def _listed(response: Response) -> list[int]:
    """The message ids in a page, as far as it is still JSON."""
    try:
        return [row["id"] for row in json.loads(response.body)["data"]["data"]]
    except (ValueError, KeyError, TypeError):
        return []
