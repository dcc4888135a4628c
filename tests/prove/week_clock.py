"""A clock that skips what all only wait for: every kind of wait ends on time, and no work is skipped.

`make prove WHAT=unattended ARGS='--only week-clock'`. Not in the suite: once, on a loaded machine, it did not end.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.prove.measured import Figures
from tests.skipping import SkippingClock

_WAITING = """
import asyncio, json, queue, threading, time

def timed(wait):
    before = time.monotonic()
    wait()
    return time.monotonic() - before

def empty():
    try:
        queue.SimpleQueue().get(timeout=600)
    except queue.Empty:
        pass

async def main():
    loop = asyncio.get_running_loop()
    took = [timed(lambda: time.sleep(60)), await asyncio.to_thread(timed, empty)]
    took.append(await asyncio.to_thread(timed, lambda: threading.Event().wait(1200)))
    before = loop.time()
    await asyncio.sleep(7200)
    print(json.dumps([*took, loop.time() - before]), flush=True)

asyncio.run(main())
"""
_WORKING = """
import time, sys
before, octets = time.monotonic(), 0
for _ in range(300_000):
    octets += len(b"work" * 4)
print(time.monotonic() - before, flush=True)
time.sleep(100_000)
"""


@contextmanager
def _program(source: str, name: str, directory: Path, clock: SkippingClock) -> Iterator[subprocess.Popen[str]]:
    (directory / f"{name}.py").write_text(source)
    path = os.pathsep.join([str(directory), str(Path(__file__).parents[2])])
    with subprocess.Popen(
        [sys.executable, "-m", "tests.clocked", name],
        env={**os.environ, **clock.environment(), "PYTHONPATH": path}, stdout=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            yield process
        finally:
            process.kill()


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """Two programs under one clock: one waits in every way there is, one works."""
    del short, seed
    clock = SkippingClock(directory / "clock")
    with ExitStack() as stack:
        waiting = stack.enter_context(_program(_WAITING, "waiting", directory, clock))
        working = stack.enter_context(_program(_WORKING, "working", directory, clock))
        clock.expect(2)
        clock.run(60 + 600 + 1200 + 7200 + 300)
        assert waiting.stdout is not None and working.stdout is not None
        took = json.loads(waiting.stdout.readline())
        for found, wanted in zip(took, (60, 600, 1200, 7200), strict=True):
            figures.expect(f"a wait of {wanted} s, s", f"{found:.1f}", wanted <= found < wanted + 30)
        # Meanwhile the other one waited for hours; skipped were none of them.
        worked_s = float(working.stdout.readline())
        figures.expect("work beside it, s", f"{worked_s:.1f}", worked_s < 30)
        clock.expect(2)
    clock.close()
