"""Runs a program whose clocks run fast, or jump: `python -m tests.clocked MODULE ARGUMENTS…`.

All clocks that Python offers, and all waits of asyncio and `time.sleep`, follow one injected clock; every process with
the same environment has the same. Nothing of the program is changed. Threads that wait on a lock wait in real time.

    clock = TestClock(path, speed=600)         # a minute in a tenth of a second
    subprocess.Popen([…, "-m", "tests.clocked", …], env={**os.environ, **clock.environment()})
    clock.jump(86_400)                         # the wall clock alone, as when somebody sets it
"""

from __future__ import annotations

import mmap
import os
import runpy
import selectors
import struct
import sys
import time
from functools import partial
from pathlib import Path

_VARIABLE = "PHONEBRIDGE_TEST_CLOCK"
_OFFSET = struct.Struct("<d")


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
        self.jump(0.0)

    def environment(self) -> dict[str, str]:
        return {_VARIABLE: f"{self._path}|{self._speed!r}|{self._real!r}|{self._boot!r}|{self._epoch!r}"}

    def jump(self, seconds: float) -> None:
        """Set the wall clock so much forward, or back."""
        self._offset_s += seconds
        self._path.write_bytes(_OFFSET.pack(self._offset_s))

    def elapsed_s(self) -> float:
        """Seconds of the injected clock since it began."""
        return (time.monotonic() - self._real) * self._speed


def install(environment: str) -> None:
    """Replace the clocks of this process."""
    path, *numbers = environment.split("|")
    speed, real, boot, epoch = map(float, numbers)
    with Path(path).open("rb") as file:
        offset = mmap.mmap(file.fileno(), _OFFSET.size, access=mmap.ACCESS_READ)
    monotonic, sleep, clock_gettime_ns = time.monotonic, time.sleep, time.clock_gettime_ns

    def passed() -> float:
        return (monotonic() - real) * speed

    def wall() -> float:
        return epoch + passed() + float(_OFFSET.unpack(offset[: _OFFSET.size])[0])

    def of_clock_ns(clock: int) -> int:
        if clock == time.CLOCK_REALTIME:
            return round(wall() * 1e9)
        if clock in (time.CLOCK_BOOTTIME, time.CLOCK_MONOTONIC):
            return round((boot + passed()) * 1e9)
        return clock_gettime_ns(clock)

    # As partials, which like the built-in functions do not become methods where a class keeps one.
    time.monotonic = partial(lambda: boot + passed())
    time.time = partial(wall)
    time.time_ns = partial(lambda: round(wall() * 1e9))
    time.clock_gettime_ns = partial(of_clock_ns)
    time.clock_gettime = partial(lambda clock: of_clock_ns(clock) / 1e9)
    time.sleep = partial(lambda seconds: sleep(seconds / speed))
    select = selectors.EpollSelector.select

    def fast_select(self: selectors.EpollSelector, timeout: float | None = None) -> object:
        return select(self, None if timeout is None else timeout / speed)

    selectors.EpollSelector.select = fast_select  # type: ignore[assignment,method-assign]


def main() -> None:
    """Install, and run a module as if it had been called."""
    install(os.environ[_VARIABLE])
    module, *rest = sys.argv[1:]
    sys.argv = [module, *rest]
    runpy.run_module(module, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
