"""How long until a program sends again after its modem was away: unplugged, hung, rebooted.

Messages are always waiting. Counted from the moment when the modem is usable again.
"""

from __future__ import annotations

import time

from bench.contender import Contender, NotInTime, text, wait_until
from bench.scene import Scene, scene

FAULTS = ("unplug", "hang", "reboot")
_AWAY_S = 10.0
_HANG_S = 60.0
_BOOT_S = 3.0
_RADIO_S = 0.5
_PATIENCE_S = 120.0


def measure(contender: Contender, fault: str) -> float:
    """Seconds from the modem's return to the next submit. Raises: NotInTime after 2 minutes."""
    with scene(contender, "--radio-time", str(_RADIO_S), "--boot-time", str(_BOOT_S)) as stage:
        contender.queue([text(0, 1)] * 40)
        stage.wait_for_answers(3, 120)
        back = _strike(stage, fault)
        wait_until(f"{contender.name} to send after {fault}", lambda: _first_after(stage, back), _PATIENCE_S, 0.05)
        found = _first_after(stage, back)
        if found is None:
            raise NotInTime(f"{contender.name}, {fault}")
        return found - back


def _strike(stage: Scene, fault: str) -> float:
    """Make it happen; returns the instant at which the modem answers again."""
    control = stage.modem.control
    struck = time.monotonic()
    if fault == "unplug":
        control.request("unplug", seconds=_AWAY_S)
        return struck + _AWAY_S + _BOOT_S
    if fault == "hang":
        # At a command. Inside a submit only the modem's own limit for +CMGS, 180 s for most, tells that none comes.
        control.fault("hang", at="command", seconds=_HANG_S)
        wait_until("the modem to hang", lambda: stage.modem.events("fault"), _AWAY_S, 0.05)
        return float(stage.modem.events("fault")[-1]["mono_s"]) + _HANG_S
    control.request("reboot")
    return struck + _BOOT_S


def _first_after(stage: Scene, instant: float) -> float | None:
    return next((event["mono_s"] for event in stage.submits() if event["mono_s"] >= instant - 0.05), None)
