"""Modems that are absent, locked, without SIM, unregistered or silent: real AT driver on a real pty."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from agent.gateway import Gateway
from agent.model import Job, MessageState, RouteState, RouteView
from drivers.simulator.process import SimulatorProcess
from tests import own_gateway

FLAGS = ("--radio-time", "0.05", "--report-delay", "0.1", "--boot-time", "0.3")
TO = "+4915112345678"


@contextlib.asynccontextmanager
async def running(directory: Path, simulator: SimulatorProcess, **route_keys: object) -> AsyncIterator[Gateway]:
    """The gateway on modem 0 (route "sick") and modem 1 (route "well"), where there are two."""
    names = ["sick", "well"][: len(simulator.ports)]
    routes = [
        {"name": name, "port": str(port), **(route_keys if name == "sick" else {})}
        for name, port in zip(names, simulator.ports, strict=True)
    ]
    async with own_gateway.running(directory, routes) as gateway:
        yield gateway


async def until(is_done: Callable[[], bool], timeout_s: float = 30.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not is_done():
            await asyncio.sleep(0.02)


async def until_message(gateway: Gateway, message_id: int | None, *states: str, timeout_s: float = 30.0) -> None:
    async with asyncio.timeout(timeout_s):
        while True:
            message = await gateway.message(message_id or 0)
            if message is not None and message.state in states:
                return
            await asyncio.sleep(0.02)


def view(gateway: Gateway, name: str = "sick") -> RouteView:
    return gateway.routes[name].view()


async def send(gateway: Gateway, route: str) -> int:
    (accepted,) = await gateway.accept("cli", [Job(TO, f"by {route}", route=route)])
    assert accepted.message_id is not None
    return accepted.message_id


async def test_absent_modem_is_named_and_taken_up_when_it_is_plugged_in(tmp_path: Path) -> None:
    with SimulatorProcess(tmp_path / "sim", *FLAGS, modems=2) as simulator:
        simulator.control.request("unplug", 0)
        async with running(tmp_path, simulator) as gateway:
            await until(
                lambda: view(gateway).state is RouteState.ABSENT and view(gateway, "well").state is RouteState.READY
            )
            waiting, going = await send(gateway, "sick"), await send(gateway, "well")
            await until_message(gateway, going, "sent", "delivered")
            assert str(simulator.ports[0]) in (view(gateway).problem or "")
            simulator.control.request("plug", 0)
            await until_message(gateway, waiting, "sent", "delivered")


async def test_unplugged_in_the_middle_goes_on_after_replug_and_nothing_is_lost(tmp_path: Path) -> None:
    with SimulatorProcess(tmp_path / "sim", *FLAGS) as simulator:
        async with running(tmp_path, simulator) as gateway:
            await until(lambda: view(gateway).state is RouteState.READY)
            jobs = [Job(f"+491511234{n:04d}", f"text {n}") for n in range(20)]
            accepted = await gateway.accept("cli", jobs)
            await asyncio.sleep(0.3)
            simulator.control.request("unplug", 0, seconds=0.5)
            for item in accepted:
                await until_message(gateway, item.message_id, "sent", "delivered", timeout_s=30)
            aired = [event["to"] for event in simulator.events("air")]
            assert len(set(aired)) == 20
            assert len(aired) <= 21


async def test_missing_sim_is_told_and_the_other_route_goes_on(tmp_path: Path) -> None:
    with SimulatorProcess(tmp_path / "sim", *FLAGS, modems=2) as simulator:
        simulator.control.request("sim", 0, present=False)
        async with running(tmp_path, simulator) as gateway:
            await until(lambda: view(gateway).state is RouteState.NO_SIM)
            await until_message(gateway, await send(gateway, "well"), "sent", "delivered")
            assert "SIM" in (view(gateway).problem or "")
            simulator.control.request("sim", 0, present=True)
            await until_message(gateway, await send(gateway, "sick"), "sent", "delivered")


async def test_locked_sim_without_pin_waits_for_a_person_and_tries_nothing(tmp_path: Path) -> None:
    with SimulatorProcess(tmp_path / "sim", *FLAGS, "--pin", "1234") as simulator:
        async with running(tmp_path, simulator) as gateway:
            await until(lambda: view(gateway).state is RouteState.BLOCKED)
            assert "pin" in (view(gateway).problem or "").lower()
            assert simulator.events("pin") == []


async def test_right_pin_opens_the_sim(tmp_path: Path) -> None:
    with SimulatorProcess(tmp_path / "sim", *FLAGS, "--pin", "1234") as simulator:
        async with running(tmp_path, simulator, pin="1234") as gateway:
            await until_message(gateway, await send(gateway, "sick"), "sent", "delivered")


async def test_wrong_pin_is_tried_once_and_never_again_not_even_after_a_restart(tmp_path: Path) -> None:
    with SimulatorProcess(tmp_path / "sim", *FLAGS, "--pin", "1234") as simulator:
        for _ in range(2):
            async with running(tmp_path, simulator, pin="9999") as gateway:
                await until(lambda gateway=gateway: view(gateway).state is RouteState.BLOCKED)  # type: ignore[misc]
                assert "9999" not in (view(gateway).problem or "")
        assert len(simulator.events("pin")) == 1


async def test_unregistered_modem_holds_its_messages_until_it_has_service(tmp_path: Path) -> None:
    with SimulatorProcess(tmp_path / "sim", *FLAGS, "--registration", "2") as simulator:
        async with running(tmp_path, simulator) as gateway:
            waiting = await send(gateway, "sick")
            await until(lambda: view(gateway).state is RouteState.NO_SERVICE)
            assert (await gateway.message(waiting)).state is MessageState.QUEUED  # type: ignore[union-attr]
            simulator.control.request("registration", 0, state=1)
            await until_message(gateway, waiting, "sent", "delivered")
            assert simulator.events("submit_refused") == []


async def test_lost_registration_in_the_middle_counts_no_attempt(tmp_path: Path) -> None:
    with SimulatorProcess(tmp_path / "sim", *FLAGS) as simulator:
        async with running(tmp_path, simulator) as gateway:
            await until(lambda: view(gateway).state is RouteState.READY)
            simulator.control.request("registration", 0, state=2)
            await until(lambda: view(gateway).state is RouteState.NO_SERVICE)
            waiting = await send(gateway, "sick")
            simulator.control.request("registration", 0, state=5)
            await until_message(gateway, waiting, "sent", "delivered")
            assert view(gateway).link.registration == "roaming"  # type: ignore[union-attr]


async def test_reboot_of_the_modem_is_noticed_and_it_is_set_up_again(tmp_path: Path) -> None:
    with SimulatorProcess(tmp_path / "sim", *FLAGS) as simulator:
        async with running(tmp_path, simulator) as gateway:
            await until_message(gateway, await send(gateway, "sick"), "delivered")
            simulator.control.request("reboot", 0)
            await until_message(gateway, await send(gateway, "sick"), "delivered", timeout_s=20)


async def test_a_message_refused_for_now_by_the_modem_goes_out_once(tmp_path: Path) -> None:
    """All other faults in a submit: tests/matrix."""
    with SimulatorProcess(tmp_path / "sim", *FLAGS) as simulator:
        async with running(tmp_path, simulator) as gateway:
            await until(lambda: view(gateway).state is RouteState.READY)
            simulator.control.fault("cms_error", 0, 1, code=314, at="command")
            message = await send(gateway, "sick")
            await until_message(gateway, message, "delivered", timeout_s=60)
            assert [event["name"] for event in simulator.events("fault")] == ["cms_error"]
            assert len(simulator.events("air")) == 1
            found = await gateway.message(message)
            assert found is not None and not found.may_be_double


async def test_the_wait_for_the_answer_is_no_wait_for_evidence(tmp_path: Path) -> None:
    # The report lies in the modem all along, and nobody can read it while the submit has the line.
    with SimulatorProcess(tmp_path / "sim", *FLAGS) as simulator:
        async with running(tmp_path, simulator, submit_timeout_s=1.5) as gateway:
            await until_message(gateway, await send(gateway, "sick"), "delivered")  # this SIM returns reports
            simulator.control.fault("lost_answer")
            await until_message(gateway, await send(gateway, "sick"), "delivered")
            assert len(simulator.events("fault")) == 1
            assert len(simulator.events("air")) == 2
