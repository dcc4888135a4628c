"""How often a timer fired, counted from the instants at which it was seen to. Pure.

Instants and spans are seconds of one clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

Span = tuple[float, float]
# A turn may stand behind an AT command that waits for its modem.
_COMMAND_S = 15.0


@dataclass(frozen=True, slots=True)
class Firings:
    """One timer between two instants; `down` are the spans in which it could not fire."""

    count: int
    expected: float
    longest_gap_s: float
    restarts: int = 0

    def are_in_time(self, interval_s: float, most: float) -> bool:
        """As often as the interval says, within 5 % below and `most` times above, and never late by a whole turn and a
        command's wait. One turn may be cut off at the end, and one more begins with every restart."""
        least, most_often = 0.95 * self.expected - 1, most * self.expected + 2 + self.restarts
        return least <= self.count <= most_often and self.longest_gap_s <= 2 * interval_s + _COMMAND_S

    def __str__(self) -> str:
        return f"{self.count} of {self.expected:.0f}, longest gap {self.longest_gap_s:.1f} s"


def count(instants: Iterable[float], interval_s: float, span: Span, down: Sequence[Span] = ()) -> Firings:
    """Instants closer than a tenth of the interval are one firing."""
    turns: list[float] = []
    for instant in sorted(instants):
        is_inside = span[0] <= instant <= span[1] and not any(begin < instant < end for begin, end in down)
        if is_inside and (not turns or instant - turns[-1] >= interval_s / 10):
            turns.append(instant)
    up_s = span[1] - span[0] - sum(_overlap(span, one) for one in down)
    edges = [span[0], *turns, span[1]]
    gaps = [end - begin - sum(_overlap((begin, end), one) for one in down) for begin, end in pairwise(edges)]
    return Firings(len(turns), up_s / interval_s, max(gaps), len(down))


def _overlap(one: Span, other: Span) -> float:
    return max(0.0, min(one[1], other[1]) - max(one[0], other[0]))
