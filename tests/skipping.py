"""A clock that skips whatever nobody works on: a week in minutes, with no deadline missed for want of a processor.

Time runs as it does, and where every process of the scene only waits, the clock is set to the first instant for which
one of them waits. What work costs is real; a loaded machine makes a run longer, and nothing late.

    clock = SkippingClock(directory)     # processes: `-m tests.clocked MODULE …` with `clock.environment()`
    clock.expect(3)                      # so many run, and only now the clock may skip
    clock.run(3600.0)                    # an hour of theirs

The process's half, `Waits`, tells by a small file until when the process waits, and is woken by a pipe. A process
waits where all its threads sleep in the kernel and none was woken between two looks. Whose time has come is woken, be
it that the clock was set there or that time ran there, and again until it has heard.
"""

from __future__ import annotations

import contextlib
import math
import mmap
import os
import select
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
_ON_WAY_S = 0.05
"""Where octets of a tty are on their way: a thread of the kernel hands them on, which may come late on a loaded
machine, and they must not meet a timeout. Those still under way after that are lost, e.g. with a line unplugged."""
_AGAIN_S = 0.01
"""After this, a process whose time has come, and which still sleeps, is woken once more."""
_STUCK_S = 120.0
_BEYOND_S = 1e-6
_DELIVERERS = "ksoftirqd/"
"""Threads of the kernel that bring octets to a socket where a processor had no time to."""


