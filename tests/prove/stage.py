"""Simulator, server and daemon as three processes in one directory. Only the daemon is ever killed here."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from drivers.simulator.process import SimulatorProcess
from tests.accountant import Account, take_account
from tests.clocked import TestClock
from tests.forked import popen
from tests.mobsms_server.process import Certificates, MobSmsServer

ROOT = Path(__file__).resolve().parents[2]


class NotInTime(Exception):
    """What was waited for did not happen."""


def wait_until(what: str, is_done: Callable[[], Any], timeout_s: float, poll_s: float = 0.02) -> Any:
    """Poll until it is true. Raises: NotInTime."""
    until = time.monotonic() + timeout_s
    while True:
        if value := is_done():
            return value
        if time.monotonic() > until:
            raise NotInTime(f"not within {timeout_s:.0f} s: {what}")
        time.sleep(poll_s)


class Daemon:
    """`phonebridge run` on a configuration, killable and restartable."""

    def __init__(self, directory: Path, config: dict[str, Any]) -> None:
        self.directory = directory
        self.state = directory / "state"
        self.config_path = directory / "config.toml"
        self.log_path = directory / "daemon.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.clock: TestClock | None = None
        """Where it is given, the daemon's clocks are this one."""
        self.environment: dict[str, str] = {}
        self.module: tuple[str, ...] = ("tests.prove.killable",)
        """What is run; the path of the configuration comes last."""
        self._is_traced = False
        directory.mkdir(parents=True, exist_ok=True)
        self.write_config(config)

    def write_config(self, config: dict[str, Any]) -> None:
        agent = {"state_dir": str(self.state), "clock": "trusted", "device_name": "prove", **config.get("agent", {})}
        lines = ["[agent]", *_keys(agent)]
        for section in ("metrics", "alerts", "retention"):
            if section in config:
                lines += ["", f"[{section}]", *_keys(config[section])]
        for kind in ("route", "upstream"):
            for table in config.get(kind, []):
                lines += ["", f"[[{kind}]]", *_keys(table)]
        self.config_path.write_text("\n".join(lines) + "\n")
        self.config_path.chmod(0o600)

    def start(self, kill_at: str | None = None, *, prefix: tuple[str, ...] = ()) -> None:
        """Start; returns at once. `prefix` is a program to run it under, e.g. strace."""
        program = [*self.module, str(self.config_path), *([kill_at] if kill_at else [])]
        environment = {
            **os.environ,
            **(self.clock.environment() if self.clock else {}),
            **self.environment,
            "PYTHONPATH": str(ROOT),
        }
        with self.log_path.open("ab") as log:
            streams = {"stdin": subprocess.DEVNULL, "stdout": log, "stderr": subprocess.STDOUT}
            if prefix or self.clock:
                under = [*prefix, sys.executable, "-m", *(["tests.clocked"] if self.clock else [])]
                self.process = subprocess.Popen([*under, *program], cwd=ROOT, env=environment, **streams)
            else:
                self.process = popen(*program, cwd=ROOT, env=environment, **streams)
        self._is_traced = bool(prefix)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def is_dead(self) -> bool:
        return self.process is None or self.process.poll() is not None

    def exit_code(self) -> int | None:
        """How it ended: minus the signal where one ended it; None while it runs or before it ever did."""
        return None if self.process is None else self.process.poll()

    def kill(self) -> None:
        """SIGKILL, as a power cut for the process."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def stop(self, timeout_s: float = 40) -> int:
        """SIGTERM, and wait; returns the exit code."""
        assert self.process is not None
        # Under strace the daemon is the child; strace itself would not pass the signal on.
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split()
        os.kill(int(children[0]) if self._is_traced and children else self.pid, signal.SIGTERM)
        return self.process.wait(timeout_s)

    def resident_mb(self) -> float:
        """VmRSS in MB (10^6 octets)."""
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024 / 1e6
        raise NotInTime("the daemon has no VmRSS: it ended")

    def log(self) -> str:
        return self.log_path.read_text(errors="replace")


class Stage:
    """All three processes. `with Stage(...) as stage:`; `daemon` is not started by itself."""

    def __init__(
        self,
        directory: Path,
        *simulator: str,
        modems: int = 1,
        certificates: Certificates | None = None,
        server: MobSmsServer | None = None,
        clock: TestClock | None = None,
    ) -> None:
        """`clock`: all three processes go by it."""
        self.directory = directory
        directory.mkdir(parents=True, exist_ok=True)
        self.clock = clock
        runner = ("tests.clocked",) if clock else ()
        environment = clock.environment() if clock else None
        self.modem = SimulatorProcess(
            directory / "modem", *simulator, modems=modems, runner=runner, environment=environment
        )
        self.server = server or MobSmsServer(
            directory / "server",
            key=f"7|prove-key-{os.getpid()}",
            certificates=certificates,
            runner=runner,
            environment=environment,
        )
        self.certificates = certificates
        self._stack = contextlib.ExitStack()
        self.daemon: Daemon

    def __enter__(self) -> Self:
        self._stack.enter_context(self.modem)
        self._stack.enter_context(self.server)
        self.daemon = Daemon(self.directory / "daemon", {})
        self.daemon.clock = self.clock
        self._stack.callback(self.daemon.kill)
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def configure(
        self,
        *,
        agent: dict[str, Any] | None = None,
        route: dict[str, Any] | None = None,
        upstream: dict[str, Any] | None = None,
    ) -> None:
        """A route per modem and the one upstream; the arguments are further keys."""
        keys: dict[str, Any] = {
            "type": "mobsms",
            "base_url": self.server.url,
            "api_key": self.server.key,
            "device_id": "phonebridge",
            "poll_interval_s": 0.3,
            "idle_poll_interval_s": 1.0,
            **(upstream or {}),
        }
        if self.certificates is not None:
            keys["ca_file"] = str(self.certificates.ca)
        self.daemon.write_config(
            {
                "agent": agent or {},
                "route": [
                    {"name": f"sim{number}", "port": str(port), "sim_slot": number, **(route or {})}
                    for number, port in enumerate(self.modem.ports)
                ],
                "upstream": [keys],
            }
        )

    def events(self, *kinds: str) -> list[dict[str, Any]]:
        """The modem's log, whole or by kind."""
        return list(_lines(self.modem.log_path, kinds))

    def account(self, final: tuple[str, ...] = ("delivered",)) -> Account:
        """The accountant's figures, from the two logs alone."""
        return take_account({"modem": self.events()}, self.server.dump(), final=final)

    def wait_for_states(self, states: tuple[str, ...], count: int, timeout_s: float) -> None:
        """Until the server has `count` messages in one of the states. Raises: NotInTime."""

        def is_done() -> bool:
            statuses = [row["status"] for row in self.server.messages() if row["direction"] == "outbound"]
            return sum(status in states for status in statuses) >= count

        wait_until(f"{count} messages {'/'.join(states)} at the server", is_done, timeout_s, 0.1)


def _lines(path: Path, kinds: tuple[str, ...]) -> Iterator[dict[str, Any]]:
    if not path.exists():
        return
    with path.open() as lines:
        for line in lines:
            if not line.endswith("\n"):
                return
            record: dict[str, Any] = json.loads(line)
            if not kinds or record["event"] in kinds:
                yield record


def _keys(table: dict[str, Any]) -> list[str]:
    return [f"{key} = {json.dumps(value)}" for key, value in table.items() if value is not None]
