"""A real SMSGate server in another process, and a whole gateway that is a device of it over real connections."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.config import parse
from agent.feed import Feed
from agent.journal import inbound
from agent.supervise import keep_running
from agent.upstreams.smsgate import SmsGateUpstream
from drivers.api import InboundPart
from tests.agent.fakes import Box, FakeModem, report
from tests.smsgate_server.process import SmsGateServer

_pdus = itertools.count(1)


@pytest.fixture(scope="session")
def running_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SmsGateServer]:
    with SmsGateServer(tmp_path_factory.mktemp("smsgate")) as server:
        yield server


@pytest.fixture
def server(running_server: SmsGateServer) -> Iterator[SmsGateServer]:
    """A public server: whoever comes may register. Each test registers a device and a user of its own."""
    running_server.control("knobs", keepalive_s=0.5, deadline_s=1800, is_silent=False)
    yield running_server
    running_server.control("knobs", keepalive_s=0.5, deadline_s=1800, is_silent=False)


class Rig:
    """A gateway with fake modems, one SMSGate upstream and its feed. `crash` starts the same journal again."""

    def __init__(self, box: Box, url: str, **keys: Any) -> None:
        self.keys = {"type": "smsgate", "name": "gate", "base_url": url, "poll_without_events_s": 0.2, "timeout_s": 5,
                     "register": "anonymous", **keys}  # fmt: skip
        self._build(box)

    def _build(self, box: Box) -> None:
        self.box = box
        table = {key: value for key, value in self.keys.items() if value is not None}
        (settings,) = parse({"upstream": [table]}).upstreams
        self.upstream = SmsGateUpstream(settings, box.gateway)
        self.feed = Feed("gate", self.upstream, box.journal, box.clock)
        box.gateway.feeds["gate"] = self.feed

    async def start(self, *, routes: bool = True) -> None:
        await self.box.gateway.ensure_upstream("gate", self.upstream.identity(), wants_inbound=True)
        if routes:
            self.box.start()
        for name, work in (("gate", self.upstream.run), ("feed", self.feed.run), ("hooks", self.box.gateway.hooks.run)):
            self.box.tasks.append(asyncio.create_task(keep_running(name, work)))

    async def crash(self) -> None:
        self._build(await self.box.crash())
        await self.start()

    @property
    def modem(self) -> FakeModem:
        return next(iter(self.box.modems.values()))

    @property
    def facts(self) -> dict[str, Any]:
        return self.upstream.status()

    @property
    def device(self) -> str:
        return str(self.facts["devices"] or "")

    async def registered(self) -> str:
        """Once it pulled for the first time: the device's id."""
        await until(lambda: self.facts["last_poll_s"] is not None)
        return self.device

    async def receive(self, text: str, sender: str = "+998907778899", route: str = "a", **fields: Any) -> None:
        """One inbound SMS, as a session would hand it in."""
        tpdu = f"{next(_pdus)}".encode()
        part = InboundPart(self.modem.iccid, sender, text, "gsm7", fields.pop("body", text.encode()), tpdu, **fields)
        await self.box.journal.write(lambda con: inbound.add_part(con, route, part, self.box.clock.now()))
        self.box.gateway.committed()

    async def deliver(self, recipient: str, outcome: str = "delivered") -> None:
        """A status report for the first message to this number, where nothing was refused before it."""
        number = next(i for i, (_, part) in enumerate(self.modem.sent, start=1) if part.recipient == recipient)
        await self.modem.contexts[-1].emit(report(self.modem, number % 256, recipient, outcome))


Start = Callable[..., Awaitable[Rig]]


@pytest.fixture
async def start(server: SmsGateServer, tmp_path: Path) -> AsyncIterator[Start]:
    """Starts a rig on the server."""
    rigs: list[Rig] = []

    async def start_rig(
        *, modems: int = 1, begin: bool = True, url: str = "", directory: str = "one", routes: bool = True,
        box: dict[str, Any] | None = None, **keys: Any,
    ) -> Rig:  # fmt: skip
        path = tmp_path / directory
        path.mkdir(exist_ok=True)
        names = {chr(ord("a") + n): FakeModem(iccid=f"894900000000000000{n}") for n in range(modems)}
        rig = Rig(await Box(path, names, **(box or {})).__aenter__(), url or server.url, **keys)
        rigs.append(rig)
        if begin:
            await rig.start(routes=routes)
        return rig

    yield start_rig
    for rig in rigs:
        await rig.box.__aexit__()


async def until(is_true: Callable[[], Any], timeout_s: float = 30.0) -> Any:
    """Wait until a condition holds; returns it. It may be a blocking call to the server's control."""
    async with asyncio.timeout(timeout_s):
        while not (found := is_true()):
            await asyncio.sleep(0.03)
    return found


def text(body: str, *numbers: str, **fields: Any) -> dict[str, Any]:
    """A message as a client sends it."""
    return {"textMessage": {"text": body}, "phoneNumbers": list(numbers) or ["+4915100000001"], **fields}
