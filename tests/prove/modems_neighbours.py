"""One slow, then dead modem among sixteen: the others' rate in the same run, before and after."""

from __future__ import annotations

import asyncio
import statistics
from itertools import pairwise
from pathlib import Path

from agent.gateway import Gateway
from agent.model import Job, RouteState
from drivers.simulator.process import SimulatorProcess
from tests.matrix.runner import gateway_on, until
from tests.prove.measured import Figures

_MODEMS = 16
_RADIO_S = 0.25
_TOLERATED = 1.1
_LATE_S = 2.0
_LATE_SHORT_S = 5.0


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """All healthy, then modem 0 slow, then modem 0 dead; the same work for the other fifteen each time."""
    del seed
    asyncio.run(_prove(directory, figures, count=4 if short else 16, short=short))


async def _prove(directory: Path, figures: Figures, *, count: int, short: bool) -> None:
    """The short form runs beside other tests on the same cores: it asks who is ready first, not for the time."""
    late_s = _LATE_SHORT_S if short else _LATE_S
    flags = ("--radio-time", str(_RADIO_S), "--report-delay", "0.2")
    with SimulatorProcess(directory / "sim", *flags, modems=_MODEMS) as simulator:
        ports = {f"sim{number}": port for number, port in enumerate(simulator.ports)}
        async with gateway_on(directory, ports, submit_timeout_s=20) as gateway:
            await until(
                lambda: all(route.view().state is RouteState.READY for route in gateway.routes.values()),
                30.0,
                "all routes are ready",
            )
            healthy, _ = await _round(simulator, gateway, "healthy", count)
            simulator.control.fault("late_answer", 0, 0, seconds=late_s)
            slow, slow_begun = await _round(simulator, gateway, "slow", count)
            simulator.control.request("clear_faults", 0)
            simulator.control.fault("hang", 0, 1, at="now")
            dead, _ = await _round(simulator, gateway, "dead", count)
    figures.state("seconds per message of the other 15, all healthy (radio 0.25 s)", f"{healthy:.3f}")
    told = f"{slow_begun} of {count}"
    figures.expect("messages that the slow one had begun when the others were done", told, slow_begun < count)
    for what, pace in ((f"one answers {late_s:g} s late", slow), ("one is dead", dead)):
        ratio = pace / healthy
        is_met = short or ratio <= _TOLERATED
        figures.expect(f"16 modems, {what}: others' time per message, ratio", f"{ratio:.3f}", is_met)


async def _round(simulator: SimulatorProcess, gateway: Gateway, word: str, count: int) -> tuple[float, int]:
    """Give every route `count` messages; the median gap between two of a healthy modem, in seconds, and how many of its
    own modem 0 had begun then."""
    before = len(simulator.events("air"))
    jobs = [
        Job(f"+49151{number:02d}{n:06d}", f"{word} {n}", route=f"sim{number}")
        for n in range(count)
        for number in range(_MODEMS)
    ]
    await gateway.accept("cli", jobs)
    wanted = count * (_MODEMS - 1)

    def fresh() -> list[dict[str, object]]:
        return [event for event in simulator.events("air")[before:] if event["modem"] != 0]

    await until(lambda: len(fresh()) >= wanted, 60.0, f"{wanted} messages of the others, {word}")
    gaps: list[float] = []
    for number in range(1, _MODEMS):
        at = [event["mono_s"] for event in fresh() if event["modem"] == number]
        gaps += [later - earlier for earlier, later in pairwise(at)]  # type: ignore[operator]
    begun = sum(event["modem"] == 0 for event in simulator.events("air")[before:])
    return statistics.median(gaps), begun
