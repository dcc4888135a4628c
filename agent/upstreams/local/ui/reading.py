"""What the page shows, from the journal: lists by cursor, searches in slices, charts that remember ended hours."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

from agent.accounts import Caller
from agent.journal import browsing, charts
from agent.journal.browsing import NEWEST, Found, Shown
from agent.model import Message, MessageState
from agent.upstreams.local.context import Local
from agent.upstreams.local.ui import words
from agent.upstreams.local.ui.words import Chart
from drivers.values import dataclass

PER_PAGE = 50
_HOUR_MS = 3_600_000
# The reading thread serves the routes too: a search asks it often for a little, and goes back so far in one go.
_SLICE, _SLICES = 1000, 20
# An outcome may still change for so long behind its hour's end.
_SETTLES_MS = 10 * 60_000


@dataclass(frozen=True, slots=True)
class Leaf:
    """One page of a list. `older` is the cursor of the next one, None at the end; `searched_to_ms` is set where a
    search stopped before the end, for want of hits or of room."""

    messages: tuple[Message, ...]
    older: int | None
    searched_to_ms: int | None = None


class Reading:
    """One per local server."""

    def __init__(self, local: Local) -> None:
        self._journal = local.gateway.journal
        self._clock = local.gateway.clock
        self._zone = ZoneInfo(local.gateway.settings.timezone)
        self._hours: dict[tuple[str, int], tuple[int, int]] = {}

    async def leaf(self, caller: Caller, states: tuple[MessageState, ...], before: int | None) -> Leaf:
        """Messages newest first, below a cursor."""
        shown = Shown(_accounts(caller), states)
        found = await self._journal.read(lambda con: browsing.leaf(con, shown, before or NEWEST, PER_PAGE + 1))
        return _leaf(found)

    async def with_number(self, caller: Caller, number: str, before: int | None = None, limit: int = PER_PAGE) -> Leaf:
        """Both directions with one number, whole history."""
        accounts = _accounts(caller)
        found = await self._journal.read(
            lambda con: browsing.with_number(con, accounts, number, before or NEWEST, limit + 1)
        )
        return _leaf(found, limit)

    async def search(self, caller: Caller, states: tuple[MessageState, ...], sought: str, before: int | None) -> Leaf:
        """Messages whose text or number contains `sought`, among the next 20 000 below the cursor."""
        shown = Shown(_accounts(caller), states)
        hits: list[Message] = []
        cursor = before or NEWEST
        for _ in range(_SLICES):
            found = await self._slice(shown, sought, cursor)
            hits += found.messages
            if len(hits) > PER_PAGE:
                return _leaf(hits)
            if found.reached is None:
                return Leaf(tuple(hits), None)
            cursor = found.reached
        return Leaf(tuple(hits), cursor, found.reached_ms)

    async def _slice(self, shown: Shown, sought: str, cursor: int) -> Found:
        return await self._journal.read(lambda con: browsing.search(con, shown, sought, cursor, _SLICE))

    async def chart(self, route: str) -> Chart:
        """A route's last 24 hours. Hours that have ended are counted once and remembered."""
        now_ms = self._clock.utc_ms()
        this = now_ms // _HOUR_MS
        first = this - words.HOURS + 1
        for key in [key for key in self._hours if key[1] < first]:
            del self._hours[key]
        hours = [await self._hour(route, hour, now_ms) for hour in range(first, this + 1)]
        return words.chart(hours, now_ms, self._zone)

    async def _hour(self, route: str, hour: int, now_ms: int) -> tuple[int, int]:
        known = self._hours.get((route, hour))
        if known is not None:
            return known
        begin, end = hour * _HOUR_MS, (hour + 1) * _HOUR_MS
        counted = await self._journal.read(lambda con: charts.tries(con, route, begin, end))
        if now_ms > end + _SETTLES_MS:
            self._hours[(route, hour)] = counted
        return counted


def _accounts(caller: Caller) -> tuple[int | None, ...]:
    """An account sees its own; the owner also what belongs to nobody."""
    return (caller.account, None) if caller.is_owner else (caller.account,)


def _leaf(found: Sequence[Message], limit: int = PER_PAGE) -> Leaf:
    return Leaf(tuple(found[:limit]), found[limit - 1].id if len(found) > limit else None)
