"""Slows down whoever guesses passwords: per account and per address, in memory. Pure: no clock of its own.

A few mistakes cost nothing; from there each one doubles the wait. It counts for the account also when the right
password comes from elsewhere, so that many addresses are no faster than one.
"""

from __future__ import annotations

import math
from dataclasses import field

from drivers.values import dataclass

_FREE = 5
_LONGEST_S = 900.0
# As long as this after the last mistake all is forgotten.
_FORGOTTEN_S = 3600.0
_KEPT = 10_000


@dataclass(slots=True)
class _Mistakes:
    count: int
    last_s: float


@dataclass(slots=True)
class Attempts:
    """One per server. Times are seconds of one clock, whichever it is."""

    _known: dict[str, _Mistakes] = field(default_factory=dict)

    def wait_s(self, now_s: float, *keys: str) -> int:
        """Whole seconds until these may try again; 0: now."""
        waits = (self._left_s(now_s, key) for key in keys)
        return math.ceil(max(0.0, *waits))

    def failed(self, now_s: float, *keys: str) -> None:
        """A wrong password for, or from, each of these."""
        for key in keys:
            known = self._known.pop(key, None)
            if known is None or now_s - known.last_s > _FORGOTTEN_S:
                known = _Mistakes(0, now_s)
            # Put in again, so that the oldest stands first and goes first.
            self._known[key] = _Mistakes(known.count + 1, now_s)
        while len(self._known) > _KEPT:
            del self._known[next(iter(self._known))]

    def succeeded(self, account: str, address: str) -> None:
        """It was the right password: the account's mistakes are forgotten, but of the address's only this one; else
        whoever guesses would log in to an account of his own now and then."""
        self._known.pop(account, None)
        known = self._known.get(address)
        if known is not None:
            self._known[address] = _Mistakes(max(0, known.count - 1), known.last_s)

    def _left_s(self, now_s: float, key: str) -> float:
        known = self._known.get(key)
        if known is None or known.count < _FREE:
            return 0.0
        wait_s = min(_LONGEST_S, 2.0 ** min(known.count - _FREE, 20))
        return known.last_s + wait_s - now_s
