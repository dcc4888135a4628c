"""Deletes what is older than `[retention]` says, in the slack between sends, and gives the room back to the disk.

Deleting is the one thing here that a wrong clock makes worse than late: it waits for a clock that is set, and for a
day after one that jumped (DESIGN decision 10).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

import structlog

from agent.clock import Clock, Instant, jumped_ms
from agent.journal import retention
from agent.journal.retention import Limits, Place
from agent.journal.store import Journal
from agent.settings import RetentionSettings

_log = structlog.get_logger("retention")

_DAY_MS = 86_400_000
_FIRST_S = 60.0
_EVERY_S = 3_600.0
# While something is sent a step is small and shares the next commit; else it may take some milliseconds of its own.
_BUSY_ROWS, _BUSY_PAUSE_S, _BUSY_PATIENCE_S = 10, 0.5, 0.5
_IDLE_ROWS, _IDLE_PAUSE_S = 100, 0.05
_BUSY_FOR_S = 3.0
# Free pages are used again; only where they are many is the file made smaller.
_MANY_FREE_PAGES, _FREE_SHARE = 2_048, 0.25
_PAGES_AT_ONCE = 64
_JUMP_MS = 3_600_000
_AFTER_JUMP_MS = _DAY_MS


class Retention:
    """Run until cancelled. `is_busy` tells whether a part is in the air or waits."""

    def __init__(
        self,
        journal: Journal,
        clock: Clock,
        settings: RetentionSettings,
        *,
        undelivered_days: float,
        is_busy: Callable[[], bool],
    ) -> None:
        self._journal = journal
        self._clock = clock
        self._days = {
            retention.SENT: settings.sent_days,
            retention.FAILED: settings.failed_days,
            retention.INBOUND: settings.inbound_days,
            retention.ATTEMPTS: settings.attempts_days,
            retention.EVENTS: settings.events_days,
            retention.HOOKS: settings.hooks_days,
            retention.REQUESTS: settings.requests_days,
        }
        self._undelivered_days = undelivered_days
        self._is_busy = is_busy
        self._seen = clock.now()
        self._not_before_boot_ms = 0
        self._busy_until = 0.0

    async def run(self) -> None:
        await asyncio.sleep(_FIRST_S)
        while True:
            await self.clear()
            await asyncio.sleep(_EVERY_S)

    async def clear(self) -> int:
        """Delete all that is due now; returns how many rows. 0 on a clock that cannot be trusted for it."""
        if not await self.may_delete():
            return 0
        now_ms = self._clock.utc_ms()
        before = {kind: round(now_ms - days * _DAY_MS) for kind, days in self._days.items() if days}
        limits = Limits(before, round(now_ms - self._undelivered_days * _DAY_MS), now_ms)
        place, gone = Place(), 0
        while True:
            rows, patience_s = (_BUSY_ROWS, _BUSY_PATIENCE_S) if self._is_line_busy() else (_IDLE_ROWS, 0.0)
            batch = await self._journal.read(partial(retention.look, limits=limits, place=place, rows=rows))
            if batch is None:
                break
            if not await self.may_delete():
                return gone
            gone += await self._journal.write(partial(retention.delete, batch=batch), patience_s=patience_s)
            await self._breathe()
        if gone:
            _log.info("old_rows_deleted", rows=gone)
        await self._give_back_pages()
        return gone

    async def may_delete(self) -> bool:
        """Whether the clock is set and has not jumped lately."""
        now = self._clock.now()
        jump_ms = jumped_ms(self._seen, now)
        if self._seen.boot_id != now.boot_id or self._not_before_boot_ms == 0:
            newest = await self._journal.read(retention.newest_attempt)
            jump_ms = jump_ms or (0 if newest is None else jumped_ms(Instant(*newest), now))
        self._seen = now
        if abs(jump_ms) > _JUMP_MS:
            self._not_before_boot_ms = now.boot_ms + _AFTER_JUMP_MS
            _log.warning("clock_jumped", by_s=round(jump_ms / 1000), next="nothing old is deleted for 24 h")
        return self._clock.is_synchronised() and now.boot_ms >= self._not_before_boot_ms

    async def _give_back_pages(self) -> None:
        """Make the file smaller where much of it is free."""
        while True:
            free, pages = await self._journal.read(retention.free_pages)
            if free < _MANY_FREE_PAGES or free < pages * _FREE_SHARE:
                return
            await self._journal.write(lambda con: retention.give_back_pages(con, _PAGES_AT_ONCE))
            if (await self._journal.read(retention.free_pages))[0] >= free:
                return  # a file that was made without auto_vacuum
            await self._breathe()

    async def _breathe(self) -> None:
        await asyncio.sleep(_BUSY_PAUSE_S if self._is_line_busy() else _IDLE_PAUSE_S)

    def _is_line_busy(self) -> bool:
        """Whether something is sent, or was a moment ago: between two messages is no slack."""
        if self._is_busy():
            self._busy_until = time.monotonic() + _BUSY_FOR_S
        return time.monotonic() < self._busy_until
