"""For tests: the server as a child process, its control calls as methods, and certificates for HTTPS.

Blocking on purpose: a control call takes about a millisecond, and the server is another process.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import selectors
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

from tests.forked import popen

from .http1 import reserve_port

_ROOT = Path(__file__).resolve().parents[2]
_READY_TIMEOUT_S = 20.0  # Python's start on a loaded Pi Zero
_STOP_TIMEOUT_S = 10.0
_CALL_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Certificates:
    """`ca` is what a client has to trust; `server` and `key` are the server's own."""

    ca: Path
    server: Path
    key: Path


def make_certificates(directory: Path) -> Certificates:
    """A CA made for this test and a server certificate by it for 127.0.0.1, ::1 and localhost.

    Raises: subprocess.CalledProcessError: the `openssl` command failed.
    """
    directory.mkdir(parents=True, exist_ok=True)
    made = Certificates(directory / "ca.pem", directory / "server.pem", directory / "server.key")
    extensions = directory / "server.ext"
    extensions.write_text(
        "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:::1\nbasicConstraints=critical,CA:FALSE\n"
        "keyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n"
        "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
    )
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    ca_key, request = str(directory / "ca.key"), str(directory / "server.csr")
    for arguments in (
        ["req", "-x509", *new_key, "-keyout", ca_key, "-out", str(made.ca), "-days", "30",
         "-subj", "/CN=phonebridge test CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign"],
        ["req", "-new", *new_key, "-keyout", str(made.key), "-out", request, "-subj", "/CN=localhost"],
        ["x509", "-req", "-in", request, "-CA", str(made.ca), "-CAkey", ca_key, "-CAcreateserial",
         "-days", "30", "-out", str(made.server), "-extfile", str(extensions)],
    ):  # fmt: skip
        subprocess.run(["openssl", *arguments], check=True, capture_output=True)
    return made


