"""A real mosquitto, unpacked from Debian's package, with a directory and a port of its own."""

from __future__ import annotations

import contextlib
import signal
import socket
import subprocess
import time
from pathlib import Path
from types import TracebackType

from tests import debian

_START_S = 20.0

# Saved at each change: what a broker must do that may be killed at any time.
DURABLE = "persistence true\nautosave_on_changes true\nautosave_interval 1\nmax_queued_messages 0\n"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


class Mosquitto:
    """`with Mosquitto(directory) as broker`: listening on `port`. `options` are lines of mosquitto.conf; `listener`
    goes below the listener's line."""

    def __init__(self, directory: Path, options: str = "", listener: str = "allow_anonymous true\n") -> None:
        self.directory = directory
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        directory.mkdir(parents=True, exist_ok=True)
        self._configuration = directory / "mosquitto.conf"
        self._configuration.write_text(
            f"per_listener_settings false\npersistence_location {directory}/\nuser root\n{options}"
            f"listener {self.port} 127.0.0.1\nset_tcp_nodelay true\n{listener}"
        )
        self.root = debian.unpacked("mosquitto", "mosquitto")
        self._environment = debian.environment(self.root)

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def __enter__(self) -> Mosquitto:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start, and return once it listens."""
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self.root / "usr/sbin/mosquitto", "-c", self._configuration],
                env=self._environment, stdout=log, stderr=log,
            )  # fmt: skip
        deadline = time.monotonic() + _START_S
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(f"mosquitto does not start:\n{self.log()[-2000:]}")
            time.sleep(0.02)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def freeze(self, *, is_frozen: bool) -> None:
        """It keeps its connections and says nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP if is_frozen else signal.SIGCONT)

    def log(self) -> str:
        return (self.directory / "log").read_text(errors="replace")

    def _end(self, number: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(number)
        if number is signal.SIGTERM:
            self._process.send_signal(signal.SIGCONT)
        self._process.wait(10)
        self._process = None
