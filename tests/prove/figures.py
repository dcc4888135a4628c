"""`make prove WHAT=figures`: the benchmarks with their promises, torture, power cuts, and fuzzing. Exits 1 on a miss.

The benchmarks take the better part of an hour; `--only power-cut` and the like run one check.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType

from tests.prove import fuzzing, power_cut, runner
from tests.prove.measured import Figures
from tests.prove.stage import ROOT
from tests.torture.run import torture


def _benchmarks(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """A fresh run, written to docs/benchmarks.md, and each promise beside its figure."""
    del directory, seed
    from bench import __main__ as bench
    from bench import targets

    less = ["--short", "--rounds", "1", "--only", "resources", "--match", "commits"] if short else []
    subprocess.run([sys.executable, "-m", "bench", *less], cwd=ROOT, check=True)
    for what, promised, measured, is_met in targets.rows(bench.saved()):
        if is_met is None:
            figures.state(f"{what} ({promised})", measured)
        else:
            figures.expect(f"{what} ({promised})", measured, is_met)


def _torture(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """In this process's own mounts: a disk of its own that can be full is for `make torture`."""
    found = torture(directory, 12.0 if short else 1800.0, random.Random(seed), seed)
    figures.rows += found.rows


CHECKS: MappingProxyType[str, Callable[..., None]] = MappingProxyType(
    {"power-cut": power_cut.prove, "fuzz": fuzzing.prove, "torture": _torture, "benchmarks": _benchmarks}
)

if __name__ == "__main__":
    sys.exit(runner.main(__doc__, CHECKS))
