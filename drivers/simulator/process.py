"""Starts the simulator as a process of its own and reads its log: for tests, demo and benchmarks."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from drivers.simulator.control import Control

_ROOT = Path(__file__).resolve().parents[2]
_STOP_S = 5.0
_POLL_S = 0.005

Event = dict[str, Any]


class SimulatorError(Exception):
    """The simulator did not start, or what was waited for did not happen."""


def spawn(command: list[str], environment: dict[str, str]) -> subprocess.Popen[str]:
    """A program with pipes at its standard input and output."""
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


class SimulatorProcess:
    """`python -m drivers.simulator` in `directory`, ended with the context (and when this process dies).

    `arguments` are further command-line flags. `ports` are the stable links, `log_path` the event log. The
    directory's path must be short enough for a Unix socket (about 90 characters). With `--print-air` somebody
    must read `output`, or the simulator stops when the pipe is full.
    """

    spawn: Callable[[list[str], dict[str, str]], subprocess.Popen[str]] = staticmethod(spawn)
    """How a process is made; whoever makes hundreds may have a quicker way."""

    def __init__(
        self,
        directory: Path,
        *arguments: str,
        modems: int = 1,
        runner: Sequence[str] = (),
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """`runner` is a module that runs modules, e.g. under another clock; `environment` comes on top of ours."""
        self.directory = directory
        self._runner = runner
        self._environment = environment or {}
        self.log_path = directory / "modem.log"
        self.control_path = directory / "control.sock"
        self.ports = [directory / f"modem{number}" for number in range(modems)]
        self._arguments = arguments
        self._process: subprocess.Popen[str] | None = None
        self._control: Control | None = None
        self._log_octets = 0
        self._logged: list[Event] = []

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def control(self) -> Control:
        """A connection to the control socket, kept open."""
        if self._control is None:
            self._control = Control(self.control_path)
        return self._control

    @property
    def output(self) -> IO[str]:
        """What the simulator prints behind its ready line. Raises SimulatorError before the start."""
        if self._process is None or self._process.stdout is None:
            raise SimulatorError("the simulator is not running")
        return self._process.stdout

    @property
    def pid(self) -> int:
        """The process id. Raises SimulatorError before the start."""
        if self._process is None:
            raise SimulatorError("the simulator is not running")
        return self._process.pid

    def send_signal(self, number: int) -> None:
        """To this process alone: where it has ended, nobody gets it. Raises SimulatorError before the start."""
        if self._process is None:
            raise SimulatorError("the simulator is not running")
        self._process.send_signal(number)

    def start(self) -> None:
        """Returns when the ports can be opened. Raises SimulatorError."""
        self.directory.mkdir(parents=True, exist_ok=True)
        command = [
            sys.executable, "-m", *self._runner, "drivers.simulator", "--modems", str(len(self.ports)),
            "--link-dir", str(self.directory), "--control", str(self.control_path),
            "--log", str(self.log_path), "--exit-with-stdin", *self._arguments,
        ]  # fmt: skip
        path = os.pathsep.join([str(_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        # The quicker way knows one program only.
        make = spawn if self._runner else self.spawn
        self._process = make(command, {**os.environ, **self._environment, "PYTHONPATH": path})
        line = self._process.stdout.readline() if self._process.stdout else ""
        if not line.startswith("ready "):
            self.stop()
            raise SimulatorError(f"the simulator did not start: {line.strip() or 'see its message above'}")

    def stop(self) -> None:
        """Ends the process; the log stays."""
        if self._control is not None:
            self._control.close()
            self._control = None
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process = None

    def events(self, *names: str, modem: int | None = None) -> list[Event]:
        """Logged events of these names (all without names), of one modem or of all."""
        return [
            event
            for event in self._read_log()
            if (not names or event["event"] in names) and modem in (None, event["modem"])
        ]

    def wait_for(
        self,
        name: str,
        *,
        count: int = 1,
        timeout_s: float = 5.0,
        where: Callable[[Event], bool] | None = None,
    ) -> list[Event]:
        """Waits until `count` events of that name (and condition) are logged. Raises SimulatorError."""
        deadline = time.monotonic() + timeout_s
        while True:
            found = [event for event in self.events(name) if where is None or where(event)]
            if len(found) >= count:
                return found
            if time.monotonic() > deadline:
                raise SimulatorError(f"{len(found)} of {count} {name!r} events within {timeout_s} s")
            time.sleep(_POLL_S)

    def _read_log(self) -> list[Event]:
        """All whole lines so far; each is parsed once."""
        if self.log_path.exists():
            with self.log_path.open("rb") as stream:
                stream.seek(self._log_octets)
                fresh = stream.read()
            whole = fresh[: fresh.rfind(b"\n") + 1]
            self._log_octets += len(whole)
            self._logged += [json.loads(line) for line in whole.splitlines()]
        return self._logged
