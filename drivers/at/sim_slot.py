"""Choosing the SIM of a modem that has two of them and one radio, by its vendor's command (`Profile.sim_switches`).

The radio goes off before, so that the network knows that the SIM is gone, and on again when the modem is set up.
"""

from __future__ import annotations

import asyncio
import re

from drivers.api import PersonNeeded, SessionLost
from drivers.at import commands
from drivers.at.channel import Channel, CommandTimeout
from drivers.at.profiles import Profile, SimSwitch
from drivers.at.request import Answer

SWITCH_S = 30.0
"""From the command to the slot being another, on modems that restart their SIM interface first."""

_COMMAND_S = 15.0
_TRIES = 3
_PAUSE_S = 0.5


async def find(channel: Channel, profile: Profile) -> tuple[SimSwitch, int] | None:
    """Return the vendor's command that works on this modem, and the SIM in use, from 1; None where none does.

    Raises: SessionLost.
    """
    for switch in profile.sim_switches:
        for text in switch.prepare:
            await channel.exchange(commands.raw(text, _COMMAND_S))
        slot = await in_use(channel, switch)
        if slot is not None:
            return switch, slot
    return None


async def in_use(channel: Channel, switch: SimSwitch) -> int | None:
    """Return the SIM in use, from 1; None where the modem does not say. Raises: SessionLost."""
    return slot_in(await channel.exchange(commands.raw(switch.query, _COMMAND_S)), switch)


def slot_in(answer: Answer, switch: SimSwitch) -> int | None:
    """Read `+QDSIM: 0`, `+GTDUALSIM : 0,"SUB1",…`: the first number behind the colon. Pure."""
    found = re.search(r":\s*(\d+)", answer.first) if answer.is_ok and answer.lines else None
    return int(found[1]) - switch.first + 1 if found else None


async def verify(channel: Channel, switch: SimSwitch | None, slot: int | None) -> None:
    """Make sure that the SIM in use is still this one: a modem that restarted without a word may be back on another.

    Raises: SessionLost, and the channel with it.
    """
    used = await in_use(channel, switch) if switch is not None else None
    if used is not None and used != slot:
        error = SessionLost(f"The modem went to its SIM {used} by itself.")
        channel.fail(error)
        raise error


async def choose(channel: Channel, switch: SimSwitch, slot: int) -> None:
    """Put SIM `slot`, from 1, in use. Nothing may be in flight.

    Raises: PersonNeeded where the modem refuses, or says OK and does not switch; SessionLost.
    """
    await radio_off(channel)
    text = switch.use.format(slot=slot - 1 + switch.first)
    for again in range(_TRIES):
        if again:
            await asyncio.sleep(_PAUSE_S)
        answer = await channel.exchange(commands.raw(text, _COMMAND_S))
        if answer.is_ok and await _is_in_use(channel, switch, slot):
            return
    reason = "says OK and stays with the other one" if answer.is_ok else f"refuses {text} ({answer.final.text[:40]})"
    raise PersonNeeded(f"The modem does not switch to its SIM {slot}: it {reason}; look whether that slot has a card.")


async def radio_off(channel: Channel) -> None:
    """Leave the network; a modem that does not want to is not forced. Raises: SessionLost."""
    try:
        await channel.exchange(commands.RADIO_OFF)
    except CommandTimeout as error:
        if channel.lost is not None:
            raise SessionLost(str(error)) from error


async def _is_in_use(channel: Channel, switch: SimSwitch, slot: int) -> bool:
    """Ask until the modem says so: some are busy, or name the old one, for a while."""
    deadline = asyncio.get_running_loop().time() + SWITCH_S
    asked = 0
    while True:
        found = await in_use(channel, switch)
        asked += 1
        if found == slot:
            return True
        # One that still names the other SIM after some looks has not taken the command.
        if asyncio.get_running_loop().time() >= deadline or (found is not None and asked >= _TRIES):
            return False
        await asyncio.sleep(_PAUSE_S)
