"""One live session: serves what the modem tells, sends parts, and ends when the link or the modem does.

Two loops, so that a report that needs no command is not held up by a submit: one takes the URCs in order, the other
runs commands between submits. Both and `submit` share the line by a fair lock.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable
from contextlib import suppress
from typing import NoReturn

import structlog

from drivers.api import (
    DriverError,
    Event,
    LateOutcome,
    Link,
    LinkChanged,
    OpenContext,
    PartToSend,
    RecoveryStep,
    Resting,
    SessionLost,
    SessionRested,
    Sim,
    SubmitError,
    Submitted,
    Ussd,
)
from drivers.at import calls, commands, events, leftover, sim_slot, submission, urcs
from drivers.at.calls import Calls
from drivers.at.care import Care
from drivers.at.channel import Channel
from drivers.at.errors import Ailing
from drivers.at.inbound import Inbound, emit_all
from drivers.at.parser import Line
from drivers.at.recovery import Trouble
from drivers.at.service import Service
from drivers.at.settings import AtSettings
from drivers.at.state import Modem
from drivers.at.turns import Turn, Visit
from drivers.at.upkeep import Upkeep
from drivers.at.ussd import UssdDialogue

POLL_S = 10.0
"""Between sweeps where no indication works."""

_TURN_LOOK_S = 1.0
"""How often a SIM that shares its modem asks whether its turn is over."""

_BOOT_GRACE_S = 10.0
"""Within this after the start, +CPIN: READY is the end of the boot that we opened into."""

_FORBIDDEN = (
    (r"\+CMG[SWC]\b|\+CMSS\b", "It would send or store a message beside the queue; use `phonebridge send`."),
    (r"\+CPIN\s*=|\+CLCK|\+CPWD", "It can lock the SIM card; PINs are entered by the driver only."),
    (
        r"^E1|^[ZVQ]\d?$|^&F|\+CMUX|\+IPR\s*=|\+ICF\s*=|\+CMGF\s*=\s*1|\+CNMI\s*=|\+CSMS\s*=",
        "It would break the session.",
    ),
    (r"^D|\+CGDATA|^A$|^O\d?$|\+\+\+", "It would turn the line over to a call."),
)

_REBOOT_S = 10.0


class AtSession:
    """See `drivers.api.Session`."""

    def __init__(
        self,
        channel: Channel,
        modem: Modem,
        settings: AtSettings,
        context: OpenContext,
        care: Care,
        *,
        turn: Turn | None = None,
    ) -> None:
        self._channel = channel
        self._modem = modem
        self._settings = settings
        self._context = context
        self._line = asyncio.Lock()
        self._loop = asyncio.get_running_loop()
        self._opened_at = self._loop.time()
        self._care = care
        self._turn = turn
        self._visit = Visit(self._opened_at)
        self._ussd = UssdDialogue(channel, modem, self._line)
        self._upkeep = Upkeep(channel, modem, settings, context, line=self._line, care=care, ussd=self._ussd)
        self._calls = Calls()
        self._hangs_up = False
        self._taken = asyncio.Event()
        self._is_asking: asyncio.Task[None] | None = None
        self._boot_marks = urcs.RESTARTED | {mark.upper() for mark in modem.profile.boot_marks}
        self._inbound = Inbound(channel, modem, context, self._line, turn.turns.kept if turn is not None else None)
        self._submission = submission.Submission(channel, modem, settings)
        self._service = Service(channel, context.memory, modem.sim.iccid)
        self._expects_late = context.leftover
        self._log = structlog.get_logger().bind(route=context.route)

    @property
    def sim(self) -> Sim:
        return self._modem.sim

    @property
    def link(self) -> Link:
        return self._modem.link

    def late_outcome_is_known(self) -> None:
        """Say that the open submit of an earlier session was settled while this one was opened."""
        self._expects_late = False

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._watch())
                group.create_task(self._take_urcs())
                group.create_task(self._serve())
        except BaseExceptionGroup as failures:
            error = _first(failures)
            self._channel.fail(error if isinstance(error, SessionLost) else SessionLost("The session ended."))
            raise error from None

    async def submit(self, part: PartToSend, durable: Awaitable[None]) -> Submitted:
        try:
            sent = await self._submission.submit(part, durable, self._line)
            self._care.sent()
            await self._note_service()
            return sent
        except SubmitError as error:
            if error.code == submission.RESTS:
                # Nothing more is claimed for a session that is about to end.
                await self._channel.wait_lost()
            if self._care.has_failed_too_often(error):
                self._care.ail(Trouble.NETWORK)
                self._channel.fail(Ailing(f"The network failed again and again: {error}", Trouble.NETWORK))
            await self._choose_service(error)
            if self._submission.wants_sweep(error):
                self._inbound.sweep_soon()
            if self._submission.wants_upkeep(error):
                self._hasten_upkeep()
            raise
        finally:
            self._visit.busy_at = self._loop.time()

    async def _note_service(self) -> None:
        """Keep the service by which parts go out again; the part is sent, whatever becomes of the session now."""
        self._service.sent()
        if not self._service.is_unnoted:
            return
        with suppress(SessionLost):
            async with self._line:
                await self._service.note()

    async def _choose_service(self, error: SubmitError) -> None:
        """Try another service for SMS where this one fails again and again."""
        if not self._service.wants_step(error) or self._channel.lost is not None:
            return
        with suppress(SessionLost):
            async with self._line:
                step = await self._service.step()
            if step is not None:
                await self._context.emit(RecoveryStep("sms service", step))

    async def terminal(self, command: str, timeout_s: float) -> list[str]:
        text = command.strip()
        reason = refuse_command(text)
        if reason is not None:
            raise DriverError(f"{text[:40]} is not run here. {reason}")
        async with self._line:
            # Whatever it does to the memories, the next reader selects its own.
            self._modem.storages.current = None
            answer = await self._channel.exchange(commands.raw(text, timeout_s))
        return [*(line.text for line in answer.lines), answer.final.text]

    async def ussd(self, code: str, timeout_s: float) -> Ussd:
        return await self._ussd.ask(code, timeout_s)

    async def restart(self) -> None:
        async with self._line:
            for text in self._modem.profile.reboot:
                answer = await self._channel.exchange(commands.raw(text, _REBOOT_S))
                if answer.is_ok:
                    return
        raise DriverError("The modem refuses to be restarted.")

    async def ask_for_balance(self) -> None:
        if self._settings.balance_code is None:
            raise DriverError("No balance_code is configured for this route.")
        self._care.balances.pop(self._modem.sim.iccid, None)
        await self._upkeep.ask_for_balance()

    async def close(self) -> None:
        await self._channel.close()
        if self._turn is not None:
            self._turn.end(is_clean=isinstance(self._channel.lost, SessionRested))

    # --- the loops

    async def _watch(self) -> NoReturn:
        raise await self._channel.wait_lost()

    async def _take_urcs(self) -> NoReturn:
        while True:
            if not self._channel.urcs:
                self._taken.set()
            lines = await self._channel.next_urcs()
            self._taken.clear()
            told: list[Event] = []
            acknowledgements = 0
            for line in lines:
                if line.name in ("+CMTI", "+CDSI", "+CMT", "+CDS"):
                    self._visit.busy_at = self._loop.time()
                if line.name in ("+CMT", "+CDS"):
                    acknowledgements += self._modem.is_acknowledging
                event = self._take_urc(line)
                if event is not None:
                    told.append(event)
            refused = await emit_all(self._context.emit, told)
            for error in refused:
                if error is not None:
                    raise error
            for _ in range(acknowledgements):
                self._inbound.acknowledge()

    def _take_urc(self, line: Line) -> Event | None:
        """Do what needs no command, note what does; return what the agent has to know."""
        match line.name:
            case "+CMTI" | "+CDSI":
                self._inbound.indicate(line)
            case "+CMT" | "+CDS":
                if line.payload is None:
                    self._log.warning("indication_without_pdu", name=line.name)
                    return None
                return events.decode(self._modem.sim.iccid, line.payload)
            case "+CREG" | "+CGREG" | "+CEREG":
                return self._take_registration(line)
            case "+CMGS":
                outcome = leftover.read(line) if self._expects_late else None
                self._expects_late = False
                if isinstance(outcome, Submitted):
                    return LateOutcome(self._modem.sim.iccid, submitted=outcome)
            case "+CPIN":
                self._take_pin_state(line)
            case "+CUSD":
                self._ussd.take(line)
            case name if name in calls.NAMES:
                return self._take_ring(line)
            case name if name in urcs.GOING_DOWN or self._is_boot_mark(line):
                raise SessionLost(f"The modem restarts or goes down ({line.text[:40]}).")
            case name if name in urcs.STORAGE_FULL:
                self._log.warning("storage_full")
                self._inbound.sweep_soon()
            case name if name in urcs.DOUBTFUL:
                self._hasten_upkeep()
        return None

    def _is_boot_mark(self, line: Line) -> bool:
        return line.name in self._boot_marks or line.text.upper().strip() in self._boot_marks

    def _take_ring(self, line: Line) -> Event | None:
        rejects = self._settings.reject_calls
        call = self._calls.take(line, self._modem.sim.iccid, self._loop.time(), rejects=rejects)
        if call is not None and rejects:
            self._hangs_up = True
            self._inbound.wanted.set()
        return call

    async def _hang_up(self) -> None:
        self._hangs_up = False
        async with self._line:
            if not (await self._channel.exchange(commands.HANG_UP)).is_ok:
                await self._channel.exchange(commands.HANG_UP_OLD)

    def _take_registration(self, line: Line) -> Event | None:
        if self._submission.is_resting:
            return None
        found = commands.registration(line, is_answer=False)
        before = self._modem.registration
        if found is not None:
            self._modem.domains[line.name.removeprefix("+")] = found
        return LinkChanged(self._modem.link) if self._modem.registration is not before else None

    def _take_pin_state(self, line: Line) -> None:
        is_ready = line.text.upper().rstrip().endswith(": READY")
        if not is_ready:
            raise SessionLost(f"The SIM card was removed or locked ({line.text[:40]}).")
        if self._loop.time() - self._opened_at > _BOOT_GRACE_S:
            raise SessionLost("The modem restarted, or the SIM card was changed.")
        self._hasten_upkeep()

    async def _serve(self) -> NoReturn:
        await self._inbound.sweep()
        swept_at = self._loop.time()
        await self._upkeep.look()
        async with asyncio.TaskGroup() as group:
            while True:
                if self._is_asking is None or self._is_asking.done():
                    self._is_asking = group.create_task(self._upkeep.ask_for_balance())
                interval_s = self._settings.sweep_interval_s
                if self._modem.routing is None:
                    interval_s = min(POLL_S, interval_s)
                wake_at = min(swept_at + interval_s, self._upkeep.due_at)
                if self._turn is not None:
                    wake_at = min(wake_at, self._loop.time() + min(_TURN_LOOK_S, self._settings.dwell_s / 4))
                try:
                    async with asyncio.timeout_at(wake_at):
                        await self._inbound.wanted.wait()
                except TimeoutError:
                    pass
                if self._hangs_up:
                    await self._hang_up()
                await self._inbound.serve()
                if self._loop.time() >= self._upkeep.due_at:
                    await self._upkeep.look()
                if self._loop.time() >= swept_at + interval_s:
                    swept_at = self._loop.time()
                    await self._inbound.sweep()
                if self._turn is not None and await self._is_turn_over(self._turn):
                    await self._rest(self._turn)

    async def _is_turn_over(self, turn: Turn) -> bool:
        if self._visit.served_at is None and (self._modem.registration.has_service or not self._modem.domains):
            self._visit.served_at = self._loop.time()
        # A USSD answer comes once, to the SIM that asked.
        return not self._ussd.is_asking and await turn.should_end(self._visit)

    async def _rest(self, turn: Turn) -> NoReturn:
        """Leave the SIM in order: nothing in flight, off the network, and everything read that had arrived."""
        sentence = turn.sentence()
        await self._context.emit(Resting(sentence))
        async with self._line:
            self._submission.is_resting = True
            await sim_slot.radio_off(self._channel)
        # Also what is stored while the sweep goes on: left behind, it would be taken for the other SIM's.
        self._inbound.sweep_soon()
        while self._inbound.wanted.is_set():
            await self._all_urcs_taken()
            await self._inbound.serve()
            await self._all_urcs_taken()
        raise SessionRested(sentence)

    async def _all_urcs_taken(self) -> None:
        while self._channel.urcs or not self._taken.is_set():
            await asyncio.sleep(0)
            await self._taken.wait()

    def _hasten_upkeep(self) -> None:
        self._upkeep.due_at = 0.0
        self._inbound.wanted.set()


def refuse_command(text: str) -> str | None:
    """Return why a command is not run on a live session, or None where it may be. Pure."""
    if not text.isascii() or not text.isprintable() or not re.match(r"AT", text, re.IGNORECASE):
        return "A command begins with AT and has printable ASCII characters only."
    for command in re.split(r";\s*", text[2:]):
        for pattern, reason in _FORBIDDEN:
            if re.search(pattern, command, re.IGNORECASE):
                return reason
    return None


def _first(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the reason among several that ended the loops; a lost link is the most telling."""
    flat: list[BaseException] = []
    for failure in failures.exceptions:
        flat += [_first(failure)] if isinstance(failure, BaseExceptionGroup) else [failure]
    others = [error for error in flat if not isinstance(error, SessionLost)]
    return (others or flat)[0]
