"""`make prove WHAT=local-server`: every promise of our own server, measured. Exits 1 on a miss."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType

from tests.prove import local_server_fuzz, local_server_operations
from tests.prove.figures import Figures
from tests.prove.stage import NotInTime

CHECKS: MappingProxyType[str, Callable[..., None]] = MappingProxyType(
    {"operations": local_server_operations.prove, "fuzz": local_server_fuzz.prove}
)


def prove(names: Sequence[str], *, short: bool, seed: int, keep: Path | None = None) -> list[Figures]:
    """Run checks one after the other; each in a directory of its own."""
    results = []
    for name in names:
        figures = Figures(name)
        started = time.monotonic()
        print(f"\n{name} (seed {seed}{', short' if short else ''})", flush=True)
        with tempfile.TemporaryDirectory(prefix="phonebridge-") as directory:
            try:
                CHECKS[name](keep / name if keep else Path(directory), figures, short=short, seed=seed)
            except NotInTime as error:
                figures.expect(name, str(error), False)
        figures.state("took, s", f"{time.monotonic() - started:.1f}")
        results.append(figures)
    return results


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=CHECKS, action="append", help="one check (may be repeated)")
    parser.add_argument("--short", action="store_true", help="the form that `make test` runs")
    parser.add_argument("--seed", type=int, default=int(time.time()) % 1_000_000)
    parser.add_argument("--keep", type=Path, help="keep logs and journals below this directory")
    options = parser.parse_args()
    results = prove(options.only or list(CHECKS), short=options.short, seed=options.seed, keep=options.keep)
    misses = [f"{figures.title}: {row.what}: {row.measured}" for figures in results for row in figures.misses]
    print(f"\n{sum(len(figures.rows) for figures in results)} figures, {len(misses)} missed, seed {options.seed}")
    for miss in misses:
        print(f"  MISS {miss}")
    return 1 if misses else 0


if __name__ == "__main__":
    sys.exit(main())
