"""The stage of one failure mode: a simulated modem, the daemon's gateway on it, and a watch on what goes out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.gateway import Gateway
from agent.journal.listing import Filter
from agent.model import Job, MessageState, RouteState, RouteView
from drivers.at.driver import AtDriver
from drivers.at.ports import Roots
from drivers.simulator.control import Control
from drivers.simulator.process import SimulatorProcess
from tests.matrix.runner import TIMING, gateway_on, until

_SENT = (MessageState.SENT, MessageState.DELIVERED)
_WAIT_S = 30.0


@dataclass(slots=True)
class Scene:
    """One modem with its gateway; `sent` counts recipients so that no two messages are alike."""

    simulator: SimulatorProcess
    gateway: Gateway
    directory: Path
    sent: int = 0

    @property
    def control(self) -> Control:
        return self.simulator.control

    @property
    def view(self) -> RouteView:
        return self.gateway.routes["sim"].view()

    async def ready(self) -> None:
        await until(lambda: self.view.state is RouteState.READY, _WAIT_S, "the route is ready")

    async def accept(self, count: int = 6, text: str = "mode", number: str | None = None) -> list[int]:
        """Queue messages to numbers of their own."""
        first, self.sent = self.sent, self.sent + count
        jobs = [
            Job(number or f"+4915120{n:06d}", f"{text} {n}" if number is None else text, route="sim")
            for n in range(first, first + count)
        ]
        return [item.message_id or 0 for item in await self.gateway.accept("cli", jobs)]

    async def out(self, ids: list[int], wait_s: float = _WAIT_S) -> None:
        """Wait until all went. Raises: TimeoutError."""
        for message_id in ids:
            async with asyncio.timeout(wait_s):
                while True:
                    message = await self.gateway.message(message_id)
                    if message is not None and message.state in _SENT:
                        break
                    await asyncio.sleep(0.02)

    async def delivered(self, ids: list[int]) -> None:
        """Wait until the reports of all came. Raises: TimeoutError."""
        async with asyncio.timeout(_WAIT_S):
            for message_id in ids:
                while (message := await self.gateway.message(message_id)) is None or message.state != "delivered":
                    await asyncio.sleep(0.02)

    async def on_air(self, count: int = 1) -> None:
        """Wait until so many parts were on the air in all."""
        await until(lambda: len(self.simulator.events("air")) >= count, _WAIT_S, f"{count} on the air")

    async def received(self) -> list[str]:
        page = await self.gateway.page(Filter(states=(MessageState.RECEIVED,)), 1, 200)
        return [message.text for message in page.messages]

    async def inbound(self, count: int) -> list[str]:
        """Wait for so many inbound messages in the journal. Raises: TimeoutError."""
        async with asyncio.timeout(_WAIT_S):
            while len(found := await self.received()) < count:
                await asyncio.sleep(0.02)
        return found

    def deliver(self, count: int = 4, **fields: Any) -> None:
        for n in range(count):
            self.control.deliver(f"+49170{n:07d}", f"inbound {n}", **fields)

    def resumed_s(self, name: str, /, **where: Any) -> float | None:
        """Seconds from the last such event that an air followed to that air; None where none did."""
        found: float | None = None
        back: float | None = None
        for event in self.simulator.events():
            if event["event"] == name and all(event.get(key) == value for key, value in where.items()):
                back = event["mono_s"]
            elif event["event"] == "air" and back is not None:
                found, back = event["mono_s"] - back, None
        return found

    def doubled(self) -> int:
        """Parts that were on the air more than once."""
        aired = [(event["to"], event["seq"], event["ref"], event["text"]) for event in self.simulator.events("air")]
        return len(aired) - len(set(aired))


@contextlib.asynccontextmanager
async def scene(directory: Path, *flags: str, roots: Roots | None = None, **keys: Any) -> AsyncIterator[Scene]:
    """A scene with quick timing; `flags` are the simulator's, `keys` the route's."""
    with SimulatorProcess(directory / "sim", *TIMING, *flags) as simulator:
        async with playing(simulator, directory, roots=roots, **keys) as found:
            yield found


@contextlib.asynccontextmanager
async def playing(
    simulator: SimulatorProcess, directory: Path, *, roots: Roots | None = None, **keys: Any
) -> AsyncIterator[Scene]:
    """The gateway on a simulator that runs already; with `roots` it sees a made /sys, /dev and /proc."""
    driver = AtDriver(roots) if roots is not None else None
    async with gateway_on(directory, {"sim": simulator.ports[0]}, **keys) as gateway:
        if driver is not None:
            gateway.routes["sim"].driver = driver
        yield Scene(simulator, gateway, directory)
