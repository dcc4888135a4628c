"""Vendors: each personality of the simulator works, and each value that differs from generic earns its place."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import fields, replace
from typing import Any

import pytest

from drivers.api import InboundPart, OpenContext, StatusReport
from drivers.at import causes, commands, profiles, rungs, sim_slot, startup, ussd
from drivers.at.channel import Channel
from drivers.at.parser import Parser
from drivers.at.profiles import GENERIC, PROFILES, Profile
from drivers.at.settings import AtSettings
from drivers.simulator.process import SimulatorProcess
from tests.at.harness import FactMemory, Harness
from tests.at.scripted import ScriptedModem

pytestmark = pytest.mark.usefixtures("no_leaked_tasks")

ICCID = "89490200001234567890"
ROWS = {row.name: row for row in PROFILES}
_IDENTITY = {"name", "makers", "models"}
DIFFERENCES = [
    (row.name, field.name)
    for row in PROFILES
    for field in fields(Profile)
    if field.name not in _IDENTITY and getattr(row, field.name) != getattr(GENERIC, field.name)
]
IDENTITIES = {
    "huawei": ("huawei", "E3372"), "quectel": ("Quectel", "EC25"), "simcom800": ("SIMCOM_Ltd", "SIMCOM_SIM800L"),
    "simcom7600": ("SIMCOM INCORPORATED", "SIMCOM_SIM7600E-H"), "simcoma76": ("SIMCOM INCORPORATED", "A7670E-FASE"),
    "ublox": ("u-blox", "LISA-U200"), "telit": ("Telit", "LE910"), "wavecom": ("WAVECOM MODEM", "MULTIBAND"),
    "sierra": ("Sierra Wireless", "MC7304"), "cinterion": ("Cinterion", "MC75i"), "zte": ("ZTE CORPORATION", "MF190"),
    "fibocom": ("Fibocom Wireless Inc.", "L850-GL"),
}  # fmt: skip
# What only this maker knows, and how it answers; a modem of that maker refuses the generic commands.
ICCID_COMMANDS = {
    "huawei": ("AT^ICCID?", b"\r\n^ICCID: 98942000002143658709\r\n\r\nOK\r\n"),
    "quectel": ("AT+QCCID", b"\r\n+QCCID: 89490200001234567890\r\n\r\nOK\r\n"),
    "simcom7600": ("AT+CICCID", b"\r\n+ICCID: 89490200001234567890\r\n\r\nOK\r\n"),
    "simcoma76": ("AT+CICCID", b"\r\n+ICCID: 89490200001234567890\r\n\r\nOK\r\n"),
    "telit": ("AT#CCID", b"\r\n#CCID: 89490200001234567890\r\n\r\nOK\r\n"),
    "cinterion": ("AT^SCID", b"\r\n^SCID: 89490200001234567890\r\n\r\nOK\r\n"),
    "zte": ("AT+ZGETICCID", b"\r\n+ZGETICCID: 89490200001234567890\r\n\r\nOK\r\n"),
}
COUNTERS = {
    "huawei": ("AT^CPIN?", b"\r\n^CPIN: SIM PIN,3,10,2,10,3\r\n\r\nOK\r\n"),
    "quectel": ("AT+QPINC", b'\r\n+QPINC: "SC",2,10\r\n\r\nOK\r\n'),
    "simcom800": ("AT+SPIC", b"\r\n+SPIC: 2,10,3,10\r\n\r\nOK\r\n"),
    "simcom7600": ("AT+SPIC", b"\r\n+SPIC: 2,10,3,10\r\n\r\nOK\r\n"),
    "simcoma76": ("AT+SPIC", b"\r\n+SPIC: 2,10,3,10\r\n\r\nOK\r\n"),
    "ublox": ("AT+UPINCNT", b"\r\n+UPINCNT: 2,3,10,10\r\n\r\nOK\r\n"),
    "telit": ("AT#PCT", b"\r\n#PCT: 2\r\n\r\nOK\r\n"),
    "wavecom": ("AT+CPINC", b"\r\n+CPINC: 2,3,10,10\r\n\r\nOK\r\n"),
    "sierra": ("AT+CPINC", b"\r\n+CPINC: 2,3,10,10\r\n\r\nOK\r\n"),
    "cinterion": ("AT^SPIC", b"\r\n^SPIC: 2\r\n\r\nOK\r\n"),
    "zte": ("AT+ZPINPUK=?", b"\r\n+ZPINPUK: 2,10\r\n\r\nOK\r\n"),
}
QUIET = {
    "huawei": "AT^CURC=0", "quectel": 'AT+QINDCFG="all",0', "simcom800": "AT+CLTS=0", "simcom7600": "AT+CNSMOD=0",
    "simcoma76": "AT+CNSMOD=0", "telit": "AT#QSS=0", "wavecom": "AT+WIND=0", "zte": "AT+ZOPRT=5",
}  # fmt: skip
REBOOTS = {
    "huawei": "AT^RESET", "quectel": "AT+QPOWD=1", "simcom800": "AT+CPOWD=1", "simcom7600": "AT+CRESET",
    "simcoma76": "AT+CRESET", "ublox": "AT+CFUN=16", "telit": "AT#REBOOT", "sierra": "AT!RESET",
    "cinterion": "AT^SMSO", "zte": "AT+ZRST",
}  # fmt: skip
# What asks for the SIM in use, and how it is answered by a modem that uses its second one.
SWITCHES = {
    "huawei": ("AT^SIMSWITCH?", b"\r\n^SIMSWITCH: 1\r\n\r\nOK\r\n"),
    "quectel": ("AT+QUIMSLOT?", b"\r\n+QUIMSLOT: 2\r\n\r\nOK\r\n"),
    "simcom800": ("AT+CDSDS?", b"\r\n+CDSDS: 2\r\n\r\nOK\r\n"),
    "simcoma76": ("AT+DUALSIM?", b"\r\n+DUALSIM: 1\r\n\r\nOK\r\n"),
    "telit": ("AT#SIMSELECT?", b"\r\n#SIMSELECT: 2\r\n\r\nOK\r\n"),
    "sierra": ("AT!UIMS?", b"\r\n!UIMS: 1\r\n\r\nOK\r\n"),
    # FM150 and FM350: with a name behind the number, and a blank before the colon.
    "fibocom": ("AT+GTDUALSIM?", b'\r\n+GTDUALSIM : 1, "SUB2", "No Service"\r\n\r\nOK\r\n'),
}
MARKS = {"simcoma76": "*ATREADY: 1", "wavecom": "+WIND: 3", "fibocom": "+SIM READY"}
CODES = {"quectel": 512, "simcom800": 513, "cinterion": 549, "sierra": 514, "wavecom": 514}


async def _channel(modem: ScriptedModem) -> Channel:
    channel = Channel(route="test")
    modem.attach(channel)
    await channel.resynchronise(2.0, settled=False)
    return channel


async def _iccid(row: Profile, name: str) -> bool:
    command, answer = ICCID_COMMANDS[name]
    channel = await _channel(ScriptedModem({command: answer}, otherwise=b"\r\nERROR\r\n"))
    found = await startup.read_iccid(channel, row)
    await channel.close()
    return found == ICCID


async def _counter(row: Profile, name: str) -> bool:
    command, answer = COUNTERS[name]
    channel = await _channel(ScriptedModem({command: answer}, otherwise=b"\r\nERROR\r\n"))
    tries = [commands.pin_tries(await channel.exchange(commands.pin_counter(text))) for text in row.pin_counter]
    await channel.close()
    return 2 in tries


async def _quiet(row: Profile, name: str) -> bool:
    return QUIET[name] in await _started(row, name)


async def _started(row: Profile, name: str, routing: str = "2,1,0,1,0") -> list[str]:
    """What a start-up writes to a modem of that vendor."""
    maker, model = IDENTITIES[name]
    answers: dict[str, Any] = {
        "AT+CGMI": f"\r\n{maker}\r\n\r\nOK\r\n".encode(),
        "AT+CGMM": f"\r\n{model}\r\n\r\nOK\r\n".encode(),
        "AT+CPIN?": b"\r\n+CPIN: READY\r\n" if name == "wavecom" else b"\r\n+CPIN: READY\r\n\r\nOK\r\n",
        "AT+CNMI?": f"\r\n+CNMI: {routing}\r\n\r\nOK\r\n".encode(),
        "AT+CSCA?": b'\r\n+CSCA: "+491710760000",145\r\n\r\nOK\r\n',
        "AT+CREG?": b"\r\n+CREG: 1,1\r\n\r\nOK\r\n",
    }
    modem = ScriptedModem(answers)
    channel = await _channel(modem)
    chosen = profiles.choose(maker, model)
    assert chosen.name == name
    patched = tuple(row if one is chosen else one for one in PROFILES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profiles, "PROFILES", patched)
        context = OpenContext("test", _ignore, FactMemory(), status_reports=False)
        await startup.start(channel, AtSettings(port="/dev/x"), context, None)
    await channel.close()
    return modem.commands


async def _reboot(row: Profile, name: str) -> bool:
    """The vendor's own command is what reboots it: the generic one is refused."""
    maker, model = IDENTITIES[name]
    answers = {
        "AT+CGMI": f"\r\n{maker}\r\n\r\nOK\r\n".encode(),
        "AT+CGMM": f"\r\n{model}\r\n\r\nOK\r\n".encode(),
        REBOOTS[name]: b"\r\nOK\r\n",
        "AT": b"\r\nOK\r\n",
    }
    modem = ScriptedModem(answers, otherwise=b"\r\nERROR\r\n")
    channel = await _channel(modem)
    patched = tuple(row if one.name == name else one for one in PROFILES)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(profiles, "PROFILES", patched)
        await rungs._reboot(channel)
    await channel.close()
    return REBOOTS[name] in modem.commands


