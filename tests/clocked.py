"""Runs a program whose clocks run fast, or jump: `python -m tests.clocked MODULE ARGUMENTS…`.

All clocks that Python offers, and all waits of asyncio and `time.sleep`, follow one injected clock; every process with
the same environment has the same. Nothing of the program is changed. Threads that wait on a lock wait in real time;
with the clock of `tests/skipping.py` those that wait on a condition go by it, too.

    clock = TestClock(path, speed=600)         # a minute in a tenth of a second
    subprocess.Popen([…, "-m", "tests.clocked", …], env={**os.environ, **clock.environment()})
    clock.jump(86_400)                         # the wall clock alone, as when somebody sets it
"""

from __future__ import annotations

import datetime
import math
import mmap
import os
import queue
import runpy
import selectors
import struct
import sys
import threading
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from tests.orphans import end_with_parent

if TYPE_CHECKING:
    from tests.skipping import Waits

_VARIABLE = "PHONEBRIDGE_TEST_CLOCK"
_OFFSET = struct.Struct("<d")
_LOOK_S = 0.002
"""How often a thread that waits on a condition looks at a clock that skips."""


class TestClock:
    """`speed` seconds pass in one; `path` holds how far the wall clock was set."""

    __test__ = False

    def __init__(self, path: Path, *, speed: float = 1.0, starts_at: float | None = None) -> None:
        self._path = path
        self._speed = speed
        self._real = time.monotonic()
        self._boot = time.clock_gettime(time.CLOCK_BOOTTIME)
        self._epoch = time.time() if starts_at is None else starts_at
        self._offset_s = 0.0
        path.write_bytes(_OFFSET.pack(0.0))

    def environment(self) -> dict[str, str]:
        return {_VARIABLE: f"{self._path}|{self._speed!r}|{self._real!r}|{self._boot!r}|{self._epoch!r}"}

    def jump(self, seconds: float) -> None:
        """Set the wall clock so much forward, or back."""
        self._offset_s += seconds
        # In place: whoever looks into the map of a file that is cut to be written anew is ended by SIGBUS, silently.
        with self._path.open("r+b", buffering=0) as file:
            file.write(_OFFSET.pack(self._offset_s))

    def elapsed_s(self) -> float:
        """Seconds of the injected clock since it began."""
        return (time.monotonic() - self._real) * self._speed


def install(environment: str) -> None:
    """Replace the clocks of this process."""
    path, *numbers = environment.split("|")
    speed, real, boot, epoch = map(float, numbers[:4])
    with Path(path).open("rb") as file:
        offset = mmap.mmap(file.fileno(), _OFFSET.size, access=mmap.ACCESS_READ)
    monotonic, clock_gettime_ns = time.monotonic, time.clock_gettime_ns
    waits = _waits(Path(numbers[4])) if len(numbers) > 4 else None

    def passed() -> float:
        return (monotonic() - real) * speed + (waits.skipped_s() if waits else 0.0)

    def wall() -> float:
        return epoch + passed() + float(_OFFSET.unpack(offset[: _OFFSET.size])[0])

    def of_clock_ns(clock: int) -> int:
        if clock == time.CLOCK_REALTIME:
            return round(wall() * 1e9)
        if clock in (time.CLOCK_BOOTTIME, time.CLOCK_MONOTONIC):
            return round((boot + passed()) * 1e9)
        return clock_gettime_ns(clock)

    _put_everywhere(
        {
            "monotonic": lambda: boot + passed(),
            "monotonic_ns": lambda: round((boot + passed()) * 1e9),
            "time": wall,
            "time_ns": lambda: round(wall() * 1e9),
            "clock_gettime_ns": of_clock_ns,
            "clock_gettime": lambda clock: of_clock_ns(clock) / 1e9,
            "sleep": _fast_sleep(speed) if waits is None else _told_sleep(waits, passed),
        }
    )
    datetime.datetime = type("datetime", (datetime.datetime,), {"now": classmethod(_now)})  # type: ignore[misc]
    if waits is None:
        _speed_up_selectors(speed)
    else:
        _tell_waits(waits, passed)


