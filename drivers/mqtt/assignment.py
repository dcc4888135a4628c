"""Which gateway of a pool gets the next job. Pure.

A gateway is given so much that its lines stay busy until the next word from it, and no more: what it does not have
needs not be asked back from it. Among those with room, the one that would have it on the air first gets it; so the
shares follow the lines.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from drivers.values import dataclass

# A gateway that has not said how fast it is: a modem with its SIM sends one SMS in 3 to 6 seconds.
_ASSUMED_PER_MINUTE = 12.0
# One on the air and one behind it, so that no line waits for the broker.
_LEAST_PER_LINE = 2


@dataclass(frozen=True, slots=True)
class Load:
    """A gateway as it stands. `ours` are jobs of this pool that it has not tried, `foreign` what else waits there;
    `per_minute` is what all its lines send, None where it is not known."""

    device: str
    lines: int
    room: int
    per_minute: float | None
    ours: int
    foreign: int = 0

    @property
    def speed(self) -> float:
        """Jobs per minute, never 0."""
        return self.per_minute if self.per_minute else _ASSUMED_PER_MINUTE * max(1, self.lines)

    def depth(self, ahead_s: float) -> int:
        """How many jobs may wait there."""
        wanted = max(_LEAST_PER_LINE * self.lines, math.ceil(self.speed * ahead_s / 60))
        return min(self.room, wanted)

    def free(self, ahead_s: float) -> int:
        """How many more it is given now."""
        return max(0, self.depth(ahead_s) - self.ours - self.foreign)


def choose(loads: Iterable[Load], ahead_s: float) -> str | None:
    """The gateway that would have one more job on the air first; None where there is no room."""
    fitting = [load for load in loads if load.free(ahead_s)]
    best = min(fitting, key=lambda load: ((load.ours + load.foreign + 1) / load.speed, load.device), default=None)
    return None if best is None else best.device
