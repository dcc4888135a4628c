"""Carries out the rungs of `recovery`: on the port, on the modem, on the USB bus, on its power.

Each ends within its own deadline and none raises for a modem that does not react: whether it helped is seen when the
port is opened the next time.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl

import structlog

from drivers.api import OpenError, SessionLost
from drivers.at import commands, link, ports, privileged, profiles, startup, usb_reset
from drivers.at.channel import Channel, CommandTimeout
from drivers.at.recovery import Rung
from drivers.at.settings import AtSettings

RADIO_PAUSE_S = 5.0
"""Between radio off and on: the network has to notice (modem.md 2.9)."""

UNAUTHORIZED_S = 1.0
"""What the kernel needs to take a device off the bus."""

_AT_S = 5.0
_REBOOT_S = 10.0
_TOTAL_S = 240.0
_POWER_S = 60.0

_log = structlog.get_logger("recovery")


def available(settings: AtSettings, device: str, roots: ports.Roots) -> frozenset[Rung]:
    """Return the rungs that can be tried on this modem."""
    found = {Rung.RADIO, Rung.DEFAULTS, Rung.REBOOT}
    if not ports.is_network(device):
        found.add(Rung.REOPEN)
    if ports.usb_device(device, roots) is not None:
        found.add(Rung.USB)
    if settings.power_cycle:
        found.add(Rung.POWER)
    return frozenset(found)


async def carry_out(rung: Rung, settings: AtSettings, device: str, roots: ports.Roots, route: str) -> str | None:
    """Do it. Never raises for what a sick modem or a missing permission does; a sentence where it was not done."""
    try:
        async with asyncio.timeout(_TOTAL_S):
            match rung:
                case Rung.REOPEN:
                    await link.toggle_dtr(device)
                case Rung.RADIO | Rung.DEFAULTS | Rung.REBOOT:
                    await _on_modem(rung, settings, device, roots, route)
                case Rung.USB | Rung.POWER:
                    # Of auto:IMEI root knows no device, and where nobody takes the request we try it ourselves.
                    can_ask = rung is Rung.POWER or not settings.port.startswith(ports.AUTO_PREFIX)
                    if not (can_ask and await privileged.ask(rung, route, roots.requests)):
                        await carry_out_here(rung, settings, device, roots)
                case Rung.ALERT:
                    pass
    except (OpenError, SessionLost, OSError, TimeoutError) as error:
        _log.info("rung_failed", route=route, rung=rung.value, reason=str(error))
        return str(error) or "It took too long."
    return None


async def reset_usb(device: str, roots: ports.Roots, ioctl: usb_reset.Ioctl = fcntl.ioctl) -> None:
    """Take the device off the bus and put it back; by a reset where /sys may not be written.

    Raises: OSError, with the next step where it is a `usb_reset.NotReset`.
    """
    parent = ports.usb_device(device, roots)
    switch = parent / "authorized" if parent is not None else None
    try:
        if switch is not None:
            switch.write_text("0")
    except OSError:
        # Not ours to write, or gone: the reset says which.
        switch = None
    if switch is None:
        await asyncio.to_thread(usb_reset.reset, device, roots, ioctl)
        return
    try:
        await asyncio.sleep(UNAUTHORIZED_S)
    finally:
        switch.write_text("1")


async def carry_out_here(rung: Rung, settings: AtSettings, device: str, roots: ports.Roots) -> None:
    """Take a step of the bus or of the power in this process, with the rights that it has. Raises: OSError."""
    if rung is Rung.USB:
        await reset_usb(device, roots)
    elif settings.power_cycle is not None:
        await _run(settings.power_cycle)


async def _on_modem(rung: Rung, settings: AtSettings, device: str, roots: ports.Roots, route: str) -> None:
    channel = Channel(route=route)
    try:
        await link.connect(channel, device, baud_rate=settings.baud_rate, rtscts=settings.rtscts, roots=roots)
        await channel.resynchronise(_AT_S, settled=False)
        match rung:
            case Rung.RADIO:
                await channel.exchange(commands.RADIO_OFF)
                await asyncio.sleep(RADIO_PAUSE_S)
                await channel.exchange(commands.FUNCTION_FULL)
            case Rung.DEFAULTS:
                await channel.exchange(commands.FACTORY_SETTINGS)
            case _:
                await _reboot(channel)
    finally:
        await channel.close()


async def _reboot(channel: Channel) -> None:
    """Try the vendor's commands in order, until one is taken or the modem falls silent over it."""
    identity = await startup.identify(channel)
    for text in profiles.choose(identity.manufacturer, identity.model).reboot:
        try:
            answer = await channel.exchange(commands.raw(text, _REBOOT_S))
        except CommandTimeout:
            return
        if answer.is_ok:
            return


async def _run(command: tuple[str, ...]) -> None:
    """Run the configured command, without a shell; its output is nobody's."""
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(_POWER_S):
            status = await process.wait()
    except BaseException:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        raise
    if status != 0:
        raise OSError(f"{command[0]} ended with status {status}")
