"""A route's attempts whose outcome nobody knows: how long their SIM was watched for evidence, and what is decided
when that was long enough (DESIGN decision 7)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial

import structlog

from agent.clock import Clock
from agent.journal import evidence, outcomes
from agent.journal.outcomes import Finished
from agent.journal.store import Journal
from agent.outbox import Outbox
from agent.settings import AgentSettings
from agent.watch import Watch

_log = structlog.get_logger("route")


class Unknowns:
    """Of one route, over all its sessions."""

    def __init__(
        self,
        route: str,
        agent: AgentSettings,
        *,
        journal: Journal,
        clock: Clock,
        outbox: Outbox,
        committed: Callable[[], None],
    ) -> None:
        """`committed` is called after each commit that wrote events."""
        self._route = route
        self._agent = agent
        self._journal = journal
        self._clock = clock
        self._outbox = outbox
        self._committed = committed
        self._watch = Watch()
        self._swept = asyncio.Event()
        self._new = asyncio.Event()

    async def before_opening(self) -> bool:
        """Settle what the last session left behind. Returns whether an outcome is still open."""
        count = await self._journal.write(lambda con: outcomes.settle_leftovers(con, self._clock.now(), self._route))
        if count:
            self._committed()
        has_leftover = await self._journal.read(lambda con: evidence.has_leftover(con, self._route))
        self._swept.clear()
        self.rest()
        return has_leftover

    def opened(self, iccid: str) -> None:
        """A session is up with this SIM."""
        self._watch.of(iccid)

    def swept(self, *, has_service: bool) -> None:
        """Every storage was read through: what the network has for the SIM comes from now on, where it is in it."""
        self._swept.set()
        if has_service:
            self._watch.start(self._clock.boot_ms())

    def miss(self) -> None:
        """Something may have come that nobody saw: the SIM is watched anew from the next sweep on."""
        self._watch.forget()

    def rest(self) -> None:
        """Nothing is watched, nor missed: what arrives waits in the network."""
        self._watch.stop(self._clock.boot_ms())

    async def add(self, finished: Finished) -> None:
        """Keep one more; durable when it returns."""
        # While it had the line, nothing could be read: only what is watched from now on counts.
        self._watch.begin_anew(self._clock.boot_ms())
        await self._outbox.record(finished)
        self._new.set()

    async def settle(self, iccid: str) -> None:
        """After a full sweep and the wait, decide what no evidence came for; until cancelled."""
        await self._swept.wait()
        wait_ms = round(self._agent.unknown_wait_s * 1000)
        while True:
            self._new.clear()
            now = self._clock.now()
            overdue, next_ms = await self._journal.read(
                partial(
                    evidence.overdue_unknowns,
                    route=self._route,
                    iccid=iccid,
                    watched=self._watch.spans(now.boot_ms),
                    wait_ms=wait_ms,
                    now=now,
                )
            )
            for attempt_id in overdue:
                policy = self._agent.on_unknown
                await self._journal.write(
                    partial(evidence.give_up_waiting, attempt_id=attempt_id, policy=policy, now=now)
                )
                _log.warning("unknown_outcome", route=self._route, decided=policy)
            if overdue:
                self._committed()
                self._outbox.wake()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if next_ms is None else next_ms / 1000):
                    await self._new.wait()
