"""One modem simulator and one contender for a measurement, and what is read from the modem's log."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.contender import Contender, wait_until
from drivers.simulator.process import SimulatorProcess

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Scene:
    """A running simulator with a prepared contender, started or not."""

    modem: SimulatorProcess
    contender: Contender

    def submits(self) -> list[Event]:
        """`submit_begin` lines of the modem's log, in order."""
        return self.modem.events("submit_begin")

    def wait_for_answers(self, count: int, timeout_s: float) -> None:
        """Until so many submits were answered. Raises: NotInTime."""
        wait_until(
            f"{count} answers for {self.contender.name}",
            lambda: len(self.modem.events("answer")) >= count,
            timeout_s,
            0.05,
        )

    def line_time_s(self) -> float:
        """From the first submit to the last answer."""
        times = [event["mono_s"] for event in self.modem.events("submit_begin", "answer")]
        return max(times) - min(times)


@contextlib.contextmanager
def scene(
    contender: Contender, *flags: str, modems: int = 1, reports: bool = False, is_started: bool = True
) -> Iterator[Scene]:
    """Everything in a directory of its own, gone afterwards."""
    network = [] if reports else ["--no-reports"]
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        root = Path(directory)
        with SimulatorProcess(root / "m", "--punctual", *flags, *network, modems=modems) as modem:
            contender.prepare(root / "c", modem.ports, reports=reports)
            try:
                if is_started:
                    contender.start()
                yield Scene(modem, contender)
            finally:
                contender.stop()
