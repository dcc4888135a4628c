"""A real MobSMS server in another process, and a whole gateway that pulls from it over real connections."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from agent.feed import Feed
from agent.journal import inbound
from agent.supervise import keep_running
from agent.upstreams.mobsms import MobSmsSettings, MobSmsUpstream
from drivers.api import InboundPart, Registration
from tests.agent.fakes import Box, FakeModem, report
from tests.mobsms_server.process import MobSmsServer

_devices = itertools.count(1)


@pytest.fixture(scope="session")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MobSmsServer]:
    with MobSmsServer(tmp_path_factory.mktemp("mobsms")) as server:
        yield server


@pytest.fixture
def server(running_server: MobSmsServer) -> Iterator[MobSmsServer]:
    """The server that offers what is documented and nothing else."""
    yield running_server
    running_server.clear_faults()
    running_server.limit(None)
    running_server.set_account(keep_inbound=True, webhook_url_incoming=running_server.hook_url)


@pytest.fixture
def device(server: MobSmsServer) -> str:
    """The id of a device of this test's own, already known to the server."""
    name = f"pi-{next(_devices)}"
    server.add_device(name, phone_number="+998901234567")
    return name


class Rig:
    """A gateway with fake modems, one MobSMS upstream and its feed."""

    def __init__(self, box: Box, base_url: str, key: str, device_id: str, **settings: Any) -> None:
        self.box = box
        keys = {"poll_interval_s": 0.1, "idle_poll_interval_s": 0.3, "timeout_s": 5, **settings}
        table = {"type": "mobsms", "name": "mobsms", "base_url": base_url, "api_key": key, "device_id": device_id}
        self.settings = TypeAdapter(MobSmsSettings).validate_python({**table, **keys})
        self.upstream = MobSmsUpstream(self.settings, box.gateway)
        self.feed = Feed("mobsms", self.upstream, box.journal, box.clock)
        box.gateway.feeds["mobsms"] = self.feed

    async def start(self, *, feed: bool = True) -> None:
        await self.box.gateway.ensure_upstream("mobsms", self.upstream.identity(), wants_inbound=True)
        self.box.start()
        self.box.tasks.append(asyncio.create_task(keep_running("mobsms", self.upstream.run)))
        if feed:
            self.box.tasks.append(asyncio.create_task(keep_running("feed", self.feed.run)))

    @property
    def modem(self) -> FakeModem:
        return next(iter(self.box.modems.values()))

    @property
    def problem(self) -> str:
        return str(self.upstream.status()["problem"] or "")

    async def receive(self, text: str, sender: str = "+998907778899", route: str = "a") -> None:
        """One inbound SMS, as a session would hand it in."""
        part = InboundPart(self.modem.iccid, sender, text, "gsm7", text.encode(), f"{sender} {text}".encode())
        await self.box.journal.write(lambda con: inbound.add_part(con, route, part, self.box.clock.now()))
        self.box.gateway.committed()

    async def deliver(self, recipient: str, outcome: str = "delivered") -> None:
        """A status report for the last message to this number."""
        number = next(i for i, (_, part) in enumerate(self.modem.sent, start=1) if part.recipient == recipient)
        await self.modem.contexts[-1].emit(report(self.modem, number % 256, recipient, outcome))


Start = Callable[..., Awaitable[Rig]]


@pytest.fixture
async def start(server: MobSmsServer, device: str, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a rig on the server: `has_service=False` leaves everything in the queue."""
    boxes: list[Box] = []

    async def start_rig(
        *,
        modems: int = 1,
        has_service: bool = True,
        feed: bool = True,
        begin: bool = True,
        base_url: str = "",
        key: str = "",
        device_id: str = "",
        directory: str = "one",
        **settings: Any,
    ) -> Rig:
        registration = Registration.HOME if has_service else Registration.SEARCHING
        path = tmp_path / directory
        path.mkdir(exist_ok=True)
        box = Box(path, {chr(ord("a") + n): FakeModem(iccid=f"894900000000000000{n}", registration=registration)
                         for n in range(modems)})  # fmt: skip
        boxes.append(box)
        await box.__aenter__()
        rig = Rig(box, base_url or server.url, key or server.key, device_id or device, **settings)
        if begin:
            await rig.start(feed=feed)
        return rig

    yield start_rig
    for box in boxes:
        await box.__aexit__()


async def until(is_true: Callable[[], Any], timeout_s: float = 30.0) -> None:
    """Wait until a condition holds. It may be a blocking call to the server's control port."""
    async with asyncio.timeout(timeout_s):
        while not is_true():
            await asyncio.sleep(0.03)


def of(server: MobSmsServer, device: str) -> dict[int, dict[str, Any]]:
    """The server's messages of one device by number."""
    number = server.add_device(device)["id"]
    return {row["id"]: row for row in server.some(device=number)}


def told(server: MobSmsServer, number: int) -> list[str]:
    """The states reported for a message, in order."""
    return all_told(server, [number])[0]


def all_told(server: MobSmsServer, numbers: list[int]) -> list[list[str]]:
    """The same for each of several."""
    return [[report["status"] for report in row["reports"]] for row in server.some(ids=numbers)]
