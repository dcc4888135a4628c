"""What a test needs of the agent: a memory for facts, a list of events, and a session with its `run` task."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any, TypeVar

from drivers.api import Event, OpenContext, PartToSend, SessionError, Submitted
from drivers.at.driver import AtDriver
from drivers.at.session import AtSession

E = TypeVar("E")

RECIPIENT = "+4915112345678"


class FactMemory:
    """A `SimMemory` in a dict, with the order of all writes."""

    def __init__(self) -> None:
        self.facts: dict[tuple[str, str], str | None] = {}
        self.writes: list[tuple[str, str, str | None]] = []

    async def recall(self, key: str, fact: str) -> str | None:
        return self.facts.get((key, fact))

    async def remember(self, key: str, fact: str, value: str | None) -> None:
        self.writes.append((key, fact, value))
        self.facts[key, fact] = value


class Harness:
    """One route without an agent."""

    def __init__(self, port: str, **settings: Any) -> None:
        self.driver = AtDriver()
        # Unchecked, since tests have less patience than the limits of the settings.
        self.settings = replace(AtDriver.Settings(port=str(port)), **settings)
        self.memory = FactMemory()
        self.events: list[Event] = []
        self.refuses: Callable[[Event], bool] = lambda event: False
        self.session: AtSession | None = None
        self.running: asyncio.Task[None] | None = None
        self._arrived = asyncio.Event()

    async def emit(self, event: Event) -> None:
        await asyncio.sleep(0)
        if self.refuses(event):
            raise OSError("no space left on device")
        self.events.append(event)
        self._arrived.set()

    async def open(self, *, leftover: bool = False, reports: bool = True, run: bool = True) -> AtSession:
        await self.close()
        context = OpenContext("test", self.emit, self.memory, leftover=leftover, status_reports=reports)
        self.session = await self.driver.open(self.settings, context)
        if run:
            self.running = asyncio.create_task(self.session.run())
        return self.session

    async def send(self, body: bytes = b"hello", **fields: Any) -> Submitted:
        assert self.session is not None
        part = PartToSend(fields.pop("recipient", RECIPIENT), fields.pop("alphabet", "gsm7"), body, **fields)
        return await self.session.submit(part, asyncio.sleep(0))

    async def wait_for(self, kind: type[E], count: int = 1, timeout_s: float = 30.0) -> list[E]:
        """Return the events of a class once there are enough of them."""
        async with asyncio.timeout(timeout_s):
            while len(found := [event for event in self.events if isinstance(event, kind)]) < count:
                self._arrived.clear()
                await self._arrived.wait()
        return found

    def events_of(self, kind: type[E]) -> list[E]:
        """Return the events of a class so far."""
        return [event for event in self.events if isinstance(event, kind)]

    async def lost(self, timeout_s: float = 30.0) -> BaseException | None:
        """Return what `run` ended with."""
        assert self.running is not None
        await asyncio.wait([self.running], timeout=timeout_s)
        return self.running.exception() if self.running.done() else None

    async def close(self) -> None:
        if self.session is not None:
            await self.session.close()
        if self.running is not None:
            with suppress(SessionError, OSError):
                await self.running
        self.session = self.running = None
