"""Each limit and each choice of a route on simulated modems, judged from what the modems put on the air.

Two modems, the daemon's own gateway on them, and a clock that the proof moves: a month passes in a moment.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from agent.gateway import Gateway
from agent.model import Job, RouteState
from drivers.simulator.process import SimulatorProcess
from tests import own_gateway
from tests.clocks import SetClock
from tests.prove.measured import Figures

_FLAGS = ("--radio-time", "0.02", "--report-delay", "0.02", "--boot-time", "0.2")
_BERLIN = ZoneInfo("Europe/Berlin")
_DAY_S = 86_400
_WAIT_S = 20.0


@dataclass(frozen=True)
class Play:
    """What is configured and sent; what must be on the air, and in which words the rest waits or failed. After
    `passes_s` the rest must go too."""

    name: str
    numbers: Sequence[str]
    by: Sequence[str | None]
    why: str = ""
    a: dict[str, Any] = field(default_factory=dict)
    b: dict[str, Any] = field(default_factory=dict)
    agent: dict[str, Any] = field(default_factory=dict)
    passes_s: float = 0.0
    priority: int = 0


_DE = [f"+49151000{n:04}" for n in range(6)]
_LIMITED = {"b": {"prefixes": ["+999"]}}
_QUIET = {"quiet_hours": "11:00-13:00"}
PLAYS = (
    Play("quiet hours", _DE[:1], [None], "quiet hours until 13:00", a=_QUIET, **_LIMITED, passes_s=3_600),
    Play("urgent in quiet hours", _DE[:1], ["a"], a=_QUIET, **_LIMITED, priority=100),
    *(
        Play(f"quota per {period}", _DE[:3], ["a", "a", None], why, a={f"rate_per_{period}": 2}, **_LIMITED, passes_s=s)
        for period, why, s in (
            ("minute", "minute limit of 2, next at", 60), ("hour", "hourly limit of 2, next at", 3_600),
            ("day", "daily limit of 2, next tomorrow at 12:0", _DAY_S),
            ("month", "monthly limit of 2, 2 used, next on 2026-07-01", 31 * _DAY_S),
        )
    ),
    Play("denied by the gateway", ["+499001234"], [None], "deny_prefixes has", agent={"deny_prefixes": ["+49900"]}),
    Play("not allowed by the gateway", ["+33612345678"], [None], "allow_prefixes", agent={"allow_prefixes": ["+49"]}),
    Play("denied by one route", ["+499001234"] * 2, ["b", "b"], a={"deny_prefixes": ["+49900"]}),
    Play("national number", ["0151 0000001"], ["a"], agent={"default_region": "DE"}, **_LIMITED),
    Play("longest prefix", ["+4915100001", "+4930000001"], ["b", "a"],
         a={"prefixes": ["+49"]}, b={"prefixes": ["+4915"]}),
    Play("cheapest", _DE[:3], ["b"] * 3, a={"cost": 0.09}, b={"cost": 0.01}),
    Play("cheapest for this number", ["+33612345678", _DE[0]], ["a", "b"],
         a={"cost": 0.09}, b={"cost": 0.01, "costs": {"+33": 0.2}}),
    Play("round robin", _DE, ["a", "b"] * 3, agent={"choice": "round_robin"}),
    Play("sticky", [_DE[0]] * 4, ["same"] * 4, agent={"choice": "sticky"}),
    Play("least busy", _DE, ["both"] * 6),
)  # fmt: skip


def prove(directory: Path, figures: Figures, *, short: bool, seed: int) -> None:
    """Every play; the short form plays one of each kind, for the rest has tests of its own."""
    del seed
    kinds = ("quiet hours", "quota per day", "denied by the gateway", "national number", "cheapest", "round robin")
    with SimulatorProcess(directory / "sim", *_FLAGS, modems=2) as simulator:
        for number, play in enumerate(play for play in PLAYS if not short or play.name in kinds):
            asyncio.run(_play(directory / f"play{number}", figures, simulator, play))


async def _play(directory: Path, figures: Figures, simulator: SimulatorProcess, play: Play) -> None:
    clock = SetClock()
    clock.set_to("2026-06-08 12:00", _BERLIN)
    routes = [
        {"name": name, "port": str(port), **keys}
        for name, port, keys in zip("ab", simulator.ports, (play.a, play.b), strict=True)
    ]
    before = len(simulator.events("air"))
    agent = {"timezone": "Europe/Berlin", **play.agent}
    async with own_gateway.running(directory, routes, agent=agent, clock=clock) as gateway:
        await _ready(gateway)
        jobs = [Job(number, f"{play.name} {n}", priority=play.priority) for n, number in enumerate(play.numbers)]
        ids = [one.message_id or 0 for one in await gateway.accept("cli", jobs)]
        routes_of, whys = await _settled(gateway, ids)
        aired = [("ab"[int(event["modem"])], event["to"]) for event in simulator.events("air")[before:]]
        went = [route for route in routes_of if route is not None]
        shown = ", ".join(route or "-" for route in routes_of) + "".join(f"; {why}" for why in set(whys))
        is_met = _fits(play.by, routes_of) and Counter(name for name, _ in aired) == Counter(went)
        is_met = is_met and all(play.why in why for why in whys) and all(to.startswith("+") for _, to in aired)
        figures.expect(play.name, shown, is_met)
        if play.passes_s:
            clock.pass_by(play.passes_s)
            gateway.outbox.wake()
            routes_of, _ = await _settled(gateway, ids)
            figures.expect(f"{play.name}: when it is over", routes_of[-1], routes_of[-1] == "a")


def _fits(wanted: Sequence[str | None], found: Sequence[str | None]) -> bool:
    if set(wanted) == {"same"}:
        return len(set(found)) == 1 and None not in found
    if set(wanted) == {"both"}:
        return set(found) == {"a", "b"}
    return list(wanted) == list(found)


async def _ready(gateway: Gateway) -> None:
    async with asyncio.timeout(_WAIT_S):
        while any(view.state is not RouteState.READY for view in gateway.route_views()):
            await asyncio.sleep(0.02)


async def _settled(gateway: Gateway, ids: Sequence[int]) -> tuple[list[str | None], list[str]]:
    """By which route each went (None: it did not), and why the others wait or failed."""
    async with asyncio.timeout(_WAIT_S):
        while True:
            waits = await gateway.waits(ids)
            messages = [await gateway.message(one) for one in ids]
            whys = [(waits.get(one.id) or one.error or "") for one in messages if one is not None and not one.sent_ms]
            if all(whys):
                return [one.route if one is not None and one.sent_ms else None for one in messages], whys
            await asyncio.sleep(0.02)
