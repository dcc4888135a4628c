"""A look at one port for `doctor`: what answers, what is missing, what to do next. Sends no SMS and tries no PIN."""

from __future__ import annotations

import asyncio

from drivers.api import Candidate, Diagnosis, OpenError, SessionLost
from drivers.at import commands, link, pin, ports, profiles, startup
from drivers.at.channel import Channel
from drivers.at.state import Modem

_AT_S = 3.0
_TOTAL_S = 30.0
_SIM_S = 3.0
_URC_S = 2.0
"""Sticks tell their signal every few seconds; a port that said nothing for this long may still be the right one."""


async def diagnose(candidate: Candidate, roots: ports.Roots) -> Diagnosis:
    """Open, look, close. Never raises DriverError."""
    channel = Channel(route="doctor")
    facts: dict[str, str] = {"port": candidate.port}
    try:
        async with asyncio.timeout(_TOTAL_S):
            await link.connect(channel, candidate.device, baud_rate=115200, rtscts=False, roots=roots)
            await channel.resynchronise(_AT_S, settled=False)
            return await _examine(channel, candidate, facts)
    except OpenError as error:
        finding, _, remedy = str(error).partition("; ")
        return Diagnosis(candidate, False, finding.rstrip(".") + ".", _sentence(remedy), facts)
    except (SessionLost, TimeoutError):
        return Diagnosis(
            candidate,
            False,
            "It does not answer AT commands.",
            "Try the modem's other ports; if none answers, unplug it and plug it in.",
            facts,
        )
    finally:
        await channel.close()


async def _examine(channel: Channel, candidate: Candidate, facts: dict[str, str]) -> Diagnosis:
    await startup.set_dialogue(channel)
    modem = Modem(identity=await startup.identify(channel))
    modem.profile = profiles.choose(modem.identity.manufacturer, modem.identity.model)
    for name in ("manufacturer", "model", "firmware", "imei"):
        if (value := getattr(modem.identity, name)) is not None:
            facts[name] = value
    named = " ".join(filter(None, (modem.identity.manufacturer, modem.identity.model))) or "A modem"
    try:
        state = await pin.wait_for_state(channel, _SIM_S)
    except OpenError as error:
        finding, _, remedy = str(error).partition("; ")
        return Diagnosis(candidate, False, f"{named} answers. {finding.rstrip('.')}.", _sentence(remedy), facts)
    facts["sim"] = state
    if state == "SIM PIN":
        tries = await pin.tries_left(channel, modem.profile)
        left = "" if tries is None else f" ({tries} tries left)"
        return Diagnosis(
            candidate,
            True,
            f"{named} answers; the SIM card asks for its PIN{left}.",
            "Set `pin` or `pin_file` for this route.",
            facts,
        )
    if state != "READY":
        return Diagnosis(candidate, False, f"{named} answers.", pin.locked_sentence(state), facts)
    await _read_sim(channel, modem, facts)
    facts["urcs"] = "seen" if await _hears_urcs(channel) else f"none in {_URC_S:.0f} s"
    return _judge(candidate, modem, named, facts)


async def _read_sim(channel: Channel, modem: Modem, facts: dict[str, str]) -> None:
    found = {
        "iccid": await startup.read_iccid(channel, modem.profile),
        "number": commands.own_number(await channel.exchange(commands.OWN_NUMBER)),
        "smsc": commands.smsc(await channel.exchange(commands.SMSC_QUERY)),
        "operator": commands.operator(await channel.exchange(commands.OPERATOR_QUERY)),
    }
    signal = commands.signal_dbm(await channel.exchange(commands.SIGNAL))
    found["signal_dbm"] = str(signal) if signal is not None else None
    await startup.watch_registration(channel, modem)
    found["registration"] = modem.registration.value
    usages = commands.usages(await channel.exchange(commands.STORAGES_QUERY))
    found["storage"] = ", ".join(f"{usage.used} of {usage.total}" for usage in usages[:1]) or None
    facts.update({name: value for name, value in found.items() if value})


async def _hears_urcs(channel: Channel) -> bool:
    """Whether this is a port on which the modem speaks unasked; only some of a stick's ports are."""
    if channel.urcs:
        return True
    try:
        async with asyncio.timeout(_URC_S):
            return bool(await channel.next_urcs())
    except TimeoutError:
        return False


def _judge(candidate: Candidate, modem: Modem, named: str, facts: dict[str, str]) -> Diagnosis:
    if not modem.registration.has_service:
        finding = f"{named} answers and has a SIM card, but no network ({modem.registration.value})."
        return Diagnosis(candidate, False, finding, "Check antenna, coverage and whether the SIM is active.", facts)
    if "smsc" not in facts:
        finding = f"{named} is in the network, but the SIM card has no SMSC number."
        return Diagnosis(candidate, False, finding, "Set `smsc` for this route; the operator tells it.", facts)
    operator = f" ({facts['operator']})" if "operator" in facts else ""
    return Diagnosis(candidate, True, f"{named} is ready to send{operator}.", None, facts)


def _sentence(remedy: str) -> str | None:
    return remedy[0].upper() + remedy[1:] if remedy else None