async def _mark(row: Profile, name: str) -> bool:
    (line,) = Parser().feed(f"{MARKS[name]}\r\n".encode())
    return line.name in row.boot_marks or line.text.upper() in row.boot_marks


async def _codes(row: Profile, name: str) -> bool:
    cause = causes.find(causes.Code("CMS", CODES[name]), row.codes)
    return cause is not causes.find(causes.Code("CMS", CODES[name]))


async def _ussd(row: Profile, name: str) -> bool:
    """The first request that leaves is in the form that this vendor takes."""
    texts = [ussd.request("*100#", form).text for form in row.ussd]
    is_packed = name == "huawei"
    return texts[0] == ('AT+CUSD=1,"AA180C3602",15' if is_packed else 'AT+CUSD=1,"002A0031003000300023",15')


async def _guard(row: Profile, name: str) -> bool:
    """A modem of this vendor is deaf for a moment after each answer."""
    modem = ScriptedModem({})
    channel = await _channel(modem)
    channel.guard_s = row.guard_s
    deaf_s = {"telit": 0.02, "cinterion": 0.1}[name]
    loop = asyncio.get_running_loop()
    await channel.exchange(commands.SIGNAL)
    answered_at = channel.last_answer_at
    heard_at: list[float] = []
    modem.answers["AT+CSQ"] = lambda: heard_at.append(loop.time()) or b"\r\nOK\r\n"  # type: ignore[func-returns-value]
    await channel.exchange(commands.SIGNAL)
    await channel.close()
    return heard_at[0] - answered_at >= deaf_s - 0.001


