"""What every registered driver owes the agent (drivers/api), whatever it drives."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import pytest

from agent import plugins
from agent.settings import RouteSettings
from drivers import api
from drivers.api import (
    Driver,
    Event,
    OpenContext,
    OpenError,
    PartToSend,
    PlannedPart,
    Registration,
    Session,
    SessionLost,
    SubmitError,
    Unplannable,
)
from drivers.settings import Secret
from drivers.simulator.process import SimulatorProcess
from tests.mqtt.broker import Mosquitto
from tests.mqtt.person import Person
from tests.yazsana.conftest import Memory
from tests.yazsana.server import KEY, YazsanaServer

NUMBER = "+905550000000"
TEXTS = ["a", "Grüße, ağaç", "💚" * 30, "x" * 160]


@dataclass
class Place:
    """Somewhere a driver can really send: `texts()` is what arrived there; `leave()` takes it away."""

    settings: Any
    nowhere: Any
    texts: Callable[[], list[str]]
    leave: Callable[[], Awaitable[None]]


@dataclass
class Desk:
    """The agent's side of one session."""

    events: list[Event] = field(default_factory=list)
    memory: Memory = field(default_factory=Memory)

    async def emit(self, event: Event) -> None:
        self.events.append(event)

    def context(self) -> OpenContext:
        return OpenContext("route", self.emit, self.memory)


async def _at(stack: AsyncExitStack, directory: Path) -> Place:
    from drivers.at.settings import AtSettings

    modem = stack.enter_context(SimulatorProcess(directory / "modem"))

    async def leave() -> None:
        modem.stop()

    return Place(
        AtSettings(port=str(modem.ports[0])),
        AtSettings(port=str(directory / "nothing")),
        lambda: [event["text"] for event in modem.events("air")],
        leave,
    )


async def _yazsana(stack: AsyncExitStack, directory: Path) -> Place:
    from drivers.yazsana.settings import YazsanaSettings

    server = YazsanaServer()
    await server.open()
    stack.push_async_callback(server.close)
    keys: dict[str, Any] = {"api_key": Secret(KEY), "service": "BobSMS", "account_refresh_s": 0.2}
    return Place(
        YazsanaSettings(base_url=server.url, **keys),
        YazsanaSettings(base_url="http://127.0.0.1:1", **keys),
        server.texts,
        server.http.close,
    )


async def _mqtt(stack: AsyncExitStack, directory: Path) -> Place:
    from drivers.mqtt.settings import PoolSettings

    broker = stack.enter_context(Mosquitto(directory / "broker"))
    gateway = stack.enter_context(Person(broker.port, "phonebridge/gate"))
    gateway.say("availability", "online", is_retained=True)
    gateway.say("capacity", {"room": 9, "free": 9, "routes": ["sim0"], "pool": "cupboard"}, is_retained=True)

    async def leave() -> None:
        broker.kill()

    return Place(
        PoolSettings(url=broker.url, pool="cupboard"),
        PoolSettings(url="mqtt://127.0.0.1:1", pool="cupboard"),
        lambda: [job["text"] for job in gateway.heard("send")],
        leave,
    )


PLACES = {"at": _at, "mqtt": _mqtt, "yazsana": _yazsana}
DRIVERS = plugins.names(plugins.DRIVERS)


def test_every_registered_driver_has_a_place_here() -> None:
    assert sorted(PLACES) == DRIVERS


@pytest.fixture(params=DRIVERS)
def driver(request: pytest.FixtureRequest) -> Driver:
    return plugins.load_driver(request.param)


@pytest.fixture
async def place(driver: Driver, tmp_path: Path) -> AsyncIterator[Place]:
    async with AsyncExitStack() as stack:
        yield await PLACES[driver.name](stack, tmp_path)


def test_it_has_everything_that_the_contract_names(driver: Driver) -> None:
    for name, member in inspect.getmembers(api.Driver, inspect.isfunction):
        if name.startswith("_"):
            continue
        own = getattr(type(driver), name)
        assert list(inspect.signature(own).parameters) == list(inspect.signature(member).parameters), name
        assert inspect.iscoroutinefunction(own) == inspect.iscoroutinefunction(member), name
    assert driver.name in DRIVERS


def test_its_keys_are_its_own(driver: Driver) -> None:
    assert is_dataclass(driver.Settings)
    assert plugins.settings_of(plugins.DRIVERS, driver.name) is driver.Settings
    own = {key.name for key in fields(driver.Settings)}
    assert not own & {key.name for key in fields(RouteSettings)}


def test_it_plans_whole_texts_and_says_why_it_cannot(driver: Driver) -> None:
    for text in TEXTS:
        parts = driver.plan(text, 25)
        assert parts == driver.plan(text, 25)
        assert all(isinstance(part, PlannedPart) and part.body for part in parts)
    for text in ("", "x" * 100_000):
        with pytest.raises(Unplannable) as caught:
            driver.plan(text, 3)
        assert str(caught.value).strip()


def test_it_discovers_without_opening_anything(driver: Driver) -> None:
    assert all(candidate.port for candidate in driver.discover())


async def test_a_place_that_is_not_there_is_an_open_error_with_a_sentence(driver: Driver, place: Place) -> None:
    with pytest.raises(OpenError) as caught:
        await driver.open(place.nowhere, Desk().context())
    assert str(caught.value).strip()
    async with asyncio.timeout(30):
        waiting = asyncio.create_task(driver.wait_for_port(place.nowhere))
        await asyncio.wait([waiting], timeout=0.1)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


async def test_a_session_sends_says_who_it_is_and_ends_when_its_link_does(driver: Driver, place: Place) -> None:
    desk = Desk()
    async with asyncio.timeout(20):
        session: Session = await driver.open(place.settings, desk.context())
        try:
            assert session.sim.iccid and isinstance(session.link.registration, Registration)
            run = asyncio.create_task(session.run())
            for member in ("submit", "terminal", "ussd", "close", "run"):
                assert inspect.iscoroutinefunction(getattr(type(session), member)), member
            submitted = await session.submit(_part(driver, "Hello"), asyncio.sleep(0))
            assert submitted.tp_mr is None or 0 <= submitted.tp_mr < 2**53
            while place.texts() != ["Hello"]:
                await asyncio.sleep(0.02)
            with pytest.raises(OSError, match="no space"):
                await session.submit(_part(driver, "Never"), _full_disk())
            await place.leave()
            with pytest.raises(SessionLost):
                await run
            with pytest.raises((SubmitError, SessionLost)):
                await session.submit(_part(driver, "Too late"), asyncio.sleep(0))
        finally:
            await session.close()
            await session.close()


def _part(driver: Driver, text: str) -> PartToSend:
    (part,) = driver.plan(text, 1)
    return PartToSend(NUMBER, part.alphabet, part.body)


async def _full_disk() -> None:
    raise OSError("no space")
