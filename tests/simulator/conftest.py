"""Fixtures: a simulator process per test, and lines that are closed after it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from drivers.simulator.process import SimulatorProcess
from tests.simulator.line import Line

Start = Callable[..., SimulatorProcess]
Open = Callable[..., Line]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a simulator with fast timing; further flags win over these."""
    running: list[SimulatorProcess] = []

    def run(*flags: str, modems: int = 1) -> SimulatorProcess:
        fast = ("--radio-time", "0", "--report-delay", "0.01", "--boot-time", "0.05", "--retry", "0.05")
        simulator = SimulatorProcess(tmp_path / f"simulator{len(running)}", *fast, *flags, modems=modems)
        running.append(simulator)
        simulator.start()
        return simulator

    yield run
    for simulator in running:
        simulator.stop()


@pytest.fixture
def open_line() -> Iterator[Open]:
    """Opens a modem's port with echo off and CMEE 1, or with `bare` as the modem booted."""
    lines: list[Line] = []

    def connect(simulator: SimulatorProcess, *, modem: int = 0, bare: bool = False) -> Line:
        line = Line(simulator.ports[modem])
        lines.append(line)
        if not bare:
            line.command("ATE0")
            line.command("AT+CMEE=1")
        return line

    yield connect
    for line in lines:
        line.close()
