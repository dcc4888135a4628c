"""How modems differ, as data: one row per vendor, chosen by what AT+CGMI and AT+CGMM answer. A new vendor is a row.

A row holds only what differs from `GENERIC`; each such value names its source. What can be probed is not here:
memories, CNMI, CSMS and the forms of answers are read from the modem itself (storage, routing, commands).
"""

from __future__ import annotations

from enum import StrEnum

from drivers.values import dataclass


class UssdForm(StrEnum):
    """How a USSD string stands in AT+CUSD (TS 27.007 §7.15)."""

    TEXT = "text"
    UCS2 = "ucs2"
    PACKED = "packed"


@dataclass(frozen=True, slots=True)
class SimSwitch:
    """How a maker chooses between two SIM cards. In `use`, {slot} is the number of the slot, the first being `first`;
    `query` is answered with that number. `prepare` is sent before, whatever the answer.
    """

    query: str
    use: str
    first: int = 0
    prepare: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Profile:
    """What a driver must know of a vendor before it can ask.

    `makers` and `models` are lower-case parts of the answers; no models means all. `quiet` commands switch noise off,
    their result is ignored. `iccid` and `pin_counter` commands are tried in order. `reboot` commands are tried in
    order by the last rung that needs the modem's help. `boot_marks` are lines that mean a reboot, beside those that
    every vendor shares (`urcs`). `has_cpin_ok` False: no final result follows +CPIN. `takes_cnma` False: what is
    routed directly cannot be acknowledged. `sim_switches` are tried in order. `guard_s` is the pause between a final
    result and the next command.
    """

    name: str
    makers: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()
    iccid: tuple[str, ...] = ("AT+CCID", "AT+ICCID")
    pin_counter: tuple[str, ...] = ("AT+CPINR",)
    reboot: tuple[str, ...] = ("AT+CFUN=1,1",)
    boot_marks: frozenset[str] = frozenset()
    has_cpin_ok: bool = True
    takes_cnma: bool = True
    ussd: tuple[UssdForm, ...] = (UssdForm.TEXT, UssdForm.UCS2, UssdForm.PACKED)
    sim_switches: tuple[SimSwitch, ...] = (SimSwitch("AT+CSUS?", "AT+CSUS={slot}"),)
    """TS 27.007 §8.66 counts card slots from 0, and refuses while a SIM is active."""
    guard_s: float = 0.0
    prompt_s: float = 10.0
    body_s: float = 180.0
    """Vendors specify 60 to 180 s for the network's answer; a shorter wait makes doubles."""
    list_s: float = 60.0
    codes: str = ""
    """Whose table of codes from 512 holds, see `cause_tables.VENDOR_CMS`."""


GENERIC = Profile(name="generic")

_EVERY_ICCID = ("AT+CCID", "AT+ICCID", "AT+QCCID", "AT+CICCID", "AT^ICCID?", "AT#CCID", "AT^SCID", "AT+ZGETICCID")
"""For a maker that is not known: all that other makers use."""

UNKNOWN = Profile(name="generic", iccid=_EVERY_ICCID)

_SPIC = ("AT+SPIC", "AT+CPINR")  # SIMCom: PIN, PUK, PIN2, PUK2 (modem.md 2.2 #4)

