"""What the demo runs on: an emulated modem and a daemon, each a process of its own, in a directory that goes away.

Nothing here is imported by the daemon, and the simulator is reached by its command line and its log only.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import httpx

from agent.cli.exits import Fault
from agent.endpoint import KEY_FILE

HOST = "127.0.0.1"
_FIRST_PORT = 8080
_PORTS = 100
_STOP_S = 10.0
_POLL_S = 0.02
_REQUEST_S = 5.0

Record = dict[str, Any]


class Stage:
    """Started by entering it, gone when left. `address` is the local server's, `key` its generated key."""

    def __init__(self, reply: str, deadline: float) -> None:
        self.address = ""
        self.key = ""
        self.config = Path()
        self._reply = reply
        self._deadline = deadline
        self._stack = ExitStack()
        self._air = Path()
        self._daemon: subprocess.Popen[bytes] | None = None
        self._daemon_log = Path()
        self._client: httpx.Client | None = None

    def __enter__(self) -> Self:
        try:
            folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="phonebridge-demo-")))
            port = free_port(self._stack)
            self.address = f"http://{HOST}:{port}"
            self._air = folder / "modem.log"
            self._daemon_log = folder / "daemon.log"
            self.config = folder / "config.toml"
            self._start_modem(folder / "modem")
            self.config.write_text(_configuration(folder, port), encoding="utf-8")
            self._start_daemon()
            self._client = self._connect(folder / "state" / KEY_FILE)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def request(self, method: str, path: str, body: Record | None = None) -> Record:
        """One call of the local server's API: its `data`. Raises: Fault."""
        assert self._client is not None  # entered
        try:
            answer = self._client.request(method, path, json=body)
            answer.raise_for_status()
            data: Record = answer.json()["data"]
        except (httpx.HTTPError, ValueError, KeyError) as error:
            raise Fault(f"the local server does not answer as it should: {error}; {self.last_words()}") from error
        return data

    def has_page(self) -> bool:
        """Whether there is a page for people at /ui/."""
        assert self._client is not None  # entered
        try:
            return self._client.get("/ui/login").is_success
        except httpx.HTTPError:
            return False

    def on_air(self) -> Iterator[Record]:
        """What the emulated modem sent so far, from its own log."""
        for line in self._air.read_bytes().splitlines(keepends=True):
            if line.endswith(b"\n") and (event := json.loads(line))["event"] == "air":
                yield event

    def check(self) -> None:
        """Raises: Fault when the daemon has ended or the time is over."""
        if self._daemon is not None and self._daemon.poll() is not None:
            raise Fault(f"the daemon ended by itself; {self.last_words()}")
        if time.monotonic() > self._deadline:
            raise Fault(f"it takes too long; {self.last_words()}")

    def last_words(self) -> str:
        """The end of the daemon's log, for an error."""
        lines = self._daemon_log.read_text(errors="replace").splitlines() if self._daemon_log.exists() else []
        return f"the daemon's last line was: {lines[-1]}" if lines else "the daemon wrote no log"

    def wait(self) -> None:
        """Until the daemon ends, which it does not by itself. Raises: Fault."""
        assert self._daemon is not None  # entered
        self._daemon.wait()
        raise Fault(f"the daemon ended by itself; {self.last_words()}")

    def _start_modem(self, link: Path) -> None:
        files = ["--link", str(link), "--log", str(self._air), "--exit-with-stdin"]
        pace = ["--radio-time", "0.5", "--report-delay", "0.7", "--auto-reply-delay", "1.5"]
        command = [*_python("drivers.simulator"), *files, *pace, "--auto-reply", self._reply]
        # Its standard input is a pipe from here: when this process dies in any way, so does the modem.
        modem = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self._stack.callback(_end, modem, modem.stdin, modem.stdout)
        if modem.stdout is None or not modem.stdout.readline().startswith(b"ready "):
            raise Fault("the emulated modem did not start; what it said stands above")

    def _start_daemon(self) -> None:
        # The demo shows the program, not the settings of whoever runs it.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PHONEBRIDGE_")}
        log = self._stack.enter_context(self._daemon_log.open("wb"))
        self._daemon = subprocess.Popen(
            [*_python("agent.cli"), "run", "-c", str(self.config)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=environment,
            # Ctrl-C reaches the whole group of the terminal; the daemon is ended here, in order.
            start_new_session=True,
        )
        self._stack.callback(_end, self._daemon)

    def _connect(self, key_file: Path) -> httpx.Client:
        # Proxies of the environment are not for a server on this box.
        client = self._stack.enter_context(httpx.Client(base_url=self.address, timeout=_REQUEST_S, trust_env=False))
        while True:
            self.check()
            try:
                self.key = key_file.read_text(encoding="ascii").strip()
                client.headers["Authorization"] = f"Bearer {self.key}"
                if client.get("/api/devices").is_success:
                    return client
            except (OSError, httpx.HTTPError):
                pass  # not up yet
            time.sleep(_POLL_S)


def free_port(stack: ExitStack) -> int:
    """8080, or the next one that is free; no other demo takes it until the stack is closed. Raises: Fault."""
    for port in range(_FIRST_PORT, _FIRST_PORT + _PORTS):
        if not _claim(port, stack):
            continue
        with socket.socket() as probe:
            # As the server binds: a port whose old connections still linger is free.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise Fault(f"no port from {_FIRST_PORT} to {_FIRST_PORT + _PORTS - 1} is free on {HOST}; free one")


def _claim(port: int, stack: ExitStack) -> bool:
    """Whether no other demo is about to use it: the daemon binds only a moment after the port was found free."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        # An abstract name: gone with the process, and no file to clean up.
        claim.bind(f"\0phonebridge-demo-{port}")
    except OSError:
        claim.close()
        return False
    stack.callback(claim.close)
    return True


def _configuration(folder: Path, port: int) -> str:
    return f"""\
[agent]
state_dir = {json.dumps(str(folder / "state"))}
device_name = "demo"
clock = "trusted"

[[route]]
name = "modem"
port = {json.dumps(str(folder / "modem"))}

[[upstream]]
type = "local"
bind = "{HOST}:{port}"
"""


def _python(module: str) -> list[str]:
    # -P: the directory that this is called from is not searched for modules.
    return [sys.executable, "-P", "-m", module]


def _end(process: subprocess.Popen[bytes], *streams: IO[bytes] | None) -> None:
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for stream in streams:
        if stream is not None:
            stream.close()
