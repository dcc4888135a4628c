"""Sends a route's parts through its session, one after the other, and judges what became of each.

A SIM whose account is refused again and again is parked here. Nothing here opens a link or writes the journal.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import structlog

from agent.breaker import Breaker, Verdict
from agent.journal.dispatch import Claim, RouteCall
from agent.journal.outcomes import Finished
from agent.journal.store import landing
from agent.metrics.tally import RouteTally
from agent.outbox import Outbox
from agent.unknowns import Unknowns
from drivers.api import (
    NotReady,
    OutcomeUnknown,
    Refused,
    RouteRefused,
    Session,
    SessionLost,
    SubmitError,
    Submitted,
)

_log = structlog.get_logger("route")

LINE_FIRST_S = 0.03
"""What nobody waits for comes so much behind an outcome: longer than sixteen routes need that are answered in the same
moment."""


class Sending:
    """Of one route, over all its sessions."""

    def __init__(
        self, route: str, outbox: Outbox, call: Callable[[], RouteCall], unknowns: Unknowns, parked: Callable[[], None]
    ) -> None:
        """`call` gives the route as the journal must know it; `parked` is called whenever the SIM was parked."""
        self.tally = RouteTally()
        self.is_busy = False
        self.idle = asyncio.Event()
        """Set while the route has no part and its last outcome is durable."""
        self.idle.set()
        self._route = route
        self._outbox = outbox
        self._call = call
        self._unknowns = unknowns
        self._parked = parked
        self._breaker = Breaker()
        self._refusal: str | None = None
        self._refused_since: float | None = None

    def is_parked(self) -> bool:
        return self._breaker.is_open(time.monotonic())

    @property
    def refusal(self) -> str | None:
        """Why the SIM is parked, in a sentence; None while it is not."""
        return self._refusal if self.is_parked() else None

    @property
    def refused_since(self) -> float | None:
        """The monotonic second of the first park since something was sent; None while it is not parked."""
        return self._refused_since if self.is_parked() else None

    async def run(self, session: Session) -> None:
        """Send whatever the outbox has for this route, until cancelled."""
        finished: Finished | None = None
        while True:
            claim, durable = await self._outbox.next_part(self._call, finished, self.idle)
            self.idle.clear()
            self.is_busy = True
            try:
                finished = self._judged(await self._submit(session, claim, durable))
            finally:
                self.is_busy = False
            if isinstance(finished.result, OutcomeUnknown):
                await self._unknowns.add(finished)
                finished = None

    async def _submit(self, session: Session, claim: Claim, durable: asyncio.Future[Any]) -> Finished:
        claimed = left = time.monotonic()

        def leave(_: asyncio.Future[Any]) -> None:
            nonlocal left
            left = time.monotonic()

        durable.add_done_callback(leave)
        try:
            result: Submitted | SubmitError = await session.submit(claim.part, landing(durable))
        except SubmitError as error:
            result = error
        except SessionLost as error:
            # The contract says that a part in the air ends as OutcomeUnknown: this one never left.
            result = NotReady(str(error))
        waited_s = None if claim.waited_ms is None else claim.waited_ms / 1000 + left - claimed
        took_s = time.monotonic() - left
        self.tally.submitted(result, tries=claim.tries, waited_s=waited_s, took_s=took_s)
        # Not between two parts, where the line would wait for it.
        asyncio.get_running_loop().call_later(LINE_FIRST_S, self._log_result, claim, result)
        return Finished(claim, result)

    def _log_result(self, claim: Claim, result: Submitted | SubmitError) -> None:
        where = {"route": self._route, "message": claim.message_id, "part": claim.part.sequence}
        if isinstance(result, Submitted):
            _log.info("part_sent", **where, tp_mr=result.tp_mr)
        else:
            _log.warning("part_not_sent", **where, reason=str(result), code=result.code)

    def _judged(self, finished: Finished) -> Finished:
        """Let the breaker see the outcome: it parks the SIM, or finds that only this message is refused."""
        result, claim = finished.result, finished.claim
        if isinstance(result, Submitted):
            self._breaker.sent()
            self._refusal = self._refused_since = None
        if not isinstance(result, RouteRefused):
            return finished
        part = (claim.message_id, claim.part.sequence)
        verdict = self._breaker.refused(part, time.monotonic(), is_certain=result.is_certain)
        if verdict is Verdict.MESSAGE:
            sentence = f"{result} Other messages go out, so it is this one that the account may not send."
            return Finished(claim, Refused(sentence, code=result.code))
        if verdict is Verdict.PARK:
            self._park(str(result))
        return finished

    def _park(self, reason: str) -> None:
        park_s = self._breaker.park_s
        self._refusal = f"{reason.rstrip('.')}; asked again in {park_s / 60:.0f} minutes"
        if self._refused_since is None:
            self._refused_since = time.monotonic()
        _log.warning("sim_parked", route=self._route, reason=reason, park_s=park_s)
        asyncio.get_running_loop().call_later(park_s, self._outbox.wake)
        self._parked()
