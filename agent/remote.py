"""Remote agents: phonebridges elsewhere that pull and report over the network. What they may do with messages.

Reached as `gateway.accounts.agents`; after a method that changes messages, tell `gateway.committed()`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from agent.clock import Clock
from agent.journal import remote
from agent.journal.remote import HandedIn, RemoteDevice, Waiting
from agent.journal.store import Journal
from agent.model import Message, MessageState, PartState

__all__ = ["HandedIn", "RemoteAgents", "RemoteDevice", "Waiting"]


class RemoteAgents:
    """One per gateway. Devices are named by their number in the journal."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock

    async def waiting(self, device: int) -> Waiting:
        """What waits unclaimed for a device."""
        return await self._journal.read(lambda con: remote.waiting(con, device))

    async def claim(self, device: int, limit: int) -> list[Message]:
        """What was claimed before and not reported, and at most `limit` more. Durable when it returns."""
        now, is_right = self._clock.now(), self._clock.is_synchronised()
        if not limit:
            return await self._journal.read(lambda con: remote.claimed(con, device))
        return await self._journal.write(lambda con: remote.claim(con, device, limit, now, clock_is_right=is_right))

    async def claim_these(self, device: int, ids: Sequence[int]) -> int:
        """Claim those of these messages that still wait for the device. Returns how many."""
        now = self._clock.now()
        return await self._journal.write(lambda con: remote.claim_these(con, device, ids, now))

    async def release(self, device: int, ids: Sequence[int]) -> list[int]:
        """What the device claimed and certainly did not send waits again. Returns which."""
        now = self._clock.now()
        return await self._journal.write(lambda con: remote.release(con, device, ids, now))

    async def devices(self) -> list[RemoteDevice]:
        """All remote agents of all accounts."""
        return await self._journal.read(remote.devices)

    async def with_work(self) -> list[RemoteDevice]:
        """Remote agents for whom something waits, or who claimed something and did not report it."""
        return await self._journal.read(remote.with_work)

    async def move_unclaimed(self, device: int, others: Sequence[int]) -> int:
        """What waits unclaimed for a device goes to others, evenly. Returns how many."""
        now = self._clock.now()
        return await self._journal.write(lambda con: remote.move_unclaimed(con, device, others, now))

    async def settle_claims(self, device: int, others: Sequence[int], policy: Literal["resend", "fail"]) -> int:
        """What a device claimed and never will report: sent by others, flagged, or failed. Returns how many."""
        now = self._clock.now()
        return await self._journal.write(lambda con: remote.settle_claims(con, device, others, policy, now))

    async def report(self, message_id: int, said: PartState, error: str | None) -> MessageState | None:
        """Take a device's word for SENT, DELIVERED or FAILED. The message's state then, None where it is gone."""
        now = self._clock.now()
        return await self._journal.write(lambda con: remote.report(con, message_id, said, error, now))

    async def take_inbound(self, handed: HandedIn) -> tuple[Message, bool]:
        """Keep an inbound message, once per fixed id. Whether it is new."""
        now = self._clock.now()
        return await self._journal.write(lambda con: remote.take_inbound(con, handed, now))