class Waits:
    """Of one process: until when its threads wait, for whoever turns the clock."""

    def __init__(self, directory: Path) -> None:
        pid = os.getpid()
        self._skipped = _map(directory / "skipped", _SKIPPED.size, is_writable=False)
        os.mkfifo(directory / f"{pid}.wake")
        self._wake = os.open(directory / f"{pid}.wake", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
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

    def wake(self, poll: select.epoll) -> None:
        """From now on whoever waits with it is woken. By the edge, so that nobody need empty the pipe, which would take
        the word from another thread."""
        poll.register(self._wake, select.EPOLLIN | select.EPOLLET)

    @contextlib.contextmanager
    def alarm(self) -> Iterator[select.epoll]:
        """Something to wait with that is woken, and otherwise never ready."""
        with select.epoll() as poll:
            self.wake(poll)
            yield poll

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


class _Thread:
    """The kernel's word on one thread, whoever's it is."""

    def __init__(self, path: str) -> None:
        """Raises: FileNotFoundError."""
        self._stat = os.open(f"{path}/stat", os.O_RDONLY | os.O_CLOEXEC)

    def look(self) -> tuple[bool, int]:
        """Whether it sleeps, which a wait for the disk is not, or has ended; and how many threads its process has.
        Raises: ProcessLookupError: it is gone."""
        fields = os.pread(self._stat, 512, 0).rpartition(b") ")[2].split(maxsplit=18)
        return fields[0] in (b"S", b"I", b"Z", b"X"), int(fields[17])

    def close(self) -> None:
        os.close(self._stat)


class _Process:
    """What is looked at of one process."""

    def __init__(self, directory: Path, pid: int) -> None:
        self.pid = pid
        self._slot = _map(directory / f"{pid}.slot", _SLOT.size, is_writable=False)
        self._wake = os.open(directory / f"{pid}.wake", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._threads: list[_Thread] = []
        self._roused_from, self._roused_s = -1, -math.inf

    def look(self) -> tuple[int, float, int]:
        """How often it told something, until when it waits, and the octets that it gave less those that it took."""
        generation, deadline, octets = _SLOT.unpack(self._slot[: _SLOT.size])
        return int(generation), float(deadline), int(octets)

    def is_alive(self) -> bool:
        with contextlib.suppress(OSError):
            return Path(f"/proc/{self.pid}/stat").read_bytes().rpartition(b") ")[2][:1] not in (b"Z", b"X", b"")
        return False

    def is_asleep(self) -> bool:
        """Whether the kernel has put all its threads to sleep. So is a process that ended."""
        try:
            looks = [thread.look() for thread in self._threads]
        except ProcessLookupError:
            looks = []
        if not looks or any(count != len(looks) for _, count in looks):
            return self._find_threads()
        return all(is_asleep for is_asleep, _ in looks)

    def rouse(self, generation: int) -> None:
        """From the wait of that `look`; for the same one not again at once, or it would never come to hear it."""
        now_s = time.monotonic()
        if generation == self._roused_from and now_s - self._roused_s < _AGAIN_S:
            return
        self._roused_from, self._roused_s = generation, now_s
        with contextlib.suppress(BlockingIOError):
            os.read(self._wake, 4096)
        os.write(self._wake, b"!")

    def close(self) -> None:
        for thread in self._threads:
            thread.close()
        os.close(self._wake)

    def _find_threads(self) -> bool:
        """They changed; whether the process has ended."""
        for thread in self._threads:
            thread.close()
        self._threads = []
        try:
            names = os.listdir(f"/proc/{self.pid}/task")  # noqa: PTH208 - often
        except FileNotFoundError:
            return True
        for name in names:
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                self._threads.append(_Thread(f"/proc/{self.pid}/task/{name}"))
        return not self.is_alive()


class SkippingClock(TestClock):
    """Turned by `run`, in the thread of whoever plays the scene; while that does something else, time just runs."""

    __test__ = False

    def __init__(self, directory: Path, *, speed: float = 1.0, starts_at: float | None = None) -> None:
        """`speed` seconds pass in one while somebody works: below 1, a busy machine makes less of the scene late."""
        directory.mkdir(parents=True)
        self._directory = directory
        (directory / "skipped").write_bytes(_SKIPPED.pack(0.0))
        self._skipped = _map(directory / "skipped", _SKIPPED.size, is_writable=True)
        self._skipped_s = 0.0
        self._lost = 0
        self._deliverers = _deliverers()
        self._processes: dict[int, _Process] = {}
        self.skips = 0
        super().__init__(directory / "offset", speed=speed, starts_at=starts_at)

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

    def pids(self) -> list[int]:
        """Of the processes that have this clock."""
        return sorted(self._processes)

    def run(self, seconds: float, between: Callable[[], object] | None = None) -> None:
        """Let so many seconds of the clock pass; `between` is called before every skip.

        Raises: TimeoutError: for long nobody let it skip; the text says who.
        """
        until = self.elapsed_s() + seconds
        stuck_s = time.monotonic() + _STUCK_S
        while self.elapsed_s() < until:
            if self._skip(until, between):
                stuck_s = time.monotonic() + _STUCK_S
            elif time.monotonic() > stuck_s:
                raise TimeoutError(f"the clock stands at {self.elapsed_s():.3f} s: {self._standing()}")

    def close(self) -> None:
        for watched in (*self._processes.values(), *self._deliverers):
            watched.close()
        self._processes.clear()
        self._deliverers.clear()

    def _find(self) -> int:
        for process in [one for one in self._processes.values() if not one.is_alive()]:
            self._processes.pop(process.pid).close()
            (self._directory / f"{process.pid}.slot").unlink()
        for path in self._directory.glob("*.slot"):
            if (pid := int(path.stem)) not in self._processes:
                self._processes[pid] = _Process(self._directory, pid)
        return len(self._processes)

    def _standing(self) -> str:
        words = []
        for process in self._processes.values():
            _, deadline, octets = process.look()
            doing = f"waits until {deadline:.3f} s" if process.is_asleep() else "works"
            words.append(f"{process.pid}: {doing}, {octets} octets on their way")
        return "; ".join(words)

    def _skip(self, until: float, between: Callable[[], object] | None) -> bool:
        processes = list(self._processes.values())
        if (busy := next((one for one in processes if not one.is_asleep()), None)) is not None:
            # Most likely it is busy at the next look, too, so it is looked at first.
            self._processes = {busy.pid: busy} | self._processes
            time.sleep(_SETTLE_S)
            return False
        before = [process.look() for process in processes]
        if not self._is_settled(processes, before):
            return False
        first = min([deadline for _, deadline, _ in before] + [until])
        left = first - self.elapsed_s()
        if left > 0:
            if between is not None:
                between()
            self._skipped_s += left + _BEYOND_S
            self._skipped[: _SKIPPED.size] = _SKIPPED.pack(self._skipped_s)
            self.skips += 1
        elif any(not process.is_alive() for process in processes):
            # The time that a killed process once told never passes.
            self._find()
        now = self.elapsed_s()
        for process, (generation, deadline, _) in zip(processes, before, strict=True):
            if deadline <= now:
                process.rouse(generation)
        return left > 0

    def _is_settled(self, processes: list[_Process], before: list[tuple[int, float, int]]) -> bool:
        """Whether all go on sleeping, and nothing is on its way that will wake one."""
        on_way = sum(octets for *_, octets in before)
        settled_s = time.monotonic() + (_SETTLE_S if on_way == self._lost else _ON_WAY_S)
        while True:
            time.sleep(_SETTLE_S)
            is_late = time.monotonic() >= settled_s
            if not all(process.is_asleep() for process in processes) or before != [one.look() for one in processes]:
                return False
            if is_late and all(thread.look()[0] for thread in self._deliverers):
                self._lost = on_way
                return True


def _deliverers() -> list[_Thread]:
    found = []
    for path in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if path.name.isdecimal() and (path / "comm").read_text().startswith(_DELIVERERS):
                found.append(_Thread(str(path)))
    return found


def _map(path: Path, size: int, *, is_writable: bool) -> mmap.mmap:
    with path.open("r+b" if is_writable else "rb") as file:
        return mmap.mmap(file.fileno(), size, access=mmap.ACCESS_WRITE if is_writable else mmap.ACCESS_READ)
