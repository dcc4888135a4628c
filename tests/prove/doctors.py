"""`phonebridge doctor` on made trees: a stick in each wrong mode, nothing at all, and an emulated modem."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from drivers.simulator.process import SimulatorProcess
from tests.doctor import trees
from tests.prove.measured import Figures
from tests.prove.stage import ROOT


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """The command itself, each time in a process of its own."""
    del seed
    directory.mkdir(parents=True, exist_ok=True)
    modes = list(trees.WRONG_MODES.items())
    # Each is a test of its own as well; here the command is started for it.
    for mode, (make, says, advises) in modes[:1] if short else modes:
        root = directory / mode
        make(root)
        code, found = _doctor(root)
        (finding,) = found["findings"]
        is_told = says in finding["finding"] and advises in finding["remedy"] and code == 1
        figures.expect(f"a stick in a wrong mode: {mode}", finding["finding"], is_told)
    empty = directory / "empty"
    empty.mkdir()
    code, found = _doctor(empty)
    figures.expect("nothing plugged in: findings, exit code", f"{len(found['findings'])}, {code}", code == 1)
    _with_a_modem(directory, figures)


def _with_a_modem(directory: Path, figures: Figures) -> None:
    root = directory / "modem"
    with SimulatorProcess(directory / "sim", "--pin", "1234", modems=2) as modem:
        modem.control.request("sim", modem=1, pin=None)
        device = trees.stick(root, "12d1", "1001", ["ff", "ff", "ff"])
        trees.port(root, device, 0, "ttyUSB0", "/dev/null")
        locked = trees.port(root, device, 1, "ttyUSB1", str(modem.ports[0]))
        open_ = trees.port(root, device, 2, "ttyUSB2", str(modem.ports[1]))
        code, found = _doctor(root)
        by_port = {finding["port"]: finding for finding in found["findings"]}
        figures.expect("ports found, and the exit code", f"{len(by_port)}, {code}", len(by_port) == 3 and code == 0)
        block = tomllib.loads(by_port[open_]["route"] or "")
        figures.expect("the [[route]] block is TOML with the port", block, block["route"][0]["port"] == open_)
        asked = {"imei", "iccid", "smsc", "registration", "signal_dbm", "storage", "urcs"}
        figures.expect("facts of it", by_port[open_]["facts"], asked <= set(by_port[open_]["facts"]))
        figures.expect(
            "a locked SIM is told", by_port[locked]["finding"], by_port[locked]["facts"].get("sim") == "SIM PIN"
        )
        tried = [event for event in modem.events() if "CPIN=" in json.dumps(event)]
        figures.expect("PINs tried, SMS sent", f"{len(tried)}, {len(modem.events('air'))}",
                       not tried and not modem.events("air"))  # fmt: skip


def _doctor(root: Path) -> tuple[int, Any]:
    command = [sys.executable, "-m", "agent.cli", "doctor", "--root", str(root), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, json.loads(done.stdout)
