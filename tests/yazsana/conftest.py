"""The driver against the seed's server, over a real socket; the agent's side is a list of events and a dict."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from drivers.api import Event, LinkChanged, OpenContext, PartToSend, StatusReport, Submitted, Swept
from drivers.settings import Secret
from drivers.yazsana.driver import YazsanaDriver
from drivers.yazsana.session import YazsanaSession
from drivers.yazsana.settings import YazsanaSettings
from tests.yazsana.server import KEY, YazsanaServer

NUMBER = "+905550000000"


class Memory:
    """`drivers.api.SimMemory`; `forget_next_write` is a power cut before the next commit."""

    def __init__(self) -> None:
        self.facts: dict[tuple[str, str], str] = {}

    async def recall(self, key: str, fact: str) -> str | None:
        return self.facts.get((key, fact))

    async def remember(self, key: str, fact: str, value: str | None) -> None:
        if value is None:
            self.facts.pop((key, fact), None)
        else:
            self.facts[key, fact] = value


class Desk:
    """Opens sessions on one server and one memory, and keeps what they tell."""

    def __init__(self, server: YazsanaServer) -> None:
        self.server = server
        self.memory = Memory()
        self.events: list[Event] = []
        self.tasks: list[asyncio.Task[None]] = []
        self.sessions: list[YazsanaSession] = []

    def settings(self, **keys: Any) -> YazsanaSettings:
        given = {
            "base_url": self.server.url, "api_key": Secret(KEY), "service": "BobSMS", "poll_first_s": 0.02,
            "poll_longest_s": 0.1, "timeout_s": 2.0, **keys,
        }  # fmt: skip
        return YazsanaSettings(**given)

    async def open(self, *, leftover: bool = False, reports: bool = True, **keys: Any) -> YazsanaSession:
        context = OpenContext("bob", self._emit, self.memory, leftover=leftover, status_reports=reports)
        session = await YazsanaDriver().open(self.settings(**keys), context)
        self.sessions.append(session)
        return session

    def run(self, session: YazsanaSession) -> asyncio.Task[None]:
        self.tasks.append(asyncio.create_task(session.run()))
        return self.tasks[-1]

    async def submit(self, session: YazsanaSession, text: str = "Hello", to: str = NUMBER) -> Submitted:
        (part,) = YazsanaDriver().plan(text, 25)
        return await session.submit(PartToSend(to, part.alphabet, part.body), asyncio.sleep(0))

    async def _emit(self, event: Event) -> None:
        self.events.append(event)

    def reports(self) -> list[StatusReport]:
        return [event for event in self.events if isinstance(event, StatusReport)]

    def links(self) -> list[LinkChanged]:
        return [event for event in self.events if isinstance(event, LinkChanged)]

    def sweeps(self) -> int:
        return sum(isinstance(event, Swept) for event in self.events)

    async def until(self, is_so: Callable[[], Any], timeout_s: float = 30.0) -> None:
        async with asyncio.timeout(timeout_s):
            while not is_so():
                await asyncio.sleep(0.01)

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        for session in self.sessions:
            await session.close()


@pytest.fixture
async def server() -> AsyncIterator[YazsanaServer]:
    running = YazsanaServer()
    await running.open()
    yield running
    await running.close()


@pytest.fixture
async def desk(server: YazsanaServer) -> AsyncIterator[Desk]:
    made = Desk(server)
    yield made
    await made.close()
