"""What may befall a gateway, as rows: a name, how often, and what is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.matrix.cases import CASES, Case
from tests.torture.scene import MODEMS, Scene

_NEEDS_PERSON = {"SIM asks for its PIN", "SIM asks for its PUK"}
_LASTING_S = 6.0
"""A fault that would last for ever is cleared after this."""
_SERVER_FAULTS = ("status", "html", "half_json", "truncated", "reset", "close", "hang", "slow", "drip")


@dataclass(frozen=True, slots=True)
class Action:
    """`weight` is relative to the others; `act` returns what it did, for the log."""

    name: str
    weight: float
    act: Callable[[Scene], str]


def _kill(scene: Scene) -> str:
    down_s = scene.dice.uniform(0, 3)
    scene.kill_daemon(down_s)
    return f"down for {down_s:.1f} s"


def _pause_daemon(scene: Scene) -> str:
    seconds = scene.dice.uniform(0.2, 6)
    process = scene.stage.daemon.process
    if process is None or process.poll() is not None:
        return "it does not run"
    scene.pause(process, seconds)
    return f"{seconds:.1f} s"


def _pause_modems(scene: Scene) -> str:
    seconds = scene.dice.uniform(0.2, 3)
    scene.pause(scene.stage.modem, seconds)
    return f"{seconds:.1f} s"


def _modem_fault(scene: Scene) -> str:
    case: Case = scene.dice.choice([case for case in CASES if case.name not in _NEEDS_PERSON])
    modem = scene.dice.randrange(MODEMS)
    for fault in case.faults:
        scene.ask_modem(modem, "fault", name=fault.name, times=fault.times, **fault.parameters)
    scene.later(_LASTING_S, lambda: scene.ask_modem(modem, "clear_faults"))
    return f"{case.name}, modem {modem}"


def _unplug(scene: Scene) -> str:
    modem, seconds = scene.dice.randrange(MODEMS), scene.dice.uniform(0.5, 4)
    scene.ask_modem(modem, "unplug", seconds=seconds)
    return f"modem {modem} for {seconds:.1f} s"


def _reboot(scene: Scene) -> str:
    modem = scene.dice.randrange(MODEMS)
    scene.ask_modem(modem, "reboot")
    return f"modem {modem}"


def _no_network(scene: Scene) -> str:
    modem, seconds = scene.dice.randrange(MODEMS), scene.dice.uniform(1, 5)
    scene.ask_modem(modem, "registration", state=2)
    scene.later(seconds, lambda: scene.ask_modem(modem, "registration", state=1))
    return f"modem {modem} for {seconds:.1f} s"


def _server_fault(scene: Scene) -> str:
    kind = scene.dice.choice(_SERVER_FAULTS)
    more: dict[str, object] = {"seconds": scene.dice.uniform(1, 5), "chance": scene.dice.uniform(0.3, 1.0)}
    if kind == "status":
        more |= {"status": scene.dice.choice((429, 500, 502, 503)), "applied": scene.dice.random() < 0.5}
    elif kind in ("hang", "slow", "drip"):
        more |= {"delay_s": scene.dice.uniform(0.5, 3)}
    elif kind in ("reset", "close", "truncated", "half_json"):
        # The request took effect and only its answer is struck.
        more |= {"applied": scene.dice.random() < 0.5}
    scene.stage.server.fault(kind, **more)
    return f"{kind} {more}"


def _server_away(scene: Scene) -> str:
    seconds = scene.dice.uniform(1, 10)
    scene.stage.server.away(seconds)
    return f"{seconds:.1f} s"


def _server_killed(scene: Scene) -> str:
    scene.stage.server.restart(kill=True)
    return "and started again"


def _disk_full(scene: Scene) -> str:
    if not scene.has_disk:
        return "not possible here: no disk of its own"
    seconds = scene.dice.uniform(1, 8)
    scene.fill_disk(seconds)
    return f"{seconds:.1f} s"


def _clock(scene: Scene) -> str:
    return f"{scene.jump_clock():+.0f} s"


ACTIONS = (
    Action("kill -9", 4, _kill),
    Action("daemon stopped and continued", 3, _pause_daemon),
    Action("modems stopped and continued", 1, _pause_modems),
    Action("modem fault", 10, _modem_fault),
    Action("unplugged", 2, _unplug),
    Action("rebooted", 2, _reboot),
    Action("no network", 2, _no_network),
    Action("server fault", 4, _server_fault),
    Action("server away", 1, _server_away),
    Action("server killed", 1, _server_killed),
    Action("disk full", 1, _disk_full),
    Action("clock set", 2, _clock),
)
