"""Gives each route its next part, in one transaction with the outcome of the last.

An idle route waits here; a message accepted meanwhile is handed to it in the very transaction that accepts it.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from agent.clock import Clock
from agent.journal import acceptance, dispatch, outcomes
from agent.journal.acceptance import Acceptance, Idempotency, PreparedJob
from agent.journal.billing import Bill
from agent.journal.choosing import Turns
from agent.journal.dispatch import Claim, Nothing, RouteCall
from agent.journal.outcomes import Finished
from agent.journal.store import Journal, landed
from drivers.values import dataclass

# A check of the server's pending list that is slower than this does not hold up the send.
_ASK_TIMEOUT_S = 2.0


@dataclass(slots=True)
class _Idle:
    """A route waiting for work."""

    call: Callable[[], RouteCall]
    handed: asyncio.Future[tuple[Claim, asyncio.Future[Any]] | None]


class Outbox:
    """The queue as routes and the gateway see it."""

    def __init__(
        self, journal: Journal, clock: Clock, committed: Callable[[], None], ask: Callable[[str], Any]
    ) -> None:
        """`committed` is called after each commit that wrote events; `ask(upstream)` refreshes its view."""
        self._journal = journal
        self._clock = clock
        self._committed = committed
        self._ask = ask
        self._idle: dict[str, _Idle] = {}
        self._turns = Turns()
        # Counts the occasions for work. A route that began to look before the last one must look again.
        self._occasions = 0

    async def next_part(
        self, call: Callable[[], RouteCall], finished: Finished | None, idle: asyncio.Event
    ) -> tuple[Claim, asyncio.Future[Any]]:
        """Record `finished`, and wait for the route's next part. `idle` is set while the route has none and its
        last outcome is durable.

        Returns the claim before it is durable, with a future that is done when it is: await that before the
        first octet leaves.
        """
        while True:
            # While a claim is under way the route is busy: cancelled now, its part would be left in the air.
            idle.clear()
            occasions = self._occasions
            found, durable = await self._claim(call, finished)
            finished = None
            if isinstance(found, Claim):
                return found, durable
            if found.ask is not None:
                try:
                    async with asyncio.timeout(_ASK_TIMEOUT_S):
                        await self._ask(found.ask)
                except TimeoutError:
                    pass
                continue
            idle.set()
            if occasions == self._occasions and (handed := await self._wait(call, found)) is not None:
                return handed

    async def record(self, finished: Finished) -> None:
        """Write an outcome down without asking for more; durable when it returns."""
        await self._journal.write(lambda con: outcomes.finish(con, finished, self._clock.now()))
        self._committed()
        self.wake()

    async def accept(
        self,
        upstream: str,
        jobs: Sequence[PreparedJob],
        idempotency: Idempotency | None,
        bill: Bill | None = None,
    ) -> list[Acceptance]:
        """Take jobs in and hand work to idle routes, in one transaction. Durable when it returns.

        Raises: IdempotencyConflict, NotEnoughCredit, JournalFull.
        """
        idle, self._idle = self._idle, {}

        def run(con: sqlite3.Connection) -> tuple[list[Acceptance], dict[str, Claim]]:
            now = self._clock.now()
            accepted = acceptance.accept(con, upstream, jobs, now, idempotency, bill=bill)
            claims: dict[str, Claim] = {}
            for name, waiting in idle.items():
                found = dispatch.claim(con, waiting.call(), now, self._turns)
                if isinstance(found, Claim):
                    claims[name] = found
            return accepted, claims

        early, durable = self._journal.begin(run)
        # Not behind an await: who gave us the jobs may be cancelled meanwhile, and they are taken in all the same.
        early.add_done_callback(lambda done: self._hand_over(done, idle, durable))
        durable.add_done_callback(lambda _: self._committed())
        accepted, _ = await landed(early)
        await landed(durable)
        # The routes that wait for the same commit go first: an answer to an application takes longer than a PDU.
        await asyncio.sleep(0)
        return accepted

    def _hand_over(
        self,
        done: asyncio.Future[tuple[list[Acceptance], dict[str, Claim]]],
        idle: dict[str, _Idle],
        durable: asyncio.Future[Any],
    ) -> None:
        """Give the claims of a transaction to the routes they were made for; what nobody takes goes back."""
        claims = {} if done.cancelled() or done.exception() is not None else done.result()[1]
        for name, waiting in idle.items():
            claim = claims.get(name)
            if not waiting.handed.done():
                waiting.handed.set_result(None if claim is None else (claim, durable))
            elif claim is not None:
                self._journal.begin(partial(outcomes.give_back, attempt_id=claim.attempt_id, now=self._clock.now()))
        self.wake()

    async def give_back(self, claim: Claim) -> None:
        """A claimed part that certainly was not submitted goes back into the queue."""
        await self._journal.write(lambda con: outcomes.give_back(con, claim.attempt_id, self._clock.now()))
        self.wake()

    def wake(self) -> None:
        """Let every idle route look again."""
        self._occasions += 1
        idle, self._idle = self._idle, {}
        self._wake_all(idle)

    # --- pieces -------------------------------------------------------------------------------------

    async def _claim(
        self, call: Callable[[], RouteCall], finished: Finished | None
    ) -> tuple[Claim | Nothing, asyncio.Future[Any]]:
        def run(con: sqlite3.Connection) -> Claim | Nothing:
            now = self._clock.now()
            if finished is not None:
                outcomes.finish(con, finished, now)
            return dispatch.claim(con, call(), now, self._turns)

        found, durable = await self._journal.write_early(run)
        durable.add_done_callback(lambda _: self._committed())
        if isinstance(found, Nothing) and finished is not None:
            # Nothing else will wait for this commit, and the route may now be idle for long.
            await landed(durable)
        return found, durable

    async def _wait(self, call: Callable[[], RouteCall], nothing: Nothing) -> tuple[Claim, asyncio.Future[Any]] | None:
        """Wait to be handed a part, woken, or for the next due time; None: look again."""
        loop = asyncio.get_running_loop()
        waiting = _Idle(call, loop.create_future())
        name = call().name
        self._idle[name] = waiting
        timeout_s = None
        if nothing.due_boot_ms is not None:
            timeout_s = max(0.0, (nothing.due_boot_ms - self._clock.boot_ms()) / 1000)
        try:
            async with asyncio.timeout(timeout_s):
                return await waiting.handed
        except TimeoutError:
            return None
        except asyncio.CancelledError:
            if waiting.handed.done() and not waiting.handed.cancelled() and (lost := waiting.handed.result()):
                await self.give_back(lost[0])
            raise
        finally:
            if self._idle.get(name) is waiting:
                del self._idle[name]

    @staticmethod
    def _wake_all(idle: dict[str, _Idle]) -> None:
        for waiting in idle.values():
            if not waiting.handed.done():
                waiting.handed.set_result(None)
