"""Whose turn it is on a modem with two SIM cards and one radio: routes wait here until their SIM is to be used.

Each turn is one session of its own. A turn ends between two parts, never in one: the active SIM sends what waits for
it, then stays a while for its reports and for what arrives; no SIM is left alone for longer than its route allows.
Knows neither AT nor ports.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import field

from drivers.api import Emit, Resting, SubmitError, Submitted
from drivers.values import dataclass

NO_SERVICE_S = 60.0
"""A SIM that found no network within this is left, as if it had been served."""

_START_S = 0.5
"""All routes of a modem come at about the same time; which one goes first depends on what each has left open."""
_TELL_S = 1.0
"""A wait for the other routes, or for the port to close, is no rest."""
_KEPT_S = 5.0
"""After a lost session the line is kept for the same SIM: a late answer may be in it, and messages in the memories."""
_OTHER_FIRST_S = 15.0
"""How long a SIM waits for the one that is in use in the modem to be swept first."""


class OtherSimFirst(Exception):
    """The modem uses another SIM, of which something may be left in it. Internal to the driver."""


@dataclass(frozen=True, slots=True)
class Member:
    """One SIM that takes turns. `slot` counts from 1; durations in seconds. `has_work` asks the agent.

    `leftover`: a submit's answer may still be in the line.
    """

    slot: int
    route: str
    visit_every_s: float
    dwell_s: float
    has_work: Callable[[], Awaitable[bool]]
    leftover: bool = False


@dataclass(slots=True)
class Visit:
    """What the end of a turn depends on; instants of one monotonic clock, in seconds, None for never."""

    began_at: float
    served_at: float | None = None
    busy_at: float | None = None

    def has_stayed(self, now: float, dwell_s: float) -> bool:
        """Whether the SIM had its dwell in the network, or finds none."""
        if self.served_at is None:
            return now - self.began_at >= max(NO_SERVICE_S, dwell_s)
        return now - self.served_at >= dwell_s

    def is_quiet(self, now: float, dwell_s: float) -> bool:
        """Whether nothing was sent or came in for a dwell."""
        return self.has_stayed(now, dwell_s) and (self.busy_at is None or now - self.busy_at >= dwell_s)


@dataclass(slots=True)
class _Waiting:
    member: Member
    granted: asyncio.Future[None]


@dataclass(slots=True)
class _Sim:
    """What is remembered of one SIM between its turns."""

    member: Member
    left_at: float | None = None
    has_failed: bool = False
    switch_s: float = 0.0

    def due_at(self) -> float:
        """When it must be visited again, the time that the switch takes included."""
        if self.left_at is None:
            return 0.0
        return self.left_at + max(0.0, self.member.visit_every_s - self.switch_s)


@dataclass(slots=True)
class Turns:
    """Of one modem. `is_clean`: the SIM in use was left in order, so that nothing of it is in the modem."""

    is_clean: bool = False
    late: Submitted | SubmitError | None = None
    """An answer that was heard by the wrong SIM's route, for the one that it belongs to."""
    kept: OrderedDict[tuple[str, int], bytes] = field(default_factory=OrderedDict)
    """What was taken from the modem's own memory and may still lie there, see `inbound`."""
    _sims: dict[int, _Sim] = field(default_factory=dict)
    _waiting: dict[int, _Waiting] = field(default_factory=dict)
    _holder: int | None = None
    _preferred: int | None = None
    _preferred_until: float = 0.0
    _timer: asyncio.TimerHandle | None = None

    def others(self, slot: int) -> list[Member]:
        """The other SIMs that are in use or waited for; not those whose route is gone."""
        here = {self._holder, *self._waiting} - {slot}
        return [sim.member for place, sim in self._sims.items() if place in here]

    async def begin(self, member: Member, emit: Emit) -> Turn:
        """Wait for the turn of a SIM, and say so where that takes a while. What is returned is to be ended."""
        self._register(member)
        turn = Turn(self, member)
        waiting = _Waiting(member, asyncio.get_running_loop().create_future())
        self._waiting[member.slot] = waiting
        try:
            self._grant_later(_START_S if self._is_new(member) else 0.0)
            await asyncio.wait([waiting.granted], timeout=_TELL_S)
            # One that could not be opened last time keeps that reason.
            if not waiting.granted.done() and not self._sims[member.slot].has_failed:
                await emit(Resting(turn.sentence()))
            await waiting.granted
            return turn
        except BaseException:
            if waiting.granted.done() and not waiting.granted.cancelled():
                turn.end()
            raise
        finally:
            if self._waiting.get(member.slot) is waiting:
                del self._waiting[member.slot]

    def served(self, slot: int, switch_s: float) -> None:
        """A session of this SIM is up; the way to it took so long."""
        self._sims[slot].has_failed = False
        self._sims[slot].switch_s = switch_s

    def end(self, slot: int, *, is_clean: bool, has_failed: bool = False) -> None:
        """The turn is over: the port is closed."""
        if self._holder != slot:
            return
        now = asyncio.get_running_loop().time()
        sim = self._sims[slot]
        self._holder = None
        self.is_clean = is_clean
        sim.left_at, sim.has_failed = now, has_failed
        is_lost = not is_clean and not has_failed
        self._preferred, self._preferred_until = (slot, now + _KEPT_S) if is_lost else (None, 0.0)
        self._grant_later(0.0)

    def hand_over(self, slot: int, to: int) -> None:
        """The modem uses the SIM `to`: it goes first, if its route comes soon."""
        now = asyncio.get_running_loop().time()
        self._holder, self.is_clean = None, False
        self._preferred, self._preferred_until = to, now + _OTHER_FIRST_S
        self._sims[slot].has_failed = False
        self._grant_later(0.0)

    def is_awaited(self, slot: int) -> bool:
        """Whether the modem's SIM `slot` may still come to be swept first."""
        sim = self._sims.get(slot)
        now = asyncio.get_running_loop().time()
        return sim is not None and not sim.has_failed and (self._preferred != slot or now < self._preferred_until)

    async def is_over(self, slot: int, visit: Visit) -> bool:
        """Whether the SIM that has the line should leave it now."""
        now = asyncio.get_running_loop().time()
        others = [self._sims[place] for place in self._waiting if place != slot]
        dwell_s = self._sims[slot].member.dwell_s
        if not others or not visit.has_stayed(now, dwell_s):
            return False
        if any(now >= sim.due_at() for sim in others):
            return True
        if not visit.is_quiet(now, dwell_s):
            return False
        wanting = [sim for sim in others if not sim.has_failed and await sim.member.has_work()]
        return bool(wanting) and not await self._sims[slot].member.has_work()

    # --- private

    def _register(self, member: Member) -> None:
        known = self._sims.get(member.slot)
        if known is None:
            self._sims[member.slot] = _Sim(member)
        else:
            known.member = member

    def _is_new(self, member: Member) -> bool:
        return self._sims[member.slot].left_at is None and self._holder is None

    def _grant_later(self, delay_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._grant)

    def _grant(self) -> None:
        self._timer = None
        if self._holder is not None:
            return
        waiting = {slot: place for slot, place in self._waiting.items() if not place.granted.done()}
        if not waiting:
            return
        now = asyncio.get_running_loop().time()
        if self._preferred is not None and self._preferred not in waiting and now < self._preferred_until:
            self._grant_later(self._preferred_until - now)
            return
        slot = self._preferred if self._preferred in waiting else min(waiting, key=self._order)
        self._holder = slot
        waiting[slot].granted.set_result(None)

    def _order(self, slot: int) -> tuple[bool, float, int]:
        """A leftover first, since only an undisturbed line has its answer; then the one that is due first."""
        return not self._waiting[slot].member.leftover, self._sims[slot].due_at(), slot


