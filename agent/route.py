"""One route: opens its sessions one after the other, and sends what the outbox gives it.

One route = one supervised task; one link = one one-shot session. Nothing here knows modems.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import structlog

from agent import pacing
from agent.breaker import Breaker, Verdict
from agent.clock import Clock
from agent.config import AgentSettings, RouteConfig
from agent.inbox import Inbox
from agent.journal import dispatch, evidence
from agent.journal.dispatch import Claim, Finished, RouteCall
from agent.journal.store import Journal, landed
from agent.metrics.tally import RouteTally
from agent.outbox import Outbox
from agent.sim_memory import BALANCE_FACT, RouteMemory
from agent.supervise import backoff_s
from agent.watch import Watch
from drivers.api import (
    Attended,
    BalanceRead,
    Driver,
    DriverError,
    Event,
    Link,
    LinkChanged,
    NoSim,
    NotReady,
    OpenContext,
    OpenError,
    OutcomeUnknown,
    PersonNeeded,
    PortAbsent,
    Refused,
    Resting,
    RouteRefused,
    Session,
    SessionLost,
    SessionRested,
    Sim,
    SubmitError,
    Submitted,
    Swept,
    Ussd,
)

_log = structlog.get_logger("route")

_ABSENT_PAUSE_S = 0.2
"""Between two tries to open a port that comes and goes."""
_LONGEST_OPEN_WAIT_S = 30.0
_PERSON_WAIT_S = 30.0
# A SIM reader that says "no SIM" right after power-up may change its mind (modem.md 2.2 #3).
_NO_SIM_CERTAIN_S = 10.0
_LONGEST_ABSENCE_LOOK_S = 30.0
"""A port is tried at least this often, should nobody have told of its return."""
# A driver learns of a lost link at once, so a submit in flight ends at once; this is for the commit.
_LAST_OUTCOME_WAIT_S = 10.0
# The daemon's stop waits this long for the part in flight (host.md, systemd).
STOP_WAIT_S = 30.0


class RouteState(StrEnum):
    """A route in one word."""

    STARTING = "starting"
    READY = "ready"
    NO_SERVICE = "no service"
    PAUSED = "paused"
    REFUSED = "refused"
    ABSENT = "absent"
    NO_SIM = "no SIM"
    BLOCKED = "needs attention"
    RETRYING = "retrying"
    RESTING = "resting"


@dataclass(frozen=True, slots=True)
class RouteView:
    """A route for people and upstreams. `problem` is one sentence, or None."""

    name: str
    sim_slot: int | None
    driver: str
    state: RouteState
    problem: str | None
    sim: Sim | None
    link: Link | None
    is_sending: bool
    is_paused: bool
    balance: str | None = None


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
        memory: Any,
        views: Callable[[], Mapping[str, int]],
        changed: Callable[[Route], None],
    ) -> None:
        self.config = config
        self.driver = driver
        self.slot = slot
        self.is_paused = False
        self.problem: str | None = None
        self.no_sim_since: float | None = None
        self.down_since: float | None = None
        self._agent = agent
        self.takes_any = takes_any
        self.tally = RouteTally()
        self._journal = journal
        self._clock = clock
        self._outbox = outbox
        self._inbox = inbox
        self._memory = RouteMemory(memory)
        self._views = views
        self._changed = changed
        self._state = RouteState.STARTING
        self._session: Session | None = None
        self._link: Link | None = None
        self._balance: str | None = None
        self._breaker = Breaker()
        self._hurry = asyncio.Event()
        self._restart = asyncio.Event()
        self._refused_since: float | None = None
        self._is_draining = False
        self._is_closing = False
        self._is_sending = False
        self._idle = asyncio.Event()
        self._idle.set()
        self._swept = asyncio.Event()
        self._new_unknown = asyncio.Event()
        self._watch = Watch()
        self._iccid = ""
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

    def view(self) -> RouteView:
        session = self._session
        return RouteView(
            name=self.name,
            sim_slot=self.slot,
            driver=self.config.settings.driver,
            state=self._shown_state(),
            problem=self.problem,
            sim=None if session is None else session.sim,
            link=self._shown_link(),
            is_sending=self._is_sending,
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
        now = time.monotonic()
        return self.no_sim_since is not None and now - self.no_sim_since >= _NO_SIM_CERTAIN_S

    def down_for_s(self) -> float:
        """How long nothing could be sent for a reason other than a pause, in seconds."""
        since = self._refused_since if self.down_since is None and self._is_refused() else self.down_since
        return 0.0 if since is None else time.monotonic() - since

    def set_paused(self, is_paused: bool) -> None:
        self.is_paused = is_paused
        self._outbox.wake()
        self._changed(self)

    async def terminal(self, command: str, timeout_s: float) -> list[str]:
        """One raw command. Raises: DriverError with a sentence."""
        if self._session is None:
            raise DriverError(f"route {self.name} has no open link now: {self.problem or self._state}")
        return await self._session.terminal(command, timeout_s)

    async def ussd(self, code: str, timeout_s: float) -> Ussd:
        """Ask the network by USSD. Raises: DriverError with a sentence."""
        if self._session is None:
            raise DriverError(f"route {self.name} has no open link now: {self.problem or self._state}")
        return await self._session.ussd(code, timeout_s)

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
                await self._idle.wait()
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
                await self._idle.wait()
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
                await self._one_session()
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
                if self.no_sim_since is None:
                    self.no_sim_since = time.monotonic()
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
        await self._settle_leftovers()
        leftover = await self._journal.read(lambda con: evidence.has_leftover(con, self.name))
        self._swept.clear()
        self._watch.stop(self._clock.boot_ms())
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
                group.create_task(self._send(session), name=f"send {self.name}")
                group.create_task(self._settle_unknowns(session), name=f"settle {self.name}")
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
            self._idle.set()

    async def _serve(self, session: Session) -> None:
        """Run the session; when it is lost, let the submit in flight learn its outcome and write it down."""
        try:
            await session.run()
        except SessionLost:
            self._is_closing = True
            self._outbox.wake()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_OUTCOME_WAIT_S):
                    await self._idle.wait()
            raise

    async def _until_restart(self) -> None:
        self._restart.clear()
        await self._restart.wait()
        raise SessionLost("it was restarted, as somebody asked")

    async def _settle_leftovers(self) -> None:
        count = await self._journal.write(lambda con: dispatch.settle_leftovers(con, self._clock.now(), self.name))
        if count:
            self._inbox.committed()

    def _up(self, session: Session) -> None:
        self._session = session
        self._iccid = session.sim.iccid
        self._watch.of(self._iccid)
        self._link = session.link
        self._is_closing = False
        self.no_sim_since = None
        self._set(RouteState.READY if session.link.registration.has_service else RouteState.NO_SERVICE, None)
        self._outbox.wake()

    def _down(self, state: RouteState, problem: str) -> None:
        if state is not RouteState.NO_SIM:
            self.no_sim_since = None
        if self.down_since is None:
            self.down_since = time.monotonic()
        self._link = None
        self._watch.forget()
        self._set(state, problem)

    def _rest(self, sentence: str) -> None:
        """Another SIM of the modem is used. This one is not down for it: what arrives waits in the network."""
        self._is_closing = True
        self._link = None
        self._watch.stop(self._clock.boot_ms())
        self._set(RouteState.RESTING, sentence)

    def _set(self, state: RouteState, problem: str | None) -> None:
        if (state, problem) == (self._state, self.problem):
            return
        self._state, self.problem = state, problem
        if state is RouteState.READY:
            self.down_since = None
        elif self.down_since is None and state is not RouteState.RESTING:
            self.down_since = time.monotonic()
        sim = None if self._session is None else self._session.sim.iccid[-4:]
        is_quiet = problem is None or state is RouteState.RESTING
        level = _log.info if is_quiet else _log.warning
        level("route_state", route=self.name, state=state.value, problem=problem, sim_ends=sim)
        self._changed(self)

    def _shown_state(self) -> RouteState:
        if self._state is RouteState.READY:
            if self.is_paused:
                return RouteState.PAUSED
            if self._is_refused():
                return RouteState.REFUSED
        return self._state

    def _is_refused(self) -> bool:
        return self._breaker.is_open(time.monotonic())

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
                    self._watch.forget()
                    self._outbox.wake()
            return
        if isinstance(event, Resting):
            self._rest(event.sentence)
            return
        if isinstance(event, Swept):
            self._swept.set()
            if self._link is not None and self._link.registration.has_service:
                self._watch.start(self._clock.boot_ms())
            return
        if isinstance(event, BalanceRead):
            self._balance = event.balance or event.text
            await self._memory.remember(event.iccid, BALANCE_FACT, self._balance)
        await self._inbox.take(self.name, event)

    # --- sending ------------------------------------------------------------------------------------

    async def _has_work(self) -> bool:
        """Whether something waits for a session: a message that could go now, or the outcome of an attempt."""
        if self.is_paused or self._is_draining or self._is_refused():
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
            and not self._is_refused()
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

    async def _send(self, session: Session) -> None:
        finished: Finished | None = None
        while True:
            claim, durable = await self._outbox.next_part(self.call, finished, self._idle)
            self._idle.clear()
            self._is_sending = True
            finished = self._judged(await self._submit(session, claim, durable))
            self._is_sending = False
            if isinstance(finished.result, OutcomeUnknown):
                # While it had the line, nothing could be read: only what is watched from now on counts.
                self._watch.begin_anew(self._clock.boot_ms())
                await self._outbox.record(finished)
                finished = None
                self._new_unknown.set()

    async def _submit(self, session: Session, claim: Claim, durable: asyncio.Future[Any]) -> Finished:
        claimed = left = time.monotonic()

        async def leave() -> None:
            nonlocal left
            await landed(durable)
            left = time.monotonic()

        try:
            result: Submitted | SubmitError = await session.submit(claim.part, leave())
        except SubmitError as error:
            result = error
        except SessionLost as error:
            # The contract says that a part in the air ends as OutcomeUnknown: this one never left.
            result = NotReady(str(error))
        waited_s = None if claim.waited_ms is None else claim.waited_ms / 1000 + left - claimed
        took_s = time.monotonic() - left
        self.tally.submitted(result, tries=claim.tries, waited_s=waited_s, took_s=took_s)
        self._log_result(claim, result)
        return Finished(claim, result)

    def _log_result(self, claim: Claim, result: Submitted | SubmitError) -> None:
        where = {"route": self.name, "message": claim.message_id, "part": claim.part.sequence}
        if isinstance(result, Submitted):
            _log.info("part_sent", **where, tp_mr=result.tp_mr)
        else:
            _log.warning("part_not_sent", **where, reason=str(result), code=result.code)

    def _judged(self, finished: Finished) -> Finished:
        """Let the breaker see the outcome: it parks the SIM, or finds that only this message is refused."""
        result, claim = finished.result, finished.claim
        if isinstance(result, Submitted):
            if self._breaker.is_shaken:
                self.problem = self._refused_since = None
            self._breaker.sent()
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
        self.problem = f"{reason.rstrip('.')}; asked again in {park_s / 60:.0f} minutes"
        if self._refused_since is None:
            self._refused_since = time.monotonic()
        _log.warning("sim_parked", route=self.name, reason=reason, park_s=park_s)
        asyncio.get_running_loop().call_later(park_s, self._outbox.wake)
        self._changed(self)

    async def _settle_unknowns(self, session: Session) -> None:
        """After a full sweep and the wait, decide what no evidence came for (DESIGN decision 7)."""
        await self._swept.wait()
        wait_ms = round(self._agent.unknown_wait_s * 1000)
        while True:
            self._new_unknown.clear()
            now = self._clock.now()
            overdue, next_ms = await self._journal.read(
                partial(
                    evidence.overdue_unknowns,
                    route=self.name,
                    iccid=session.sim.iccid,
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
                _log.warning("unknown_outcome", route=self.name, decided=policy)
            if overdue:
                self._inbox.committed()
                self._outbox.wake()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(None if next_ms is None else next_ms / 1000):
                    await self._new_unknown.wait()


def _first(group: ExceptionGroup[Any]) -> Exception:
    error: Exception = group.exceptions[0]
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return error
