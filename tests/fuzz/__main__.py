"""`python -m tests.fuzz TARGET…`: long searches for input that breaks something; without a target, in all of them.

Each target is searched in a process of its own, one after the other, and a table at the end tells time, executions and
findings. Exits 1 on a finding; its input is printed in hexadecimal, and belongs into a test before it is mended. With
`--engine atheris` libFuzzer chooses the inputs by coverage (pip install -e '.[fuzz]').
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import random
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.fuzz import covered
from tests.fuzz.engine import Findings, Target, search, shown

_MARK = "fuzz: "


@dataclass(frozen=True, slots=True)
class Row:
    """One target's line of the table."""

    target: str
    seconds: float
    executions: int
    findings: int


def searched(name: str, seconds: float, seed: int, engine: str) -> Row:
    """Search one target in a process of its own, which prints what it finds."""
    command = [sys.executable, "-m", "tests.fuzz", name, "--seconds", str(seconds), "--seed", str(seed)]
    began, row = time.monotonic(), None
    with subprocess.Popen(
        [*command, "--engine", engine, "--alone"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        last: list[str] = []
        for line in process.stdout:
            if line.startswith(_MARK):
                row = Row(name, **json.loads(line.removeprefix(_MARK)))
            elif line.startswith("  "):
                print(line, end="", flush=True)
            last = [*last[-15:], line]
    if row is None:
        # libFuzzer, or the target's own opening, ended it.
        print("".join(last), end="", flush=True)
        row = Row(name, time.monotonic() - began, 0, 1)
    return row


def table(rows: Sequence[Row]) -> str:
    """As it stands in docs/testing.md."""
    lines = [f"{'target':<16} {'seconds':>8} {'executions':>11} {'per second':>11} {'findings':>9}"]
    for row in rows:
        speed = row.executions / row.seconds if row.seconds else 0.0
        lines.append(f"{row.target:<16} {row.seconds:>8.0f} {row.executions:>11} {speed:>11.0f} {row.findings:>9}")
    return "\n".join(lines)


def _alone(name: str, seconds: float, seed: int, engine: str) -> int:
    """In this process; says what it found to the one that started it."""

    def done(found: Findings) -> int:
        for one in shown(found.broken):
            print(f"  {one}")
        row = {"seconds": round(found.seconds, 1), "executions": found.executions}
        print(_MARK + json.dumps({**row, "findings": len(found.broken)}), flush=True)
        return 1 if found.broken else 0

    if engine == "atheris":
        with covered.instrumented():
            targets = _targets()
        covered.search(targets[name], seconds, seed, done)
    return done(search(_targets()[name], seconds, seed))


def _targets() -> Mapping[str, Target]:
    """Imported here: it must be inside what instruments it."""
    from tests.fuzz.targets import TARGETS

    return TARGETS


def main() -> int:
    options = argparse.ArgumentParser(
        "make fuzz", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("targets", nargs="*", metavar="TARGET", help="e.g. pdu; without one, all")
    options.add_argument("--seconds", type=float, default=60.0, help="for each target (default: 60)")
    options.add_argument("--seed", type=int, default=None, help="default: another one each time")
    options.add_argument("--engine", choices=("random", "atheris"), default="random")
    options.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    given = options.parse_args()
    if given.engine == "atheris" and importlib.util.find_spec("atheris") is None:
        options.error("atheris is not installed; run: .venv/bin/python -m pip install -e '.[fuzz]'")
    seed = random.SystemRandom().randrange(1 << 31) if given.seed is None else given.seed
    if given.alone:
        return _alone(given.targets[0], given.seconds, seed, given.engine)
    known = list(_targets())
    if unknown := [name for name in given.targets if name not in known]:
        options.error(f"there is no target {unknown[0]}; there are {', '.join(known)}")
    names = given.targets or known
    rows = []
    for number, name in enumerate(names, 1):
        print(f"{number} of {len(names)}: {name}, {given.seconds:g} s (seed {seed}, {given.engine})", flush=True)
        rows.append(searched(name, given.seconds, seed, given.engine))
    print(f"\n{table(rows)}\n\nseed {seed}: {sum(row.findings for row in rows)} findings")
    return 1 if any(row.findings for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
