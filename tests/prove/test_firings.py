"""Timers are counted by the time that they could fire."""

from __future__ import annotations

import pytest

from tests.prove import firings


@pytest.mark.parametrize(
    ("instants", "down", "expected", "are_in_time"),
    [
        pytest.param(range(10, 100, 10), [], (9, 10.0, 10.0), True, id="regular"),
        pytest.param([10, 20, 30, 60, 70, 80, 90], [], (7, 10.0, 30.0), False, id="late"),
        pytest.param([10, 20, 60, 70, 80, 90], [(25, 55)], (6, 7.0, 10.0), True, id="down-meanwhile"),
        pytest.param([10, 10.2, 20, 30, 40, 50, 60, 70, 80, 90], [], (9, 10.0, 10.0), True, id="two-of-one-turn"),
        pytest.param(range(2, 100, 2), [], (49, 10.0, 2.0), False, id="too-often"),
        pytest.param([], [], (0, 10.0, 100.0), False, id="never"),
    ],
)
def test_firings(
    instants: list[float], down: list[firings.Span], expected: tuple[int, float, float], are_in_time: bool
) -> None:
    found = firings.count(instants, 10.0, (0.0, 100.0), down)
    assert (found.count, found.expected, found.longest_gap_s) == expected
    assert found.are_in_time(10.0, 1.2) is are_in_time
