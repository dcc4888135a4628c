"""`python -m tests.smsgate_server --port N --state FILE`: prints one line when it serves, and serves until stopped."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import uvicorn

from .control import Control
from .mobile import Mobile
from .store import Store
from .stream import Streams

_PREFIX = "/api/mobile/v1"


class App:
    """ASGI: the mobile API below its prefix, the test's own calls below /__control, webhooks below /__hook."""

    def __init__(self, store: Store, private_token: str | None) -> None:
        self.mobile = Mobile(store, private_token)
        self.streams = Streams()
        self.control = Control(store, self.mobile, self.streams)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        headers = {name.decode().lower(): value.decode("latin-1") for name, value in scope["headers"]}
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        method, path = scope["method"], scope["path"]
        if path.startswith("/__"):
            status, document = self.control.handle(path, headers, body)
            await _answer(send, status, document, is_text=False)
            return
        if not path.startswith(_PREFIX):
            await _answer(send, 404, "Not Found")
            return
        path = path.removeprefix(_PREFIX)
        self.control.count(method, path)
        fault = self.control.fault_for(method, path)
        if fault is not None:
            await asyncio.sleep(fault.get("wait_s", 0))
            await _answer(send, fault["status"], {"message": "fault"}, fault.get("headers"))
            return
        authorization = headers.get("authorization", "")
        if (method, path) == ("GET", "/events"):
            device = self.mobile.store.device_of(authorization.removeprefix("Bearer "))
            if device is None:
                await _answer(send, 401, {"message": "Unauthorized"})
                return
            await self._until_gone(receive, self.streams.serve(device["id"], send))
            return
        # fiber picks its parser by the content type.
        is_json = headers.get("content-type", "").startswith("application/json")
        try:
            document = json.loads(body) if body and is_json else None
        except ValueError:
            document = None
        answer = self.mobile.handle(
            method, path, dict(parse_qsl(scope["query_string"].decode())), authorization, document
        )
        await _answer(send, answer.status, answer.document)

    @staticmethod
    async def _until_gone(receive: Any, serving: Any) -> None:
        task = asyncio.ensure_future(serving)
        gone = asyncio.ensure_future(_disconnected(receive))
        await asyncio.wait((task, gone), return_when=asyncio.FIRST_COMPLETED)
        for one in (task, gone):
            one.cancel()
        await asyncio.gather(task, gone, return_exceptions=True)


async def _disconnected(receive: Any) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _answer(
    send: Any, status: int, document: Any, more: dict[str, str] | None = None, *, is_text: bool | None = None
) -> None:
    is_text = isinstance(document, str) if is_text is None else is_text
    body = b"" if document is None else document.encode() if is_text else json.dumps(document).encode()
    headers = [(b"content-type", b"text/plain" if is_text else b"application/json"),
               (b"content-length", str(len(body)).encode())]  # fmt: skip
    headers += [(name.encode(), value.encode()) for name, value in (more or {}).items()]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _run(options: argparse.Namespace) -> None:
    app = App(Store(options.state), options.private_token)
    config = uvicorn.Config(app, host="127.0.0.1", port=options.port, log_level="critical", lifespan="off",
                            timeout_keep_alive=60, http="h11", ws="none", timeout_graceful_shutdown=1)  # fmt: skip
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server.serve())
    while not server.started and not serving.done():
        await asyncio.sleep(0.01)
    if server.started:
        print("ready", flush=True)
    asyncio.get_running_loop().add_reader(sys.stdin.fileno(), _stop_at_end, server)
    await serving


def _stop_at_end(server: uvicorn.Server) -> None:
    if not os.read(sys.stdin.fileno(), 4096):
        asyncio.get_running_loop().remove_reader(sys.stdin.fileno())
        server.should_exit = True


if __name__ == "__main__":
    parser = argparse.ArgumentParser("tests.smsgate_server", description="An SMSGate server for tests.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--state", type=Path, required=True, help="file that outlives the process")
    parser.add_argument("--private-token", help="registration needs it; without one anybody may register")
    asyncio.run(_run(parser.parse_args()))
