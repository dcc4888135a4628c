"""Parks a SIM whose account is refused again and again, and tells that from one message that nobody may send. Pure.

A single refusal may be a slip of the network, or a number that this account may not write to; only a streak without
anything sent in between is the SIM's own fault.
"""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum, auto

STREAK = 3
FIRST_PARK_S = 600.0
"""Asking a network that refuses the account more often than this makes it worse (modem.md 3.1, class S)."""
LONGEST_PARK_S = 6 * 3600.0
BLAMED_AFTER = 2
"""Refusals of one part, with others sent in between, after which it is the message's own."""
_REMEMBERED = 256


class Verdict(Enum):
    """What a refusal of the account means."""

    WAIT = auto()
    """Too early to say: the part waits as if there were no service."""
    PARK = auto()
    """The SIM may not send: nothing more goes by it for `park_s`."""
    MESSAGE = auto()
    """Others are sent meanwhile: this message is what the account may not send."""


class Breaker:
    """Of one route; `now` is any monotonic time in seconds."""

    def __init__(self) -> None:
        self._streak = 0
        self._parks = 0
        self._until = 0.0
        self._sent = 0
        self._refusals: OrderedDict[tuple[int, int], tuple[int, int]] = OrderedDict()

    def is_open(self, now: float) -> bool:
        """Whether the SIM is parked."""
        return now < self._until

    @property
    def park_s(self) -> float:
        """How long the last park lasts: twice as long each time until something is sent."""
        return min(LONGEST_PARK_S, FIRST_PARK_S * 2.0 ** max(0, self._parks - 1))

    def sent(self) -> None:
        """Something was sent: the account is sound."""
        self._streak = self._parks = 0
        self._until = 0.0
        self._sent += 1

    def refused(self, part: tuple[int, int], now: float, *, is_certain: bool) -> Verdict:
        """Judge one refusal. `part` is (message id, sequence); `is_certain` needs no streak, e.g. no SMSC."""
        if not is_certain and self._is_blamed(part):
            return Verdict.MESSAGE
        self._streak += 1
        # After a park one refusal is enough to know that nothing has changed.
        if not is_certain and self._streak < STREAK and not self._parks:
            return Verdict.WAIT
        self._streak = 0
        self._parks += 1
        self._until = now + self.park_s
        return Verdict.PARK

    def _is_blamed(self, part: tuple[int, int]) -> bool:
        """Count the refusals of a part between which something else was sent."""
        count, sent = self._refusals.pop(part, (0, -1))
        if sent != self._sent:
            count += 1
        self._refusals[part] = (count, self._sent)
        if len(self._refusals) > _REMEMBERED:
            self._refusals.popitem(last=False)
        return count > BLAMED_AFTER
