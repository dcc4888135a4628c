"""One life of a pool's route: gives each message to one gateway, and keeps to it until that gateway is done with it.

A message is SENT for the agent once it is durably assigned and on its way, so that many can be under way although the
agent submits one at a time; what the gateways say comes as status reports with the entry's number as TP-MR. The broker
is the road, never the queue: what a gateway has not accepted is published again, with the same id.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable
from contextlib import AsyncExitStack
from dataclasses import replace

from drivers.api import (
    DriverError,
    Link,
    LinkChanged,
    NotReady,
    OpenContext,
    PartToSend,
    Refused,
    Registration,
    ReportOutcome,
    SessionLost,
    Sim,
    Submitted,
    Swept,
    Ussd,
)
from drivers.mqtt import inbound, payloads, planning, topics
from drivers.mqtt.answers import Answer, Answers
from drivers.mqtt.ledger import Entry, Ledger, Phase, numbered
from drivers.mqtt.link import Link as BrokerLink
from drivers.mqtt.link import LinkDown, PublishRefused, Received
from drivers.mqtt.members import Members
from drivers.mqtt.payloads import BadJob
from drivers.mqtt.settings import PoolSettings
from drivers.values import dataclass

_LOOK_S = 1.0
"""Between two looks at what is due."""
# A full pool is waited for so long before the route is said to be without service: a slow line frees a place in it.
_ROOM_WAIT_S = 5.0
# What stands at the broker comes right after the subscription.
_GREETING_S = 1.0
# When a job is asked for again, by how far it is; each time twice as late.
_ASK_AGAIN_S = {Phase.ASSIGNED: 10.0, Phase.ACCEPTED: 600.0, Phase.SENT: 1800.0}
_LONGEST_ASK_S = 6 * 3600.0
_HOUR_MS = 3_600_000


@dataclass(slots=True)
class _Due:
    """When a job in this phase is asked for next, by the loop's clock."""

    phase: Phase
    turn: int
    at: float
    wait_s: float
    is_asked_back: bool = False


@dataclass(frozen=True, slots=True)
class _Outgoing:
    topic: str
    payload: bytes
    entry: Entry | None
    """The job that it is, None for what is none."""


