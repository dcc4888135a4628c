"""One case: a simulated modem, the daemon's route on it, messages both ways, and faults in the middle."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agent.gateway import Gateway
from agent.journal.listing import Filter
from agent.model import Job, MessageState, RouteState
from drivers.simulator.control import ControlError
from drivers.simulator.process import SimulatorError, SimulatorProcess
from tests import own_gateway
from tests.matrix import evidence
from tests.matrix.cases import Case

TIMING = ("--radio-time", "0.03", "--report-delay", "0.05", "--boot-time", "0.4", "--retry", "0.2")
ROUTE = {"submit_timeout_s": 1.5, "sweep_interval_s": 2.0}
TURNS = {"visit_every_s": 3.0, "dwell_s": 0.3}
DUAL = "/2"
"""Behind a personality's name: it holds two SIM cards, with a route for each."""
_SENT = (MessageState.SENT, MessageState.DELIVERED)
_POLL_S = 0.1
_READY_S = 30.0
_STRUCK_S = 5.0
_LONG = " and so on, until one part does not hold it any more" * 4


@dataclass(slots=True)
class Outcome:
    """What one case came to; no problems is what is asked for."""

    personality: str
    case: str
    problems: list[str] = field(default_factory=list)
    fired: int = 0
    flagged: int = 0
    violations: int = 0
    took_s: float = 0.0
    resumed_s: float | None = None

    @property
    def is_met(self) -> bool:
        return not self.problems


@contextlib.asynccontextmanager
async def gateway_on(directory: Path, ports: dict[str, Path], **keys: Any) -> AsyncIterator[Gateway]:
    """The daemon's gateway with a route per port; nothing of it is faked."""
    routes = [{"name": name, "port": str(port), **ROUTE, **keys} for name, port in ports.items()]
    async with own_gateway.running(directory, routes) as gateway:
        yield gateway