async def _no_ok(row: Profile, name: str) -> bool:
    return row.has_cpin_ok is False and "AT+CNMI?" in await _started(row, name)


async def _no_cnma(row: Profile, name: str) -> bool:
    """It knows no AT+CNMA: being asked for acknowledgements it would wait for ever."""
    return "AT+CSMS=1" not in await _started(row, name, routing="2,2,0,1,0")


async def _body(row: Profile, name: str) -> bool:
    return row.body_s == {"quectel": 120.0, "simcom800": 60.0}[name]


async def _list_s(row: Profile, name: str) -> bool:
    return row.list_s < GENERIC.list_s


async def _switches(row: Profile, name: str) -> bool:
    query, answer = SWITCHES[name]
    modem = ScriptedModem({query: answer})
    found = await sim_slot.find(await _channel(modem), row)
    return found is not None and found[1] == 2


CHECKS: dict[str, Callable[[Profile, str], Any]] = {
    "iccid": _iccid, "pin_counter": _counter, "quiet": _quiet, "reboot": _reboot, "boot_marks": _mark, "codes": _codes,
    "ussd": _ussd, "guard_s": _guard, "has_cpin_ok": _no_ok, "takes_cnma": _no_cnma,
    "body_s": _body, "list_s": _list_s, "sim_switches": _switches,
}  # fmt: skip


@pytest.mark.parametrize("name, field", DIFFERENCES, ids=[f"{name}-{field}" for name, field in DIFFERENCES])
async def test_a_value_that_differs_is_needed(name: str, field: str) -> None:
    row = ROWS[name]
    assert await CHECKS[field](row, name)
    assert not await CHECKS[field](replace(row, **{field: getattr(GENERIC, field)}), name)


@pytest.mark.parametrize("name", [*ROWS, "generic"])
async def test_a_modem_of_each_vendor_sends_and_receives(
    simulator: Callable[..., SimulatorProcess], harness: Callable[..., Harness], name: str
) -> None:
    sim = simulator("--personality", name, "--pin", "4711")
    route = harness(sim.ports[0], pin=_secret("4711"))
    session = await route.open()
    assert session.sim.iccid.startswith("89") and session.sim.smsc == "+491710760000"
    assert (await route.send()).tp_mr is not None
    await route.wait_for(StatusReport)
    sim.control.deliver("+491511234567", "hello")
    found = await route.wait_for(InboundPart)
    assert [part.text for part in found] == ["hello"]
    answer = await session.ussd("*100#", 5.0)
    assert answer.text == "Balance 9.99 EUR"


async def _ignore(_: object) -> None:
    return None


def _secret(value: str) -> object:
    from drivers.settings import Secret

    return Secret(value)
