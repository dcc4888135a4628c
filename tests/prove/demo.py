"""`make demo ONCE=1` on this tree: each step of one message and of a reply, in time, and the curl line works."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

from tests.prove.measured import Figures
from tests.prove.stage import ROOT

_PROMISED_S = 10.0
_STEPS = ("accepted", "on the wire", "sent", "delivered", "reply")


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """Run it once and look for every step."""
    del directory, short, seed
    started = time.monotonic()
    done = subprocess.run(
        ["make", "demo", "ONCE=1"], cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )
    took = time.monotonic() - started
    out = done.stdout.lower()
    missing = [step for step in _STEPS if step not in out]
    figures.expect("make demo ONCE=1: exit code", done.returncode, done.returncode == 0)
    figures.expect("make demo ONCE=1: steps shown", "all" if not missing else f"missing: {missing}", not missing)
    figures.expect("make demo ONCE=1: seconds (installation done before)", f"{took:.1f}", took < _PROMISED_S)