async def until(is_done: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Poll. Raises: TimeoutError with what did not happen."""
    deadline = time.monotonic() + timeout_s
    while not is_done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s:.0f} s: {what}")
        await asyncio.sleep(_POLL_S)


async def run_case(directory: Path, personality: str, case: Case, *, outbound: int = 40, inbound: int = 20) -> Outcome:
    """Run one field of the matrix; a problem is a sentence in the outcome, never an exception."""
    outcome = Outcome(personality, case.name)
    started = time.monotonic()
    is_dual = personality.endswith(DUAL)
    flags = [*TIMING, "--personality", personality.removesuffix(DUAL), *(("--pin", case.pin) if case.pin else ())]
    with SimulatorProcess(directory / "sim", *flags, *(["--second-sim"] if is_dual else [])) as simulator:
        keys = {"pin": case.pin} if case.pin else {}
        port = simulator.ports[0]
        scene = own_gateway.running(directory, _routes(port, keys, is_dual=is_dual))
        async with scene as gateway:
            try:
                await _play(simulator, gateway, case, outcome, outbound, inbound)
            except (TimeoutError, SimulatorError, ControlError, OSError) as error:
                outcome.problems.append(f"{type(error).__name__}: {error}")
            if outcome.problems:
                views = [route.view() for route in gateway.routes.values()]
                outcome.problems += [f"route {view.name}: {view.state}, {view.problem}" for view in views]
    outcome.took_s = time.monotonic() - started
    return outcome


def _routes(port: Path, keys: dict[str, Any], *, is_dual: bool) -> list[dict[str, Any]]:
    if not is_dual:
        return [{"name": "sim", "port": str(port), **ROUTE, **keys}]
    return [{"name": f"sim{n}", "port": str(port), "modem_sim": n, **ROUTE, **TURNS, **keys} for n in (1, 2)]


async def _play(
    simulator: SimulatorProcess, gateway: Gateway, case: Case, outcome: Outcome, outbound: int, inbound: int
) -> None:
    routes = list(gateway.routes.values())
    names = [route.name for route in routes]
    await until(lambda: any(route.view().state is RouteState.READY for route in routes), _READY_S, "a route is ready")
    jobs = {f"+4915110000{n:03d}": f"out {n}{_LONG if n % 16 == 7 else ''}" for n in range(outbound)}
    texts = [f"in {n}{_LONG if n % 16 == 7 else ''}" for n in range(inbound)]
    senders = {number: names[n % len(names)] for n, number in enumerate(jobs)}
    accepted = await gateway.accept("cli", [Job(number, text, route=senders[number]) for number, text in jobs.items()])
    await until(lambda: len(simulator.events("air")) >= min(3, outbound), _READY_S, "the first messages went")
    half = inbound // 2
    for n, text in enumerate(texts[:half]):
        simulator.control.deliver(f"+49170{n:07d}", text, iccid=_iccid(n % len(names)))
    for fault in case.faults:
        simulator.control.fault(fault.name, 0, fault.times, **fault.parameters)
    for n, text in enumerate(texts[half:][:-1], half):
        # Over a second, so that some arrive while the modem boots or the route opens it again.
        delay_s = (n - half) / (inbound - half)
        simulator.control.deliver(f"+49170{n:07d}", text, delay_s=delay_s, iccid=_iccid(n % len(names)))
    # And one surely then, however late a busy host strikes.
    with contextlib.suppress(TimeoutError):
        await until(lambda: _has_struck(simulator, case), _STRUCK_S, "a fault strikes")
    for n, text in enumerate(texts[half:][-1:], inbound - 1):
        simulator.control.deliver(f"+49170{n:07d}", text, iccid=_iccid(n % len(names)))
    timeout_s = case.timeout_s * len(names)
    if case.helps is not None:
        await _help(simulator, gateway, case.helps, timeout_s)
    ids = {item.message_id: number for item, number in zip(accepted, jobs, strict=True)}

    async def all_out() -> None:
        for message_id in ids:
            while (await _message(gateway, message_id)).state not in _SENT:
                await asyncio.sleep(_POLL_S)

    try:
        async with asyncio.timeout(timeout_s):
            await all_out()
            while len(await _received(gateway)) < inbound:
                await asyncio.sleep(_POLL_S)
            await _settled(gateway)
    except TimeoutError:
        outcome.problems.append(f"not done within {timeout_s:.0f} s")
    messages = [await _message(gateway, message_id) for message_id in ids]
    parts = {message.number: message.parts for message in messages}
    flagged = {message.number for message in messages if message.may_be_double}
    events = simulator.events()
    fired = evidence.fired_in_flight(events, [fault.name for fault in case.faults])
    outcome.problems += [f"never fired in flight: {name}" for name, count in fired.items() if not count]
    outcome.problems += evidence.faults_of_outbound(evidence.aired(events), parts, flagged)
    outcome.problems += evidence.faults_of_inbound(await _received(gateway), texts)
    if len(names) > 1:
        outcome.problems += evidence.faults_of_sims(events, {number: names.index(senders[number]) for number in jobs})
    logged = [event["event"] for event in events]
    outcome.problems += [f"{name} in the log" for name in case.forbidden if name in logged]
    outcome.fired = sum(fired.values())
    outcome.flagged = len(flagged)
    outcome.violations = logged.count("violation")


def _has_struck(simulator: SimulatorProcess, case: Case) -> bool:
    return bool({event["name"] for event in simulator.events("fault")} & {fault.name for fault in case.faults})


def _iccid(place: int) -> str:
    """The simulator's first modem holds these."""
    return f"8949000000000{place:06d}"


async def _help(simulator: SimulatorProcess, gateway: Gateway, helps: dict[str, Any], timeout_s: float) -> None:
    """Do what a person does once a route says that it needs one."""
    routes = gateway.routes.values()
    what = "a route asks for a person"
    await until(lambda: any(route.view().state is RouteState.BLOCKED for route in routes), timeout_s, what)
    for place, route in enumerate(routes):
        simulator.control.request(**helps, iccid=_iccid(place))
        await route.retry_pin()  # as `phonebridge pin --retry` does, instead of half a minute's patience


async def _settled(gateway: Gateway) -> None:
    """A resend may still come for what counts as sent already: wait until nothing is queued."""
    while await gateway.queue_length():
        await asyncio.sleep(_POLL_S)


async def _message(gateway: Gateway, message_id: int | None) -> Any:
    message = await gateway.message(message_id or 0)
    assert message is not None
    return message


async def _received(gateway: Gateway) -> list[str]:
    page = await gateway.page(Filter(states=(MessageState.RECEIVED,)), 1, 200)
    return [message.text for message in page.messages]