class PoolSession:
    """A `drivers.api.Session`."""

    def __init__(
        self, link: BrokerLink, settings: PoolSettings, context: OpenContext, ledger: Ledger, sim: Sim
    ) -> None:
        self._broker = link
        self._stack = AsyncExitStack()
        self._settings = settings
        self._context = context
        self._ledger = ledger
        self._sim = sim
        self._members = Members(settings.pool, settings.topic_prefix, ledger.untried)
        self._answers = Answers(ledger, context.emit, sim.iccid, self._take_back)
        self._link = Link(manufacturer="MQTT", model=settings.url)
        self._outgoing: asyncio.Queue[_Outgoing] = asyncio.Queue()
        self._early: list[Received] = []
        self._changed = asyncio.Event()
        self._due: dict[int, _Due] = {}
        self._is_full = False
        self._is_over = False

    @property
    def sim(self) -> Sim:
        return self._sim

    @property
    def link(self) -> Link:
        return self._link

    def keep(self, stack: AsyncExitStack) -> None:
        """What `close` closes."""
        self._stack = stack

    async def greet(self) -> None:
        """Subscribe, and hear who is there. Raises: LinkDown, LinkRefused."""
        any_of = self._members.topics("+")
        stands = (any_of.capacity, any_of.availability)
        tells = (any_of.status, any_of.inbox) if self._settings.inbound else (any_of.status,)
        await self._broker.subscribe(stands, with_retained=True)
        await self._broker.subscribe(tells)
        try:
            async with asyncio.timeout(_GREETING_S):
                while not self._members.counts()[1]:
                    messages = await self._broker.received()
                    self._early += messages
                    for message in messages:
                        with contextlib.suppress(BadJob):
                            self._hear(message, is_greeting=True)
        except TimeoutError:
            pass  # nobody is there yet
        for entry in self._ledger.entries():
            if entry.phase is Phase.ASSIGNED or not self._broker.is_resumed:
                self._ask(entry)
        self._link = self._described()

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._broker.lost(), name="pool link")
                group.create_task(self._publish(group), name="pool publishing")
                group.create_task(self._receive(), name="pool receiving")
                group.create_task(self._look_after(), name="pool upkeep")
        except ExceptionGroup as faults:
            error = _first(faults)
            if isinstance(error, LinkDown):
                raise SessionLost(f"{str(error)[:1].upper()}{str(error)[1:]}.") from faults
            raise error from faults
        finally:
            self._is_over = True
            self._changed.set()

    async def submit(self, part: PartToSend, durable: Awaitable[None]) -> Submitted:
        await durable
        try:
            order = planning.order(part)
        except planning.NotOfAPool as error:
            raise Refused("This message was planned for another kind of route.") from error
        device = await self._place()
        now_ms = _utc_ms()
        until_ms = None if part.validity_s is None else now_ms + 1000 * part.validity_s
        entry = await self._ledger.add(part.recipient, order, device, now_ms, until_ms)
        self._send(entry)
        return Submitted(entry.number, reports_anyway=True)

    async def terminal(self, command: str, timeout_s: float) -> list[str]:
        raise DriverError("A pool of gateways has no AT terminal; use the gateway's own.")

    async def ussd(self, code: str, timeout_s: float) -> Ussd:
        raise DriverError("A pool of gateways has no USSD; use the gateway's own.")

    async def close(self) -> None:
        self._is_over = True
        self._changed.set()
        await self._stack.aclose()

    # --- assigning ----------------------------------------------------------------------------------

    async def _place(self) -> str:
        """A gateway with room, soon. Raises: NotReady where there is none; the link then says so too."""
        try:
            async with asyncio.timeout(_ROOM_WAIT_S):
                while not self._is_over:
                    self._changed.clear()
                    for entry in self._ledger.waiting():
                        await self._assign(entry)
                    device = self._choose()
                    if device is not None:
                        return device
                    await self._changed.wait()
        except TimeoutError:
            self._is_full = True
            await self._tell_link()
        if self._is_over:
            raise NotReady("The connection to the broker was lost before this was given to a gateway.")
        raise NotReady(self._link.problem or "No gateway of the pool has room.")

    def _choose(self) -> str | None:
        return self._members.choose(self._settings.ahead_s, _now())

    def _send(self, entry: Entry) -> None:
        """Publish a job to its gateway, and watch what becomes of it."""
        self._outgoing.put_nowait(_Outgoing(self._members.topics(entry.device).send, entry.job(_utc_ms()), entry))
        self._watch(entry)

    def _take_back(self, entry: Entry, turn: int) -> None:
        """Ask a gateway to leave a job that it has not tried; it answers with its state where it has."""
        topic = self._members.topics(entry.devices[turn - 1]).release
        self._outgoing.put_nowait(_Outgoing(topic, entry.job_id(turn).encode(), None))

    def _watch(self, entry: Entry) -> _Due:
        due = self._due.get(entry.number)
        if due is None or (due.phase, due.turn) != (entry.phase, entry.turn):
            wait_s = _ASK_AGAIN_S.get(entry.phase, _LOOK_S)
            due = self._due[entry.number] = _Due(entry.phase, entry.turn, _now() + wait_s, wait_s)
        return due

    async def _assign(self, entry: Entry) -> None:
        """Give to somebody what nobody has; it waits on where there is no room."""
        device = self._choose()
        if device is not None and self._ledger.get(entry.number) is entry:
            self._send(await self._ledger.put(entry.assigned(device)))

    # --- the road -----------------------------------------------------------------------------------

    async def _publish(self, group: asyncio.TaskGroup) -> None:
        """Many at once: the link's window bounds them."""
        while True:
            outgoing = await self._outgoing.get()
            group.create_task(self._publish_one(outgoing), name="pool publish")

    async def _publish_one(self, outgoing: _Outgoing) -> None:
        try:
            await self._broker.publish(outgoing.topic, outgoing.payload)
        except PublishRefused as error:
            await self._refused(outgoing, error)

    async def _refused(self, outgoing: _Outgoing, error: PublishRefused) -> None:
        """The broker did not take it, so this time nobody has it."""
        entry = outgoing.entry and self._ledger.get(outgoing.entry.number)
        if not entry or entry.phase is not Phase.ASSIGNED or entry.turn != getattr(outgoing.entry, "turn", None):
            return
        self._members.bar(entry.device, _now())
        if self._choose() is None or entry.turn > len(list(self._members)):
            await self._answers.report(entry, "refused", ReportOutcome.FAILED, f"Not sent: {error}.")
            self._due.pop(entry.number, None)
            await self._ledger.drop(entry.number)
        else:
            await self._assign(await self._ledger.put(replace(entry, phase=Phase.WAITING)))

    async def _receive(self) -> None:
        early, self._early = self._early, []
        if early:
            await self._take(early)
        if self._context.leftover:
            await self._answers.newest_is_taken()
        while True:
            await self._take(await self._broker.received())

    async def _take(self, messages: list[Received]) -> None:
        """Durable before it is acknowledged; what is said of several jobs shares a commit."""
        said: dict[int, list[Answer]] = {}
        others: list[Awaitable[None]] = []
        for message in messages:
            device = topics.gateway_of(self._settings.topic_prefix, message.topic)
            if device is None:
                continue
            own = self._members.topics(device)
            try:
                if message.topic == own.status:
                    status = payloads.status(message.payload)
                    if (found := numbered(status.id)) is not None:
                        said.setdefault(found[0], []).append(Answer(device, found[1], status))
                elif message.topic == own.inbox:
                    if self._members.is_ours(device):
                        received = payloads.inbox_message(message.payload)
                        others.append(self._context.emit(inbound.part(self._sim.iccid, device, received)))
                else:
                    others += self._hear(message)
            except BadJob:
                continue  # somebody else's, or no word of a gateway
        await asyncio.gather(*(self._settle(number, answers) for number, answers in said.items()), *others)
        for message in messages:
            self._broker.acknowledge(message)
        self._changed.set()

    async def _settle(self, number: int, answers: list[Answer]) -> None:
        await self._answers.take(number, answers)
        entry = self._ledger.get(number)
        if entry is None:
            self._due.pop(number, None)
        elif entry.phase is Phase.WAITING:
            await self._assign(entry)
        else:
            self._watch(entry)

    def _hear(self, message: Received, *, is_greeting: bool = False) -> list[Awaitable[None]]:
        """Take in who is there. Returns what is to be done about it. Raises: BadJob."""
        device = topics.gateway_of(self._settings.topic_prefix, message.topic)
        if device is None:
            return []
        news = self._members.hear(device, message.topic, message.payload, _now())
        if is_greeting or not (news.is_back or news.has_lost_its_journal):
            return []
        return [self._returned(device, has_lost_its_journal=news.has_lost_its_journal)]

    async def _returned(self, device: str, *, has_lost_its_journal: bool) -> None:
        """A gateway is back: what it had not accepted is published again, what it was asked back for is asked again."""
        for entry in self._ledger.entries():
            if entry.device != device or not entry.is_untried:
                continue
            due = self._watch(entry)
            if has_lost_its_journal and entry.phase is Phase.ACCEPTED:
                await self._give_up(entry)
            elif due.is_asked_back:
                due.is_asked_back = False
                self._take_back(entry, entry.turn)
            elif entry.phase is Phase.ASSIGNED:
                self._ask(entry)

    # --- upkeep -------------------------------------------------------------------------------------

    async def _look_after(self) -> None:
        while True:
            for entry in self._ledger.entries():
                await self._look_at(entry)
            if self._is_full and self._choose() is not None:
                self._is_full = False
            await self._tell_link()
            await self._context.emit(Swept(self._sim.iccid))
            await asyncio.sleep(_LOOK_S)

    async def _look_at(self, entry: Entry) -> None:
        """What is due for one job."""
        if self._ledger.get(entry.number) is not entry:
            return  # it moved on while others were looked at
        if entry.phase is Phase.WAITING:
            await self._assign(entry)
            return
        now = _now()
        due = self._watch(entry)
        away_s = self._members.away_s(entry.device, now)
        if entry.is_untried and away_s > self._settings.give_up_after_s:
            await self._give_up(entry)
        elif entry.is_untried and away_s > self._settings.ask_back_after_s:
            if not due.is_asked_back:
                due.is_asked_back = True
                self._take_back(entry, entry.turn)
        elif entry.phase is Phase.SENT and _utc_ms() - entry.at_ms > self._settings.forget_after_h * _HOUR_MS:
            self._due.pop(entry.number, None)
            await self._ledger.drop(entry.number)
        elif due.at <= now and not away_s:
            due.wait_s = min(2 * due.wait_s, _LONGEST_ASK_S)
            due.at = now + due.wait_s
            self._ask(entry)

    def _ask(self, entry: Entry) -> None:
        """Have a gateway say what it knows: a job that it knows is answered and not sent again, and one that was sent
        cannot be taken back."""
        if entry.phase is Phase.SENT:
            self._take_back(entry, entry.turn)
        elif entry.phase is not Phase.WAITING:
            self._send(entry)

    async def _give_up(self, entry: Entry) -> None:
        self._take_back(entry, entry.turn)
        moved = await self._answers.give_up(entry, self._context.on_unknown)
        if moved is None:
            self._due.pop(entry.number, None)
        else:
            await self._assign(moved)

    async def _tell_link(self) -> None:
        link = self._described()
        if link != self._link:
            self._link = link
            await self._context.emit(LinkChanged(link))

    def _described(self) -> Link:
        there, able, lines = self._members.counts()
        problem = None
        if not able:
            known = f"none of its {there} gateways can send now" if there else "no gateway of it has announced itself"
            problem = f'The pool "{self._settings.pool}" is empty: {known}.'
        elif self._is_full:
            problem = f'No gateway of the pool "{self._settings.pool}" has room now.'
        return replace(
            self._link,
            registration=Registration.SEARCHING if problem else Registration.HOME,
            operator=f"{self._settings.pool}: {able} of {there} gateways, {lines} lines",
            problem=problem,
        )


def _now() -> float:
    return asyncio.get_running_loop().time()


def _utc_ms() -> int:
    return round(time.time() * 1000)


def _first(group: ExceptionGroup[Exception]) -> Exception:
    error: Exception = group.exceptions[0]
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
