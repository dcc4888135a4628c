"""A clock that skips what all only wait for: every kind of wait ends on time, no work is skipped, nobody is left over.

Programs of one test share a clock. What each prints is how long its waits were by that clock.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.skipping import SkippingClock

_COMMON = """
import asyncio, json, queue, sys, threading, time

def timed(wait):
    before = time.monotonic()
    wait()
    return time.monotonic() - before

def work(seconds):
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass

def say(*took):
    print(json.dumps(took), flush=True)
"""
_WAITING = """
def empty():
    try:
        queue.SimpleQueue().get(timeout=600)
    except queue.Empty:
        pass

async def main():
    took = [timed(lambda: time.sleep(60)), await asyncio.to_thread(timed, empty)]
    took.append(await asyncio.to_thread(timed, lambda: threading.Event().wait(1200)))
    before = time.monotonic()
    await asyncio.sleep(7200)
    say(*took, time.monotonic() - before)

asyncio.run(main())
"""
_WORKING = """
say(timed(lambda: [b"work" * 4 for _ in range(300_000)]))
time.sleep(100_000)
"""
# Sleeps as long as the other, which works for a moment when it wakes: meanwhile the time of this one has come.
_SLEEPING = """
say(timed(lambda: asyncio.run(asyncio.sleep({seconds}))))
work({work_s})
"""
_TWO_LOOPS = """
took = {}
threads = [
    threading.Thread(target=lambda seconds=seconds: took.update({seconds: timed(lambda: asyncio.run(asyncio.sleep(seconds)))}))
    for seconds in (1000, 2000)
]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
say(took[1000], took[2000])
"""  # noqa: E501 - as a program
_LATE_S = 30
"""A wait may end so much late, by the clock, which runs while a loaded machine starts a thread."""


@contextmanager
def _program(source: str, name: str, directory: Path, clock: SkippingClock) -> Iterator[subprocess.Popen[str]]:
    (directory / f"{name}.py").write_text(_COMMON + source)
    path = os.pathsep.join([str(directory), str(Path(__file__).parents[1])])
    with subprocess.Popen(
        [sys.executable, "-m", "tests.clocked", name],
        env={**os.environ, **clock.environment(), "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def clock(tmp_path: Path) -> Iterator[SkippingClock]:
    made = SkippingClock(tmp_path / "clock")
    yield made
    made.close()


def _said(process: subprocess.Popen[str]) -> list[float]:
    assert process.stdout is not None
    took: list[float] = json.loads(process.stdout.readline())
    return took


def _until_ended(clock: SkippingClock, process: subprocess.Popen[str], at_most_s: float) -> None:
    until = clock.elapsed_s() + at_most_s
    while process.poll() is None:
        assert clock.elapsed_s() < until
        clock.run(10.0)


def test_every_kind_of_wait_ends_on_time_and_work_beside_it_is_not_skipped(
    tmp_path: Path, clock: SkippingClock
) -> None:
    with (
        _program(_WAITING, "waiting", tmp_path, clock) as waiting,
        _program(_WORKING, "working", tmp_path, clock) as working,
    ):
        clock.expect(2)
        _until_ended(clock, waiting, 60 + 600 + 1200 + 7200 + 4 * _LATE_S)
        for took, wanted in zip(_said(waiting), (60, 600, 1200, 7200), strict=True):
            assert wanted <= took < wanted + _LATE_S
        # Meanwhile the other one waited for hours; skipped were none of them.
        assert _said(working)[0] < _LATE_S
        assert working.poll() is None


def test_whose_time_came_while_another_worked_is_woken(tmp_path: Path, clock: SkippingClock) -> None:
    earlier = _SLEEPING.format(seconds=1000, work_s=0.5)
    later = _SLEEPING.format(seconds=1000.2, work_s=0)
    with (
        _program(earlier, "earlier", tmp_path, clock) as one,
        _program(later, "later", tmp_path, clock) as other,
    ):
        clock.expect(2)
        _until_ended(clock, one, 1000 + 2 * _LATE_S)
        _until_ended(clock, other, 2 * _LATE_S)
        assert 1000 <= _said(one)[0] < 1000 + _LATE_S
        assert 1000.2 <= _said(other)[0] < 1000 + _LATE_S


def test_of_two_loops_in_one_process_each_is_woken(tmp_path: Path, clock: SkippingClock) -> None:
    with _program(_TWO_LOOPS, "loops", tmp_path, clock) as loops:
        clock.expect(1)
        _until_ended(clock, loops, 2000 + 2 * _LATE_S)
        one, other = _said(loops)
    assert 1000 <= one < 1000 + _LATE_S
    assert 2000 <= other < 2000 + _LATE_S


def test_a_clock_that_nobody_lets_on_says_who(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.skipping._STUCK_S", 1.0)
    clock = SkippingClock(tmp_path / "clock")
    with _program("while True: pass", "busy", tmp_path, clock) as busy:
        clock.expect(1)
        with pytest.raises(TimeoutError, match=f"{busy.pid}: works"):
            clock.run(600.0)
    clock.close()
