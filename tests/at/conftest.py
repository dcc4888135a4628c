"""Fixtures: sessions on the simulated modem as a process of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from drivers.simulator.process import SimulatorProcess
from tests.at.harness import Harness


@pytest.fixture
def simulator(tmp_path: Path) -> Iterator[Callable[..., SimulatorProcess]]:
    """Start simulated modems; fast by default, further flags as arguments."""
    started: list[SimulatorProcess] = []

    def start(*arguments: str, modems: int = 1) -> SimulatorProcess:
        fast = ("--radio-time", "0.01", "--report-delay", "0.02", "--boot-time", "0.3", "--retry", "0.2")
        process = SimulatorProcess(tmp_path / f"sim{len(started)}", *fast, *arguments, modems=modems)
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        process.stop()


@pytest.fixture
async def harness() -> AsyncIterator[Callable[..., Harness]]:
    """Make harnesses around a port; what they opened is closed at the end."""
    made: list[Harness] = []

    def make(port: str, **settings: object) -> Harness:
        made.append(Harness(port, **settings))
        return made[-1]

    yield make
    for one in made:
        await one.close()
