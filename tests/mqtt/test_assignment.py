"""Who gets the next job: tables."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from drivers.mqtt.assignment import Load, choose

FAST = Load(device="fast", lines=1, room=20, per_minute=60, ours=0)
SLOW = Load(device="slow", lines=1, room=20, per_minute=20, ours=0)
FOUR = Load(device="four", lines=4, room=80, per_minute=None, ours=0)


@pytest.mark.parametrize(
    ("loads", "chosen"),
    [
        pytest.param([], None, id="nobody is there"),
        pytest.param([SLOW, FAST], "fast", id="the faster one of two idle ones"),
        pytest.param([replace(FAST, ours=3), SLOW], "slow", id="until the slower one would have it out first"),
        pytest.param([replace(FAST, ours=1), SLOW], "fast", id="which it would not yet"),
        pytest.param([replace(FAST, foreign=3), SLOW], "slow", id="other senders' jobs wait there too"),
        pytest.param([replace(FAST, room=0), SLOW], "slow", id="none of its lines can send"),
        pytest.param([replace(FAST, ours=20), replace(SLOW, ours=7)], None, id="both have enough for 20 s"),
        pytest.param([replace(SLOW, ours=6)], "slow", id="one is still wanted for the 20 s"),
        pytest.param([replace(SLOW, per_minute=0.1, ours=1)], "slow", id="each line has one behind the one on the air"),
        pytest.param([replace(SLOW, per_minute=0.1, ours=2)], None, id="and not more"),
        pytest.param([FOUR, replace(SLOW, per_minute=12)], "four", id="unmeasured, by the number of lines"),
    ],
)
def test_who_gets_the_next_job(loads: list[Load], chosen: str | None) -> None:
    assert choose(loads, 20) == chosen


def test_shares_follow_the_lines_while_each_sends_at_its_speed() -> None:
    loads = {
        "a": replace(FAST, device="a"),
        "b": replace(SLOW, device="b"),
        "c": replace(SLOW, device="c", per_minute=40),
    }
    given: Counter[str] = Counter()
    for second in range(600):
        while device := choose(loads.values(), 20):
            given[device] += 1
            loads[device] = replace(loads[device], ours=loads[device].ours + 1)
        for name, load in loads.items():
            is_due = second % round(60 / load.speed) == 0 if load.speed != 40 else second % 3 != 0
            loads[name] = replace(load, ours=max(0, load.ours - is_due))
    total = sum(given.values())
    shares = {name: given[name] / total for name in loads}
    for name, load in loads.items():
        assert shares[name] == pytest.approx(load.speed / 120, abs=0.02)
