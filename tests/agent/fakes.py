"""A driver whose modem is a script: the seam is the driver contract, everything above it is real."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from agent.clock import Clock
from agent.gateway import Gateway
from agent.inbox import Inbox
from agent.journal import dispatch, inbound, outcomes, routing
from agent.journal.listing import Filter
from agent.journal.store import Journal
from agent.route import Route
from agent.settings import AgentSettings, RouteConfig, RouteSettings
from drivers.api import (
    AS_TEXT,
    Candidate,
    Diagnosis,
    InboundPart,
    Link,
    OpenContext,
    PartToSend,
    PlannedPart,
    PlanOptions,
    Registration,
    ReportOutcome,
    Session,
    SessionLost,
    Sim,
    StatusReport,
    Submitted,
    Swept,
    Unplannable,
    Ussd,
)


@dataclass(frozen=True)
class FakeSettings:
    """No keys."""


@dataclass
class FakeModem:
    """What the session answers, and what it saw. `answers` are taken first to last, then every submit succeeds."""

    iccid: str = "8949000000000000001"
    answers: list[Exception | Submitted | Callable[[PartToSend], Awaitable[Submitted]]] = field(default_factory=list)
    open_errors: list[Exception] = field(default_factory=list)
    radio_s: float = 0.0
    registration: Registration = Registration.HOME
    sent: list[tuple[float, PartToSend]] = field(default_factory=list)
    contexts: list[OpenContext] = field(default_factory=list)
    on_open: list[Any] = field(default_factory=list)
    lost: asyncio.Event = field(default_factory=asyncio.Event)
    next_mr: int = 0

    def texts(self) -> list[str]:
        return [part.body.decode() for _, part in self.sent]


class FakeSession:
    def __init__(self, modem: FakeModem, context: OpenContext) -> None:
        self.modem, self.context = modem, context

    @property
    def sim(self) -> Sim:
        return Sim(self.modem.iccid)

    @property
    def link(self) -> Link:
        return Link(registration=self.modem.registration)

    async def run(self) -> None:
        await self.context.emit(Swept(self.modem.iccid))
        await self.modem.lost.wait()
        self.modem.lost.clear()
        raise SessionLost("unplugged")

    async def submit(self, part: PartToSend, durable: Awaitable[None]) -> Submitted:
        await durable
        self.modem.sent.append((asyncio.get_running_loop().time(), part))
        answer = self.modem.answers.pop(0) if self.modem.answers else None
        await asyncio.sleep(self.modem.radio_s)
        if isinstance(answer, Exception):
            raise answer
        if callable(answer):
            return await answer(part)
        if answer is not None:
            return answer
        self.modem.next_mr = (self.modem.next_mr + 1) % 256
        return Submitted(self.modem.next_mr)

    async def terminal(self, command: str, timeout_s: float) -> list[str]:
        return [command, "OK"]

    async def ussd(self, code: str, timeout_s: float) -> Ussd:
        return Ussd(f"answer to {code}", code)

    async def close(self) -> None:
        return None


class FakeDriver:
    name: ClassVar[str] = "fake"
    Settings: ClassVar[type[Any]] = FakeSettings

    def __init__(self, modem: FakeModem) -> None:
        self.modem = modem

    def plan(self, text: str, max_parts: int, options: PlanOptions = AS_TEXT) -> tuple[PlannedPart, ...]:
        message_class = 0 if options.is_flash else None
        parts = tuple(PlannedPart("text", piece.encode(), b"", message_class) for piece in text.split("|"))
        if len(parts) > max_parts:
            raise Unplannable(f"the text needs {len(parts)} parts, {max_parts} are allowed")
        return parts

    def hardware(self, settings: Any) -> str | None:
        return None

    def clash(self, settings: Any, other: Any) -> str | None:
        return None

    async def open(self, settings: Any, context: OpenContext) -> Session:
        self.modem.contexts.append(context)
        if self.modem.open_errors:
            raise self.modem.open_errors.pop(0)
        for event in self.modem.on_open:
            await context.emit(event)
        return FakeSession(self.modem, context)

    async def wait_for_port(self, settings: Any) -> None:
        await asyncio.sleep(0.05)

    def discover(self) -> Iterable[Candidate]:
        return ()

    async def diagnose(self, candidate: Candidate) -> Diagnosis:
        return Diagnosis(candidate, ok=False, finding="fake")


class MemoryOfJournal:
    def __init__(self, journal: Journal) -> None:
        self.journal = journal

    async def recall(self, key: str, fact: str) -> str | None:
        return await self.journal.read(lambda con: routing.recall(con, key, fact))

    async def remember(self, key: str, fact: str, value: str | None) -> None:
        await self.journal.write(lambda con: routing.remember(con, key, fact, value))


class Box:
    """A whole gateway on a real journal with fake modems. `async with`; `crash()` forgets everything in memory."""

    def __init__(
        self,
        directory: Path,
        modems: dict[str, FakeModem],
        *,
        routes: dict[str, dict[str, Any]] | None = None,
        clock: Clock | None = None,
        **settings: Any,
    ) -> None:
        self.clock = clock or Clock("trusted")
        self.directory = directory
        self.modems = modems
        self.route_keys = routes or {}
        self.settings = AgentSettings(state_dir=directory, clock="trusted", **{"unknown_wait_s": 0.2, **settings})
        self.tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Box:
        self.journal = Journal(self.directory / "journal.db")
        await self.journal.start(self.clock.utc_ms())
        now = self.clock.now()

        def settle(con: Any) -> None:
            dispatch.rebase(con, now)
            outcomes.settle_leftovers(con, now)

        await self.journal.write(settle)
        self.gateway = Gateway(self.settings, self.journal, self.clock)
        inbox = Inbox(self.journal, self.clock, self.gateway.committed, self.gateway.outbox.wake)
        for slot, (name, modem) in enumerate(self.modems.items()):
            keys = {"name": name, **self.route_keys.get(name, {})}
            route = Route(
                RouteConfig(settings=RouteSettings(**keys), driver=FakeSettings()), FakeDriver(modem), self.settings,
                slot=slot, takes_any=True, journal=self.journal, clock=self.clock, outbox=self.gateway.outbox,
                inbox=inbox, memory=MemoryOfJournal(self.journal), views=self.gateway.views,
                changed=lambda _: self.gateway.committed(),
            )  # fmt: skip
            self.gateway.routes[name] = route
        await self.gateway.ensure_upstream("cli", "cli")
        return self

    def start(self) -> None:
        """Run the routes."""
        for route in self.gateway.routes.values():
            self.tasks.append(asyncio.create_task(route.run()))

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()

    async def crash(self) -> Box:
        """The power goes: nothing in memory survives; a new box on the same files."""
        await self.stop()
        await self.journal.close()
        again = Box(self.directory, self.modems, routes=self.route_keys, clock=self.clock)
        again.settings = self.settings
        return await again.__aenter__()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        await self.journal.close()

    async def state(self, message_id: int | None) -> str:
        assert message_id is not None
        message = await self.gateway.message(message_id)
        assert message is not None
        return str(message.state)

    async def until(self, message_id: int | None, *states: str, timeout_s: float = 30.0) -> str:
        """Wait until a message is in one of the states."""
        changed = asyncio.Event()
        self.gateway.watch(changed)
        try:
            async with asyncio.timeout(timeout_s):
                while (state := await self.state(message_id)) not in states:
                    changed.clear()
                    try:
                        async with asyncio.timeout(0.05):
                            await changed.wait()
                    except TimeoutError:
                        pass
                return state
        finally:
            self.gateway.unwatch(changed)


def report(modem: FakeModem, tp_mr: int, recipient: str, outcome: str = "delivered", *, stamp: int = 0) -> StatusReport:
    status = {"delivered": 0x00, "pending": 0x20, "failed": 0x46}[outcome]
    tpdu = b"\x06" + bytes([tp_mr, status]) + recipient.encode() + stamp.to_bytes(4, "big")
    return StatusReport(modem.iccid, tp_mr, recipient, status, ReportOutcome(outcome), f"it is {outcome}", tpdu)


# --- what comes in

ICCID = "8949000000000000001"
TO = "+4915112345678"


def part(sequence: int, total: int, *, text: str = "", reference: int = 7, sender: str = TO) -> InboundPart:
    text = text or f"part {sequence} "
    return InboundPart(
        ICCID, sender, text, "gsm7", text.encode(), f"{sender}{reference}{sequence}{text}".encode(),
        reference=reference if total > 1 else None, total=total, sequence=sequence,
    )  # fmt: skip


async def texts(box: Box) -> list[str]:
    page = await box.gateway.page(Filter(direction="inbound"))
    return [message.text for message in reversed(page.messages)]


async def take(box: Box, *parts: InboundPart) -> None:
    for item in parts:
        await box.journal.write(lambda con, item=item: inbound.add_part(con, "a", item, box.clock.now()))  # type: ignore[misc]
