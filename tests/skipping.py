"""A clock that skips whatever nobody works on: a week in minutes, with no deadline missed for want of a processor.

Time runs as it does, and where every process of the scene only waits, the clock is set to the first instant for which
one of them waits. What work costs is real; a loaded machine makes a run longer, and nothing late.

    clock = SkippingClock(directory)     # processes: `-m tests.clocked MODULE …` with `clock.environment()`
    clock.expect(3)                      # so many run, and only now the clock may skip
    clock.run(3600.0)                    # an hour of theirs

The process's half, `Waits`, tells by a small file until when the process waits, and is woken by a pipe. A process
waits where all its threads sleep in the kernel and none was woken between two looks.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.clocked import TestClock

_SKIPPED = struct.Struct("<d")
_SLOT = struct.Struct("<qdq")
_SETTLE_S = 0.0002
"""Between two looks at whether all wait: what a process wrote must have woken whoever reads it."""
_SETTLE_ON_WAY_S = 0.05
"""Where octets of a tty are on their way: a thread of the kernel hands them on, which may come late on a loaded
machine, and they must not meet a timeout. Those still under way after that are lost, e.g. with a line unplugged."""
_BEYOND_S = 1e-6


class Waits:
    """Of one process: until when its threads wait, for whoever turns the clock."""

    def __init__(self, directory: Path) -> None:
        pid = os.getpid()
        self._skipped = _map(directory / "skipped", _SKIPPED.size, is_writable=False)
        os.mkfifo(directory / f"{pid}.wake")
        self.wake = os.open(directory / f"{pid}.wake", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._deadlines: dict[int, float] = {}
        self._octets = 0
        self._lock = threading.Lock()
        self._generation = 0
        # Whoever turns the clock counts these files, so this one comes last.
        unfinished = directory / f"{pid}.new"
        unfinished.write_bytes(_SLOT.pack(0, math.inf, 0))
        self._slot = _map(unfinished, _SLOT.size, is_writable=True)
        unfinished.rename(directory / f"{pid}.slot")

    def skipped_s(self) -> float:
        return float(_SKIPPED.unpack(self._skipped[: _SKIPPED.size])[0])

    @contextlib.contextmanager
    def until(self, deadline: float) -> Iterator[None]:
        """This thread waits inside."""
        me = threading.get_ident()
        self._tell(me, deadline)
        try:
            yield
        finally:
            self._tell(me, None)

    def awake(self) -> None:
        """Empty the pipe."""
        with contextlib.suppress(BlockingIOError):
            os.read(self.wake, 4096)

    def passed_on(self, octets: int) -> None:
        """So many octets were given to a tty, or taken from it (negative). Told with the next wait."""
        with self._lock:
            self._octets += octets

    def _tell(self, thread: int, deadline: float | None) -> None:
        with self._lock:
            if deadline is None:
                del self._deadlines[thread]
            else:
                self._deadlines[thread] = deadline
            self._generation += 1
            first = min(self._deadlines.values(), default=math.inf)
            self._slot[: _SLOT.size] = _SLOT.pack(self._generation, first, self._octets)


class _Process:
    """What is looked at of one process."""

    def __init__(self, directory: Path, pid: int) -> None:
        self.pid = pid
        self._slot = _map(directory / f"{pid}.slot", _SLOT.size, is_writable=False)
        self._wake = os.open(directory / f"{pid}.wake", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._states: dict[str, int] = {}

    def look(self) -> tuple[int, float, int]:
        """How often it told something, until when it waits, and the octets that it gave less those that it took."""
        generation, deadline, octets = _SLOT.unpack(self._slot[: _SLOT.size])
        return int(generation), float(deadline), int(octets)

    def is_alive(self) -> bool:
        with contextlib.suppress(OSError):
            return Path(f"/proc/{self.pid}/stat").read_bytes().rpartition(b") ")[2][:1] not in (b"Z", b"X", b"")
        return False

    def is_asleep(self) -> bool:
        """Whether the kernel has put all its threads to sleep; a wait for the disk is none. So is one that ended."""
        try:
            threads = os.listdir(f"/proc/{self.pid}/task")  # noqa: PTH208 - some thousand times a second
        except FileNotFoundError:
            return True
        for gone in self._states.keys() - set(threads):
            os.close(self._states.pop(gone))
        for thread in threads:
            try:
                if thread not in self._states:
                    self._states[thread] = os.open(f"/proc/{self.pid}/task/{thread}/stat", os.O_RDONLY | os.O_CLOEXEC)
                state = os.pread(self._states[thread], 512, 0).rpartition(b") ")[2][:1]
            except (FileNotFoundError, ProcessLookupError):
                continue
            if state not in (b"S", b"Z", b"X"):
                return False
        return True

    def rouse(self) -> None:
        with contextlib.suppress(BlockingIOError, BrokenPipeError):
            os.write(self._wake, b"!")

    def close(self) -> None:
        for descriptor in (*self._states.values(), self._wake):
            os.close(descriptor)


class SkippingClock(TestClock):
    """Turned by `run`, in the thread of whoever plays the scene; while that does something else, time just runs."""

    __test__ = False

    def __init__(self, directory: Path, *, starts_at: float | None = None) -> None:
        directory.mkdir(parents=True)
        self._directory = directory
        (directory / "skipped").write_bytes(_SKIPPED.pack(0.0))
        self._skipped = _map(directory / "skipped", _SKIPPED.size, is_writable=True)
        self._skipped_s = 0.0
        self._lost = 0
        self._processes: dict[int, _Process] = {}
        self.skips = 0
        super().__init__(directory / "offset", starts_at=starts_at)

    def environment(self) -> dict[str, str]:
        return {name: f"{value}|{self._directory}" for name, value in super().environment().items()}

    def elapsed_s(self) -> float:
        return super().elapsed_s() + self._skipped_s

    def monotonic_s(self) -> float:
        """What the processes read as CLOCK_MONOTONIC."""
        return self._boot + self.elapsed_s()

    def expect(self, processes: int, timeout_s: float = 30.0) -> None:
        """Return when so many processes have this clock. Raises: TimeoutError."""
        until = time.monotonic() + timeout_s
        while self._find() < processes:
            if time.monotonic() > until:
                raise TimeoutError(f"{len(self._processes)} of {processes} processes have the clock")
            time.sleep(0.01)

    def run(self, seconds: float, between: Callable[[], object] | None = None) -> None:
        """Let so many seconds of the clock pass; `between` is called before every skip."""
        until = self.elapsed_s() + seconds
        while self.elapsed_s() < until:
            self._skip(until, between)

    def close(self) -> None:
        for process in self._processes.values():
            process.close()
        self._processes.clear()

    def _find(self) -> int:
        for process in [one for one in self._processes.values() if not one.is_alive()]:
            self._processes.pop(process.pid).close()
            (self._directory / f"{process.pid}.slot").unlink()
        for path in self._directory.glob("*.slot"):
            if (pid := int(path.stem)) not in self._processes:
                self._processes[pid] = _Process(self._directory, pid)
        return len(self._processes)

    def _skip(self, until: float, between: Callable[[], object] | None) -> bool:
        processes = list(self._processes.values())
        if (busy := next((one for one in processes if not one.is_asleep()), None)) is not None:
            # Most likely it is busy at the next look, too, so it is looked at first.
            self._processes = {busy.pid: busy} | self._processes
            time.sleep(_SETTLE_S)
            return False
        before = [process.look() for process in processes]
        first = min([deadline for _, deadline, _ in before] + [until])
        on_way = sum(octets for *_, octets in before)
        time.sleep(_SETTLE_S if on_way == self._lost else _SETTLE_ON_WAY_S)
        if not all(process.is_asleep() for process in processes) or before != [one.look() for one in processes]:
            return False
        self._lost = on_way
        left = first - self.elapsed_s()
        if left <= 0:
            if first < until and any(not process.is_alive() for process in processes):
                self._find()
            return False
        if between is not None:
            between()
        self._skipped_s += left + _BEYOND_S
        self._skipped[: _SKIPPED.size] = _SKIPPED.pack(self._skipped_s)
        self.skips += 1
        for process, (_, deadline, _) in zip(processes, before, strict=True):
            if deadline <= first:
                process.rouse()
        return True


def _map(path: Path, size: int, *, is_writable: bool) -> mmap.mmap:
    with path.open("r+b" if is_writable else "rb") as file:
        return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_WRITE if is_writable else mmap.ACCESS_READ)
