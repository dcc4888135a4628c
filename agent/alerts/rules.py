"""What is wrong, and for long enough to tell somebody: facts in, verdicts and decisions out. Pure.

A verdict is bad, good, or undecided. Undecided leaves things as they are, so that a restart, after which nothing has
been wrong for long yet, neither clears an alert nor raises it again.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from agent.alerts.settings import AlertSettings
from agent.journal.alerts import Alert, NewAlert
from agent.model import RouteState
from drivers.values import dataclass

Key = tuple[str, str]

_SIM_STATES = frozenset({RouteState.BLOCKED, RouteState.NO_SIM, RouteState.REFUSED})
_WELL = frozenset({RouteState.READY, RouteState.PAUSED})
# The modem answers, so its SIM was looked at.
_SIM_IS_WELL = frozenset({*_WELL, RouteState.NO_SERVICE})
_MB = 1e6
GIVEN_UP_STANDS_S = 86_400.0
"""What is lost cannot get better: this alert ends after a day."""


@dataclass(frozen=True, slots=True)
class RouteFacts:
    """One route now. `credit` is a number where its words hold one."""

    name: str
    state: RouteState
    problem: str | None = None
    down_for_s: float = 0.0
    storage_used: int | None = None
    storage_total: int | None = None
    credit: float | None = None


@dataclass(frozen=True, slots=True)
class UpstreamFacts:
    """One upstream now. `down_for_s` is how long this process has seen it down, None while it is up."""

    name: str
    problem: str | None
    down_for_s: float | None


@dataclass(frozen=True, slots=True)
class Facts:
    """All that is looked at. `given_up_ago_s` is None where this process gave up nothing."""

    routes: Sequence[RouteFacts] = ()
    upstreams: Sequence[UpstreamFacts] = ()
    oldest_queued_s: float = 0.0
    disk_free_bytes: int = 1 << 40
    journal_problem: str | None = None
    given_up: int = 0
    given_up_ago_s: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """`is_bad` None is undecided. `subject` is '' for the box."""

    kind: str
    subject: str
    is_bad: bool | None
    sentence: str

    @property
    def key(self) -> Key:
        return self.kind, self.subject


@dataclass(frozen=True, slots=True)
class Decision:
    """What changes. `good_since` is for the next look."""

    raised: tuple[NewAlert, ...] = ()
    cleared: tuple[Alert, ...] = ()
    good_since: Mapping[Key, float] = field(default_factory=dict)


def verdicts(facts: Facts, settings: AlertSettings) -> list[Verdict]:
    """One per thing that is watched; each `(kind, subject)` once."""
    found = [verdict for route in facts.routes for verdict in _of_route(route, settings)]
    for upstream in facts.upstreams:
        after_s = settings.upstream_down_after_s
        is_bad = False if upstream.down_for_s is None else True if upstream.down_for_s >= after_s else None
        why = f": {_clause(upstream.problem)}" if upstream.problem else ""
        found.append(
            Verdict("upstream_down", upstream.name, is_bad, f"server {upstream.name} down for {_span(after_s)}{why}")
        )
    waited = f"a message has waited for {_span(settings.queue_after_s)} or more"
    found.append(Verdict("queue", "", facts.oldest_queued_s >= settings.queue_after_s > 0, waited))
    free_mb = facts.disk_free_bytes / _MB
    low = f"only {free_mb:.0f} MB are free on the journal's disk"
    found.append(Verdict("disk", "", free_mb < settings.disk_free_below_mb, low))
    found.append(Verdict("journal", "", facts.journal_problem is not None, _clause(facts.journal_problem or "")))
    ago_s = facts.given_up_ago_s
    gone = f"{facts.given_up} reports or inbound messages were given up: their server did not take them"
    found.append(Verdict("given_up", "", None if ago_s is None else ago_s < GIVEN_UP_STANDS_S, gone))
    return found


def decide(
    found: Sequence[Verdict],
    active: Sequence[Alert],
    good_since: Mapping[Key, float],
    *,
    now_s: float,
    utc_ms: int,
    settings: AlertSettings,
) -> Decision:
    """What to raise and what to clear. `now_s` counts without jumps."""
    standing = {alert.key: alert for alert in active}
    watched = {verdict.key for verdict in found}
    raised, cleared = [], [alert for key, alert in standing.items() if key not in watched]
    good: dict[Key, float] = {}
    for verdict in found:
        alert = standing.get(verdict.key)
        is_over = alert is not None and _is_over(alert, verdict, utc_ms)
        if verdict.is_bad and alert is None:
            raised.append(NewAlert(verdict.kind, verdict.subject, verdict.sentence))
        elif alert is not None and is_over:
            good[verdict.key] = good_since.get(verdict.key, now_s)
            if now_s - good[verdict.key] >= settings.clear_after_s:
                cleared.append(alert)
                del good[verdict.key]
    return Decision(tuple(raised), tuple(cleared), good)


def to_tell(
    untold: Sequence[Alert], settings: AlertSettings, *, is_quiet: bool, told_last_hour: int
) -> list[tuple[Alert, bool]]:
    """Which alerts to tell of now, with whether it is their end. What is muted is never told."""
    if is_quiet:
        return []
    room = max(0, settings.notices_per_hour - told_last_hour)
    fit = [(alert, alert.cleared_ms is not None) for alert in untold if alert.kind not in settings.mute]
    return fit[:room]


def amount(words: str | None) -> float | None:
    """The number in a service's or an operator's words, e.g. "12,34 EUR" or "1 234.50"."""
    match = re.search(r"-?[0-9]+(?:[  '][0-9]{3})*(?:[.,][0-9]+)?", words or "")
    if match is None:
        return None
    return float(re.sub(r"[  ']", "", match[0]).replace(",", "."))


def _of_route(route: RouteFacts, settings: AlertSettings) -> Iterator[Verdict]:
    name, state = route.name, route.state
    why = f": {_clause(route.problem)}" if route.problem else f" ({state.value})"
    after_s = settings.no_network_after_s
    is_down: bool | None = None
    if state in _WELL:
        is_down = False
    elif state not in _SIM_STATES and route.down_for_s >= after_s:
        is_down = True
    yield Verdict("no_network", name, is_down, f"{name} could not send for {_span(after_s)}{why}")
    is_blocked: bool | None = None
    if state in _SIM_IS_WELL:
        is_blocked = False
    elif state in _SIM_STATES and route.down_for_s >= settings.sim_blocked_after_s:
        is_blocked = True
    yield Verdict("sim_blocked", name, is_blocked, f"the SIM of {name} needs you{why}")
    used, total = route.storage_used, route.storage_total
    full: bool | None = None
    if used is not None and total:
        full = 100 * used / total >= settings.storage_percent
    yield Verdict("storage", name, full, f"the modem of {name} has {used or 0} of {total or 0} messages in its memory")
    if settings.credit_below is not None:
        low = None if route.credit is None else route.credit < settings.credit_below
        left = "" if route.credit is None else f"{route.credit:g}"
        yield Verdict("credit", name, low, f"{name} has {left} of credit left")


def _is_over(alert: Alert, verdict: Verdict, utc_ms: int) -> bool:
    if verdict.kind == "given_up" and verdict.is_bad is None:
        return utc_ms - alert.raised_ms >= GIVEN_UP_STANDS_S * 1000
    return verdict.is_bad is False


def _span(seconds: float) -> str:
    if seconds >= 2 * 3600:
        return f"{seconds / 3600:.0f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 60 else f"{seconds:g} s"


def _clause(sentence: str | None) -> str:
    return (sentence or "").rstrip(".")
