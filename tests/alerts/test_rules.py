"""What is an alert, as tables: facts in, alerts out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agent.alerts import rules
from agent.alerts.rules import Facts, RouteFacts, UpstreamFacts
from agent.alerts.settings import KINDS, AlertSettings
from agent.journal.alerts import Alert
from agent.model import RouteState

DAY_MS = 86_400_000
SETTINGS = AlertSettings(credit_below=5.0)
WELL = RouteFacts("sim0", RouteState.READY, storage_used=1, storage_total=20, credit=9.0)
ALERT = Alert(1, "no_network", "sim0", "x", 1000, None, 1000, None)


def route(**changes: Any) -> Facts:
    return Facts(routes=[replace(WELL, **changes)])


def bad(facts: Facts) -> set[tuple[str, str]]:
    return {verdict.key for verdict in rules.verdicts(facts, SETTINGS) if verdict.is_bad}


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        pytest.param(Facts(routes=[WELL]), set(), id="well"),
        pytest.param(route(state=RouteState.PAUSED, down_for_s=9e9), set(), id="paused by its owner"),
        pytest.param(route(state=RouteState.NO_SERVICE, down_for_s=599), set(), id="not long enough"),
        pytest.param(route(state=RouteState.NO_SERVICE, down_for_s=600), {("no_network", "sim0")}, id="no network"),
        pytest.param(route(state=RouteState.ABSENT, down_for_s=600), {("no_network", "sim0")}, id="unplugged"),
        pytest.param(route(state=RouteState.RETRYING, down_for_s=600), {("no_network", "sim0")}, id="silent modem"),
        pytest.param(route(state=RouteState.BLOCKED, down_for_s=60), {("sim_blocked", "sim0")}, id="PIN or PUK"),
        pytest.param(route(state=RouteState.NO_SIM, down_for_s=60), {("sim_blocked", "sim0")}, id="no SIM"),
        pytest.param(route(state=RouteState.REFUSED, down_for_s=60), {("sim_blocked", "sim0")}, id="account refuses"),
        pytest.param(route(state=RouteState.BLOCKED, down_for_s=59), set(), id="a SIM that is slow to wake"),
        pytest.param(route(storage_used=15), set(), id="storage at 75 %"),
        pytest.param(route(storage_used=16), {("storage", "sim0")}, id="storage at 80 %"),
        pytest.param(route(storage_used=0, storage_total=0), set(), id="no storage at all"),
        pytest.param(route(credit=4.99), {("credit", "sim0")}, id="credit low"),
        pytest.param(route(credit=None), set(), id="credit unknown"),
        pytest.param(Facts(oldest_queued_s=1800), {("queue", "")}, id="queue stands"),
        pytest.param(Facts(oldest_queued_s=1799), set(), id="queue moves"),
        pytest.param(Facts(disk_free_bytes=99_000_000), {("disk", "")}, id="disk low"),
        pytest.param(Facts(journal_problem="it does not answer"), {("journal", "")}, id="journal"),
        pytest.param(Facts(upstreams=[UpstreamFacts("m", "401", 900)]), {("upstream_down", "m")}, id="server down"),
        pytest.param(Facts(upstreams=[UpstreamFacts("m", "401", 899)]), set(), id="server down for a moment"),
        pytest.param(Facts(upstreams=[UpstreamFacts("m", None, None)]), set(), id="server up"),
        pytest.param(Facts(given_up=3, given_up_ago_s=10), {("given_up", "")}, id="given up"),
    ],
)
def test_what_is_wrong(facts: Facts, expected: set[tuple[str, str]]) -> None:
    assert bad(facts) == expected


def test_every_kind_is_watched_and_says_what_is_wrong() -> None:
    facts = Facts(routes=[WELL], upstreams=[UpstreamFacts("m", None, None)])
    found = rules.verdicts(facts, SETTINGS)
    assert {verdict.kind for verdict in found} == set(KINDS)
    assert len({verdict.key for verdict in found}) == len(found)


@pytest.mark.parametrize(
    ("facts", "active", "good_since", "now_s", "raised", "cleared"),
    [
        pytest.param(route(), [], {}, 0, [], [], id="well stays well"),
        pytest.param(route(state=RouteState.ABSENT, down_for_s=700), [], {}, 0, ["no_network"], [], id="raised"),
        pytest.param(route(state=RouteState.ABSENT, down_for_s=700), [ALERT], {}, 0, [], [], id="raised once"),
        pytest.param(
            route(state=RouteState.STARTING, down_for_s=1), [ALERT], {}, 0, [], [], id="a restart clears nothing"
        ),
        pytest.param(route(), [ALERT], {}, 100, [], [], id="not cleared at the first sight"),
        pytest.param(route(), [ALERT], {ALERT.key: 100.0}, 159, [], [], id="nor before it has been well for long"),
        pytest.param(route(), [ALERT], {ALERT.key: 100.0}, 160, [], ["no_network"], id="cleared"),
        pytest.param(
            route(state=RouteState.ABSENT, down_for_s=1), [ALERT], {ALERT.key: 100.0}, 160, [], [], id="flapping"
        ),
        pytest.param(Facts(), [ALERT], {}, 0, [], ["no_network"], id="the route was taken out"),
    ],
)
def test_decisions(
    facts: Facts,
    active: list[Alert],
    good_since: dict[tuple[str, str], float],
    now_s: float,
    raised: list[str],
    cleared: list[str],
) -> None:
    found = rules.decide(
        rules.verdicts(facts, SETTINGS), active, good_since, now_s=now_s, utc_ms=2000, settings=SETTINGS
    )
    assert [new.kind for new in found.raised] == raised
    assert [old.kind for old in found.cleared] == cleared


def test_a_flapping_route_begins_to_be_well_anew() -> None:
    down = rules.verdicts(route(state=RouteState.ABSENT, down_for_s=1), SETTINGS)
    found = rules.decide(down, [ALERT], {ALERT.key: 100.0}, now_s=130, utc_ms=0, settings=SETTINGS)
    assert ALERT.key not in found.good_since


@pytest.mark.parametrize(("age_ms", "ends"), [(DAY_MS - 1, False), (DAY_MS, True)])
def test_what_was_given_up_ends_after_a_day_also_over_a_restart(age_ms: int, ends: bool) -> None:
    alert = Alert(7, "given_up", "", "x", 1000, None, 1000, None)
    found = rules.verdicts(Facts(), SETTINGS)
    decision = rules.decide(found, [alert], {alert.key: 0.0}, now_s=100, utc_ms=1000 + age_ms, settings=SETTINGS)
    assert bool(decision.cleared) is ends


CLEARED = replace(ALERT, id=2, kind="disk", subject="", cleared_ms=2000)


@pytest.mark.parametrize(
    ("untold", "settings", "is_quiet", "lately", "told"),
    [
        pytest.param([ALERT, CLEARED], {}, False, 0, [(1, False), (2, True)], id="both"),
        pytest.param([ALERT, CLEARED], {}, True, 0, [], id="quiet hours"),
        pytest.param([ALERT, CLEARED], {"mute": ("no_network",)}, False, 0, [(2, True)], id="muted"),
        pytest.param([ALERT, CLEARED], {"notices_per_hour": 1}, False, 0, [(1, False)], id="oldest first"),
        pytest.param([ALERT, CLEARED], {"notices_per_hour": 5}, False, 5, [], id="enough for this hour"),
    ],
)
def test_whom_to_tell(
    untold: list[Alert], settings: dict[str, Any], is_quiet: bool, lately: int, told: list[tuple[int, bool]]
) -> None:
    found = rules.to_tell(untold, AlertSettings(**settings), is_quiet=is_quiet, told_last_hour=lately)
    assert [(alert.id, is_clear) for alert, is_clear in found] == told


@pytest.mark.parametrize(
    ("words", "number"),
    [
        ("12,34 EUR", 12.34), ("Credit: 1 234.50", 1234.5), ("-3", -3.0), ("0", 0.0), (None, None), ("none", None),
        ("4.5000000", 4.5),
    ],
)  # fmt: skip
def test_the_number_in_an_operators_words(words: str | None, number: float | None) -> None:
    assert rules.amount(words) == number
