"""Another service for SMS where the one that is set keeps failing (CGSMS)."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from drivers.api import OutcomeUnknown, RecoveryStep, TryLater
from drivers.at import service
from drivers.simulator.process import SimulatorProcess
from tests.at.harness import Harness

pytestmark = pytest.mark.usefixtures("no_leaked_tasks")


@pytest.mark.parametrize(
    ("current", "offered", "expected"),
    [
        pytest.param(3, {0, 1, 2, 3}, [1, 2], id="circuit-switched preferred is set"),
        pytest.param(2, {0, 1, 2, 3}, [3, 1], id="packet preferred is set"),
        pytest.param(0, {0, 1}, [1], id="two are offered"),
        pytest.param(None, {0, 1, 2, 3}, [3, 1, 2], id="nobody knows what is set"),
        pytest.param(3, {3}, [], id="no choice"),
        pytest.param(None, set(), [], id="the modem has no such command"),
    ],
)
def test_steps(current: int | None, offered: set[int], expected: list[int]) -> None:
    assert service.steps(current, frozenset(offered)) == expected


async def _fails(route: Harness, times: int) -> None:
    for _ in range(times):
        with pytest.raises((OutcomeUnknown, TryLater)):
            await route.send()


@pytest.mark.parametrize(
    ("first", "only", "refused"),
    [(3, 1, 0), (3, 2, 1), (2, 3, 0), (2, 1, 1)],
    ids=str,
)
async def test_steps_down_to_the_service_that_works_and_keeps_it(
    simulator: Callable[..., SimulatorProcess], harness: Callable[..., Harness], first: int, only: int, refused: int
) -> None:
    sim = simulator()
    route = harness(sim.ports[0])
    session = await route.open()
    await session.terminal(f"AT+CGSMS={first}", 2.0)
    sim.control.fault("sms_service", times=0, only=only)
    # One alone changes nothing; the second is the first step, and each further one another.
    await _fails(route, 1)
    assert route.events_of(RecoveryStep) == []
    await _fails(route, 1 + refused)
    assert (await route.send()).tp_mr is not None
    steps = [step.sentence for step in route.events_of(RecoveryStep)]
    assert len(steps) == 1 + refused and f"AT+CGSMS={only}" in steps[-1]
    # A reboot forgets the setting; the next session brings it back.
    sim.control.request("reboot")
    sim.wait_for("boot")
    await route.lost()
    await route.open()
    assert (await route.send()).tp_mr is not None


async def test_no_service_helps_and_the_first_is_set_again(
    simulator: Callable[..., SimulatorProcess], harness: Callable[..., Harness]
) -> None:
    sim = simulator()
    route = harness(sim.ports[0])
    session = await route.open()
    sim.control.fault("sms_service", times=0, only=0)
    await _fails(route, 4)
    assert [step.sentence.partition("(")[2] for step in route.events_of(RecoveryStep)] == [
        "AT+CGSMS=1).", "AT+CGSMS=2).", "AT+CGSMS=3).",
    ]  # fmt: skip
    assert (await session.terminal("AT+CGSMS?", 2.0))[0] == "+CGSMS: 3"
    assert route.memory.facts.get(("8949000000000000000", service.FACT)) is None


async def test_a_modem_without_the_command_is_left_alone(
    simulator: Callable[..., SimulatorProcess], harness: Callable[..., Harness]
) -> None:
    sim = simulator("--personality", "wavecom", "--noise", "0")
    route = harness(sim.ports[0])
    await route.open()
    sim.control.fault("cms_error", times=3, code=500)
    await _fails(route, 3)
    assert route.events_of(RecoveryStep) == []
    assert (await route.send()).tp_mr is not None
