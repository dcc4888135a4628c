"""What routes count as they work: plain numbers in memory, no journal and no library. Since the start of the process.

A histogram's counts are per bucket, not cumulative; the exposition adds them up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from dataclasses import field

from drivers.api import (
    NotReady,
    OutcomeUnknown,
    Refused,
    RouteRefused,
    SubmitError,
    Submitted,
    TryLater,
)
from drivers.values import dataclass

LATENCY_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 180.0, 600.0, 3600.0, 86400.0)
"""From a fast modem's milliseconds to a phone that was off for a day."""

OUTCOMES: tuple[tuple[type[SubmitError], str], ...] = (
    (OutcomeUnknown, "unknown"),
    (TryLater, "try_later"),
    (NotReady, "not_ready"),
    (RouteRefused, "route_refused"),
    (Refused, "refused"),
)
"""What became of one submit, in a word that is safe as a label."""


@dataclass(slots=True)
class Histogram:
    """Latencies in seconds."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BUCKETS_S) + 1))
    sum_s: float = 0.0

    def observe(self, value_s: float) -> None:
        """A clock that was set back is no negative latency."""
        value_s = max(0.0, value_s)
        self.counts[bisect_left(LATENCY_BUCKETS_S, value_s)] += 1
        self.sum_s += value_s


@dataclass(slots=True)
class RouteTally:
    """One route's counts."""

    outcomes: Counter[str] = field(default_factory=Counter)
    retries: int = 0
    accept_to_wire: Histogram = field(default_factory=Histogram)
    wire_to_sent: Histogram = field(default_factory=Histogram)

    def submitted(self, result: Submitted | SubmitError, *, tries: int, waited_s: float | None, took_s: float) -> None:
        """One submit that ended. `waited_s` is from acceptance to the wire, None where it was no first try."""
        word = outcome(result)
        self.outcomes[word] += 1
        if tries > 1:
            self.retries += 1
        if waited_s is not None:
            self.accept_to_wire.observe(waited_s)
        if word == "sent":
            self.wire_to_sent.observe(took_s)


def outcome(result: Submitted | SubmitError) -> str:
    """The label of a submit's result."""
    if isinstance(result, Submitted):
        return "sent"
    return next((word for kind, word in OUTCOMES if isinstance(result, kind)), "error")
