"""kill -9 of the daemon while it switches from one SIM of a modem to the other: nothing is lost, nothing sent twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from agent.cli.client import connected
from agent.cli.exits import Fault
from drivers.simulator.process import SimulatorProcess
from tests.prove.stage import Daemon, wait_until

_OUT, _IN = 6, 4


def _ask(daemon: Daemon, operation: str, **fields: Any) -> Any:
    """What the daemon answers, once one listens."""

    def answer() -> Any:
        try:
            with connected(daemon.config_path) as link:
                return link.ask(operation, **fields)
        except Fault:
            return None

    return wait_until(f"the daemon answers {operation}", answer, 30)


def _switches(modem: SimulatorProcess) -> int:
    return len(modem.events("slot"))


def test_killed_at_the_switch(simulator: Callable[..., SimulatorProcess], tmp_path: Path) -> None:
    modem = simulator("--personality", "quectel", "--second-sim", "--noise", "0", "--radio-time", "0.3")
    directory = tmp_path / "daemon"
    directory.mkdir()
    routes = [
        {"name": f"sim{n}", "port": str(modem.ports[0]), "modem_sim": n, "visit_every_s": 2.0, "dwell_s": 0.3}
        for n in (1, 2)
    ]
    daemon = Daemon(directory, {"agent": {"unknown_wait_s": 1}, "route": routes})
    daemon.start()
    try:
        wait_until("a first message", lambda: modem.events("slot"), 30)
        for n in range(_OUT):
            _ask(daemon, "send", number=f"+49151{n % 2}0000{n:03d}", text=f"out {n}", route=f"sim{n % 2 + 1}")
        for n in range(_IN):
            modem.control.deliver(f"+49170{n:07d}", f"in {n}", iccid=f"8949000000000{n % 2:06d}")
        seen = _switches(modem)
        wait_until("a switch", lambda: _switches(modem) > seen, 30, 0.001)
        daemon.kill()
        daemon.start()
        wait_until("all are out", lambda: len({event["to"] for event in modem.events("air")}) == _OUT, 60)
        wait_until("all are in", lambda: len(_ask(daemon, "inbox")["messages"]) >= _IN, 30, 0.2)
        found = [(message["route"], message["text"]) for message in _ask(daemon, "inbox")["messages"]]
    finally:
        daemon.stop()
    assert sorted(found) == [("sim1", "in 0"), ("sim1", "in 2"), ("sim2", "in 1"), ("sim2", "in 3")]
    assert set(Counter(event["to"] for event in modem.events("air")).values()) == {1}
