"""`make prove WHAT=modems`: any modem, any mood, measured. Exits 1 on a miss."""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType

import structlog

from tests.prove import modems_matrix, modems_modes, modems_neighbours
from tests.prove.figures import Figures

CHECKS: MappingProxyType[str, Callable[..., None]] = MappingProxyType(
    {
        "modes": modems_modes.prove,
        "neighbours": modems_neighbours.prove,
        "matrix": modems_matrix.prove,
    }
)


def prove(names: Sequence[str], *, short: bool, seed: int, keep: Path | None = None) -> list[Figures]:
    """Run checks one after the other; each in a directory of its own."""
    results = []
    for name in names:
        figures = Figures(name)
        started = time.monotonic()
        print(f"\n{name}{' (short)' if short else ''}", flush=True)
        with tempfile.TemporaryDirectory(prefix="pb-") as directory:
            root = keep / name if keep else Path(directory)
            try:
                CHECKS[name](root, figures, short=short, seed=seed)
            except TimeoutError as error:
                figures.expect(name, str(error), False)
        figures.state("took, s", f"{time.monotonic() - started:.1f}")
        results.append(figures)
    return results


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=CHECKS, action="append", help="one check (may be repeated)")
    parser.add_argument("--short", action="store_true", help="the form that `make test` runs")
    parser.add_argument("--keep", type=Path, help="keep logs and journals below this directory")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    results = prove(options.only or list(CHECKS), short=options.short, seed=1, keep=options.keep)
    misses = [f"{figures.title}: {row.what}: {row.measured}" for figures in results for row in figures.misses]
    print(f"\n{sum(len(figures.rows) for figures in results)} figures, {len(misses)} missed")
    for miss in misses:
        print(f"  MISS {miss}")
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
