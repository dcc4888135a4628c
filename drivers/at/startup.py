"""From a line that answers AT to a modem that is ready for SMS: the order matters (see TS 27.005 and 27.007).

Everything is probed: what a modem refuses is done without. No fixed waits, since a healthy modem needs none.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from drivers.api import OpenContext, PersonNeeded, Sim
from drivers.at import commands, pin, profiles, routing, service, sim_slot, storage
from drivers.at.channel import Channel, CommandTimeout
from drivers.at.errors import Unwell
from drivers.at.profiles import Profile
from drivers.at.request import Answer, Request
from drivers.at.settings import AtSettings
from drivers.at.state import Identity, Modem
from drivers.at.turns import OtherSimFirst

SMSC_FACT = "smsc"


async def start(
    channel: Channel,
    settings: AtSettings,
    context: OpenContext,
    secret: str | None,
    *,
    may_switch: Callable[[int], bool] = lambda _: True,
) -> Modem:
    """Initialise a modem that is in step; `secret` is the PIN, where one is configured.

    `may_switch` is told which SIM is in use before another one is put in use in its place.

    Raises: NoSim, PersonNeeded; SessionLost where the modem stops answering; OtherSimFirst.
    """
    await set_dialogue(channel)
    modem = Modem(identity=await identify(channel))
    modem.profile = profiles.choose(modem.identity.manufacturer, modem.identity.model)
    is_known = modem.profile is not profiles.UNKNOWN
    channel.guard_s = modem.profile.guard_s if is_known else channel.guard_s
    for text in modem.profile.quiet:
        await _optional(channel, commands.raw(text, 5.0))
    if settings.modem_sim is not None:
        await _choose_sim(channel, modem, settings.modem_sim, may_switch)
    await _power_radio(channel)
    await _unlock(channel, modem, context, secret)
    modem.sim = await _read_sim(channel, modem)
    await _set_sms(channel, modem, settings, context)
    await service.restore(channel, context.memory, modem.sim.iccid)
    await watch_registration(channel, modem)
    return modem


async def set_dialogue(channel: Channel) -> None:
    """Switch echo off, and errors to numbers where the modem has them."""
    await channel.exchange(commands.ECHO_OFF)
    for request in (commands.NUMERIC_ERRORS, commands.VERBOSE_ERRORS):
        if (await channel.exchange(request)).is_ok:
            return


async def identify(channel: Channel) -> Identity:
    """Ask who made the modem; what it does not say is None."""
    return Identity(
        manufacturer=_text(await _optional(channel, commands.MANUFACTURER)),
        model=_text(await _optional(channel, commands.MODEL)),
        firmware=_text(await _optional(channel, commands.FIRMWARE)),
        imei=_digits(await _optional(channel, commands.IMEI), 14, 17),
    )


async def read_iccid(channel: Channel, profile: Profile) -> str | None:
    """Return the ICCID by the first command that knows it; some SIMs hide it behind the PIN."""
    return (await find_iccid(channel, profile.iccid))[0]


async def find_iccid(channel: Channel, candidates: tuple[str, ...]) -> tuple[str | None, str]:
    """Return the ICCID and the command that knew it; EF_ICCID itself is the last resort (TS 51.011 §10.1.1)."""
    for text in candidates:
        answer = await _optional(channel, commands.iccid(text))
        found = commands.iccid_digits(answer) if answer is not None else None
        if found is not None:
            return found, text
    answer = await _optional(channel, commands.ICCID_FILE)
    return (commands.iccid_of_file(answer) if answer is not None else None), commands.ICCID_FILE.text


async def query_registration(channel: Channel, modem: Modem) -> None:
    """Read the registration of the domains that the modem knows."""
    for name in tuple(modem.domains):
        answer = await channel.exchange(commands.registration_query(name))
        _note_registration(modem, name, answer)


async def _choose_sim(channel: Channel, modem: Modem, slot: int, may_switch: Callable[[int], bool]) -> None:
    """Put the SIM of this route in use, where it is one of two."""
    found = await sim_slot.find(channel, modem.profile)
    if found is None:
        made_by = " ".join(filter(None, (modem.identity.manufacturer, modem.identity.model))) or "of an unknown maker"
        raise PersonNeeded(
            f"No command is known that chooses between two SIM cards of this modem ({made_by}); remove `modem_sim` "
            "from its routes, and keep one of them."
        )
    modem.slot = slot
    modem.slot_switch, used = found
    if used == slot:
        return
    if not may_switch(used):
        raise OtherSimFirst
    await sim_slot.choose(channel, modem.slot_switch, slot)


async def _power_radio(channel: Channel) -> None:
    answer = await _optional(channel, commands.FUNCTION_QUERY)
    if answer is not None and answer.lines and not answer.first.replace(" ", "").startswith("+CFUN:1"):
        await _optional(channel, commands.FUNCTION_FULL)


async def _unlock(channel: Channel, modem: Modem, context: OpenContext, secret: str | None) -> None:
    state = await pin.wait_for_state(channel)
    if state == "READY":
        return
    if state != "SIM PIN":
        raise PersonNeeded(pin.locked_sentence(state))
    key = await read_iccid(channel, modem.profile) or _imei_key(modem)
    await pin.unlock(channel, modem.profile, context.memory, key, secret)


async def _read_sim(channel: Channel, modem: Modem) -> Sim:
    iccid, modem.iccid_command = await find_iccid(channel, modem.profile.iccid)
    return Sim(
        iccid=iccid or _imei_key(modem),
        imsi=_digits(await _optional(channel, commands.IMSI), 14, 15),
        number=_parse(await _optional(channel, commands.OWN_NUMBER), commands.own_number),
    )


async def _set_sms(channel: Channel, modem: Modem, settings: AtSettings, context: OpenContext) -> None:
    if not (await channel.exchange(commands.PDU_MODE)).is_ok:
        raise Unwell("The modem has no PDU mode and cannot be used for SMS.")
    await _optional(channel, commands.CHARACTER_SET)
    wants_reports = context.status_reports
    known = await context.memory.recall(modem.sim.iccid, routing.REPORTS_FACT) if wants_reports else None
    may_store = wants_reports and known != routing.DIRECT
    modem.storages = await storage.choose(channel, with_reports=may_store, on_sim=modem.slot is not None)
    await _set_smsc(channel, modem, settings, context)
    has_memory = may_store and modem.storages.reports_total > 0
    await establish_routing(channel, modem, store_reports=has_memory, may_store=may_store, wants_reports=wants_reports)


async def establish_routing(
    channel: Channel, modem: Modem, *, store_reports: bool, may_store: bool, wants_reports: bool
) -> None:
    """Set CNMI, and CSMS where what arrives directly has to be acknowledged."""
    has_storage = modem.storages.total is None or modem.storages.total > 0
    # Left at 1 by somebody, a modem stops routing for want of our acknowledgement (TS 27.005 §3.4.1).
    await _optional(channel, commands.SERVICE_PLAIN)
    modem.is_acknowledging = False
    found = await routing.establish(channel, has_storage=has_storage, store_reports=store_reports, may_store=may_store)
    is_poor = found is None or (wants_reports and found.ds == 0) or found.mt in (2, 3)
    # Some allow direct routing in phase 2+ only (MC75i); all that have it let us acknowledge after the commit.
    if is_poor and modem.profile.takes_cnma and (await channel.exchange(commands.SERVICE_ACKNOWLEDGED)).is_ok:
        modem.is_acknowledging = True
        found = await routing.establish(
            channel, has_storage=has_storage, store_reports=store_reports, may_store=may_store
        )
    modem.routing = found


async def _set_smsc(channel: Channel, modem: Modem, settings: AtSettings, context: OpenContext) -> None:
    """Set the configured SMSC, else remember what the SIM has, else give back what it had and forgot."""
    sim = modem.sim
    current = _parse(await _optional(channel, commands.SMSC_QUERY), commands.smsc)
    if settings.smsc is not None:
        if current != settings.smsc and not (await channel.exchange(commands.set_smsc(settings.smsc))).is_ok:
            raise PersonNeeded(f"The modem does not take the SMSC number {settings.smsc}; correct `smsc`.")
        current = settings.smsc
    else:
        known = await context.memory.recall(sim.iccid, SMSC_FACT)
        if current is None and known and (await channel.exchange(commands.set_smsc(known))).is_ok:
            current = known
        elif current is not None and current != known:
            await context.memory.remember(sim.iccid, SMSC_FACT, current)
    modem.sim = replace(sim, smsc=current)


async def watch_registration(channel: Channel, modem: Modem) -> None:
    """Find out which domains the modem knows, and have it tell of changes."""
    for name in commands.REGISTRATIONS:
        await _optional(channel, commands.registration_reports(name, 1))
        answer = await _optional(channel, commands.registration_query(name))
        if answer is not None:
            _note_registration(modem, name, answer)


def _note_registration(modem: Modem, name: str, answer: Answer) -> None:
    for line in answer.lines:
        found = commands.registration(line, is_answer=True)
        if found is not None:
            modem.domains[name] = found


def _imei_key(modem: Modem) -> str:
    """What stands for an ICCID that cannot be read: two SIMs of one modem must not share it, nor their PINs."""
    place = f"/{modem.slot}" if modem.slot is not None else ""
    return f"imei:{modem.identity.imei or 'unknown'}{place}"


async def _optional(channel: Channel, request: Request) -> Answer | None:
    """Run a command that may be done without; one that hangs costs its time and nothing else."""
    try:
        return await channel.exchange(request)
    except CommandTimeout:
        if channel.lost is not None:
            raise
        return None


def _text(answer: Answer | None) -> str | None:
    return commands.text(answer) if answer is not None else None


def _parse(answer: Answer | None, parse: Callable[[Answer], str | None]) -> str | None:
    return parse(answer) if answer is not None and answer.is_ok else None


def _digits(answer: Answer | None, least: int, most: int) -> str | None:
    return commands.digits(answer, least, most) if answer is not None else None
