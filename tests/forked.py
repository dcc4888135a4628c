"""Simulators as forks of one process that has loaded them: most tests start one, and loading takes longest.

Each is still a process of its own, with its own ptys, signals and end; only `python -m` is saved.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import IO

_ROOT = Path(__file__).resolve().parents[1]
_MODULE = ["-m", "drivers.simulator"]


class ForkedProcess:
    """What `SimulatorProcess` uses of a `subprocess.Popen`, for a process that another is the parent of."""

    def __init__(self, pid: int, stdin: IO[str], stdout: IO[str]) -> None:
        self.pid, self.stdin, self.stdout = pid, stdin, stdout
        try:
            self._descriptor = os.pidfd_open(pid)
        except ProcessLookupError:  # over already
            self._descriptor = -1

    def send_signal(self, number: int) -> None:
        if self._descriptor >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._descriptor, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float | None = None) -> int:
        """Return 0 when it has ended. Raises: TimeoutExpired."""
        if self._descriptor >= 0:
            if not select.select([self._descriptor], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired("drivers.simulator", timeout or 0.0)
            os.close(self._descriptor)
            self._descriptor = -1
        return 0


class Forks:
    """Starts simulators; itself started by the first, and ended with this process."""

    def __init__(self) -> None:
        self._parent: subprocess.Popen[bytes] | None = None
        self._line: socket.socket | None = None

    def spawn(self, command: list[str], environment: dict[str, str]) -> ForkedProcess | subprocess.Popen[str]:
        """As `SimulatorProcess.spawn`; `command` is python, -m, drivers.simulator and its arguments."""
        assert command[1:3] == _MODULE, command
        if self._line is None:
            ours, theirs = socket.socketpair()
            with theirs:
                self._parent = subprocess.Popen(
                    [sys.executable, "-m", "tests.forked", str(theirs.fileno())],
                    cwd=_ROOT, env=environment, pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL,
                )  # fmt: skip
            self._line = ours
        stdin, to_stdin = os.pipe()
        from_stdout, stdout = os.pipe()
        try:
            socket.send_fds(self._line, [json.dumps(command[3:]).encode()], [stdin, stdout, 2])
            pid = int(self._line.recv(64))
        finally:
            os.close(stdin)
            os.close(stdout)
        return ForkedProcess(pid, os.fdopen(to_stdin, "w"), os.fdopen(from_stdout))

    def close(self) -> None:
        if self._line is not None:
            self._line.close()
        if self._parent is not None:
            self._parent.wait(10)


def _serve(line: socket.socket) -> None:
    """Fork for each request until the line ends: arguments as JSON, with standard input, output and error."""
    from drivers.simulator.cli import main

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody asks for exit codes
    while True:
        request, descriptors, _, _ = socket.recv_fds(line, 65536, 3)
        if not request:
            return
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            line.close()
            for place, descriptor in enumerate(descriptors):
                os.dup2(descriptor, place)
                os.close(descriptor)
            code = 1
            try:
                code = main(json.loads(request))
            except SystemExit as error:
                code = int(error.code or 0)
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        for descriptor in descriptors:
            os.close(descriptor)
        line.sendall(str(pid).encode())


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
