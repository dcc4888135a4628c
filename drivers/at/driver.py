"""The AT driver: finds the port, opens the line, brings modem and agent together. See `drivers.api.Driver`."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import ClassVar

from drivers.api import (
    AS_TEXT,
    Candidate,
    Diagnosis,
    LateOutcome,
    NoAnswer,
    OpenContext,
    OpenError,
    PlannedPart,
    PlanOptions,
    PortAbsent,
    PortBusy,
    RecoveryStep,
    SessionLost,
    SubmitError,
    Submitted,
)
from drivers.at import clashes, diagnosis, leftover, link, planning, ports, rungs, startup, urcs
from drivers.at.care import Care
from drivers.at.channel import Channel
from drivers.at.errors import Unwell
from drivers.at.recovery import SENTENCES, Ladder, Rung, Trouble
from drivers.at.session import AtSession
from drivers.at.settings import AtSettings
from drivers.at.turns import Member, OtherSimFirst, Turn, Turns

OPEN_S = 8.0
"""For the first AT: autobaud modems need several, and one that boots says nothing for some seconds."""

_PROBE_S = 1.5
_BOOT_MARKS = urcs.RESTARTED | urcs.GOING_DOWN | urcs.DOUBTFUL | urcs.VENDOR_RESTARTED


class AtDriver:
    """Carries SMS by modems that speak AT commands in PDU mode."""

    name: ClassVar[str] = "at"
    Settings: ClassVar[type[AtSettings]] = AtSettings

    def __init__(self, roots: ports.Roots | None = None) -> None:
        self._roots = roots or ports.Roots()
        self._found_by_imei: dict[str, str] = {}
        self._imeis: dict[str, str] = {}
        self._ladder = Ladder()
        self._balances: dict[str, float] = {}
        self._trouble: Trouble | None = None
        self._device: str | None = None
        self._listing: tuple[tuple[str, int], ...] = ()
        self._turns = Turns()
        self._guard_s = 0.0

    def plan(self, text: str, max_parts: int, options: PlanOptions = AS_TEXT) -> tuple[PlannedPart, ...]:
        return planning.plan(text, max_parts, options)

    def hardware(self, settings: AtSettings) -> str | None:
        return settings.port if settings.modem_sim is not None else None

    def clash(self, settings: AtSettings, other: AtSettings) -> str | None:
        return clashes.between(settings, other)

    async def open(self, settings: AtSettings, context: OpenContext) -> AtSession:
        """See `drivers.api.Driver`. A modem that is silent or sick is brought back here, rung by rung."""
        if settings.modem_sim is None:
            return await self._open_or_mend(settings, context, None)
        member = Member(
            settings.modem_sim, context.route, settings.visit_every_s, settings.dwell_s, context.has_work,
            leftover=context.leftover,
        )  # fmt: skip
        while True:
            turn = await self._turns.begin(member, context.emit)
            began_at = asyncio.get_running_loop().time()
            try:
                session = await self._open_or_mend(settings, context, turn)
                turn.served(asyncio.get_running_loop().time() - began_at)
                return session
            except OtherSimFirst:
                continue
            except OpenError:
                turn.end(has_failed=True)
                raise
            except BaseException:
                turn.end()
                raise

    async def _open_or_mend(self, settings: AtSettings, context: OpenContext, turn: Turn | None) -> AtSession:
        self._listing = ports.listing(self._roots)
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            await self._climb(trouble, settings, context)
        while True:
            try:
                return await self._open(settings, context, turn)
            except (NoAnswer, Unwell) as error:
                trouble = Trouble.SICK if isinstance(error, Unwell) else Trouble.SILENT
                if not await self._climb(trouble, settings, context):
                    raise

    async def wait_for_port(self, settings: AtSettings) -> None:
        watches_all = settings.port.startswith(ports.AUTO_PREFIX) or settings.port in self._imeis
        await ports.wait_for(settings.port, self._listing, self._roots, watches_all=watches_all)

    def discover(self) -> Iterable[Candidate]:
        return ports.candidates(self._roots)

    def below(self, root: Path) -> AtDriver:
        """See `drivers.api.Looks`."""
        return AtDriver(ports.Roots(root / "sys", root / "dev", root / "proc"))

    def unusable(self) -> Iterable[Diagnosis]:
        """See `drivers.api.Looks`."""
        return [
            Diagnosis(Candidate("", "", f"{stick.named}, no serial port", stick.usb_id), False, stick.finding,
                      stick.remedy)
            for stick in ports.portless(self._roots)
        ]  # fmt: skip

    def holder(self, device: str) -> str | None:
        """See `drivers.api.Looks`."""
        return ports.holder(device, self._roots)

    async def diagnose(self, candidate: Candidate) -> Diagnosis:
        return await diagnosis.diagnose(candidate, self._roots)

    async def _open(self, settings: AtSettings, context: OpenContext, turn: Turn | None) -> AtSession:
        secret = settings.read_pin()
        channel = await self._connect(settings, context.route)
        try:
            late = turn.heard() if turn is not None else None
            if context.leftover and late is None:
                late = await leftover.settle(channel, settings.submit_timeout_s)
            await channel.resynchronise(OPEN_S, settled=False)
            channel.forget(_BOOT_MARKS)
            may_switch = partial(turn.may_switch, late) if turn is not None else _always
            modem = await startup.start(channel, settings, context, secret, may_switch=may_switch)
            care = Care(self._ladder, self._ail, self._balances)
            session = AtSession(channel, modem, settings, context, care, turn=turn)
            if late is not None:
                session.late_outcome_is_known()
                await context.emit(_late_event(modem.sim.iccid, late))
        except BaseException as error:
            # What was learnt of its pauses on the way is kept for the next attempt.
            self._guard_s = channel.guard_s
            await channel.close()
            if isinstance(error, SessionLost):
                raise NoAnswer(f"{settings.port}: {error}") from error
            raise
        self._guard_s = modem.profile.guard_s
        if modem.identity.imei is not None:
            self._imeis[settings.port] = modem.identity.imei
        return session

    def _ail(self, trouble: Trouble) -> None:
        """The session that ends now asks for a rung before the next one."""
        self._trouble = trouble

    async def _climb(self, trouble: Trouble, settings: AtSettings, context: OpenContext) -> bool:
        """Take the next rung, if one is due; whether anything was done that may have helped."""
        device = self._device or settings.port
        available = rungs.available(settings, device, self._roots)
        rung = self._ladder.next(trouble, asyncio.get_running_loop().time(), available)
        if rung is None:
            return False
        await context.emit(RecoveryStep(rung.value, f"{trouble.value} {SENTENCES[rung]}"))
        problem = await rungs.carry_out(rung, settings, device, self._roots, context.route)
        if problem is not None and rung is Rung.USB:
            await context.emit(RecoveryStep(rung.value, problem))
        return rung is not Rung.ALERT

    async def _connect(self, settings: AtSettings, route: str) -> Channel:
        """Open the port that the settings name, or the one where its modem is now.

        Raises: OpenError.
        """
        if settings.port.startswith(ports.AUTO_PREFIX):
            return await self._connect_by_imei(settings.port.removeprefix(ports.AUTO_PREFIX), settings, route)
        try:
            return await self._connect_to(settings.port, settings, route)
        except PortAbsent as error:
            imei = self._imeis.get(settings.port)
            if imei is not None and not ports.is_network(settings.port):
                # Renumbered: the modem that was here may be elsewhere now.
                with suppress(OpenError):
                    return await self._connect_by_imei(imei, settings, route)
            hint = None if ports.is_network(settings.port) else ports.absence(self._roots)
            if hint is not None:
                raise PortAbsent(f"{error} {hint}.") from error
            raise

    async def _connect_by_imei(self, imei: str, settings: AtSettings, route: str) -> Channel:
        devices = [candidate.port for candidate in self.discover() if candidate.usb_id is not None]
        last = self._found_by_imei.get(imei)
        busy: PortBusy | None = None
        for device in sorted(devices, key=lambda device: device != last):
            try:
                channel = await self._connect_to(device, settings, route)
            except OpenError as error:
                busy = error if isinstance(error, PortBusy) else busy
                continue
            if await _has_imei(channel, imei):
                self._found_by_imei[imei] = device
                return channel
            await channel.close()
        if busy is not None:
            raise PortBusy(f"No free port has the modem with IMEI …{imei[-4:]}. {busy}")
        hint = ports.absence(self._roots)
        more = f" {hint}." if hint is not None else ""
        raise PortAbsent(f"No port has the modem with IMEI …{imei[-4:]}; plug it in.{more}")

    async def _connect_to(self, port: str, settings: AtSettings, route: str) -> Channel:
        channel = Channel(route=route, guard_s=self._guard_s)
        await link.connect(channel, port, baud_rate=settings.baud_rate, rtscts=settings.rtscts, roots=self._roots)
        self._device = port
        if self._guard_s:
            # The session before may have ended on an answer of just now.
            await asyncio.sleep(self._guard_s)
        return channel


def _always(_: int) -> bool:
    return True


async def _has_imei(channel: Channel, imei: str) -> bool:
    """Ask a port for its IMEI; the answer's last digit may be a check digit or a version."""
    try:
        await channel.resynchronise(_PROBE_S, settled=False)
        found = (await startup.identify(channel)).imei
    except SessionLost:
        return False
    return found is not None and found[:14] == imei[:14]


def _late_event(iccid: str, late: Submitted | SubmitError) -> LateOutcome:
    if isinstance(late, Submitted):
        return LateOutcome(iccid, submitted=late)
    return LateOutcome(iccid, error=late)
