"""Over which service SMS leave (CGSMS, TS 27.007 §10.1.21): chosen anew where the one that is set keeps failing.

Packet service without an SMS subscription, or IMS without provisioning, fails though the modem is registered; the
circuit-switched way is another. What worked is remembered with the SIM, since the setting is lost at a reboot.
"""

from __future__ import annotations

from drivers.api import SimMemory, SubmitError
from drivers.at import fields
from drivers.at.channel import Channel
from drivers.at.request import Answer, Request

FACT = "sms_service"
FAILURES = 2
"""In a row, before the first step: one alone happens on every network."""

_LADDER = (3, 1, 2)
"""Circuit-switched preferred, only, then packet preferred (modem.md 2.3 #11)."""
_NAMES = {
    0: "packet-switched only",
    1: "circuit-switched only",
    2: "packet-switched preferred",
    3: "circuit-switched preferred",
}
_CODES = frozenset({"CMS 500"})
"""What modems say of it (modem.md 2.3 #11). A network that names its reason is not helped by another service."""


_TEST = Request("AT+CGSMS=?", ("+CGSMS",), 5.0)
_QUERY = Request("AT+CGSMS?", ("+CGSMS",), 5.0)


class Service:
    """The choice of one session. Its commands are run with the line held."""

    def __init__(self, channel: Channel, memory: SimMemory, iccid: str) -> None:
        self._channel = channel
        self._memory = memory
        self._iccid = iccid
        self._failures = 0
        self._first: int | None = None
        self._left: list[int] | None = None
        self._is_changed = False

    def wants_step(self, error: SubmitError) -> bool:
        """Count a failure; whether another service should be tried now."""
        if error.code not in _CODES:
            return False
        self._failures += 1
        return self._failures >= FAILURES and (self._left != [] or self._is_changed)

    async def step(self) -> str | None:
        """Set the next service that the modem offers, and check it; a sentence where that was done.

        When none is left, the first one is set again. Raises: SessionLost.
        """
        if self._left is None:
            self._first = current = set_in(await self._channel.exchange(_QUERY))
            offered = offered_in(await self._channel.exchange(_TEST))
            self._left = steps(current, offered)
        while self._left:
            value = self._left.pop(0)
            if await select(self._channel, value):
                self._is_changed = True
                return f"Messages failed again and again; they go {_NAMES[value]} from now on (AT+CGSMS={value})."
        if self._is_changed and self._first is not None:
            self._is_changed = False
            await self._memory.remember(self._iccid, FACT, None)
            if await select(self._channel, self._first):
                return f"No other service helped; messages go {_NAMES[self._first]} again (AT+CGSMS={self._first})."
        return None

    @property
    def is_unnoted(self) -> bool:
        """Whether `note` has something to keep."""
        return self._is_changed

    def sent(self) -> None:
        """A part went out: the failures in a row are over."""
        self._failures = 0

    async def note(self) -> None:
        """Keep what was found, durably."""
        if self._is_changed:
            self._is_changed = False
            # The setting itself, not what was meant: modems were seen that take a value and use another.
            value = set_in(await self._channel.exchange(_QUERY))
            self._left = self._first = None
            if value is not None:
                await self._memory.remember(self._iccid, FACT, str(value))


async def restore(channel: Channel, memory: SimMemory, iccid: str) -> None:
    """At the start of a session: set what worked for this SIM before. Raises: SessionLost."""
    known = await memory.recall(iccid, FACT)
    if known is not None and known.isdigit():
        await select(channel, int(known))


async def select(channel: Channel, value: int) -> bool:
    """Set a service; whether the modem took it and says so. Raises: SessionLost."""
    if not (await channel.exchange(Request(f"AT+CGSMS={value}", timeout_s=10.0))).is_ok:
        return False
    found = set_in(await channel.exchange(_QUERY))
    return found in (None, value)


def steps(current: int | None, offered: frozenset[int]) -> list[int]:
    """Return what to try, in order, beside what is set; nothing where the modem has no choice. Pure."""
    return [value for value in _LADDER if value in offered and value != current]


def set_in(answer: Answer) -> int | None:
    """Return the value of +CGSMS? that is set; None where the modem does not say. Pure."""
    parts = fields.parameters(answer.first) if answer.is_ok and answer.lines else []
    return fields.number(parts[0]) if parts else None


def offered_in(answer: Answer) -> frozenset[int]:
    """Return the values that +CGSMS=? offers. Pure."""
    groups = fields.groups(answer.first) if answer.is_ok and answer.lines else []
    return fields.numbers(groups[0]) if groups else frozenset()