class MobSmsServer:
    """The server in a process of its own, with a directory for its log, its state and its error output.

    A context manager; `start`, `stop` and `restart` may also be called by hand. The ports stay the same, and
    stay ours, over restarts.
    """

    def __init__(
        self,
        directory: Path,
        *,
        key: str = "1|test-key-of-the-owner",
        certificates: Certificates | None = None,
        hook: bool = True,
        undocumented: str = "404",
        call_webhooks: bool = True,
        seed: int = 0,
        runner: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`hook`: receive the agent's own webhook calls, and name that address as `webhook_url_incoming`. `runner` is a
        module that runs modules, e.g. under another clock; `environment` comes on top of ours."""
        directory.mkdir(parents=True, exist_ok=True)
        self.key = key
        self.log_path = directory / "mobsms.log"
        self.state_path = directory / "mobsms.state"
        self.error_path = directory / "mobsms.err"
        self.certificates = certificates
        self._hook = hook
        self._runner = runner
        self._environment = environment or {}
        self._reserved = [reserve_port("127.0.0.1") for _ in range(3)]
        self.port, self.control_port, self.hook_port = (s.getsockname()[1] for s in self._reserved)
        self._arguments = ["--key", key, "--log", str(self.log_path), "--state", str(self.state_path)]
        self._arguments += ["--port", str(self.port), "--control", str(self.control_port)]
        self._arguments += ["--undocumented", undocumented, "--seed", str(seed)]
        if hook:
            self._arguments += ["--hook-port", str(self.hook_port)]
        if certificates is not None:
            self._arguments += ["--tls", str(certificates.server), str(certificates.key)]
        if not call_webhooks:
            self._arguments.append("--no-webhook-calls")
        self._process: subprocess.Popen[bytes] | None = None
        self._log_octets = 0
        self._logged: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        """The base address, without `/api`."""
        return f"{'https' if self.certificates else 'http'}://127.0.0.1:{self.port}"

    @property
    def hook_url(self) -> str:
        return f"http://127.0.0.1:{self.hook_port}/incoming"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Raises: RuntimeError: the process ended or stayed silent; its error output is in the text."""
        first = not self.state_path.exists()
        with self.error_path.open("ab") as errors:
            # What runs it is first, where something does.
            program, *arguments = [*self._runner, "tests.mobsms_server", "--exit-with-stdin", *self._arguments]
            self._process = popen(
                program,
                *arguments,
                cwd=_ROOT,
                env={**os.environ, **self._environment},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                # A Ctrl-C in the terminal must reach the test, which then stops us in its own order.
                start_new_session=True,
            )
        self._await_ready()
        if first and self._hook:
            self.control("account", webhook_url_incoming=self.hook_url)

    def stop(self, *, kill: bool = False) -> None:
        """Ends the process, politely or by SIGKILL. No effect where none runs."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
        try:
            process.wait(_STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(_STOP_TIMEOUT_S)
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()

    def restart(self, *, kill: bool = True, down_s: float = 0.0) -> None:
        """The same server again, after `down_s` in which its ports refuse connections."""
        self.stop(kill=kill)
        time.sleep(down_s)
        self.start()

    def close(self) -> None:
        self.stop()
        for reserved in self._reserved:
            reserved.close()

    def control(self, call: str, **body: Any) -> Any:
        """One control call; GET where it takes nothing.

        Raises: ValueError: the server refused the call.
        """
        readers = ("dump", "messages", "hooks", "counts", "faults")
        method, payload = ("GET", None) if call in readers else ("POST", json.dumps(body))
        connection = http.client.HTTPConnection("127.0.0.1", self.control_port, timeout=_CALL_TIMEOUT_S)
        with contextlib.closing(connection):
            connection.request(method, f"/__control/{call}", payload)
            answer = connection.getresponse()
            text = answer.read().decode()
        if answer.status != 200:
            raise ValueError(f"control {call}: {answer.status} {text}")
        return json.loads(text)

    def api(self, method: str, path: str, body: Any = None, **query: Any) -> tuple[int, Any]:
        """One API request as an application makes it, with the owner's key: status and decoded JSON."""
        if self.certificates is not None:
            context = ssl.create_default_context(cafile=str(self.certificates.ca))
            connection: http.client.HTTPConnection = http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=_CALL_TIMEOUT_S, context=context
            )
        else:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_CALL_TIMEOUT_S)
        headers = {"Authorization": f"Bearer {self.key}", "Accept": "application/json"}
        with contextlib.closing(connection):
            target = path + ("?" + urlencode(query) if query else "")
            payload = None if body is None else json.dumps(body)
            connection.request(method, target, payload, {**headers, "Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read() or b"null")

    def add_device(self, device_id: str = "phonebridge", **fields: Any) -> dict[str, Any]:
        """Adds a device or changes it: `send_delay_seconds`, `default_sim_slot`, `is_active`…"""
        row: dict[str, Any] = self.control("device", device_id=device_id, **fields)
        return row

    def enqueue(self, count: int | None = None, **fields: Any) -> list[int]:
        """Queues messages and returns their ids, oldest first.

        `texts` and `recipients` are taken in turn; `text` may hold `{n}`; `device` is id or `device_id`;
        `age_s` or `created_at` puts them in the past, `spread_s` apart; `messages` gives fields row by row.
        """
        ids: list[int] = self.control("enqueue", count=count, **fields)["ids"]
        return ids

    def fault(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Sets one fault; kinds and fields stand in `faults.py`."""
        rule: dict[str, Any] = self.control("fault", kind=kind, **fields)
        return rule

    def clear_faults(self) -> None:
        self.control("faults/clear")

    def limit(self, per_window: int | None, window_s: float = 60.0) -> None:
        """A rate limit with its headers; None lifts it."""
        body = {} if per_window is None else {"per_window": per_window, "window_s": window_s}
        self.control("limit", **body)

    def away(self, seconds: float | None = None) -> None:
        """The API's port refuses connections for `seconds`, or until `back`; open connections are dropped."""
        self.control("away", seconds=seconds)

    def back(self) -> None:
        self.control("back")

    def set_account(self, **fields: Any) -> None:
        """`keep_inbound`, `webhook_url_incoming`, `webhook_url_status`."""
        self.control("account", **fields)

    def dump(self, path: Path | None = None) -> dict[str, Any]:
        """Devices, messages with their reports, received webhooks; also written to `path`."""
        document: dict[str, Any] = self.control("dump")
        if path is not None:
            path.write_text(json.dumps(document, ensure_ascii=False, indent=1), errors="surrogatepass")
        return document

    def messages(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.control("messages")
        return rows

    def some(self, **which: Any) -> list[dict[str, Any]]:
        """As `messages`, but those of these `ids`, or of the device with this number as `device`."""
        rows: list[dict[str, Any]] = self.control("some", **which)
        return rows

    def reports(self) -> dict[int, list[dict[str, Any]]]:
        """Every reported status of each message, in order of arrival."""
        return {message["id"]: message["reports"] for message in self.messages()}

    def hooks(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = self.control("hooks")
        return rows

    def counts(self) -> dict[str, Any]:
        counted: dict[str, Any] = self.control("counts")
        return counted

    def log(self, event: str | None = None) -> list[dict[str, Any]]:
        """The log's lines so far, or those of one event; each is parsed once."""
        if self.log_path.exists():
            with self.log_path.open("rb") as stream:
                stream.seek(self._log_octets)
                fresh = stream.read()
            whole = fresh[: fresh.rfind(b"\n") + 1]
            self._log_octets += len(whole)
            self._logged += [json.loads(line) for line in whole.splitlines() if line.strip()]
        return [line for line in self._logged if event in (None, line["event"])]

    def wait_until(
        self, done: Callable[[dict[str, Any]], bool], timeout_s: float, *, every_s: float = 0.1
    ) -> dict[str, Any]:
        """Asks for `counts` until `done` likes them.

        Raises: TimeoutError: it did not in time; the last counts are in the text.
        """
        deadline = time.monotonic() + timeout_s
        while not done(counted := self.counts()):
            if time.monotonic() > deadline:
                raise TimeoutError(f"after {timeout_s} s: {counted}")
            time.sleep(every_s)
        return counted

    def _await_ready(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        line = b""
        deadline = time.monotonic() + _READY_TIMEOUT_S
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    break
                octets = os.read(self._process.stdout.fileno(), 4096)
                if not octets:
                    break
                line += octets
        if not line.endswith(b"\n"):
            self.stop(kill=True)
            raise RuntimeError(f"the MobSMS server did not start: {self.error_path.read_text()[-2000:]}")
