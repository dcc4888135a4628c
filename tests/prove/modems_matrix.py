"""Every personality under every fault (`tests/matrix`), as figures: one row per fault."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

from drivers.simulator.personalities import PERSONALITIES
from tests.matrix.__main__ import COLUMNS, fields, run_all, table
from tests.matrix.cases import BY_NAME, CASES
from tests.prove.measured import Figures


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """The whole product, 40 out and 20 in each; short: each fault once and each personality at least once."""
    del seed
    pairs = fields(COLUMNS, tuple(BY_NAME.values()))
    outbound, inbound = 40, 20
    if short:
        pairs = list(zip(itertools.cycle(PERSONALITIES), CASES, strict=False))
        outbound, inbound = 10, 6
    outcomes = asyncio.run(run_all(pairs, directory, jobs=6, outbound=outbound, inbound=inbound))
    for case in BY_NAME.values():
        found = [outcome for outcome in outcomes if outcome.case == case.name]
        missed = [outcome.personality for outcome in found if not outcome.is_met]
        flagged = sum(outcome.flagged for outcome in found)
        told = f"{len(found) - len(missed)} of {len(found)} met, {flagged} flagged"
        if found:
            figures.expect(case.name, f"{told}{': missed ' + ', '.join(missed) if missed else ''}", not missed)
    figures.state(f"fields of {outbound} out and {inbound} in", len(outcomes))
    print(table(outcomes), flush=True)
