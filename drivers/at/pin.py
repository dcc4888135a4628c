"""Unlocking the SIM without ever locking it for good: a PIN that failed once is never sent again.

The try is recorded durably before it is sent, so that a crash between the two costs a try and not the SIM. A PUK is
never sent. Knows the SIM's memory in the journal only as `SimMemory`.
"""

from __future__ import annotations

import asyncio
import hashlib

from drivers.api import NoSim, PersonNeeded, SimMemory
from drivers.at import causes, commands
from drivers.at.channel import Channel
from drivers.at.errors import Unwell
from drivers.at.profiles import Profile
from drivers.at.request import Answer

FACT = "pin"
SIM_READY_S = 60.0
"""SIM busy lasts 10 to 30 s after power-up on the modems that were seen."""

_FULL_TRIES = 3
_NO_SIM_TIMES = 3
_FIRST_PAUSE_S = 0.2
_LONGEST_PAUSE_S = 1.0
_ABSENT_STATES = ("NOT INSERTED", "SIM NOT INSERTED")


def fingerprint(key: str, pin: str) -> str:
    """Return what the journal keeps of a PIN: a digest that is salted with the SIM's key."""
    return hashlib.sha256(f"{key}:{pin}".encode()).hexdigest()


async def wait_for_state(channel: Channel, limit_s: float = SIM_READY_S) -> str:
    """Return what +CPIN? says, once the SIM can say it.

    Raises: NoSim on definite evidence; Unwell for a SIM that failed or stays busy; SessionLost.
    """
    deadline = asyncio.get_running_loop().time() + limit_s
    pause_s = _FIRST_PAUSE_S
    absences = 0
    while True:
        answer = await channel.exchange(commands.PIN_QUERY)
        state = commands.pin_state(answer)
        if state is not None and state not in (*_ABSENT_STATES, "NOT READY"):
            return state
        code = causes.parse(answer.final.text)
        # Some modems say so while they still look for the SIM: only a repeated answer counts.
        if state in _ABSENT_STATES or code.number in (10, 310):
            absences += 1
            if absences >= _NO_SIM_TIMES:
                raise NoSim("There is no SIM card in the modem; insert one.")
        if asyncio.get_running_loop().time() >= deadline:
            if code.number in (13, 313):
                raise Unwell("The SIM card failed; clean its contacts or replace it.")
            raise Unwell(f"The SIM card does not get ready ({state or answer.final.text}); reseat it.")
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


async def unlock(channel: Channel, profile: Profile, memory: SimMemory, key: str, pin: str | None) -> None:
    """Bring a SIM that asks for its PIN to READY, if that can be done without risk.

    Raises: PersonNeeded with what to do; NoSim; SessionLost.
    """
    if pin is None:
        raise PersonNeeded("The SIM card asks for its PIN; set `pin` or `pin_file` for this route.")
    digest = fingerprint(key, pin)
    verdict, _, known = (await memory.recall(key, FACT) or "").partition(":")
    tries = await tries_left(channel, profile)
    if known == digest and verdict == "refused":
        raise PersonNeeded(
            "The SIM card refused this PIN before; correct `pin` of this route, or allow one more try with "
            "`phonebridge pin ROUTE --retry`."
        )
    # A try of which nobody knows the outcome: a full counter proves that it was not a wrong one.
    if known == digest and verdict == "tried" and tries != _FULL_TRIES:
        raise PersonNeeded(
            "This PIN was sent once and its result is not known; check it, then allow one more try with "
            "`phonebridge pin ROUTE --retry`."
        )
    if tries is not None and tries <= 1:
        raise PersonNeeded("The SIM card has one PIN try left; unlock it in a phone, then put it back.")
    if not (known == digest and verdict == "accepted"):
        await memory.remember(key, FACT, f"tried:{digest}")
    channel.secrets = channel.secrets | {pin}
    answer = await channel.exchange(commands.enter_pin(pin))
    if not answer.is_ok:
        await memory.remember(key, FACT, f"refused:{digest}")
        raise PersonNeeded(_refusal(answer))
    state = await wait_for_state(channel)
    if state != "READY":
        raise PersonNeeded(locked_sentence(state))
    await memory.remember(key, FACT, f"accepted:{digest}")


def locked_sentence(state: str) -> str:
    """Return what to do about a state that is neither READY nor SIM PIN."""
    if "PUK" in state:
        return "The SIM card is blocked and asks for its PUK; unlock it in a phone with the operator's letter."
    if state.startswith("PH-"):
        return f"The modem is locked to an operator or SIM ({state}); it needs an unlock code."
    return f"The SIM card asks for {state}; only a person can help."


async def tries_left(channel: Channel, profile: Profile) -> int | None:
    """How many tries the SIM card still allows; None where the modem does not tell. Tries nothing."""
    for command in profile.pin_counter:
        tries = commands.pin_tries(await channel.exchange(commands.pin_counter(command)))
        if tries is not None:
            return tries
    return None


def _refusal(answer: Answer) -> str:
    code = causes.parse(answer.final.text)
    if code.number in (12, 312, 316):
        return locked_sentence("SIM PUK")
    return f"The SIM card refused the PIN ({code}); correct `pin` of this route."
