"""What one session and the driver share about a modem's health: when a session gives up, so that a rung may be taken.

The ladder itself outlives sessions, see `recovery`.
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping

from drivers.api import RecoveryStep, SubmitError, TryLater
from drivers.at.recovery import Ladder, Trouble

NO_SERVICE_S = 300.0
"""Modems look for a network again by themselves; those that forget to are helped after this."""
NETWORK_FAILURES = 5
"""Messages in a row that the network was too busy for, each with its own waits: then the radio is cycled."""

_NETWORK_CODES = frozenset({"CMS 17", "CMS 38", "CMS 41", "CMS 42", "CMS 47", "CMS 500", "CME 148"})


class Care:
    """Of one session. `ail` tells the driver why the session ends; `balances` is when each SIM's was last asked."""

    def __init__(
        self, ladder: Ladder, ail: Callable[[Trouble], None], balances: MutableMapping[str, float] | None = None
    ) -> None:
        self.ail = ail
        self.balances: MutableMapping[str, float] = {} if balances is None else balances
        self._ladder = ladder
        self._without_service_since: float | None = None
        self._network_failures = 0

    def has_service(self, now: float) -> RecoveryStep | None:
        """The modem works. Returns what to tell where a rung has just brought it back."""
        self._without_service_since = None
        rung = self._ladder.sound(now)
        if rung is None:
            return None
        return RecoveryStep("recovered", f"The modem works again after the step “{rung.value}”.")

    def is_stranded(self, now: float) -> bool:
        """Note that there is no service; whether that has lasted too long."""
        if self._without_service_since is None:
            self._without_service_since = now
        return now - self._without_service_since >= NO_SERVICE_S

    def sent(self) -> None:
        self._network_failures = 0

    def has_failed_too_often(self, error: SubmitError) -> bool:
        """Count failures of the network itself; whether the streak is long enough to cycle the radio."""
        if not isinstance(error, TryLater) or error.code not in _NETWORK_CODES:
            return False
        self._network_failures += 1
        return self._network_failures >= NETWORK_FAILURES
