"""The clock for tests is one clock for all that a program can ask, and only the wall clock jumps."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.clocked import TestClock

_PROGRAM = """
import asyncio, json, time
from agent.clock import Clock

async def measure():
    clock, loop = Clock("trusted"), asyncio.get_running_loop()
    before = (clock.boot_ms(), clock.utc_ms(), loop.time(), time.time())
    print("ready", flush=True)
    await loop.run_in_executor(None, input)
    await asyncio.sleep(30)
    after = (clock.boot_ms(), clock.utc_ms(), loop.time(), time.time())
    boot_ms, utc_ms, loop_s, wall_s = (b - a for a, b in zip(before, after))
    print(json.dumps([boot_ms / 1000, utc_ms / 1000, loop_s, wall_s]))

asyncio.run(measure())
"""

_READER = """
import threading, time

ended = []
threading.Thread(target=lambda: (input(), ended.append(1)), daemon=True).start()
print("ready", flush=True)
least = most = time.time()
while not ended:
    least, most = min(least, now := time.time()), max(most, now)
print(most - least)
"""


def test_all_clocks_run_fast_together_and_a_jump_moves_the_wall_clock_alone(tmp_path: Path) -> None:
    clock = TestClock(tmp_path / "clock", speed=300)
    with _running(clock, tmp_path, _PROGRAM) as process:
        assert process.stdin is not None and process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        clock.jump(864_000)
        process.stdin.write("\n")
        process.stdin.flush()
        boot_s, utc_s, loop_s, wall_s = json.loads(process.stdout.readline())
    assert 30 <= loop_s <= clock.elapsed_s()
    assert abs(boot_s - loop_s) < 30
    assert abs(utc_s - 864_000 - loop_s) < 30
    assert abs(wall_s - 864_000 - loop_s) < 30


def test_who_looks_while_the_clock_is_set_sees_the_old_time_or_the_new(tmp_path: Path) -> None:
    clock = TestClock(tmp_path / "clock")
    with _running(clock, tmp_path, _READER) as process:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
        for _ in range(2_000):
            clock.jump(86_400)
            clock.jump(-86_400)
        seen_s, _ = process.communicate("\n")
    assert process.returncode == 0
    assert 86_400 <= float(seen_s) < 2 * 86_400


def _running(clock: TestClock, directory: Path, program: str) -> subprocess.Popen[str]:
    (directory / "program.py").write_text(program)
    path = os.pathsep.join([str(directory), str(Path(__file__).parents[1])])
    return subprocess.Popen(
        [sys.executable, "-m", "tests.clocked", "program"],
        env={**os.environ, **clock.environment(), "PYTHONPATH": path},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
