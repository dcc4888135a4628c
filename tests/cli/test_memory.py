"""How a daemon's process deals with the collector."""

from __future__ import annotations

import subprocess
import sys

HELD = """
import gc
from agent import memory
memory.hold()
before = gc.get_stats()[2]["collections"], gc.get_freeze_count()
memory.tidy()
assert (gc.get_stats()[2]["collections"], gc.isenabled()) == (before[0], False)
memory.settle()
assert gc.isenabled() and gc.get_freeze_count() > before[1] + 1000
frozen = gc.get_freeze_count()
memory.settle()
assert gc.get_freeze_count() == frozen
memory.tidy()
assert gc.get_stats()[2]["collections"] > before[0]
"""


def test_nothing_is_collected_while_a_program_starts_and_what_it_loaded_never_is_looked_at_again() -> None:
    done = subprocess.run([sys.executable, "-c", HELD], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
