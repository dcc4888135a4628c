"""Message memories (ME, SM, SR): numbered slots with a capacity. Pure; survives the modem's reboots."""

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
