"""What is under way at the service, kept durably: written before a message is posted and when its id is known.

The agent's memory is one value per name, so the entries are spread over some values by their number: each write is
then short, however many wait.
"""

from __future__ import annotations

import json
import secrets
from dataclasses import replace
from typing import Any

from drivers.api import SimMemory
from drivers.values import dataclass

_BUCKETS = 32
# Exact in JSON and SQLite, and too many to meet the same one twice.
_NUMBER_BITS = 52


@dataclass(frozen=True, slots=True)
class Entry:
    """One message. `number` is its TP-MR for the agent; `sending` the service's id, None while that is not known,
    and only so long `text` is kept. `at_ms` is by the service's clock."""

    number: int
    recipient: str
    at_ms: int
    text: str | None = None
    sending: str | None = None


class Ledger:
    """One per session; `load` first."""

    def __init__(self, memory: SimMemory, key: str) -> None:
        self._memory = memory
        self._key = key
        self._entries: dict[int, Entry] = {}

    async def load(self) -> None:
        for bucket in range(_BUCKETS):
            value = await self._memory.recall(self._key, _fact(bucket))
            for row in json.loads(value) if value else []:
                entry = Entry(row["n"], row["to"], row["at"], row.get("text"), row.get("id"))
                self._entries[entry.number] = entry

    def entries(self) -> list[Entry]:
        """Oldest first."""
        return sorted(self._entries.values(), key=lambda entry: (entry.at_ms, entry.number))

    def get(self, number: int) -> Entry | None:
        return self._entries.get(number)

    def knows(self, sending: str) -> bool:
        return any(entry.sending == sending for entry in self._entries.values())

    async def intend(self, recipient: str, text: str, at_ms: int) -> Entry:
        """A message is about to be posted; durable when it returns."""
        entry = Entry(1 + secrets.randbits(_NUMBER_BITS), recipient, at_ms, text=text)
        await self._put(entry)
        return entry

    async def found(self, number: int, sending: str) -> None:
        """The service has it under this id; durable when it returns."""
        entry = self._entries.get(number)
        if entry is not None:
            await self._put(replace(entry, sending=sending, text=None))

    async def drop(self, number: int) -> None:
        """Nothing more is to be learned of it."""
        if self._entries.pop(number, None) is not None:
            await self._write(number % _BUCKETS)

    async def _put(self, entry: Entry) -> None:
        self._entries[entry.number] = entry
        await self._write(entry.number % _BUCKETS)

    async def _write(self, bucket: int) -> None:
        rows: list[dict[str, Any]] = [
            {
                key: value
                for key, value in (
                    ("n", entry.number), ("to", entry.recipient), ("at", entry.at_ms), ("text", entry.text),
                    ("id", entry.sending),
                )
                if value is not None
            }
            for entry in self._entries.values()
            if entry.number % _BUCKETS == bucket
        ]  # fmt: skip
        value = json.dumps(rows, ensure_ascii=False, separators=(",", ":")) if rows else None
        await self._memory.remember(self._key, _fact(bucket), value)


def _fact(bucket: int) -> str:
    return f"sendings {bucket}"
