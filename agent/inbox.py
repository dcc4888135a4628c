"""Takes what a session emits into the journal. When `take` returns, it is durable."""

from __future__ import annotations

from collections.abc import Callable

import structlog

from agent.clock import Clock
from agent.journal import evidence, inbound, outcomes, routing
from agent.journal.store import Journal
from agent.masking import masked
from drivers.api import (
    BalanceRead,
    Event,
    InboundPart,
    IncomingCall,
    LateOutcome,
    MayBeDouble,
    RecoveryStep,
    StatusReport,
    UndecodablePdu,
)

_log = structlog.get_logger("inbox")


class Inbox:
    """Inbound parts, status reports and late answers of all routes."""

    def __init__(
        self, journal: Journal, clock: Clock, committed: Callable[[], None], wake_routes: Callable[[], None]
    ) -> None:
        self._journal = journal
        self._clock = clock
        self.committed = committed
        self._wake_routes = wake_routes

    async def take(self, route: str, event: Event) -> None:
        """Keep one event of a route. Raises: JournalError, so that the driver leaves it where it is."""
        if isinstance(event, InboundPart):
            await self._take_part(route, event)
        elif isinstance(event, UndecodablePdu):
            _log.warning("undecodable_pdu", route=route, reason=event.reason)
            await self._journal.write(lambda con: inbound.add_undecodable(con, route, event, self._clock.now()))
        elif isinstance(event, StatusReport):
            await self._take_report(route, event)
        elif isinstance(event, MayBeDouble):
            await self._journal.write(lambda con: evidence.flag_double(con, route, event, self._clock.now()))
            _log.warning("may_be_double", route=route, tp_mr=event.tp_mr, reason=event.sentence)
        elif isinstance(event, LateOutcome):
            await self._take_late(route, event)
        elif isinstance(event, RecoveryStep):
            _log.warning("recovery", route=route, rung=event.rung, step=event.sentence)
            await self._note(route, "recovery", event.sentence)
        elif isinstance(event, IncomingCall):
            _log.info("call", route=route, caller=masked(event.number or ""), rejected=event.is_rejected)
            end = ", rejected" if event.is_rejected else ""
            await self._note(route, "call", f"{event.number or 'number withheld'}{end}")
        elif isinstance(event, BalanceRead):
            _log.info("balance", route=route, balance=event.balance)
            await self._note(route, "balance", event.balance or event.text)
        self.committed()

    async def _note(self, route: str, kind: str, detail: str) -> None:
        await self._journal.write(lambda con: routing.note(con, route, kind, detail, self._clock.now()))

    async def _take_part(self, route: str, part: InboundPart) -> None:
        message_id = await self._journal.write(lambda con: inbound.add_part(con, route, part, self._clock.now()))
        _log.info(
            "sms_received",
            route=route,
            sender=masked(part.sender),
            part=part.sequence,
            of=part.total,
            message=message_id,
        )

    async def _take_report(self, route: str, report: StatusReport) -> None:
        freed = await self._journal.write(lambda con: evidence.add_report(con, report, self._clock.now()))
        _log.info("status_report", route=route, tp_mr=report.tp_mr, outcome=report.outcome.value)
        if freed:
            self._wake_routes()

    async def _take_late(self, route: str, late: LateOutcome) -> None:
        """An answer that was still in the line: it settles the newest unknown attempt of that SIM."""
        if await self._journal.write(lambda con: outcomes.settle_late(con, route, late, self._clock.now())):
            _log.info("late_answer_settled", route=route)
            self._wake_routes()
