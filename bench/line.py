"""How well the line is used: parts per second, utilisation, commits per part, and start to first submit.

`python -m bench.line`: our own rows of `make bench`, each the median of several rounds on the simulated modem.
The simulator is a process of its own; gateway, journal and AT driver run here as in the daemon.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from agent import config, daemon
from agent.clock import Clock
from agent.gateway import Gateway
from agent.journal.listing import Filter
from agent.journal.store import Journal
from agent.model import Job, MessageState
from agent.route import RouteState
from drivers.simulator.process import SimulatorProcess


@dataclass(frozen=True, slots=True)
class Case:
    """`parts` messages of one part over `modems`, each `radio_s` on the air."""

    radio_s: float
    modems: int
    parts: int
    reports: bool


CASES = (
    Case(0.0, 1, 1000, False),
    Case(0.0, 1, 1000, True),
    Case(0.0, 16, 2000, False),
    Case(0.05, 1, 100, False),
    Case(1.0, 1, 10, False),
    Case(1.0, 16, 160, False),
)


@dataclass(frozen=True, slots=True)
class Result:
    """`utilisation` is the ideal time divided by the real one; 0 where the radio takes no time."""

    parts_per_s: float
    utilisation: float
    commits_per_part: float
    cpu_s_per_1000: float
    open_s: float


async def measure(case: Case) -> Result:
    """One round: from the first submit to the last answer as the modem logged them."""
    flags = ["--radio-time", str(case.radio_s), *([] if case.reports else ["--no-reports"])]
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        with SimulatorProcess(root / "modem", *flags, modems=case.modems) as simulator:
            loaded = config.parse(
                {
                    "agent": {"state_dir": str(root / "state"), "clock": "trusted"},
                    "route": [
                        {"name": f"sim{number}", "port": str(port), "status_reports": case.reports}
                        for number, port in enumerate(simulator.ports)
                    ],
                }
            )
            clock = Clock("trusted")
            journal = Journal(root / "state" / daemon.JOURNAL_FILE)
            await journal.start(clock.utc_ms())
            gateway = await daemon.build(loaded, journal, clock)
            started = time.monotonic()
            routes = [asyncio.create_task(route.run()) for route in gateway.routes.values()]
            await _until_ready(gateway)
            opened = time.monotonic()
            commits, cpu_s = journal.commits, _cpu_s()
            await gateway.accept("cli", [Job(f"+49151{n:08d}", f"message {n}") for n in range(case.parts)])
            await _until_sent(gateway, case)
            commits, cpu_s = journal.commits - commits, _cpu_s() - cpu_s
            for task in routes:
                task.cancel()
            await asyncio.gather(*routes, return_exceptions=True)
            await journal.close()
            real_s = _line_time_s(simulator.log_path)
    return Result(
        parts_per_s=case.parts / real_s,
        utilisation=case.radio_s * case.parts / case.modems / real_s,
        commits_per_part=commits / case.parts,
        cpu_s_per_1000=cpu_s / case.parts * 1000,
        open_s=opened - started,
    )


async def _until_ready(gateway: Gateway) -> None:
    async with asyncio.timeout(30):
        while any(view.state is not RouteState.READY for view in gateway.route_views()):
            await asyncio.sleep(0.005)


async def _until_sent(gateway: Gateway, case: Case) -> None:
    states = (MessageState.DELIVERED,) if case.reports else (MessageState.SENT,)
    async with asyncio.timeout(60 + 2 * case.radio_s * case.parts):
        while await gateway.total(Filter(states=states)) < case.parts:
            await asyncio.sleep(0.05)


def _line_time_s(log: Path) -> float:
    times = [
        record["mono_s"]
        for record in map(json.loads, log.read_text().splitlines())
        if record["event"] in ("submit_begin", "answer")
    ]
    return max(times) - min(times)


def _cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))
    rounds: dict[Case, list[Result]] = {case: [] for case in CASES}
    for number in range(options.rounds):
        for case in CASES:
            print(f"round {number + 1} of {options.rounds}: {case}", end="\r", flush=True)
            rounds[case].append(asyncio.run(measure(case)))
    print(" " * 100)
    print("| radio time s | modems | reports | parts/s | range | utilisation | commits/part | CPU s/1,000 | open s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for case, results in rounds.items():
        speeds = [result.parts_per_s for result in results]
        middle = {
            name: statistics.median(getattr(result, name) for result in results) for name in Result.__dataclass_fields__
        }
        used = f"{middle['utilisation']:.4f}" if case.radio_s else "–"
        print(
            f"| {case.radio_s:g} | {case.modems} | {'on' if case.reports else 'off'} | {middle['parts_per_s']:.1f} | "
            f"{min(speeds):.1f}–{max(speeds):.1f} | {used} | {middle['commits_per_part']:.2f} | "
            f"{middle['cpu_s_per_1000']:.2f} | {middle['open_s']:.3f} |"
        )


if __name__ == "__main__":
    main()
