"""Which step brings a sick modem back: one rung after the other, the gentle ones first, none too often. Pure.

What a rung does is in `rungs`; what is wrong is told by the driver and the session.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from enum import StrEnum


class Trouble(StrEnum):
    """What is wrong with a modem."""

    SILENT = "It does not answer AT commands."
    SICK = "It answers, and does not get ready."
    NO_SERVICE = "It has been without a network for long."
    NETWORK = "The network has refused several messages in a row."


class Rung(StrEnum):
    """What can be done about it; the value is the word for `status` and logs."""

    REOPEN = "reopen"
    RADIO = "radio"
    DEFAULTS = "defaults"
    REBOOT = "reboot"
    USB = "usb"
    POWER = "power"
    ALERT = "alert"


SENTENCES = {
    Rung.REOPEN: "Its port is closed and opened again.",
    Rung.RADIO: "Its radio is switched off and on.",
    Rung.DEFAULTS: "It is set back to its factory settings.",
    Rung.REBOOT: "It is rebooted.",
    Rung.USB: "Its USB port is switched off and on.",
    Rung.POWER: "Its power is switched off and on (`power_cycle`).",
    Rung.ALERT: "Nothing helped; look at the modem, its power supply and its antenna.",
}

LADDERS = {
    Trouble.SILENT: (Rung.REOPEN, Rung.USB, Rung.POWER, Rung.ALERT),
    Trouble.SICK: (Rung.RADIO, Rung.DEFAULTS, Rung.REBOOT, Rung.USB, Rung.POWER, Rung.ALERT),
    Trouble.NO_SERVICE: (Rung.RADIO, Rung.REBOOT, Rung.ALERT),
    Trouble.NETWORK: (Rung.RADIO, Rung.REBOOT, Rung.ALERT),
}

HEAVY = frozenset({Rung.REBOOT, Rung.USB, Rung.POWER})
HEAVY_GAP_S = 600.0
"""One reboot in 10 minutes at most: networks bar modems that register all the time (modem.md 2.9)."""
HEAVY_PER_DAY = 12
RADIO_GAP_S = 60.0
BOOT_S = 60.0
"""What a modem may take to come back after a heavy rung; nothing else is done to it meanwhile."""
PATIENCE_S = 30.0
"""A modem that boots by itself is silent for 10 to 30 s; cutting its power then makes it longer."""
STABLE_S = 300.0
"""Sound for so long, a modem begins at the gentlest rung again."""

_DAY_S = 86_400.0


class Ladder:
    """Of one modem, over all its sessions. `now` is any monotonic time in seconds."""

    def __init__(self) -> None:
        self.last: Rung | None = None
        self._steps: dict[Trouble, int] = {}
        self._heavy: deque[float] = deque()
        self._radio_at: float | None = None
        self._alerted_at: float | None = None
        self._sound_since: float | None = None
        self._ill_since: float | None = None

    def next(self, trouble: Trouble, now: float, available: Collection[Rung]) -> Rung | None:
        """Return what to do now; None where it is too early for the next rung, or all was done."""
        if self._sound_since is not None and now - self._sound_since >= STABLE_S:
            self._steps.clear()
            self._alerted_at = None
        self._sound_since = None
        self._ill_since = now if self._ill_since is None else self._ill_since
        if self._heavy and now - self._heavy[-1] < BOOT_S:
            return None
        rungs = LADDERS[trouble]
        step = self._steps.get(trouble, 0)
        while step < len(rungs) and rungs[step] not in available and rungs[step] is not Rung.ALERT:
            step += 1
        if step == len(rungs):
            again = self._again(rungs, now, available)
            if again is None:
                return None
            step = again
        rung = rungs[step]
        is_early = trouble is Trouble.SILENT and now - self._ill_since < PATIENCE_S
        if not self._may(rung, now) or (is_early and rung in HEAVY | {Rung.ALERT}):
            self._steps[trouble] = step
            return None
        self._steps[trouble] = step + 1
        self._note(rung, now)
        return rung

    def sound(self, now: float) -> Rung | None:
        """Note that the modem works; return the rung that brought it back, once."""
        if self._sound_since is None:
            self._sound_since = now
        self._ill_since = None
        last, self.last = self.last, None
        return last

    def _again(self, rungs: tuple[Rung, ...], now: float, available: Collection[Rung]) -> int | None:
        """After the alert: the first heavy rung once in a while, since power cuts of hubs mend much."""
        if self._alerted_at is None or now - self._alerted_at < HEAVY_GAP_S:
            return None
        return next((at for at, rung in enumerate(rungs) if rung in HEAVY and rung in available), None)

    def _may(self, rung: Rung, now: float) -> bool:
        if rung is Rung.RADIO:
            return self._radio_at is None or now - self._radio_at >= RADIO_GAP_S
        if rung not in HEAVY:
            return True
        while self._heavy and now - self._heavy[0] >= _DAY_S:
            self._heavy.popleft()
        return len(self._heavy) < HEAVY_PER_DAY and (not self._heavy or now - self._heavy[-1] >= HEAVY_GAP_S)

    def _note(self, rung: Rung, now: float) -> None:
        if rung is Rung.ALERT:
            self._alerted_at = now
            return
        self.last = rung
        if rung is Rung.RADIO:
            self._radio_at = now
        if rung in HEAVY:
            self._heavy.append(now)
