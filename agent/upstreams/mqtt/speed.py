"""How fast the lines of this gateway are, from what its routes count. Pure: counts and settings are given."""

from __future__ import annotations

from collections.abc import Iterable

from drivers.values import dataclass

# The share of a new measurement in the mean: an SMS that took long is no slow line.
_NEW = 0.3
_DIGITS = 2
"""What is told is rounded to so many digits, so that it is not told anew for nothing."""


@dataclass(frozen=True, slots=True)
class Line:
    """A route that can send. `sent` and `sent_s` are how many parts went and how long they took together;
    `pause_s` is the configured delay between two."""

    name: str
    sent: int
    sent_s: float
    pause_s: float
    per_minute: int | None = None


class Speed:
    """Remembers the mean duration of each line."""

    def __init__(self) -> None:
        self._seen: dict[str, tuple[int, float]] = {}
        self._mean_s: dict[str, float] = {}

    def per_minute(self, lines: Iterable[Line]) -> float | None:
        """What all lines send together; None while one of them has sent nothing yet."""
        total = 0.0
        for line in lines:
            mean_s = self._measured(line)
            if mean_s is None:
                return None
            speed = 60 / max(0.001, mean_s + line.pause_s)
            total += speed if line.per_minute is None else min(speed, line.per_minute)
        return float(f"{total:.{_DIGITS}g}") if total else None

    def _measured(self, line: Line) -> float | None:
        sent, sent_s = self._seen.get(line.name, (0, 0.0))
        if line.sent < sent:
            sent, sent_s = 0, 0.0  # the route was made anew
        if line.sent > sent:
            newest_s = (line.sent_s - sent_s) / (line.sent - sent)
            known_s = self._mean_s.get(line.name)
            self._mean_s[line.name] = newest_s if known_s is None else (1 - _NEW) * known_s + _NEW * newest_s
            self._seen[line.name] = (line.sent, line.sent_s)
        return self._mean_s.get(line.name)
