"""Every fault and every personality at least once, in a short form; `make matrix` has the whole product."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from drivers.simulator.faults import FAULTS
from drivers.simulator.personalities import PERSONALITIES
from tests.matrix.__main__ import DUALS, run_all
from tests.matrix.cases import CASES, SWITCH_CASES, Case

_AT_ONCE = 16


def _groups() -> list[list[tuple[str, Case]]]:
    """The faults dealt out to the personalities in turn, some at once since they mostly wait."""
    pairs = list(zip(itertools.cycle(PERSONALITIES), CASES, strict=False))
    pairs += list(zip(itertools.cycle(DUALS), SWITCH_CASES, strict=False))
    return [pairs[start : start + _AT_ONCE] for start in range(0, len(pairs), _AT_ONCE)]


@pytest.mark.parametrize("pairs", _groups(), ids=lambda pairs: f"{pairs[0][1].name} and on")
async def test_nothing_is_lost_and_nothing_doubled_unflagged(tmp_path: Path, pairs: list[tuple[str, Case]]) -> None:
    outcomes = await run_all(pairs, tmp_path, jobs=_AT_ONCE, outbound=10, inbound=6)
    assert {(outcome.personality, outcome.case): outcome.problems for outcome in outcomes if not outcome.is_met} == {}


def test_every_personality_and_every_fault_has_a_turn() -> None:
    dealt = [pair for group in _groups() for pair in group]
    assert {name for name, _ in dealt} == {*PERSONALITIES, *DUALS}
    armed = {fault.name for _, case in dealt for fault in case.faults}
    not_for_messages = {
        "cms_error",
        "unplug",
        "smsc_lost",
    }  # the first two have siblings here, the last a play of its own
    assert armed | not_for_messages == set(FAULTS)
