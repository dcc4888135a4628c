"""How fast the lines are, from what routes count."""

from __future__ import annotations

from agent.upstreams.mqtt.speed import Line, Speed


def test_speed_is_not_known_before_every_line_has_sent() -> None:
    speed = Speed()
    assert speed.per_minute([Line("a", 1, 3.0, 0.0), Line("b", 0, 0.0, 0.0)]) is None
    assert speed.per_minute([Line("a", 1, 3.0, 0.0), Line("b", 1, 6.0, 0.0)]) == 30.0


def test_delays_and_limits_of_a_route_count() -> None:
    assert Speed().per_minute([Line("a", 2, 6.0, 3.0)]) == 10.0
    assert Speed().per_minute([Line("a", 2, 2.0, 0.0, per_minute=25)]) == 25.0


def test_a_line_that_slows_down_is_noticed_and_one_slow_sms_is_not_the_whole_truth() -> None:
    speed = Speed()
    assert speed.per_minute([Line("a", 10, 10.0, 0.0)]) == 60.0
    once = speed.per_minute([Line("a", 11, 20.0, 0.0)])
    assert once is not None and 6.0 < once < 30.0
    for sent in range(12, 40):
        last = speed.per_minute([Line("a", sent, 20.0 + 10 * (sent - 11), 0.0)])
    assert last == 6.0


def test_a_route_that_was_made_anew_counts_from_nothing() -> None:
    speed = Speed()
    speed.per_minute([Line("a", 10, 10.0, 0.0)])
    assert speed.per_minute([Line("a", 1, 1.0, 0.0)]) == 60.0
