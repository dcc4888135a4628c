"""A daemon with an emulated modem, each a process of its own, and Debian's chromium in front of them."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Playwright

from drivers.simulator.process import SimulatorProcess
from tests.forked import popen

KEY = "the-owners-key-of-the-page"
_CHROMIUM = "/usr/bin/chromium"
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@dataclass(frozen=True, slots=True)
class Stage:
    """A gateway that runs."""

    address: str
    modem: SimulatorProcess
    folder: Path

    def api(self, method: str, path: str, body: Any = None, key: str = KEY) -> tuple[int, Any]:
        """One call of the MobSMS dialect."""
        request = urllib.request.Request(
            f"{self.address}{path}",
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer)
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read() or b"null")

    def send(self, text: str, to: str = "+4915200000001", **more: Any) -> int:
        status, answer = self.api("POST", "/api/sms", {"recipient_number": to, "message": text, **more})
        assert status == 201, answer
        return int(answer["data"]["id"])

    def status_of(self, message_id: int) -> str:
        return str(self.api("GET", f"/api/sms/{message_id}")[1]["data"]["status"])

    def receive(self, text: str, sender: str = "+4915209999999") -> None:
        """An SMS reaches the modem's SIM."""
        self.modem.control.deliver(sender, text)


def wait_until(what: str, is_done: Callable[[], Any], timeout_s: float = 30.0) -> Any:
    """What `is_done` gives once that is true."""
    until = time.monotonic() + timeout_s
    while not (value := is_done()):
        if time.monotonic() > until:
            raise AssertionError(f"not within {timeout_s:.0f} s: {what}")
        time.sleep(0.03)
    return value


@contextlib.contextmanager
def stage(
    folder: Path, *simulator: str, modems: int = 1, routes: tuple[str, ...] = (), timezone: str = "Europe/Berlin"
) -> Iterator[Stage]:
    """Modems and daemon, until left. `routes` are their names."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    folder.mkdir(parents=True, exist_ok=True)
    config, log = folder / "config.toml", folder / "log"
    with SimulatorProcess(folder / "sim", *simulator, modems=modems) as modem:
        names = routes or tuple(f"sim{number}" for number in range(modems))
        tables = "".join(
            f'[[route]]\nname = "{name}"\nport = "{path}"\n' for name, path in zip(names, modem.ports, strict=True)
        )
        config.write_text(
            f'[agent]\nstate_dir = "{folder / "state"}"\ndevice_name = "living-room"\nclock = "trusted"\n'
            f'timezone = "{timezone}"\n{tables}'
            f'[[upstream]]\ntype = "local"\nbind = "127.0.0.1:{port}"\napi_key = "{KEY}"\n'
        )
        config.chmod(0o600)
        environment = {name: value for name, value in os.environ.items() if not name.startswith("PHONEBRIDGE_")}
        with log.open("wb") as output:
            process = popen("agent.cli", "run", "-c", str(config), stderr=output, env=environment)
        running = Stage(f"http://127.0.0.1:{port}", modem, folder)
        try:
            wait_until(f"the gateway is ready\n{log}", lambda: _is_ready(running, process, modems), 40)
            yield running
        finally:
            process.terminate()
            process.wait(20)


def _is_ready(running: Stage, process: subprocess.Popen[bytes], modems: int) -> bool:
    if process.poll() is not None:
        raise AssertionError((running.folder / "log").read_text())
    try:
        devices = running.api("GET", "/api/devices")[1]["data"]
    except OSError:
        return False
    return len(devices) == modems and all(one["is_active"] for one in devices)


def launch(playwright: Playwright) -> Browser:
    return playwright.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS)
