"""What is under way in the pool, kept durably: which gateway has which job, written before it is published.

The agent's memory is one value per name, so the entries are spread over some values by their number: each write is
then short, however many wait.
"""

from __future__ import annotations

import json
import secrets
from collections import Counter
from dataclasses import replace
from enum import StrEnum
from typing import Any

from drivers.api import SimMemory
from drivers.mqtt.payloads import JobOrder
from drivers.values import dataclass

_BUCKETS = 256
# Exact in JSON and SQLite, and too many to meet the same one twice.
_NUMBER_BITS = 52
_ID_PREFIX = "pool-"


class Phase(StrEnum):
    """How far a job is, as its gateway told."""

    WAITING = "waiting"
    """With nobody: released, and not yet assigned anew."""
    ASSIGNED = "assigned"
    ACCEPTED = "accepted"
    SENT = "sent"


@dataclass(frozen=True, slots=True)
class Entry:
    """One message. `number` is its TP-MR for the agent. `devices` are the gateways that it was assigned to, one after
    the other; `turn` counts to the one whose word counts, the newest unless an earlier one came back and had sent it.
    `order` is kept until it is sent. `until_ms` is when its validity ends."""

    number: int
    recipient: str
    at_ms: int
    order: dict[str, Any]
    devices: tuple[str, ...] = ()
    turn: int = 0
    phase: Phase = Phase.WAITING
    until_ms: int | None = None
    may_be_double: bool = False

    @property
    def device(self) -> str:
        """Who has it, "" for nobody."""
        return self.devices[self.turn - 1] if self.turn and self.phase is not Phase.WAITING else ""

    @property
    def is_untried(self) -> bool:
        """Whether, as far as is known, it was not on the air."""
        return self.phase is not Phase.SENT

    def job_id(self, turn: int | None = None) -> str:
        """The id of one assignment: a gateway that released it may get it again, as another job."""
        return f"{_ID_PREFIX}{self.number}-{self.turn if turn is None else turn}"

    def assigned(self, device: str) -> Entry:
        """With another gateway, as another job."""
        devices = (*self.devices, device)
        return replace(self, devices=devices, turn=len(devices), phase=Phase.ASSIGNED)

    def sent(self, turn: int) -> Entry:
        """On the air by this assignment: its word counts from now on, and the text is not needed any more."""
        return replace(self, phase=Phase.SENT, turn=turn, order={})

    def others(self, turn: int) -> list[int]:
        """The other assignments, by their turns."""
        return [other for other in range(1, len(self.devices) + 1) if other != turn]

    def job(self, now_ms: int) -> bytes:
        """The payload for its gateway."""
        data = self.order.get("data")
        order = {**self.order, "data": None if data is None else bytes.fromhex(data)}
        left_s = None if self.until_ms is None else max(1.0, (self.until_ms - now_ms) / 1000)
        return JobOrder(to=self.recipient, id=self.job_id(), valid_for_s=left_s, **order).encode()


def numbered(job_id: str | None) -> tuple[int, int] | None:
    """Number and turn of a job's id, None for one that is not a pool's."""
    if job_id is None or not job_id.startswith(_ID_PREFIX):
        return None
    number, _, turn = job_id.removeprefix(_ID_PREFIX).partition("-")
    if not (number.isascii() and number.isdecimal() and turn.isascii() and turn.isdecimal()):
        return None
    return int(number), int(turn)


class Ledger:
    """One per session; `load` first. Methods return when it is durable."""

    def __init__(self, memory: SimMemory, key: str) -> None:
        self._memory = memory
        self._key = key
        self._entries: dict[int, Entry] = {}
        self._untried: Counter[str] = Counter()
        self._waiting: dict[int, None] = {}

    async def load(self) -> None:
        for bucket in range(_BUCKETS):
            value = await self._memory.recall(self._key, _fact(bucket))
            for row in json.loads(value) if value else []:
                self._set(_read(row))

    def entries(self) -> list[Entry]:
        """Oldest first."""
        return sorted(self._entries.values(), key=lambda entry: (entry.at_ms, entry.number))

    def get(self, number: int) -> Entry | None:
        return self._entries.get(number)

    def untried(self, device: str) -> int:
        """How many jobs a gateway has of us that are not on the air."""
        return self._untried[device]

    def waiting(self) -> list[Entry]:
        """What nobody has, in the order in which it was released."""
        return [self._entries[number] for number in self._waiting]

    async def add(self, recipient: str, order: dict[str, Any], device: str, at_ms: int, until_ms: int | None) -> Entry:
        """A new message for a gateway."""
        entry = Entry(
            number=1 + secrets.randbits(_NUMBER_BITS),
            recipient=recipient,
            at_ms=at_ms,
            order=order,
            until_ms=until_ms,
        )
        return await self.put(entry.assigned(device))

    async def put(self, entry: Entry) -> Entry:
        self._set(entry)
        await self._write(entry.number % _BUCKETS)
        return entry

    def note(self, entry: Entry) -> None:
        """Like `put`, durable with some later write: for what a gateway says again when it is asked."""
        self._set(entry)

    async def drop(self, number: int) -> None:
        """Nothing more is to be learned of it."""
        entry = self._entries.pop(number, None)
        if entry is not None:
            self._count(entry, -1)
            await self._write(number % _BUCKETS)

    def _set(self, entry: Entry) -> None:
        known = self._entries.get(entry.number)
        if known is not None:
            self._count(known, -1)
        self._entries[entry.number] = entry
        self._count(entry, 1)

    def _count(self, entry: Entry, change: int) -> None:
        if entry.is_untried and entry.device:
            self._untried[entry.device] += change
        if entry.phase is Phase.WAITING and change > 0:
            self._waiting[entry.number] = None
        elif entry.phase is Phase.WAITING:
            self._waiting.pop(entry.number, None)

    async def _write(self, bucket: int) -> None:
        rows = [_row(entry) for number, entry in self._entries.items() if number % _BUCKETS == bucket]
        value = json.dumps(rows, ensure_ascii=False, separators=(",", ":")) if rows else None
        await self._memory.remember(self._key, _fact(bucket), value)


def _row(entry: Entry) -> dict[str, Any]:
    found: dict[str, Any] = {
        "n": entry.number,
        "to": entry.recipient,
        "at": entry.at_ms,
        "by": entry.devices,
        "turn": entry.turn,
        "is": entry.phase,
        "order": entry.order,
        "until": entry.until_ms,
        "double": entry.may_be_double,
    }
    return {key: value for key, value in found.items() if value not in (None, False, {}, ())}


def _read(row: dict[str, Any]) -> Entry:
    return Entry(
        number=row["n"],
        recipient=row["to"],
        at_ms=row["at"],
        order=row.get("order", {}),
        devices=tuple(row.get("by", ())),
        turn=row.get("turn", 0),
        phase=Phase(row["is"]),
        until_ms=row.get("until"),
        may_be_double=row.get("double", False),
    )


def _fact(bucket: int) -> str:
    return f"pool {bucket}"
