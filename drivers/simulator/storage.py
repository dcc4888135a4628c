"""Message memories (ME, SM, SR, MT): numbered slots with a capacity. Pure; survives the modem's reboots."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import IntEnum


class MessageStatus(IntEnum):
    """<stat> of 27.005 §3.1 in PDU mode."""

    UNREAD = 0
    READ = 1
    UNSENT = 2
    SENT = 3


@dataclass(frozen=True, slots=True)
class Stored:
    """One message in a slot, `pdu` with its SMSC field; `inbound` is the network's id or None."""

    pdu: bytes
    tpdu_octets: int
    status: MessageStatus
    inbound: int | None


@dataclass(slots=True)
class Memory:
    """One memory. Indices start at 1, as most modems count."""

    name: str
    capacity: int
    slots: dict[int, Stored] = field(default_factory=dict)

    @property
    def used(self) -> int:
        """Occupied slots."""
        return len(self.slots)

    @property
    def is_full(self) -> bool:
        """Whether the next message has no room."""
        return len(self.slots) >= self.capacity

    def store(self, stored: Stored) -> int | None:
        """The lowest free index, now taken; None when full."""
        if self.is_full:
            return None
        index = next(index for index in range(1, self.capacity + 1) if index not in self.slots)
        self.slots[index] = stored
        return index

    def mark_read(self, index: int) -> None:
        """What CMGR and CMGL do to an unread message."""
        stored = self.slots[index]
        if stored.status is MessageStatus.UNREAD:
            self.slots[index] = replace(stored, status=MessageStatus.READ)

    def remove(self, index: int) -> None:
        """Empties a slot."""
        self.slots.pop(index, None)


class Union:
    """MT: two memories under one name, the second's indices behind the first's capacity (27.005 §3.2.3)."""

    def __init__(self, name: str, first: Memory, second: Memory) -> None:
        self.name = name
        self._first = first
        self._second = second

    @property
    def capacity(self) -> int:
        """Slots of both."""
        return self._first.capacity + self._second.capacity

    @property
    def slots(self) -> Mapping[int, Stored]:
        """The messages of both, by their index here."""
        shift = self._first.capacity
        return {**self._first.slots, **{index + shift: stored for index, stored in self._second.slots.items()}}

    @property
    def used(self) -> int:
        """Occupied slots."""
        return self._first.used + self._second.used

    def store(self, stored: Stored) -> int | None:
        """The index of the slot taken; None when both are full."""
        if (index := self._first.store(stored)) is not None:
            return index
        index = self._second.store(stored)
        return None if index is None else index + self._first.capacity

    def mark_read(self, index: int) -> None:
        """What CMGR and CMGL do to an unread message."""
        memory, own = self._place(index)
        memory.mark_read(own)

    def remove(self, index: int) -> None:
        """Empties a slot."""
        memory, own = self._place(index)
        memory.remove(own)

    def _place(self, index: int) -> tuple[Memory, int]:
        shift = self._first.capacity
        return (self._first, index) if index <= shift else (self._second, index - shift)