def _put_everywhere(functions: Mapping[str, Callable[..., object]]) -> None:
    """In place of the functions of `time`, also where a module that is loaded already took one of them by name:
    `threading` did, and would count the end of a wait by another clock than the one by which it waits."""
    modules = [vars(module) for module in list(sys.modules.values()) if hasattr(module, "__dict__")]
    for name, function in functions.items():
        original = getattr(time, name)
        # As partials, which like the built-in functions do not become methods where a class keeps one.
        ours = partial(function)
        for names in modules:
            for taken in [key for key, value in names.items() if value is original]:
                names[taken] = ours


def _now(kind: type[datetime.datetime], tz: datetime.tzinfo | None = None) -> datetime.datetime:
    return kind.fromtimestamp(time.time(), tz)


def _waits(directory: Path) -> Waits:
    # Imported here: that module builds on this one.
    from tests.skipping import Waits

    return Waits(directory)


def _fast_sleep(speed: float) -> Callable[[float], None]:
    sleep = time.sleep
    return lambda seconds: sleep(seconds / speed)


def _told_sleep(waits: Waits, passed: Callable[[], float]) -> Callable[[float], None]:
    def sleep(seconds: float) -> None:
        deadline = passed() + seconds
        with waits.until(deadline), waits.alarm() as alarm:
            while (left := deadline - passed()) > 0:
                alarm.poll(left)

    return sleep


def _speed_up_selectors(speed: float) -> None:
    select = selectors.EpollSelector.select

    def fast_select(self: selectors.EpollSelector, timeout: float | None = None) -> object:
        return select(self, None if timeout is None else timeout / speed)

    selectors.EpollSelector.select = fast_select  # type: ignore[assignment,method-assign]


def _tell_waits(waits: Waits, passed: Callable[[], float]) -> None:
    """Every wait with an end is told to whoever skips time, and ends when the clock has come there."""
    begin, select, wait = selectors.EpollSelector.__init__, selectors.EpollSelector.select, threading.Condition.wait

    def woken_begin(self: selectors.EpollSelector) -> None:
        begin(self)
        waits.wake(self._selector)  # type: ignore[attr-defined]

    def told_select(self: selectors.EpollSelector, timeout: float | None = None) -> object:
        if timeout is not None and timeout <= 0:
            return select(self, 0)
        deadline = math.inf if timeout is None else passed() + timeout
        with waits.until(deadline):
            # Looked at again: the clock may have come there before it was told.
            return select(self, None if timeout is None else max(0.0, deadline - passed()))

    def told_wait(self: threading.Condition, timeout: float | None = None) -> bool:
        if timeout is None:
            return wait(self)
        deadline = passed() + timeout
        with waits.until(deadline):
            while (left := deadline - passed()) > 0:
                # The lock is held between two waits, so nobody's word is missed.
                if wait(self, min(left, _LOOK_S)):
                    return True
        return wait(self, 0)

    read, write = os.read, os.write

    def counted_read(descriptor: int, size: int) -> bytes:
        octets = read(descriptor, size)
        if os.isatty(descriptor):
            waits.passed_on(-len(octets))
        return octets

    def counted_write(descriptor: int, octets: bytes) -> int:
        written = write(descriptor, octets)
        if os.isatty(descriptor):
            waits.passed_on(written)
        return written

    os.read, os.write = partial(counted_read), partial(counted_write)
    selectors.EpollSelector.__init__ = woken_begin  # type: ignore[method-assign]
    selectors.EpollSelector.select = told_select  # type: ignore[assignment,method-assign]
    threading.Condition.wait = told_wait  # type: ignore[method-assign]
    # The one written in C waits in the kernel, where nobody can tell until when; this one waits on a condition.
    queue.SimpleQueue = queue._PySimpleQueue  # type: ignore[attr-defined,misc]


def main() -> None:
    """Install, and run a module as if it had been called."""
    end_with_parent()
    install(os.environ[_VARIABLE])
    module, *rest = sys.argv[1:]
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
