"""How modems differ, as data: one row per family, chosen by what AT+CGMI and AT+CGMM answer.

A row holds only what differs from `GENERIC`; each such value names its source.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Profile:
    """What a driver must know of a family before it can ask.

    `makers` and `models` are lower-case parts of the answers; no models means all. `quiet` commands switch noise off,
    their result is ignored. `iccid` commands are tried in order. `guard_s` is the pause between a final result and
    the next command.
    """

    family: str
    makers: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()
    iccid: tuple[str, ...] = (
        "AT+CCID",
        "AT+ICCID",
        "AT+QCCID",
        "AT+CICCID",
        "AT^ICCID?",
        "AT#CCID",
        "AT^SCID",
    )
    pin_counter: tuple[str, ...] = ("AT+CPINR",)
    guard_s: float = 0.0
    prompt_s: float = 10.0
    body_s: float = 180.0
    """Vendors specify 60 to 180 s for the network's answer; a shorter wait makes doubles."""
    list_s: float = 60.0


GENERIC = Profile(family="")

PROFILES: tuple[Profile, ...] = (
    Profile(
        family="huawei",
        makers=("huawei",),
        quiet=("AT^CURC=0",),  # E1750, E3372: ^RSSI and ^DSFLOWRPT several times a second
        iccid=("AT^ICCID?", *GENERIC.iccid),
        pin_counter=("AT^CPIN?",),
    ),
    Profile(
        family="telit",
        makers=("telit",),
        iccid=("AT#CCID", "AT+CCID"),
        pin_counter=("AT#PCT", "AT+CPINR"),
        guard_s=0.02,  # Telit AT reference guide: at least 20 ms after a final result
    ),
    Profile(
        family="quectel",
        makers=("quectel",),
        iccid=("AT+QCCID", "AT+CCID"),
        pin_counter=("AT+QPINC", "AT+CPINR"),
    ),
    Profile(family="simcom", makers=("simcom",), pin_counter=("AT+SPIC", "AT+CPINR")),
    Profile(family="cinterion", makers=("cinterion", "siemens", "gemalto"), pin_counter=("AT^SPIC",)),
    Profile(family="sierra", makers=("sierra", "wavecom"), pin_counter=("AT+CPINC", "AT+CPINR")),
)


def choose(manufacturer: str | None, model: str | None) -> Profile:
    """Return the first row that fits, else `GENERIC`."""
    maker, type_ = (manufacturer or "").lower(), (model or "").lower()
    for profile in PROFILES:
        if any(part in maker for part in profile.makers) and (
            not profile.models or any(part in type_ for part in profile.models)
        ):
            return profile
    return GENERIC
