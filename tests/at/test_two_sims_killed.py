"""kill -9 of the daemon while it switches from one SIM of a modem to the other: nothing is lost, nothing sent twice."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from drivers.simulator.process import SimulatorProcess
from tests.prove.stage import Daemon, wait_until

_KILLS = 2


def _cli(daemon: Daemon, *arguments: str) -> Any:
    """What the command prints, once a daemon listens."""
    command = [sys.executable, "-m", "agent.cli", *arguments, "--json", "-c", str(daemon.config_path)]
    done: list[subprocess.CompletedProcess[str]] = []

    def has_answered() -> bool:
        done.append(subprocess.run(command, capture_output=True, text=True, timeout=30, check=False))
        return done[-1].returncode == 0

    wait_until(f"the daemon answers {arguments[0]}", has_answered, 30)
    return json.loads(done[-1].stdout)


def _switches(modem: SimulatorProcess) -> int:
    return len(modem.events("slot"))


def test_killed_at_the_switch(simulator: Callable[..., SimulatorProcess], tmp_path: Path) -> None:
    modem = simulator("--personality", "quectel", "--second-sim", "--noise", "0", "--radio-time", "1")
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
        for n in range(6):
            _cli(daemon, "send", f"+49151{n % 2}0000{n:03d}", f"out {n}", "--route", f"sim{n % 2 + 1}")
        for n in range(4):
            modem.control.deliver(f"+49170{n:07d}", f"in {n}", iccid=f"8949000000000{n % 2:06d}")
        for _ in range(_KILLS):
            seen = _switches(modem)
            wait_until("a switch", lambda seen=seen: _switches(modem) > seen, 30, 0.001)  # type: ignore[misc]
            daemon.kill()
            daemon.start()
        wait_until("all are out", lambda: len({event["to"] for event in modem.events("air")}) == 6, 60)
        wait_until("all are in", lambda: len(_cli(daemon, "inbox")["messages"]) >= 4, 30)
        found = [(message["route"], message["text"]) for message in _cli(daemon, "inbox", "--full")["messages"]]
    finally:
        daemon.stop()
    assert sorted(found) == [("sim1", "in 0"), ("sim1", "in 2"), ("sim2", "in 1"), ("sim2", "in 3")]
    assert set(Counter(event["to"] for event in modem.events("air")).values()) == {1}
