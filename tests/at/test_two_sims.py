"""Two SIM cards in one modem: each sends and receives in its turn, by itself, and nothing is lost at a switch."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from agent.gateway import Gateway
from agent.journal.listing import Filter
from agent.model import Job, MessageState, RouteState
from drivers.api import Event
from drivers.at.turns import Member, Turn, Turns
from drivers.simulator.personalities import PERSONALITIES
from drivers.simulator.process import SimulatorProcess
from tests import own_gateway

DUAL = [name for name, row in PERSONALITIES.items() if row.sim_switches]
TURNS = {"visit_every_s": 4.0, "dwell_s": 0.3}
_DONE_S = 120.0


@contextlib.asynccontextmanager
async def gateway_on(directory: Path, port: Path, **keys: Any) -> AsyncIterator[Gateway]:
    """Two routes on one port."""
    routes = [
        {"name": f"sim{n}", "port": str(port), "modem_sim": n + 1, "submit_timeout_s": 2.0, **TURNS, **keys}
        for n in (0, 1)
    ]
    async with own_gateway.running(directory, routes) as gateway:
        yield gateway


async def until(is_done: Callable[[], Any], timeout_s: float = _DONE_S) -> None:
    async with asyncio.timeout(timeout_s):
        while not (await result if asyncio.iscoroutine(result := is_done()) else result):
            await asyncio.sleep(0.02)


async def sent_all(gateway: Gateway, ids: list[int]) -> bool:
    if await gateway.queue_length():
        return False
    for message_id in ids:
        message = await gateway.message(message_id)
        if message is None or message.state not in (MessageState.SENT, MessageState.DELIVERED):
            return False
    return True


async def send(gateway: Gateway, route: str, count: int) -> list[int]:
    prefix = 1 if route == "sim0" else 2
    jobs = [Job(f"+4915{prefix}0000{n:04d}", f"{route} {n}", route=route) for n in range(count)]
    return [item.message_id or 0 for item in await gateway.accept("cli", jobs)]


def aired(simulator: SimulatorProcess) -> Counter[str]:
    return Counter(event["to"] for event in simulator.events("air"))


def slots_of_air(simulator: SimulatorProcess) -> dict[str, set[int]]:
    """Per route, by which SIM of the modem its texts went."""
    found: dict[str, set[int]] = {}
    slot = 0
    for event in simulator.events("slot", "air"):
        if event["event"] == "slot":
            slot = event["slot"]
        else:
            found.setdefault(event["text"].split()[0], set()).add(slot)
    return found


@pytest.mark.parametrize("personality", DUAL)
async def test_each_route_sends_and_receives_by_its_own_sim(
    simulator: Callable[..., SimulatorProcess], tmp_path: Path, personality: str
) -> None:
    modem = simulator("--personality", personality, "--second-sim", "--noise", "0")
    async with gateway_on(tmp_path, modem.ports[0]) as gateway:
        ids = [*await send(gateway, "sim0", 5), *await send(gateway, "sim1", 5)]
        for slot in (0, 1):
            modem.control.deliver("+491701234567", f"for {slot}", iccid=f"8949000000000{slot:06d}")
        await until(lambda: sent_all(gateway, ids))

        async def received() -> bool:
            page = await gateway.page(Filter(states=(MessageState.RECEIVED,)), 1, 10)
            return {(message.route, message.text) for message in page.messages} == {
                ("sim0", "for 0"),
                ("sim1", "for 1"),
            }

        await until(received)
    assert slots_of_air(modem) == {"sim0": {0}, "sim1": {1}}
    assert set(aired(modem).values()) == {1}
    # Which maker it is, and how long it is deaf after an answer, is not known when it is first opened.
    assert {event["kind"] for event in modem.events("violation")} <= {"command_too_early"}
    assert len(modem.events("violation")) <= 1


async def test_a_sim_rests_honestly_and_is_visited(simulator: Callable[..., SimulatorProcess], tmp_path: Path) -> None:
    modem = simulator("--personality", "quectel", "--second-sim", "--noise", "0")
    async with gateway_on(tmp_path, modem.ports[0], visit_every_s=2.0) as gateway:
        views = {name: route.view for name, route in gateway.routes.items()}
        await until(lambda: {view().state for view in views.values()} == {RouteState.READY, RouteState.RESTING})
        resting = next(view() for view in views.values() if view().state is RouteState.RESTING)
        other = "sim1" if resting.name == "sim0" else "sim0"
        assert resting.problem is not None
        assert f"(route {other}) is in use; it is visited at least every 2 s" in resting.problem
        assert gateway.routes[resting.name].down_for_s() == 0.0
        # Nothing to send: both are visited again and again all the same.
        await until(lambda: len(modem.events("slot")) >= 4)
        slots = [event["slot"] for event in modem.events("slot")]
        assert all(one != two for one, two in itertools.pairwise(slots))
        # What arrives for a SIM while it rests waits in the network, and comes with its next visit.
        resting = next(view() for view in views.values() if view().state is not RouteState.READY)
        modem.control.deliver("+491701234567", "while away", iccid=f"8949000000000{int(resting.name[-1]):06d}")

        async def has_come() -> bool:
            page = await gateway.page(Filter(states=(MessageState.RECEIVED,)), 1, 10)
            return [(message.route, message.text) for message in page.messages] == [(resting.name, "while away")]

        await until(has_come)


async def test_a_route_that_was_removed_is_no_reason_to_rest() -> None:
    async def has_work() -> bool:
        return False

    async def emit(_: Event) -> None: ...

    turns = Turns()
    gone, left = (Member(slot, name, 10.0, 0.1, has_work) for slot, name in ((1, "gone"), (2, "left")))
    turn = await turns.begin(gone, emit)
    assert "(route gone) is in use" in Turn(turns, left).sentence()
    turn.end()
    assert "gone" not in Turn(turns, left).sentence()
    turns._timer.cancel()  # type: ignore[union-attr]


async def test_what_lies_on_the_other_sim_is_not_taken_after_a_silent_reboot(
    simulator: Callable[..., SimulatorProcess], tmp_path: Path
) -> None:
    modem = simulator("--personality", "generic", "--second-sim")
    async with gateway_on(tmp_path, modem.ports[0], dwell_s=1.5, sweep_interval_s=1.0) as gateway:
        # It stays on SIM 1, though it was taken in.
        modem.control.fault("delete_fails", times=0, code=320)
        modem.control.deliver("+491701234567", "once", iccid="8949000000000000000")
        await until(lambda: modem.events("slot") and gateway.routes["sim1"].view().state is RouteState.READY)
        modem.control.request("reboot", silent=True)
        # Back on SIM 1 by itself, until somebody looks; then SIM 2 again, for what was its turn.
        await until(lambda: len(modem.events("slot")) >= 3)
        await until(lambda: gateway.routes["sim1"].view().state is RouteState.READY)
        page = await gateway.page(Filter(states=(MessageState.RECEIVED,)), 1, 10)
        assert [(message.route, message.text) for message in page.messages] == [("sim0", "once")]


async def test_work_goes_in_batches(simulator: Callable[..., SimulatorProcess], tmp_path: Path) -> None:
    modem = simulator("--personality", "quectel", "--second-sim", "--noise", "0")
    async with gateway_on(tmp_path, modem.ports[0], visit_every_s=30.0) as gateway:
        ids = [*await send(gateway, "sim0", 30), *await send(gateway, "sim1", 30)]
        await until(lambda: sent_all(gateway, ids))
    order = [event["text"].split()[0] for event in modem.events("air")]
    # The first visit of each comes soon; after that all that waits goes at once.
    assert sum(one != two for one, two in itertools.pairwise(order)) <= 2


async def test_a_long_queue_of_one_does_not_starve_the_other(
    simulator: Callable[..., SimulatorProcess], tmp_path: Path
) -> None:
    modem = simulator("--personality", "quectel", "--second-sim", "--noise", "0", "--radio-time", "0.1")
    async with gateway_on(tmp_path, modem.ports[0], visit_every_s=2.0) as gateway:
        ids = await send(gateway, "sim0", 60)
        await until(lambda: modem.events("air"))
        ids += await send(gateway, "sim1", 1)
        await until(lambda: sent_all(gateway, ids))
    order = [event["text"].split()[0] for event in modem.events("air")]
    assert order[-1] == "sim0"
    assert set(aired(modem).values()) == {1}