PROFILES: tuple[Profile, ...] = (
    Profile(
        name="huawei",
        makers=("huawei",),
        # E1750, E3372: ^RSSI, ^HCSQ and ^BOOT several times a second (gammu#89, gammu#393).
        quiet=("AT^CURC=0",),
        iccid=("AT^ICCID?", *GENERIC.iccid),  # sticks know no +CCID (modem.md 2.2 #6)
        # Code, times, PUK, PIN, PUK2, PIN2 (modem.md 2.2 #4).
        pin_counter=("AT^CPIN?", "AT+CPINR"),
        reboot=("AT^RESET", "AT+CFUN=1,1"),  # modem.md 2.9
        ussd=(UssdForm.PACKED, UssdForm.TEXT, UssdForm.UCS2),  # packed both ways (wdoekes/asterisk-chan-dongle#116)
        # modem.md 2.8: of those with a Unisoc chip.
        sim_switches=(SimSwitch("AT^SIMSWITCH?", "AT^SIMSWITCH={slot}"), *GENERIC.sim_switches),
        list_s=15.0,  # E1750 and E220 never end CMGL (gammu#4); slot by slot is read then
    ),
    Profile(
        name="quectel",
        makers=("quectel",),
        quiet=('AT+QINDCFG="all",0',),  # +QIND: "csq" at each change (modem.md 2.11)
        iccid=("AT+QCCID", *GENERIC.iccid),  # modem.md 2.2 #6
        pin_counter=("AT+QPINC", "AT+CPINR"),  # oFono, sim.c: +QPINC: "SC",PIN,PUK
        reboot=("AT+CFUN=1,1", "AT+QPOWD=1"),  # modem.md 2.9; after QPOWD boards power up again by PWRKEY
        # Answers dcs 15 with UCS2 in hexadecimal (modem.md 2.7), and takes the same.
        ussd=(UssdForm.UCS2, UssdForm.TEXT, UssdForm.PACKED),
        sim_switches=(  # modem.md 2.8: EC25, EG91, EC200; EM12 and 5G modules
            SimSwitch("AT+QDSIM?", "AT+QDSIM={slot}"),
            SimSwitch("AT+QUIMSLOT?", "AT+QUIMSLOT={slot}", 1),
        ),
        body_s=120.0,  # EC25: 120 s (modem.md 2.10)
        codes="quectel",
    ),
    Profile(
        name="simcom800",
        makers=("simcom",),
        models=("sim80", "sim84", "sim86", "sim9"),
        quiet=("AT+CLTS=0",),  # *PSUTTZ and DST when the network tells the time
        pin_counter=_SPIC,
        reboot=("AT+CFUN=1,1", "AT+CPOWD=1"),  # modem.md 2.9; boards power up again
        takes_cnma=False,  # SIM800 Series AT Command Manual: no +CNMA (modem.md 2.5)
        sim_switches=(SimSwitch("AT+CDSDS?", "AT+CDSDS={slot}", 1),),  # modem.md 2.8: SIM800-DS
        body_s=60.0,  # SIM800 Series AT Command Manual: 60 s (modem.md 2.10)
        codes="simcom800",
    ),
    Profile(
        name="simcom7600",
        makers=("simcom",),
        models=("sim7", "sim5", "sim82", "sim83"),  # SIM8200 and SIM8300 are 5G modules and no SIM800
        quiet=("AT+CNSMOD=0",),  # +CNSMOD at each change of the radio (modem.md 2.11)
        iccid=("AT+CICCID", *GENERIC.iccid),  # modem.md 2.2 #6
        pin_counter=_SPIC,
        reboot=("AT+CRESET", "AT+CFUN=1,1"),  # modem.md 2.9
    ),
    Profile(
        name="simcoma76",
        makers=("simcom",),
        models=("a76", "sima76", "a78"),
        quiet=("AT+CNSMOD=0",),  # as SIM7600
        iccid=("AT+CICCID", *GENERIC.iccid),  # modem.md 2.2 #6
        pin_counter=_SPIC,
        reboot=("AT+CRESET", "AT+CFUN=1,1"),  # modem.md 2.9
        boot_marks=frozenset({"*ATREADY"}),  # the first line after power-up of A7670 and A7672
        sim_switches=(  # modem.md 2.8; with the radio off
            SimSwitch("AT+SWITCHSIM?", "AT+SWITCHSIM={slot}"),
            SimSwitch("AT+DUALSIM?", "AT+DUALSIM={slot}"),
        ),
    ),
    Profile(
        name="ublox",
        makers=("u-blox", "ublox"),
        pin_counter=("AT+UPINCNT", "AT+CPINR"),  # ModemManager, plugin ublox: PIN, PIN2, PUK, PUK2
        reboot=("AT+CFUN=16", "AT+CFUN=1,1"),  # modem.md 2.9: 16 resets modem and SIM
    ),
    Profile(
        name="telit",
        makers=("telit",),
        quiet=("AT#QSS=0", "AT#STIA=0"),  # SIM status and SIM toolkit (modem.md 2.11)
        iccid=("AT#CCID", *GENERIC.iccid),  # modem.md 2.2 #6
        pin_counter=("AT#PCT", "AT+CPINR"),  # oFono, sim.c: times left for what CPIN? asks for
        reboot=("AT#REBOOT", "AT+CFUN=1,1"),  # modem.md 2.9
        guard_s=0.02,  # LE910C AT Commands Reference Guide §2.2.5: at least 20 ms after a response
        sim_switches=(SimSwitch("AT#SIMSELECT?", "AT#SIMSELECT={slot}", 1, ("AT#ENSIM2=1",)),),  # modem.md 2.8
    ),
    Profile(
        name="wavecom",
        makers=("wavecom",),
        quiet=("AT+WIND=0",),  # +WIND: 8 and the like
        pin_counter=("AT+CPINC", "AT+CPINR"),  # modem.md 2.2 #4
        boot_marks=frozenset({"+WIND: 3"}),  # it takes AT commands now
        has_cpin_ok=False,  # no OK follows +CPIN (modem.md 2.2 #3)
        codes="sierra",
    ),
    Profile(
        name="sierra",
        makers=("sierra",),
        pin_counter=("AT+CPINC", "AT+CPINR"),  # modem.md 2.2 #4
        reboot=("AT!RESET", "AT+CFUN=1,1"),  # modem.md 2.9
        sim_switches=(SimSwitch("AT!UIMS?", "AT!UIMS={slot}", 0, ('AT!ENTERCND="A710"',)),),  # modem.md 2.8
        codes="sierra",
    ),
    Profile(
        name="cinterion",
        makers=("cinterion", "siemens", "gemalto", "thales"),
        iccid=("AT^SCID", *GENERIC.iccid),  # modem.md 2.2 #6
        pin_counter=("AT^SPIC", "AT+CPINR"),  # modem.md 2.2 #4
        reboot=("AT+CFUN=1,1", "AT^SMSO"),  # modem.md 2.9; after ^SMSO boards power up again
        guard_s=0.1,  # ENS22-E AT Command Set §1.5: wait at least 100 ms after a final result
        codes="cinterion",
    ),
    Profile(
        name="zte",
        makers=("zte",),
        quiet=("AT+ZOPRT=5",),  # goes online from CD mode, as gammu does (modem.md 2.12)
        iccid=("AT+ZGETICCID", *GENERIC.iccid),  # modem.md 2.2 #6
        pin_counter=("AT+ZPINPUK=?", "AT+CPINR"),  # oFono sim.c: +ZPINPUK: PIN, PUK
        reboot=("AT+ZRST", "AT+CFUN=1,1"),  # modem.md 2.9
        ussd=(UssdForm.UCS2, UssdForm.TEXT, UssdForm.PACKED),  # plain text is refused, as UCS2 is read
    ),
    Profile(
        name="fibocom",
        makers=("fibocom",),
        boot_marks=frozenset({"+SIM READY"}),  # at each power-up
        sim_switches=(SimSwitch("AT+GTDUALSIM?", "AT+GTDUALSIM={slot}"),),  # modem.md 2.8; kept over a reboot
    ),
)


def by_name(name: str) -> Profile:
    """Return the row of a name; `UNKNOWN` for "generic".

    Raises: StopIteration for a name that no row has.
    """
    return next(profile for profile in (*PROFILES, UNKNOWN) if profile.name == name)


def choose(manufacturer: str | None, model: str | None) -> Profile:
    """Return the first row that fits; for nobody we know, `UNKNOWN`."""
    maker, type_ = (manufacturer or "").lower(), (model or "").lower()
    for profile in PROFILES:
        if any(part in maker for part in profile.makers) and (
            not profile.models or any(part in type_ for part in profile.models)
        ):
            return profile
    return UNKNOWN
