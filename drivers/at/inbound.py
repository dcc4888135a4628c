"""What lies in the modem's memories: read, handed over, and only then deleted.

Indications say where to look and the sweep looks everywhere, so that a lost indication costs a minute and no message.
Reading and deleting hold the line for a few commands at a time, so that sending goes on between them.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict, deque
from collections.abc import Iterable, Sequence

import structlog

from drivers.api import Emit, Event, OpenContext, StatusReport, Swept
from drivers.at import commands, events, routing, sim_slot, startup, storage
from drivers.at.channel import Channel, CommandTimeout
from drivers.at.commands import Stored
from drivers.at.parser import Line
from drivers.at.state import Modem
from drivers.values import dataclass

BATCH = 8
"""Messages read in one hold of the line: some 10 ms on a USB modem, little beside a second of radio time."""

_LIST_S = 5.0
_LIST_PER_MESSAGE_S = 0.5
"""A listing that does not end holds the line; slow modems take some tenths of a second per message."""

_REMEMBERED = 4096
"""Slots of which we know what they held; more than any SIM and modem have."""


Kept = OrderedDict[tuple[str, int], bytes]
"""Digest of what was handed over, by memory and index, as long as it may still lie there."""


@dataclass(frozen=True, slots=True)
class _Place:
    memory: str
    index: int
    is_report: bool


@dataclass(frozen=True, slots=True)
class _Found:
    memory: str
    stored: Stored

    @property
    def digest(self) -> bytes:
        return hashlib.blake2b(self.stored.pdu.upper().encode(), digest_size=16).digest()


class Inbound:
    """The reading side of one session. `line` is held around each group of commands."""

    def __init__(
        self, channel: Channel, modem: Modem, context: OpenContext, line: asyncio.Lock, kept: Kept | None = None
    ) -> None:
        """`kept` outlives the session where two SIMs share the modem's own memory."""
        self.wanted = asyncio.Event()
        self._channel = channel
        self._modem = modem
        self._context = context
        self._line = line
        self._log = structlog.get_logger().bind(route=context.route)
        self._places: deque[_Place] = deque()
        self._acknowledgements = 0
        self._sweeps_soon = False
        self._kept: Kept = OrderedDict() if kept is None else kept
        self._undeletable: set[tuple[str, int]] = set()
        self._has_read_report = False
        self._is_list_broken = False

    # --- told by the session

    def indicate(self, line: Line) -> None:
        """Note a +CMTI or +CDSI."""
        place = commands.indication(line)
        if place is None or place.index < 0:
            # Arrived but not stored, or garbled: whatever there is, the sweep finds it.
            self.sweep_soon()
            return
        # Something new is there, even if it looks like what was there before.
        self._kept.pop(self._slot(place.memory, place.index), None)
        self._places.append(_Place(place.memory, place.index, line.name == "+CDSI"))
        self.wanted.set()

    def acknowledge(self) -> None:
        """Note that a direct +CMT or +CDS was handed over and waits for AT+CNMA."""
        self._acknowledgements += 1
        self.wanted.set()

    def sweep_soon(self) -> None:
        self._sweeps_soon = True
        self.wanted.set()

    # --- run by the session

    async def serve(self) -> None:
        """Do some of what was noted: a batch, since under load there is always more; `wanted` stays set then.

        Raises: SessionLost; errors of `emit`.
        """
        await self._acknowledge()
        if self._places:
            batch = [self._places.popleft() for _ in range(min(BATCH, len(self._places)))]
            async with self._line:
                self._distrust_selection()
                found = [item for place in batch if (item := await self._read_place(place)) is not None]
            await self._keep(found)
        if self._acknowledgements or self._places:
            return
        self.wanted.clear()
        if self._sweeps_soon:
            self._sweeps_soon = False
            await self.sweep()

    async def sweep(self) -> None:
        """Read every memory that may hold something for us, then say so.

        Raises: SessionLost; errors of `emit`.
        """
        for memory in self._modem.storages.swept:
            await self._sweep_memory(memory)
        if self._modem.storages.reports_total > 0:
            await self._sweep_memory(storage.REPORTS)
        await self._context.emit(Swept(self._modem.sim.iccid))

    # --- private

    async def _sweep_memory(self, memory: str) -> None:
        async with self._line:
            answer = await storage.select(self._channel, self._modem.storages, memory)
            if answer is None:
                return
            usages = commands.usages(answer)
            usage = usages[0] if usages else None
            if usage is not None and memory == self._modem.storages.inbound:
                self._modem.storages.used, self._modem.storages.total = usage.used, usage.total
            # CMGL does not work on SR.
            can_list = memory != storage.REPORTS and not self._is_list_broken
            found = await self._list(memory, usage) if can_list else None
        if found is None:
            if usage is not None and usage.used:
                await self._sweep_indexes(memory, usage)
            return
        for start in range(0, len(found), BATCH):
            await self._keep(found[start : start + BATCH])

    async def _list(self, memory: str, usage: commands.Usage | None) -> list[_Found] | None:
        """List a memory; None where the modem cannot. How long it may take depends on how much there is."""
        limit_s = self._modem.profile.list_s
        if usage is not None:
            limit_s = min(limit_s, _LIST_S + _LIST_PER_MESSAGE_S * usage.used)
        try:
            answer = await self._channel.exchange(commands.LIST_ALL, limit_s)
        except CommandTimeout:
            # E1750 and E220 hang or cut off their answer.
            self._is_list_broken = True
            self._distrust_selection()
            return None
        if not answer.is_ok:
            return None
        found = []
        for entry in commands.listed(answer):
            is_cut_off = not entry.pdu and entry.stat not in (2, 3)
            stored = await self._read(entry.index) if is_cut_off else entry
            if stored.is_ours_to_take:
                found.append(_Found(memory, stored))
        return found

    async def _sweep_indexes(self, memory: str, usage: commands.Usage) -> None:
        """Read slot by slot, from 0 since some modems count from there, until all that is used was seen."""
        seen = 0
        for start in range(0, usage.total + 1, BATCH):
            found = []
            async with self._line:
                self._distrust_selection()
                if not await self._is_selected(memory):
                    return
                for index in range(start, min(start + BATCH, usage.total + 1)):
                    stored = await self._read(index)
                    seen += bool(stored.pdu)
                    if stored.is_ours_to_take:
                        found.append(_Found(memory, stored))
            await self._keep(found)
            if seen >= usage.used:
                return

    async def _read_place(self, place: _Place) -> _Found | None:
        memories: Iterable[str] = (place.memory or self._modem.storages.inbound,)
        if place.is_report:
            # 321 was seen because the report lay elsewhere than the indication said.
            memories = dict.fromkeys((place.memory, storage.REPORTS, "SM", "ME"))
        for memory in memories:
            readable = self._modem.storages.readable
            if readable and memory not in readable:
                continue
            if await self._is_selected(memory):
                stored = await self._read(place.index)
                if stored.is_ours_to_take and self._fits(stored, place):
                    return _Found(memory, stored)
        if place.is_report and not self._has_read_report:
            await self._give_up_stored_reports()
        return None

    def _fits(self, stored: Stored, place: _Place) -> bool:
        """Elsewhere than indicated, another message may have the index: only a report is taken from there."""
        if not place.is_report:
            return True
        return isinstance(events.decode(self._modem.sim.iccid, stored.pdu), StatusReport)

    def _distrust_selection(self) -> None:
        """Select anew in each hold of the line: a modem that restarted without a word reads, and deletes, elsewhere.

        Inside one hold a restart makes a command time out, and with it the session.
        """
        self._modem.storages.current = None

    async def _is_selected(self, memory: str) -> bool:
        if self._modem.storages.current == memory:
            return True
        return await storage.select(self._channel, self._modem.storages, memory) is not None

    async def _read(self, index: int) -> Stored:
        return commands.message_read(await self._channel.exchange(commands.read(index)), index)

    async def _keep(self, found: Sequence[_Found]) -> None:
        """Hand over, then delete what was kept; what `emit` refused stays where it is."""
        # An indication that a sweep has already served may name a slot that is full again, as its own indication does:
        # deleted twice, the second time takes what arrived in between, unread.
        found = list({self._slot(item.memory, item.stored.index): item for item in found}.values())
        fresh = [item for item in found if not self._is_kept(item)]
        if fresh:
            # After the reading: a restart between the two would have it look like this SIM's.
            async with self._line:
                await self._verify_sim()
        told = [events.decode(self._modem.sim.iccid, item.stored.pdu) for item in fresh]
        refused = await emit_all(self._context.emit, told)
        for item, event, error in zip(fresh, told, refused, strict=True):
            if error is None:
                self._remember(item)
                if isinstance(event, StatusReport):
                    await self._prove_stored_reports()
        kept = [item for item in found if self._is_kept(item)]
        if kept:
            async with self._line:
                # In the same hold, as is the selection: a submit between the two may outlast a restart.
                await self._verify_sim()
                self._distrust_selection()
                for item in kept:
                    if not self._is_named_again(item):
                        await self._delete(item)
        for error in refused:
            if error is not None:
                raise error

    async def _verify_sim(self) -> None:
        """Of two SIMs, the other one's messages are not this one's to take or delete. Raises: SessionLost."""
        if self._modem.slot_switch is not None:
            await sim_slot.verify(self._channel, self._modem.slot_switch, self._modem.slot)

    def _is_named_again(self, item: _Found) -> bool:
        """Tell whether a read of this slot is still due: what was read may have been replaced since (TS 23.040
        §9.2.3.9, replace short message; a full SR), and that read deletes it."""
        slot = self._slot(item.memory, item.stored.index)
        return any(slot == self._slot(place.memory, place.index) for place in self._places)

    async def _delete(self, item: _Found) -> None:
        """Delete; where that fails, the next sweep tries again and nobody is told of the message twice."""
        if not await self._is_selected(item.memory):
            return
        answer = await self._channel.exchange(commands.delete(item.stored.index))
        slot = self._slot(item.memory, item.stored.index)
        if answer.is_ok:
            self._undeletable.discard(slot)
        elif slot not in self._undeletable:
            # Each sweep tries again; one line is enough.
            self._undeletable.add(slot)
            self._log.warning(
                "delete_failed", memory=item.memory, index=item.stored.index, result=answer.final.text[:40]
            )

    def _is_kept(self, item: _Found) -> bool:
        """Tell whether this was handed over before: its deletion failed, or did nothing though it was confirmed."""
        return self._kept.get(self._slot(item.memory, item.stored.index)) == item.digest

    def _slot(self, memory: str, index: int) -> tuple[str, int]:
        """Name a slot for good: each SIM has a memory of its own, and they share the modem's."""
        is_shared = self._modem.slot is None or memory != "SM"
        return memory if is_shared else f"{memory}/{self._modem.slot}", index

    def _remember(self, item: _Found) -> None:
        self._kept[self._slot(item.memory, item.stored.index)] = item.digest
        if len(self._kept) > _REMEMBERED:
            self._kept.popitem(last=False)

    async def _acknowledge(self) -> None:
        while self._acknowledgements:
            self._acknowledgements -= 1
            async with self._line:
                answer = await self._channel.exchange(commands.ACKNOWLEDGE)
                # Also 340, nothing waited for it: too late an acknowledgement has switched the routing off
                # (TS 27.005 §3.4.1), and the modem does not say so.
                if not answer.is_ok and self._modem.routing is not None:
                    await self._channel.exchange(self._modem.routing.request())

    async def _prove_stored_reports(self) -> None:
        if not self._has_read_report:
            self._has_read_report = True
            await self._context.memory.remember(self._modem.sim.iccid, routing.REPORTS_FACT, routing.STORED)

    async def _give_up_stored_reports(self) -> None:
        """A stored report could not be read back: from now on this SIM's reports come directly, for good."""
        iccid = self._modem.sim.iccid
        if await self._context.memory.recall(iccid, routing.REPORTS_FACT) == routing.STORED:
            return
        self._log.warning("stored_reports_unreadable")
        await self._context.memory.remember(iccid, routing.REPORTS_FACT, routing.DIRECT)
        await startup.establish_routing(
            self._channel, self._modem, store_reports=False, may_store=False, wants_reports=True
        )


async def emit_all(emit: Emit, told: Sequence[Event]) -> list[BaseException | None]:
    """Hand events over in order, without waiting for one commit after the other; return what each one raised."""
    if not told:
        return []
    results = await asyncio.gather(*(emit(event) for event in told), return_exceptions=True)
    return [result if isinstance(result, BaseException) else None for result in results]
