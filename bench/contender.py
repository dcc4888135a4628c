"""What is compared: a program that sends and receives SMS through modems on ptys, run as its users run it.

Each is started on a fresh spool for each measurement. Everything is timed from outside: by the modem's log, by files,
by /proc. All instants are CLOCK_MONOTONIC seconds, the clock of the simulator's log too.
"""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_STOP_S = 15.0
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Sample:
    """What a program and its children have used since they began."""

    cpu_s: float
    wake_ups: int
    written_octets: int
    resident_mb: float


class Contender:
    """One program. `prepare`, `start`, then `queue` and `inbound`, and `stop`."""

    name = ""
    inbound_poll_s = 0.002
    """How often `inbound` may be asked without disturbing what is measured."""
    keeps_messages = False
    """Whether messages can be queued while it does not run."""

    def __init__(self) -> None:
        self.directory = Path()
        self.process: subprocess.Popen[bytes] | None = None

    def prepare(self, directory: Path, ports: Sequence[Path], *, reports: bool) -> None:
        """Make spool and configuration below `directory` (which is empty)."""
        raise NotImplementedError

    def command(self) -> list[str]:
        raise NotImplementedError

    def queue(self, texts: Sequence[str], *, first: int = 0) -> None:
        """Hand over messages, the n-th for `recipient(first + n)`; returns when the program has taken them."""
        raise NotImplementedError

    def inbound(self) -> int:
        """How many whole inbound messages its user could read by now."""
        raise NotImplementedError

    def inbound_at(self, number: int) -> float | None:
        """When the user's side had the `number`-th (from 0) inbound message, where that is written down."""
        del number
        return None

    def is_ready(self) -> bool:
        """Whether messages can be queued; the modem need not be open."""
        return True

    def environment(self) -> Mapping[str, str]:
        return os.environ

    def start(self) -> None:
        """Returns when messages can be queued."""
        with (self.directory / "output").open("ab") as output:
            self.process = subprocess.Popen(
                self.command(),
                env=dict(self.environment()),
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=output,
                cwd=self.directory,
            )
        wait_until(f"{self.name} is up", self.is_ready, 60)

    def stop(self) -> None:
        if self.process is None:
            return
        self.process.terminate()
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.process = None

    def sample(self) -> Sample:
        """Of the process and all its descendants."""
        assert self.process is not None
        total = Sample(0.0, 0, 0, 0.0)
        for pid in _tree(self.process.pid):
            one = _sample(pid)
            total = Sample(
                total.cpu_s + one.cpu_s,
                total.wake_ups + one.wake_ups,
                total.written_octets + one.written_octets,
                total.resident_mb + one.resident_mb,
            )
        return total


def recipient(number: int) -> str:
    """E.164 without +, one for each message."""
    return f"49151{number:08d}"


def text(number: int, parts: int) -> str:
    """A GSM 7-bit text of so many parts."""
    start = f"message {number} "
    return start + "x" * (20 if parts == 1 else 153 * parts - 10 - len(start))


class NotInTime(Exception):
    """What was waited for did not happen."""


def wait_until(what: str, is_done: Callable[[], Any], timeout_s: float, poll_s: float = 0.01) -> Any:
    """Poll until it is true. Raises: NotInTime."""
    until = time.monotonic() + timeout_s
    while True:
        if found := is_done():
            return found
        if time.monotonic() > until:
            raise NotInTime(f"not within {timeout_s:.0f} s: {what}")
        time.sleep(poll_s)


def _tree(pid: int) -> list[int]:
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += _tree(int(child))
    return found


def _sample(pid: int) -> Sample:
    root = Path(f"/proc/{pid}")
    # Field 2 is the program's name in brackets, which may hold blanks.
    fields = (root / "stat").read_text().rpartition(")")[2].split()
    # utime, stime, and those of children that have ended
    cpu = sum(int(field) for field in fields[11:15]) / _TICKS_PER_S
    wake_ups = 0
    for task in (root / "task").iterdir():
        status = _numbers(task / "status")
        wake_ups += status.get("voluntary_ctxt_switches", 0)
    resident = _numbers(root / "status").get("VmRSS", 0) * 1024 / 1e6
    return Sample(cpu, wake_ups, _numbers(root / "io").get("write_bytes", 0), resident)


def _numbers(path: Path) -> dict[str, int]:
    found = {}
    for line in path.read_text().splitlines():
        name, _, rest = line.partition(":")
        value = rest.split()
        if value and value[0].isdigit():
            found[name] = int(value[0])
    return found
