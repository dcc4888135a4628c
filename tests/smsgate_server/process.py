"""For tests: the server as a child process, its control calls as methods. Blocking on purpose."""

from __future__ import annotations

import contextlib
import http.client
import json
import selectors
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.forked import popen
from tests.mobsms_server.http1 import reserve_port

_ROOT = Path(__file__).resolve().parents[2]
_READY_S = 30.0


class SmsGateServer:
    """A context manager; `stop` and `start` may be called by hand. Port and state stay the same over restarts."""

    def __init__(self, directory: Path, *, private_token: str | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self._reserved = reserve_port("127.0.0.1")
        self.port: int = self._reserved.getsockname()[1]
        self.error_path = directory / "smsgate.err"
        self._arguments = ["--port", str(self.port), "--state", str(directory / "smsgate.db")]
        if private_token is not None:
            self._arguments += ["--private-token", private_token]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """What a device is configured with."""
        return f"http://127.0.0.1:{self.port}/api/mobile/v1"

    def hook_url(self, name: str = "app") -> str:
        return f"http://127.0.0.1:{self.port}/__hook/{name}"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self._reserved.close()

    def start(self) -> None:
        with self.error_path.open("ab") as errors:
            self._process = popen(
                "tests.smsgate_server", *self._arguments,
                cwd=_ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, start_new_session=True,
            )  # fmt: skip
        assert self._process is not None
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            selector.select(_READY_S)
        if self._process.stdout.readline() != b"ready\n":
            raise RuntimeError(f"the SMSGate server did not start: {self.error_path.read_text()[-2000:]}")

    def stop(self, *, kill: bool = True) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        process.wait(10)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def restart(self, *, down_s: float = 0.0) -> None:
        self.stop()
        time.sleep(down_s)
        self.start()

    def control(self, call: str, **body: Any) -> Any:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request("POST", f"/__control/{call}", json.dumps(body))
            answer = connection.getresponse()
            text = answer.read().decode()
        if answer.status != 200:
            raise ValueError(f"control {call}: {answer.status} {text}")
        return json.loads(text or "null")

    def enqueue(self, *messages: dict[str, Any], device: str | None = None) -> list[str]:
        """As a client of the account sends; the newest device where none is named."""
        ids: list[str] = self.control("enqueue", messages=list(messages), device=device)
        return ids

    def messages(self) -> dict[str, dict[str, Any]]:
        return {row["id"]: row for row in self.control("messages")}

    def calls(self, event: str | None = None) -> list[dict[str, Any]]:
        """Bodies of received webhook calls."""
        bodies = [json.loads(call["body"]) for call in self.control("calls")]
        return [body for body in bodies if event in (None, body["event"])]

    def look(self) -> dict[str, Any]:
        found: dict[str, Any] = self.control("look")
        return found

    def wait_until(self, is_so: Callable[[Self], Any], timeout_s: float = 20.0) -> Any:
        """Raises: TimeoutError."""
        deadline = time.monotonic() + timeout_s
        while not (found := is_so(self)):
            if time.monotonic() > deadline:
                raise TimeoutError(f"not within {timeout_s} s; {self.look()['requests']}")
            time.sleep(0.05)
        return found