@dataclass(slots=True)
class Turn:
    """One SIM's turn, from `Turns.begin` to `end`."""

    turns: Turns
    member: Member
    is_over: bool = False

    def heard(self) -> Submitted | SubmitError | None:
        """A late answer that another SIM's route has heard, for this one."""
        late, self.turns.late = self.turns.late, None
        return late

    def may_switch(self, late: Submitted | SubmitError | None, used: int) -> bool:
        """Whether the SIM `used` may be left for this one. If not, the turn is over, and its own comes first: what
        arrived for it may lie in the modem, and an answer that was in the line (`late`) is one to it."""
        if self.turns.is_clean or not self.turns.is_awaited(used):
            return True
        self.is_over = True
        self.turns.late = late
        self.turns.hand_over(self.member.slot, used)
        return False

    def served(self, switch_s: float) -> None:
        """A session is up; the way to it took so long, in seconds."""
        self.turns.served(self.member.slot, switch_s)

    async def should_end(self, visit: Visit) -> bool:
        """Whether the SIM should be left now."""
        return await self.turns.is_over(self.member.slot, visit)

    def end(self, *, is_clean: bool = False, has_failed: bool = False) -> None:
        """Give the line away; the first call counts."""
        if not self.is_over:
            self.is_over = True
            self.turns.end(self.member.slot, is_clean=is_clean, has_failed=has_failed)

    def sentence(self) -> str:
        """Why the SIM is not in use, for a person."""
        others = self.turns.others(self.member.slot)
        used = " and ".join(f"SIM {other.slot} of the modem (route {other.route})" for other in others)
        return (
            f"Its SIM rests while {used or 'another SIM'} is in use; it is visited at least every "
            f"{self.member.visit_every_s:g} s."
        )
