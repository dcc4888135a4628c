"""`make torture`: everything at once, and an accountant who reads the logs of modem and server alone.

Bounded: `--seconds` of torture (1800 by default), and then as long as it takes to bring all to its end, 7 minutes at
most; a run that itself hangs is ended soon after, and says where it stood. The seed is printed; the same seed
strikes in the same order, though not at the same instants of the dialogue.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.torture.run import torture
from tests.torture.scene import INSIDE

_LATEST_END_S = 540.0


def main() -> int:
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument("--seconds", type=float, default=1800.0)
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000)
    parser.add_argument("--keep", type=Path, help="keep logs and journal in this directory")
    options = parser.parse_args()
    if not os.environ.get(INSIDE):
        _in_a_mount_namespace()
    faulthandler.dump_traceback_later(options.seconds + _LATEST_END_S, exit=True)
    print(f"again: make torture ARGS='--seconds {options.seconds:g} --seed {options.seed}'", flush=True)
    with tempfile.TemporaryDirectory(prefix="torture-", ignore_cleanup_errors=True) as directory:
        dice = random.Random(options.seed)
        figures = torture(Path(directory), options.seconds, dice, options.seed, options.keep)
    print(f"\nseed {options.seed}: {len(figures.misses)} missed")
    return 1 if figures.misses else 0


def _in_a_mount_namespace() -> None:
    """Start again where this process may mount a small disk; without, that fault is left out."""
    for how in (["-m"] if os.geteuid() == 0 else [], ["-rm"]):
        unshare = shutil.which("unshare")
        if unshare and how and os.spawnv(os.P_WAIT, unshare, [unshare, *how, "true"]) == 0:
            os.environ[INSIDE] = "1"
            os.execv(unshare, [unshare, *how, sys.executable, "-m", "tests.torture", *sys.argv[1:]])
    print("no disk of its own is possible here, so that it is never full", flush=True)


if __name__ == "__main__":
    sys.exit(main())
