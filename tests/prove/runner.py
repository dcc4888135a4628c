"""Runs the checks of one proof, each in a directory of its own, and tells whether every figure was met."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.prove.measured import Figures
from tests.prove.stage import NotInTime

Checks = Mapping[str, Callable[..., None]]
"""Name → `prove(directory, figures, *, short, seed)`."""


def run(checks: Checks, names: Sequence[str], *, short: bool, seed: int, keep: Path | None = None) -> list[Figures]:
    """Run checks one after the other. What does not happen in time is a miss."""
    results = []
    for name in names:
        figures = Figures(name)
        started = time.monotonic()
        print(f"\n{name} (seed {seed}{', short' if short else ''})", flush=True)
        with tempfile.TemporaryDirectory(prefix="phonebridge-") as directory:
            try:
                checks[name](keep / name if keep else Path(directory), figures, short=short, seed=seed)
            except (NotInTime, TimeoutError) as error:
                figures.expect(name, str(error), False)
        figures.state("took, s", f"{time.monotonic() - started:.1f}")
        results.append(figures)
    return results


def side_by_side(scenes: Sequence[Callable[[], None]]) -> None:
    """Play scenes at once, each in a thread of its own, since they mostly wait. Raises: what the first raised."""
    with ThreadPoolExecutor(len(scenes)) as pool:
        for scene in [pool.submit(scene) for scene in scenes]:
            scene.result()


def main(description: str | None, checks: Checks) -> int:
    """The command line of a proof; the exit code is 1 on a miss."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--only", choices=checks, action="append", help="one check (may be repeated)")
    parser.add_argument("--short", action="store_true", help="the form that `make test` runs")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000)
    parser.add_argument("--keep", type=Path, help="keep logs and journals below this directory")
    options = parser.parse_args()
    results = run(checks, options.only or list(checks), short=options.short, seed=options.seed, keep=options.keep)
    misses = [f"{figures.title}: {row.what}: {row.measured}" for figures in results for row in figures.misses]
    print(f"\n{sum(len(figures.rows) for figures in results)} figures, {len(misses)} missed, seed {options.seed}")
    for miss in misses:
        print(f"  MISS {miss}")
    return 1 if misses else 0
