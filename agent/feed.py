"""Brings one upstream its reports and inbound messages: a lane per message, in order inside it.

A permanent refusal parks the lane's item and blocks nothing else; a fault of one message is retried alone; when
the server as a whole is out of reach, all lanes wait. What was told is written down in groups (the journal's
cursor), so after a crash an item may be told twice, never not at all.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Iterable
from dataclasses import field

import structlog

from agent.clock import Clock
from agent.journal import feeds
from agent.journal.feeds import FeedItem, LeftBehind
from agent.journal.store import REPORT_PATIENCE_S, Journal
from agent.supervise import backoff_s
from agent.upstreams.api import LaneBusy, LaneRefused, Upstream, UpstreamDown
from drivers.values import dataclass

_log = structlog.get_logger("feed")

_READ_AHEAD = 500
"""Items held in memory at most; the rest waits in the journal."""
_MOST_BEHIND = 500
"""Of what the cursor has passed, so much is held in memory."""
_PASSED_EVENTS = 1000
_LONGEST_DOWN_S = 60.0
_LONGEST_LANE_S = 900.0
# What an upstream is just being told; whoever takes longer is told once more by the feed that follows.
_DRAIN_S = 10.0
# Items whose lane is busy are written down after this many tries, so that the cursor can pass them.
_TRIES_BEFORE_LEFT_BEHIND = 2


@dataclass(slots=True)
class _Lane:
    items: deque[FeedItem] = field(default_factory=deque)
    due: float = 0.0
    is_running: bool = False
    failures: int = 0

    @property
    def is_inbound(self) -> bool:
        return bool(self.items) and self.items[0].inbound is not None


class Feed:
    """The feed of one upstream. `run` until cancelled; `wake` after each commit that may concern it."""

    def __init__(self, name: str, upstream: Upstream, journal: Journal, clock: Clock) -> None:
        self._name = name
        self._upstream = upstream
        self._journal = journal
        self._clock = clock
        # Not every upstream has a word for it.
        self._wants_accepted = bool(getattr(upstream, "wants_accepted", False))
        self._lanes: dict[int, _Lane] = {}
        self._in_memory: set[int] = set()
        self._behind: dict[int, FeedItem] = {}
        self._settled: list[int] = []
        # Delivered, but the journal may still list them as left behind.
        self._settling: set[int] = set()
        self._left: list[LeftBehind] = []
        self._wake = asyncio.Event()
        # Whether the journal may hold more than was read.
        self._is_news = True
        self._dirty = asyncio.Event()
        self._is_saving = False
        self._saves_begun = self._saves_done = 0
        self._save_ended = asyncio.Event()
        # By message, what was told of it last and is not written down as told.
        self._told: dict[int, int] = {}
        # Up to here every item is to be written down as delivered or as left behind.
        self._must_pass = 0
        self._is_draining = False
        self._rested = asyncio.Event()
        self._is_more_behind = False
        self._read_to = 0
        self._saved = 0
        self._down_until = 0.0
        self._down_failures = 0
        self.problem: str | None = None
        self.parked = 0

    def wake(self) -> None:
        self._is_news = True
        self._wake.set()

    def retry_now(self) -> None:
        """The server is there again: what waits for it need not wait longer."""
        self._down_until = 0.0
        self.wake()

    @property
    def waiting(self) -> int:
        """Items in memory that are not delivered yet."""
        return len(self._in_memory)

    @property
    def is_unsaved(self) -> bool:
        """Whether something was delivered that a restart would deliver again."""
        return self._dirty.is_set() or self._is_saving

    async def tell_again(self, message_id: int) -> None:
        """Tell a message's last state once more, unless something of it is on its way anyway."""
        if message_id in self._lanes:
            return
        item = await self._journal.read(lambda con: feeds.again(con, message_id, wants_accepted=self._wants_accepted))
        # What lies ahead of the reader comes by itself.
        is_behind = item is not None and item.event_id <= self._read_to and item.event_id not in self._in_memory
        if item is not None and is_behind and message_id not in self._lanes:
            self._take(item, is_behind=True)
            self._wake.set()

    async def drain(self) -> None:
        """Begin no further delivery, and wait for those under way to be written down, for a moment."""
        self._is_draining = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_S):
                while self.is_unsaved or any(lane.is_running for lane in self._lanes.values()):
                    self._rested.clear()
                    await self._rested.wait()

    async def run(self) -> None:
        """Deliver until cancelled."""
        self._forget()
        row = await self._journal.read(lambda con: feeds.upstream(con, self._name))
        self._read_to = self._saved = row.cursor
        self._is_more_behind = True
        self.parked = (await self._journal.read(lambda con: feeds.parked(con, self._name)))[0]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._save_when_dirty(), name=f"feed {self._name} cursor")
            while True:
                self._wake.clear()
                await self._read_more()
                next_due = self._start_lanes(group)
                loop = asyncio.get_running_loop()
                try:
                    async with asyncio.timeout(None if next_due is None else max(0.0, next_due - loop.time())):
                        await self._wake.wait()
                except TimeoutError:
                    pass

    # --- pieces -------------------------------------------------------------------------------------

    def _forget(self) -> None:
        self._lanes.clear()
        self._in_memory.clear()
        self._behind.clear()
        self._settled.clear()
        self._settling.clear()
        self._left.clear()
        self._told.clear()
        self._is_news = True

    def _take(self, item: FeedItem, *, is_behind: bool) -> None:
        self._lanes.setdefault(item.lane, _Lane()).items.append(item)
        self._in_memory.add(item.event_id)
        if is_behind:
            self._behind[item.event_id] = item

    async def _read_more(self) -> None:
        await self._reload_behind()
        room = _READ_AHEAD - len(self._in_memory - self._behind.keys())
        if room <= 0 or not self._is_news:
            return
        self._is_news = False
        after, wants = self._read_to, self._upstream.wants_inbound
        items, self._read_to = await self._journal.read(
            lambda con: feeds.after(
                con, self._name, after, room, wants_inbound=wants, wants_accepted=self._wants_accepted
            )
        )
        self._is_news |= len(items) == room
        if self._is_more_behind:
            # What was left behind of the same messages goes first.
            lanes = {item.lane for item in items}
            self._take_behind(await self._journal.read(lambda con: feeds.left_behind_of(con, self._name, lanes)))
        for item in items:
            if item.event_id not in self._in_memory:
                self._take(item, is_behind=False)
        # Events of others are passed in memory; they are worth a commit only now and then.
        if not self._in_memory and self._read_to - self._saved > _PASSED_EVENTS:
            self._dirty.set()

    async def _reload_behind(self) -> None:
        """Take up what was left behind, as far as there is room for it in memory."""
        if not self._is_more_behind or len(self._behind) > _MOST_BEHIND // 2:
            return
        found = await self._journal.read(lambda con: feeds.left_behind(con, self._name, _MOST_BEHIND))
        self._is_more_behind = len(found) == _MOST_BEHIND
        self._take_behind(found)

    def _take_behind(self, found: Iterable[FeedItem]) -> None:
        for item in found:
            if item.event_id not in self._in_memory and item.event_id not in self._settling:
                self._take(item, is_behind=True)

    def _start_lanes(self, group: asyncio.TaskGroup) -> float | None:
        """Start what may run; returns the loop time at which to look again, None: when woken."""
        now = asyncio.get_running_loop().time()
        if self._is_draining:
            return None
        if self._lanes and now < self._down_until:
            return self._down_until
        running = [lane for lane in self._lanes.values() if lane.is_running]
        # While the server is down, one lane tries for all; else one place is kept free of those that fail.
        most = 1 if self._down_failures else self._upstream.concurrency
        most_doubtful = max(1, most - 1)
        doubtful = sum(bool(lane.failures) for lane in running)
        waiting = [(key, lane) for key, lane in self._lanes.items() if not lane.is_running]
        ready = [(key, lane) for key, lane in waiting if lane.due <= now]
        # What never failed before what did, reports before inbound, then by age.
        ready.sort(key=lambda pair: (bool(pair[1].failures), pair[1].is_inbound, pair[1].items[0].event_id))
        started = len(running)
        for message_id, lane in ready:
            if started >= most:
                break
            if lane.failures and doubtful >= most_doubtful:
                break
            doubtful += bool(lane.failures)
            lane.is_running = True
            started += 1
            group.create_task(self._serve(message_id, lane), name=f"feed {self._name} {message_id}")
        return min((lane.due for _, lane in waiting if lane.due > now), default=None)

    async def _serve(self, message_id: int, lane: _Lane) -> None:
        try:
            while lane.items and not self._is_draining:
                if (before := self._told.get(message_id)) is not None:
                    await self._written(before)
                if not await self._deliver(lane, lane.items[0]):
                    break
                told = lane.items.popleft()
                lane.failures = 0
                if told.report is not None:
                    self._told[message_id] = told.event_id
        finally:
            lane.is_running = False
            if not lane.items:
                del self._lanes[message_id]
            self._rested.set()
            self._wake.set()

    async def _written(self, event_id: int) -> None:
        """Returns when it is durable that this was told.

        Else, after a crash, a server that knows the next state already would be told the one before it again.
        """
        self._must_pass = max(self._must_pass, event_id)
        wanted = self._saves_begun + 1
        while self._saves_done < wanted:
            self._dirty.set()
            self._save_ended.clear()
            await self._save_ended.wait()

    async def _deliver(self, lane: _Lane, item: FeedItem) -> bool:
        """Deliver one item; False where the lane must wait."""
        loop = asyncio.get_running_loop()
        try:
            if item.report is not None:
                await self._upstream.report(item.report)
            elif item.inbound is not None:
                await self._upstream.deliver(item.inbound)
        except LaneRefused as error:
            _log.warning("upstream_refused", upstream=self._name, message=item.lane, reason=str(error))
            self.parked += 1
            self._leave_behind(item, parked=True, tries=item.tries + 1, error=str(error))
            self._done(item, keep=True)
            return True
        except LaneBusy as error:
            lane.failures += 1
            lane.due = loop.time() + backoff_s(lane.failures, longest_s=_LONGEST_LANE_S)
            if lane.failures == _TRIES_BEFORE_LEFT_BEHIND:
                for waiting in lane.items:
                    self._leave_behind(waiting, parked=False, tries=item.tries + lane.failures, error=str(error))
            if item.inbound is not None and len(self._behind) > _MOST_BEHIND:
                # It stands in the journal; an inbound is alone in its lane, so no order is lost.
                self._in_memory.discard(item.event_id)
                self._behind.pop(item.event_id, None)
                self._is_more_behind = True
                return True
            return False
        except UpstreamDown as error:
            self._go_down(error)
            return False
        self._come_up()
        self._done(item)
        return True

    def _leave_behind(self, item: FeedItem, *, parked: bool, tries: int, error: str) -> None:
        self._left.append(LeftBehind(item.event_id, item.lane, tries, parked, error, item.since_ms))
        self._behind[item.event_id] = item
        self._dirty.set()

    def _done(self, item: FeedItem, *, keep: bool = False) -> None:
        self._in_memory.discard(item.event_id)
        self._dirty.set()
        if self._behind.pop(item.event_id, None) is not None and not keep:
            self._settled.append(item.event_id)
            self._settling.add(item.event_id)
            self._left = [left for left in self._left if left.event_id != item.event_id]

    def _go_down(self, error: UpstreamDown) -> None:
        if self._down_failures and asyncio.get_running_loop().time() < self._down_until:
            return  # one of several that were under way when it went down
        self._down_failures += 1
        wait_s = backoff_s(self._down_failures, longest_s=_LONGEST_DOWN_S)
        if error.retry_after_s is not None:
            wait_s = max(wait_s, error.retry_after_s)
        self._down_until = asyncio.get_running_loop().time() + wait_s
        if self.problem is None:
            _log.warning("upstream_down", upstream=self._name, reason=str(error))
        self.problem = str(error)

    def _come_up(self) -> None:
        if self.problem is not None:
            _log.info("upstream_up", upstream=self._name)
        self.problem = None
        self._down_failures = 0
        self._down_until = 0.0

    def _pass_by(self) -> None:
        """Leave behind what is not delivered yet, though nothing is wrong with it, so that the cursor can move."""
        for lane in self._lanes.values():
            for item in lane.items:
                if item.event_id <= self._must_pass and item.event_id not in self._behind:
                    # Not fewer than those ahead of it in its lane: what was tried least is taken up first.
                    tries = lane.items[0].tries + lane.failures
                    self._leave_behind(item, parked=False, tries=tries, error="")

    async def _save_when_dirty(self) -> None:
        while True:
            await self._dirty.wait()
            self._is_saving = True
            self._dirty.clear()
            self._saves_begun += 1
            await self._save()
            self._saves_done = self._saves_begun
            self._is_saving = False
            self._save_ended.set()
            self._rested.set()

    async def _save(self) -> None:
        """Write the cursor down where it can move: up to the oldest item that is not delivered or left behind."""
        ahead = self._in_memory - self._behind.keys()
        if ahead and min(ahead) <= self._must_pass:
            self._pass_by()
            ahead = self._in_memory - self._behind.keys()
        cursor = min(ahead) - 1 if ahead else self._read_to
        if cursor <= self._saved and not self._left and not self._settled:
            self._forget_written()
            return
        left, settled = self._left, self._settled
        self._left, self._settled = [], []
        self._saved = cursor
        await self._journal.write(
            lambda con: feeds.advance(con, self._name, cursor, left, settled), patience_s=REPORT_PATIENCE_S
        )
        self._settling.difference_update(settled)
        self._forget_written()
        if self._is_more_behind:
            self._wake.set()

    def _forget_written(self) -> None:
        """What the cursor has passed, and is not to be taken off the list of those left behind, is written down."""
        for message_id, event_id in list(self._told.items()):
            if event_id <= self._saved and event_id not in self._settling:
                del self._told[message_id]
