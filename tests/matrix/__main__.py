"""`make matrix`: every personality under every fault, as a table. Exits 1 where a message was lost or doubled."""

from __future__ import annotations

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import structlog

from drivers.simulator.personalities import PERSONALITIES
from tests.matrix.cases import BY_NAME, CASES, SWITCH_CASES, Case
from tests.matrix.runner import DUAL, Outcome, run_case

DUALS = tuple(f"{name}{DUAL}" for name, row in PERSONALITIES.items() if row.sim_switches)
COLUMNS = (*PERSONALITIES, *DUALS)


def fields(columns: Sequence[str], cases: Sequence[Case]) -> list[tuple[str, Case]]:
    """The product, without what cannot be: a switch of SIMs where there is one, a remedy that the modem lacks."""
    return [
        (name, case)
        for case in cases
        for name in columns
        if (name.endswith(DUAL) or case not in SWITCH_CASES)
        and case.needs not in PERSONALITIES[name.removesuffix(DUAL)].refused
    ]


async def run_all(
    pairs: Sequence[tuple[str, Case]], directory: Path, *, jobs: int, outbound: int, inbound: int
) -> list[Outcome]:
    """Run fields of the matrix, `jobs` at once (they mostly wait); each is told when it ends."""
    places = asyncio.Semaphore(jobs)
    outcomes: list[Outcome] = []

    async def one(number: int, personality: str, case: Case) -> None:
        async with places:
            outcome = await run_case(directory / str(number), personality, case, outbound=outbound, inbound=inbound)
        outcomes.append(outcome)
        tell(outcome)

    async with asyncio.TaskGroup() as group:
        for number, (personality, case) in enumerate(pairs):
            group.create_task(one(number, personality, case))
    return outcomes


def tell(outcome: Outcome) -> None:
    """One line per field, and one per problem."""
    word = "ok  " if outcome.is_met else "MISS"
    print(
        f"{word} {outcome.personality:<12} {outcome.case:<32} fired {outcome.fired:>2}  flagged {outcome.flagged:>2}  "
        f"violations {outcome.violations:>2}  {outcome.took_s:5.1f} s",
        flush=True,
    )
    for problem in outcome.problems:
        print(f"       {problem}", flush=True)


def table(outcomes: Sequence[Outcome]) -> str:
    """Faults down, personalities across: `.` met (with the number of flagged doubles), `X` missed."""
    names = [name for name in COLUMNS if any(outcome.personality == name for outcome in outcomes)]
    found = {(outcome.personality, outcome.case): outcome for outcome in outcomes}
    lines = [" " * 32 + " ".join(f"{_short(name):>6}" for name in names)]
    for case in (*CASES, *SWITCH_CASES):
        row = [found.get((name, case.name)) for name in names]
        if any(row):
            lines.append(f"{case.name:<32}" + " ".join(f"{_cell(outcome):>6}" for outcome in row))
    return "\n".join(lines)


def _short(name: str) -> str:
    return f"{name.removesuffix(DUAL)[:4]}{DUAL}" if name.endswith(DUAL) else name[:6]


def _cell(outcome: Outcome | None) -> str:
    if outcome is None:
        return ""
    return "X" if not outcome.is_met else f"+{outcome.flagged}" if outcome.flagged else "."


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--personality", choices=COLUMNS, action="append", help="only these; NAME/2 has two SIMs")
    parser.add_argument("--fault", choices=BY_NAME, action="append", help="only these")
    parser.add_argument("--jobs", type=int, default=6, help="fields at once")
    parser.add_argument("--out", type=int, default=40, help="messages out")
    parser.add_argument("--in", dest="inbound", type=int, default=20, help="messages in")
    parser.add_argument("--keep", type=Path, help="keep logs and journals below this directory")
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    cases = [BY_NAME[name] for name in options.fault] if options.fault else list(BY_NAME.values())
    pairs = fields(options.personality or COLUMNS, cases)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="pb-") as temporary:
        directory = options.keep or Path(temporary)
        outcomes = asyncio.run(
            run_all(pairs, directory, jobs=options.jobs, outbound=options.out, inbound=options.inbound)
        )
    missed = [outcome for outcome in outcomes if not outcome.is_met]
    print(f"\n{table(outcomes)}\n")
    print(
        f"{len(outcomes)} fields of {options.out} out and {options.inbound} in, {len(missed)} missed, "
        f"{sum(outcome.flagged for outcome in outcomes)} messages flagged as possible doubles, "
        f"{time.monotonic() - started:.0f} s"
    )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
