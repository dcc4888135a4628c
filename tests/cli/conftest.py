"""A daemon with an emulated modem, each a process of its own, and the command line in this process."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from agent.cli import app
from agent.cli.client import connected
from agent.cli.exits import Fault
from drivers.simulator.process import SimulatorProcess
from tests.forked import popen

START_S = 15.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]


Cli = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("PHONEBRIDGE_"):
            monkeypatch.delenv(name)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Cli:
    """Run one command; every error is one sentence on standard error."""

    def call(*arguments: str) -> Outcome:
        capsys.readouterr()
        code = app.main(arguments)
        captured = capsys.readouterr()
        if code not in (0, 130):
            assert captured.err.startswith("phonebridge: ") or captured.out, captured.err
            assert "Traceback" not in captured.err
            assert "fault of phonebridge itself" not in captured.err
        return Outcome(code, captured.out, captured.err)

    return call


@dataclass(frozen=True, slots=True)
class Running:
    """A daemon that runs."""

    config: Path
    address: str
    modem: SimulatorProcess
    process: subprocess.Popen[bytes]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture(scope="session")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("daemon")
    port = free_port()
    config = folder / "config.toml"
    with SimulatorProcess(folder / "sim", "--radio-time", "0.02", "--report-delay", "0.02") as modem:
        config.write_text(f"""
[agent]
state_dir = "{folder / "state"}"
device_name = "test"
clock = "trusted"
[[route]]
name = "sim0"
port = "{modem.ports[0]}"
[[upstream]]
type = "local"
bind = "127.0.0.1:{port}"
""")
        with (folder / "log").open("wb") as log:
            process = popen("agent.cli", "run", "-c", str(config), stderr=log)
        try:
            _wait_until_ready(config, process, folder / "log")
            yield Running(config, f"http://127.0.0.1:{port}", modem, process)
        finally:
            process.terminate()
            process.wait(15)


def _wait_until_ready(config: Path, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + START_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with connected(config) as link:
                if link.ask("status")["routes"][0]["state"] == "ready":
                    return
        except Fault:
            pass
        time.sleep(0.05)
    raise AssertionError(f"the daemon did not get ready: {log.read_text()}")
