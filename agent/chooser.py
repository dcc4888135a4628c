"""Which routes a job may go by, best first: asks the routes and the journal what `agent/choice.py` must know.

A job that names a route or slot goes there, or to its fallback; any other goes by prefix, cost and `choice`.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field

from agent import choice, prefixes
from agent.choice import ANY, Candidate
from agent.clock import Clock
from agent.journal import listing, waiting
from agent.journal.store import Journal
from agent.model import Job, RouteState
from agent.pacing import Hold
from agent.prefixes import Lists
from agent.route import Route
from agent.settings import AgentSettings
from drivers.values import dataclass


@dataclass(slots=True)
class Conditions:
    """What the journal knows that a choice needs; nothing where no choice needs it."""

    holds: Mapping[str, Hold] = field(default_factory=dict)
    loads: dict[str, int] = field(default_factory=dict)
    lasts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chosen:
    """Routes that a job may go by, best first, or why none. `is_free`: nobody asked for that route, so another may
    be chosen as long as nothing of the message was tried."""

    names: Sequence[str] = ()
    failure: str | None = None
    is_free: bool = False


class Chooser:
    """One per gateway. `routes` is the gateway's own mapping; the settings change with a reload."""

    def __init__(
        self, routes: Mapping[str, Route], journal: Journal, clock: Clock, settings: Callable[[], AgentSettings]
    ) -> None:
        self._routes = routes
        self._journal = journal
        self._clock = clock
        self._settings = settings
        self._turn = 0

    async def conditions(self, numbers: Sequence[str] = ()) -> Conditions:
        """Read once for a batch of jobs. `numbers` are looked up where a choice is sticky."""
        if not self._is_choosing():
            return Conditions()
        calls = {name: route.call() for name, route in self._routes.items()}
        now = self._clock.now()

        def read(con: sqlite3.Connection) -> Conditions:
            lasts = listing.last_routes(con, numbers) if self._settings().choice == "sticky" else {}
            return Conditions(waiting.holds(con, calls, now), listing.loads(con, list(calls)), lasts)

        return await self._journal.read(read)

    def refusal(self, number: str) -> str | None:
        """Why this gateway sends nothing to a number, whatever the route."""
        settings = self._settings()
        found = Lists(settings.allow_prefixes, settings.deny_prefixes).refusal(number)
        return None if found is None else f"this gateway does not send to {number}: agent.{found}"

    def choose(self, job: Job, number: str, default_slot: int | None, conditions: Conditions) -> Chosen:
        """Where a job to an admitted number may go."""
        if not self._routes:
            return Chosen(failure="this gateway has no route; add a [[route]] to its configuration")
        name, slot = job.route, job.sim_slot if job.sim_slot is not None else default_slot
        if name is None and slot is not None:
            name = next((route.name for route in self._routes.values() if route.slot == slot), None)
            if name is None:
                have = ", ".join(str(route.slot) for route in self._routes.values())
                return Chosen(failure=f"there is no SIM slot {slot} in this gateway; it has {have}")
        if name is None:
            return self._free(number, conditions)
        if name not in self._routes:
            return Chosen(failure=f'there is no route "{name}" in this gateway')
        return self._asked(name, number)

    def others(self, name: str, number: str, conditions: Conditions) -> tuple[list[str], bool]:
        """Routes besides `name` that may carry a free message now, best first, and whether any ever could."""
        order = [one for one in self._order(number, conditions, count=False) if one not in (name, ANY)]
        return [one for one in order if self._can_now(self._routes[one], conditions)], bool(order)

    def admits(self, name: str, number: str) -> bool:
        """Whether a route may send to a number; for ANY whether all may that take any message."""
        if name == ANY:
            return all(self._refusal_of(route, number) is None for route in self._routes.values() if route.takes_any)
        return self._refusal_of(self._routes[name], number) is None

    def can_now(self, name: str, conditions: Conditions) -> bool:
        """Whether a route is up, and held up by no limit for longer than its `fallback_after_s`."""
        return self._can_now(self._routes[name], conditions)

    # --- pieces -------------------------------------------------------------------------------------

    def _is_choosing(self) -> bool:
        """Whether anything but "whichever is idle" decides."""
        if self._settings().choice != "least_busy":
            return len(self._routes) > 1
        settings = [route.config.settings for route in self._routes.values()]
        return len(settings) > 1 and any(one.prefixes or one.cost or one.costs or _has_lists(one) for one in settings)

    def _asked(self, name: str, number: str) -> Chosen:
        route = self._routes[name]
        fallback = route.config.settings.fallback
        names = [name]
        if fallback is not None and not (route.is_without_sim() and self._routes[fallback].is_without_sim()):
            names = [fallback] if route.is_without_sim() else [name, fallback]
        elif route.is_without_sim():
            return Chosen(failure=f"there is no SIM in slot {route.slot} (route {name})")
        admitted = [one for one in names if self.admits(one, number)]
        if not admitted:
            reason = self._refusal_of(self._routes[names[0]], number)
            return Chosen(failure=f"route {names[0]} does not send to {number}: route[{names[0]}].{reason}")
        return Chosen(admitted)

    def _free(self, number: str, conditions: Conditions) -> Chosen:
        order = self._order(number, conditions, count=True)
        if not order:
            return Chosen(failure=f"no route of this gateway sends to {number}; see its prefixes, allow and deny lists")
        with_sim = [one for one in order if one == ANY or not self._routes[one].is_without_sim()]
        if not with_sim:
            asked = self._asked(order[0], number)
            return Chosen(asked.names, asked.failure, is_free=True)
        first, *others = with_sim
        fallback = None if first == ANY else self._routes[first].config.settings.fallback
        names = [first, *([fallback] if fallback is not None and self.admits(fallback, number) else []), *others]
        if self.admits(ANY, number) and any(route.takes_any for route in self._routes.values()):
            names.append(ANY)
        if first != ANY:
            conditions.loads[first] = conditions.loads.get(first, 0) + 1
        return Chosen(list(dict.fromkeys(names)), is_free=True)

    def _order(self, number: str, conditions: Conditions, *, count: bool) -> list[str]:
        candidates = [
            Candidate(
                name=route.name,
                is_open=route.takes_any or _is_priced(route),
                can_now=self._can_now(route, conditions),
                prefixes=route.config.settings.prefixes,
                cost=prefixes.cost(route.config.settings.cost, route.config.settings.costs, number),
                load=conditions.loads.get(route.name, 0),
            )
            for route in self._routes.values()
        ]
        turn = self._turn
        self._turn += count
        return choice.order(
            number,
            [one for one in candidates if self.admits(one.name, number)],
            self._settings().choice,
            may_be_any=self.admits(ANY, number),
            turn=turn,
            last=conditions.lasts.get(number),
        )

    def _can_now(self, route: Route, conditions: Conditions) -> bool:
        patience_s = route.config.settings.fallback_after_s
        held = conditions.holds.get(route.name)
        if held is not None and held.wait_ms > patience_s * 1000:
            return False
        state = route.state
        return state is RouteState.READY or (
            state is not RouteState.PAUSED and not route.is_without_sim() and route.down_for_s() < patience_s
        )

    @staticmethod
    def _refusal_of(route: Route, number: str) -> str | None:
        settings = route.config.settings
        return Lists(settings.allow_prefixes, settings.deny_prefixes).refusal(number)


def _has_lists(settings: object) -> bool:
    return bool(getattr(settings, "allow_prefixes", ()) or getattr(settings, "deny_prefixes", ()))


def _is_priced(route: Route) -> bool:
    """A route with a price takes part in the choice, also where its driver plans otherwise than the others."""
    settings = route.config.settings
    return not settings.prefixes and bool(settings.cost or settings.costs)
