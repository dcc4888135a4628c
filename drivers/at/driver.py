"""The AT driver: finds the port, opens the line, brings modem and agent together. See `drivers.api.Driver`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from drivers import sms
from drivers.api import (
    Candidate,
    Diagnosis,
    LateOutcome,
    NoAnswer,
    OpenContext,
    OpenError,
    PlannedPart,
    PortAbsent,
    PortBusy,
    SessionLost,
    SubmitError,
    Submitted,
    Unplannable,
)
from drivers.at import diagnosis, leftover, link, ports, startup, urcs
from drivers.at.channel import Channel
from drivers.at.session import AtSession
from drivers.at.settings import AtSettings

OPEN_S = 8.0
"""For the first AT: autobaud modems need several, and one that boots says nothing for some seconds."""

_PROBE_S = 1.5
_BOOT_MARKS = urcs.RESTARTED | urcs.GOING_DOWN | urcs.DOUBTFUL


class AtDriver:
    """Carries SMS by modems that speak AT commands in PDU mode."""

    name: ClassVar[str] = "at"
    Settings: ClassVar[type[AtSettings]] = AtSettings

    def __init__(self, roots: ports.Roots | None = None) -> None:
        self._roots = roots or ports.Roots()
        self._found_by_imei: dict[str, str] = {}

    def plan(self, text: str, max_parts: int) -> tuple[PlannedPart, ...]:
        if not text:
            raise Unplannable("The message is empty.")
        try:
            segments = sms.segment(text)
        except sms.EncodeError as error:
            raise Unplannable(f"The text cannot be sent as SMS: {error}.") from error
        if len(segments) > max_parts:
            raise Unplannable(f"The message needs {len(segments)} parts, and {max_parts} are allowed (`max_parts`).")
        return tuple(PlannedPart(part.alphabet.value, part.body) for part in segments)

    async def open(self, settings: AtSettings, context: OpenContext) -> AtSession:
        secret = settings.read_pin()
        channel = await self._connect(settings, context.route)
        try:
            late = None
            if context.leftover:
                late = await leftover.settle(channel, settings.submit_timeout_s)
            await channel.resynchronise(OPEN_S, settled=False)
            channel.forget(_BOOT_MARKS)
            modem = await startup.start(channel, settings, context, secret)
            session = AtSession(channel, modem, settings, context)
            if late is not None:
                session.late_outcome_is_known()
                await context.emit(_late_event(modem.sim.iccid, late))
        except SessionLost as error:
            await channel.close()
            raise NoAnswer(f"{settings.port}: {error}") from error
        except BaseException:
            await channel.close()
            raise
        return session

    def discover(self) -> Iterable[Candidate]:
        return ports.candidates(self._roots)

    async def diagnose(self, candidate: Candidate) -> Diagnosis:
        return await diagnosis.diagnose(candidate, self._roots)

    async def _connect(self, settings: AtSettings, route: str) -> Channel:
        """Open the port that the settings name.

        Raises: OpenError.
        """
        if not settings.port.startswith(ports.AUTO_PREFIX):
            return await self._connect_to(settings.port, settings, route)
        imei = settings.port.removeprefix(ports.AUTO_PREFIX)
        devices = [candidate.port for candidate in self.discover() if candidate.usb_id is not None]
        last = self._found_by_imei.get(imei)
        is_any_busy = False
        for device in sorted(devices, key=lambda device: device != last):
            try:
                channel = await self._connect_to(device, settings, route)
            except OpenError as error:
                is_any_busy |= isinstance(error, PortBusy)
                continue
            if await _has_imei(channel, imei):
                self._found_by_imei[imei] = device
                return channel
            await channel.close()
        if is_any_busy:
            raise PortBusy(f"No free port has the modem with IMEI …{imei[-4:]}; some ports are held by others.")
        raise PortAbsent(f"No port has the modem with IMEI …{imei[-4:]}; plug it in.")

    async def _connect_to(self, port: str, settings: AtSettings, route: str) -> Channel:
        channel = Channel(route=route)
        await link.connect(channel, port, baud_rate=settings.baud_rate, rtscts=settings.rtscts, roots=self._roots)
        return channel


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
