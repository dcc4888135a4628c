"""What one route remembers of its SIMs, on the journal; knows which records of PINs it has met.

A PIN that was tried is never tried again until its record is cleared, which is what `forget_pins` is for.
"""

from __future__ import annotations

from drivers.api import SimMemory

PIN_FACT = "pin"
BALANCE_FACT = "balance"


class RouteMemory:
    """drivers.api.SimMemory of one route."""

    def __init__(self, memory: SimMemory) -> None:
        self._memory = memory
        self._pin_keys: dict[str, None] = {}

    async def recall(self, key: str, fact: str) -> str | None:
        if fact == PIN_FACT:
            self._pin_keys[key] = None
        return await self._memory.recall(key, fact)

    async def remember(self, key: str, fact: str, value: str | None) -> None:
        if fact == PIN_FACT:
            self._pin_keys[key] = None
        await self._memory.remember(key, fact, value)

    async def pins(self) -> dict[str, str]:
        """Key (ICCID or "imei:…") → "tried", "refused" or "accepted", as far as this route met them."""
        found = {}
        for key in tuple(self._pin_keys):
            value = await self._memory.recall(key, PIN_FACT)
            if value:
                found[key] = value.partition(":")[0]
        return found

    async def forget_pins(self) -> list[str]:
        """Clear every record of a PIN that was not accepted. Returns their keys."""
        cleared = [key for key, verdict in (await self.pins()).items() if verdict != "accepted"]
        for key in cleared:
            await self._memory.remember(key, PIN_FACT, None)
        return cleared
