"""One route: opens its sessions one after the other, and obeys whoever pauses, asks or restarts it.

One route = one supervised task; one link = one one-shot session. What goes through a session is sent by `sending`,
what becomes of outcomes that nobody knows is decided by `unknowns`. Nothing here knows modems.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from agent import pacing
from agent.clock import Clock
from agent.inbox import Inbox
from agent.journal import dispatch
from agent.journal.dispatch import RouteCall
from agent.journal.store import Journal
from agent.metrics.tally import RouteTally
from agent.model import RouteState, RouteView
from agent.outbox import Outbox
from agent.sending import Sending
from agent.settings import AgentSettings, RouteConfig
from agent.sim_memory import BALANCE_FACT, RouteMemory
from agent.standing import Standing
from agent.supervise import backoff_s, live
from agent.unknowns import Unknowns
from drivers.api import (
    Attended,
    BalanceRead,
    Driver,
    DriverError,
    Event,
    Link,
    LinkChanged,
    NoSim,
    OpenContext,
    OpenError,
    PersonNeeded,
    PortAbsent,
    Resting,
    Session,
    SessionLost,
    SessionRested,
    SimMemory,
    Swept,
    Ussd,
)

_log = structlog.get_logger("route")

_ABSENT_PAUSE_S = 0.2
"""Between two tries to open a port that comes and goes."""
_LONGEST_OPEN_WAIT_S = 30.0
_PERSON_WAIT_S = 30.0
_LONGEST_ABSENCE_LOOK_S = 30.0
"""A port is tried at least this often, should nobody have told of its return."""
# A driver learns of a lost link at once, so a submit in flight ends at once; this is for the commit.
_LAST_OUTCOME_WAIT_S = 10.0
# The daemon's stop waits this long for the part in flight (host.md, systemd).
STOP_WAIT_S = 30.0


class Route:
    """A configured way to carry SMS. `run` until cancelled; `drain` first to let the part in flight end."""

    def __init__(
        self,
        config: RouteConfig,
        driver: Driver,
        agent: AgentSettings,
        *,
        slot: int,
        takes_any: bool,
        journal: Journal,
        clock: Clock,
        outbox: Outbox,
        inbox: Inbox,
        memory: SimMemory,
        views: Callable[[], Mapping[str, int]],
        changed: Callable[[Route], None],
    ) -> None:
        self.config = config
        self.driver = driver
        self.slot = slot
        self.is_paused = False
        self.takes_any = takes_any
        self._agent = agent
        self._journal = journal
        self._clock = clock
        self._outbox = outbox
        self._inbox = inbox
        self._memory = RouteMemory(memory)
        self._views = views
        self._changed = changed
        self._standing = Standing()
        self._session: Session | None = None
        self._link: Link | None = None
        self._balance: str | None = None
        self._hurry = asyncio.Event()
        self._restart = asyncio.Event()
        self._is_draining = False
        self._is_closing = False
        self._iccid = ""
        self._unknowns = Unknowns(
            config.name, agent, journal=journal, clock=clock, outbox=outbox, committed=inbox.committed
        )
        self._sending = Sending(config.name, outbox, self.call, self._unknowns, lambda: changed(self))
        settings = config.settings
        self._limits = pacing.Limits(
            send_delay_s=settings.send_delay_s,
            rate_per_minute=settings.rate_per_minute,
            rate_per_hour=settings.rate_per_hour,
            rate_per_day=settings.rate_per_day,
            rate_per_month=settings.rate_per_month,
            month_starts_on=settings.month_starts_on,
            quiet_hours=pacing.parse_quiet_hours(settings.quiet_hours),
            timezone=ZoneInfo(agent.timezone),
        )

    @property
    def name(self) -> str:
        return self.config.name

    @property
    def state(self) -> RouteState:
        """As it is shown: of one that could send, whether it may."""
        if self._standing.state is RouteState.READY:
            if self.is_paused:
                return RouteState.PAUSED
            if self._sending.is_parked():
                return RouteState.REFUSED
        return self._standing.state

    @property
    def problem(self) -> str | None:
        """Why it cannot send now, in a sentence, where it is not for a pause."""
        return self._standing.problem or self._sending.refusal

    @property
    def tally(self) -> RouteTally:
        return self._sending.tally

    def view(self) -> RouteView:
        session = self._session
        return RouteView(
            name=self.name,
            sim_slot=self.slot,
            driver=self.config.settings.driver,
            state=self.state,
            problem=self.problem,
            sim=None if session is None else session.sim,
            link=self._shown_link(),
            is_sending=self._sending.is_busy,
            is_paused=self.is_paused,
            balance=self._balance,
        )

    def _shown_link(self) -> Link | None:
        """As it was told last, with what changes too often to be told: how full the modem's memory is."""
        if self._session is None or self._link is None:
            return None
        now = self._session.link
        return replace(self._link, storage_used=now.storage_used, storage_total=now.storage_total)

    def is_without_sim(self) -> bool:
        """Whether it is certain that there is no SIM."""
        return self._standing.is_without_sim(time.monotonic())

    def down_for_s(self) -> float:
        """How long nothing could be sent for a reason other than a pause, in seconds."""
        down = self._standing.down_since
        since = self._sending.refused_since if down is None else down
        return 0.0 if since is None else time.monotonic() - since

    def set_paused(self, is_paused: bool) -> None:
        self.is_paused = is_paused
        self._outbox.wake()
        self._changed(self)

    async def terminal(self, command: str, timeout_s: float) -> list[str]:
        """One raw command. Raises: DriverError with a sentence."""
        return await self._live().terminal(command, timeout_s)

    async def ussd(self, code: str, timeout_s: float) -> Ussd:
        """Ask the network by USSD. Raises: DriverError with a sentence."""
        return await self._live().ussd(code, timeout_s)

    def _live(self) -> Session:
        if self._session is None:
            raise DriverError(f"route {self.name} has no open link now: {self.problem or self._standing.state}")
        return self._session

    async def ask_for_balance(self) -> None:
        """Ask for the balance now; it shows in the view. Raises: DriverError with a sentence."""
        if not isinstance(self._session, Attended):
            raise DriverError(f"route {self.name} cannot be asked for a balance now")
        await self._session.ask_for_balance()

    async def restart(self) -> None:
        """Restart the device where it can be, and open it anew; the part in flight ends first.

        Raises: DriverError with a sentence.
        """
        session = self._session
        if session is None:
            self._hurry.set()
            return
        # Until the next session is up, or it refuses, nothing is claimed.
        self._is_closing = True
        self._outbox.wake()
        try:
            async with asyncio.timeout(STOP_WAIT_S):
                await self._sending.idle.wait()
            if isinstance(session, Attended):
                await session.restart()
        except SessionLost:
            return  # it fell silent over it
        except (DriverError, TimeoutError) as error:
            self._is_closing = False
            self._outbox.wake()
            raise DriverError(str(error) or f"route {self.name} is still sending; try again") from error
        _log.info("restart_asked", route=self.name)
        if self._session is session:
            self._restart.set()

    async def pins(self) -> dict[str, str]:
        """What is on record of the PIN, by ICCID or IMEI."""
        return await self._memory.pins()

    async def retry_pin(self) -> list[str]:
        """Allow one more try of the configured PIN, at once. Returns the keys of the records that were cleared."""
        cleared = await self._memory.forget_pins()
        self._hurry.set()
        return cleared

    async def drain(self) -> None:
        """Take no new part, and wait for the one in flight, STOP_WAIT_S at most."""
        self._is_draining = True
        self._outbox.wake()
        try:
            async with asyncio.timeout(STOP_WAIT_S):
                await self._sending.idle.wait()
        except TimeoutError:
            _log.warning("part_left_in_flight", route=self.name)

    # --- sessions -----------------------------------------------------------------------------------

    async def run(self) -> None:
        """Open sessions until cancelled."""
        failures = 0
        while True:
            wait_s = 0.0
            self._hurry.clear()
            try:
                await live(self._one_session())
            except SessionRested as rest:
                failures = 0
                self._rest(str(rest))
            except SessionLost as error:
                failures = 0
                self._down(RouteState.RETRYING, str(error))
                wait_s = 0.2
            except PortAbsent as error:
                self._down(RouteState.ABSENT, str(error))
                await self._wait_for_port()
                wait_s = _ABSENT_PAUSE_S
            except NoSim as error:
                self._down(RouteState.NO_SIM, str(error))
                wait_s = 5.0
            except PersonNeeded as error:
                self._down(RouteState.BLOCKED, str(error))
                wait_s = _PERSON_WAIT_S
            except OpenError as error:
                failures += 1
                self._down(RouteState.RETRYING, str(error))
                wait_s = backoff_s(failures, longest_s=_LONGEST_OPEN_WAIT_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._hurry.wait()

    async def _wait_for_port(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_ABSENCE_LOOK_S):
                await self.driver.wait_for_port(self.config.driver)

    async def _one_session(self) -> None:
        leftover = await self._unknowns.before_opening()
        context = OpenContext(
            route=self.name,
            emit=self._emit,
            memory=self._memory,
            leftover=leftover,
            status_reports=self.config.settings.status_reports,
            has_work=self._has_work,
            on_unknown=self._agent.on_unknown,
        )
        session = await self.driver.open(self.config.driver, context)
        try:
            self._balance = await self._memory.recall(session.sim.iccid, BALANCE_FACT)
            self._up(session)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._serve(session), name=f"session {self.name}")
                group.create_task(self._sending.run(session), name=f"send {self.name}")
                group.create_task(self._unknowns.settle(session.sim.iccid), name=f"settle {self.name}")
                group.create_task(self._until_restart(), name=f"restart {self.name}")
        except ExceptionGroup as faults:
            known, other = faults.split((SessionLost, OpenError))
            if known is None or other is not None:
                raise
            raise _first(known) from faults
        finally:
            self._session = None
            await session.close()
            # Whatever was cut off, nothing of this link is in flight any more: a drain need not wait for it.
            self._sending.idle.set()

    async def _serve(self, session: Session) -> None:
        """Run the session; when it is lost, let the submit in flight learn its outcome and write it down."""
        try:
            await live(session.run())
        except SessionLost:
            self._is_closing = True
            self._outbox.wake()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_OUTCOME_WAIT_S):
                    await self._sending.idle.wait()
            raise

    async def _until_restart(self) -> None:
        self._restart.clear()
        await self._restart.wait()
        raise SessionLost("it was restarted, as somebody asked")

    def _up(self, session: Session) -> None:
        self._session = session
        self._iccid = session.sim.iccid
        self._unknowns.opened(self._iccid)
        self._link = session.link
        self._is_closing = False
        self._set(RouteState.READY if session.link.registration.has_service else RouteState.NO_SERVICE, None)
        self._outbox.wake()

    def _down(self, state: RouteState, problem: str) -> None:
        self._link = None
        self._unknowns.miss()
        self._set(state, problem)

    def _rest(self, sentence: str) -> None:
        """Another SIM of the modem is used. This one is not down for it: what arrives waits in the network."""
        self._is_closing = True
        self._link = None
        self._unknowns.rest()
        self._set(RouteState.RESTING, sentence)

    def _set(self, state: RouteState, problem: str | None) -> None:
        if not self._standing.move(state, problem, time.monotonic()):
            return
        sim = None if self._session is None else self._session.sim.iccid[-4:]
        is_quiet = problem is None or state is RouteState.RESTING
        level = _log.info if is_quiet else _log.warning
        level("route_state", route=self.name, state=state.value, problem=problem, sim_ends=sim)
        self._changed(self)

    async def _emit(self, event: Event) -> None:
        if isinstance(event, LinkChanged):
            had_service = self._link is not None and self._link.registration.has_service
            self._link = event.link
            if self._session is not None:
                has_service = event.link.registration.has_service
                why = event.link.problem or f"the SIM is not in a network ({event.link.registration})"
                problem = None if has_service else why
                self._set(RouteState.READY if has_service else RouteState.NO_SERVICE, problem)
                if has_service != had_service:
                    self._unknowns.miss()
                    self._outbox.wake()
            return
        if isinstance(event, Resting):
            self._rest(event.sentence)
            return
        if isinstance(event, Swept):
            self._unknowns.swept(has_service=self._link is not None and self._link.registration.has_service)
            return
        if isinstance(event, BalanceRead):
            self._balance = event.balance or event.text
            await self._memory.remember(event.iccid, BALANCE_FACT, self._balance)
        await self._inbox.take(self.name, event)

    # --- what the outbox may know -------------------------------------------------------------------

    async def _has_work(self) -> bool:
        """Whether something waits for a session: a message that could go now, or the outcome of an attempt."""
        if self.is_paused or self._is_draining or self._sending.is_parked():
            return False
        call = replace(self.call(), iccid=self._iccid)
        return await self._journal.read(lambda con: dispatch.has_work(con, call, self._clock.now()))

    def call(self) -> RouteCall:
        """The route as the journal must know it. Runs in the journal's thread: reads plain values only."""
        session, link = self._session, self._link
        may_send = (
            session is not None
            and link is not None
            and link.registration.has_service
            and not self.is_paused
            and not self._is_draining
            and not self._is_closing
            and not self._sending.is_parked()
            and self._journal.has_reserve
        )
        return RouteCall(
            name=self.name,
            iccid=session.sim.iccid if session is not None else "",
            limits=self._limits,
            may_send=may_send,
            takes_any=self.takes_any,
            reports_asked=self.config.settings.status_reports,
            clock_is_right=self._clock.is_synchronised(),
            views=self._views(),
        )


def _first(group: ExceptionGroup[Any]) -> Exception:
    error: Exception = group.exceptions[0]
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
