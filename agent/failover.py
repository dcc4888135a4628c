"""Which route carries what another cannot: at acceptance, and later when a route goes down or comes back.

Only messages without an attempt move (DESIGN decision 9), planned anew where the other route's driver is another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import structlog

from agent.choice import ANY
from agent.chooser import Chooser, Conditions
from agent.clock import Clock
from agent.journal import routing
from agent.journal.routing import Move, Unbound
from agent.journal.store import Journal
from agent.model import RouteState
from agent.route import Route
from drivers.api import AS_TEXT, Driver, PlannedPart, PlanOptions, Unplannable

_log = structlog.get_logger("failover")

# So many are planned and moved in one transaction; the loop and the journal get a breath in between.
_AT_ONCE = 200


class Failover:
    """One per gateway. `routes` is the gateway's own mapping."""

    def __init__(
        self,
        routes: Mapping[str, Route],
        journal: Journal,
        clock: Clock,
        max_parts: Callable[[], int],
        chooser: Chooser,
    ) -> None:
        self._chooser = chooser
        self._routes = routes
        self._journal = journal
        self._clock = clock
        self._max_parts = max_parts
        # Routes from which something was moved, perhaps in another life of this process: looked at when they return.
        self._left: set[str] | None = None

    def planned(
        self, text: str, names: Sequence[str], *, options: PlanOptions = AS_TEXT
    ) -> tuple[str, tuple[PlannedPart, ...], str | None]:
        """Parts for the first of the routes that can carry the text, by its own settings. Returns the route that is
        left, its parts, and why none can."""
        failure: str | None = None
        for name in names:
            try:
                return name, self._plan(name, text, options), None
            except Unplannable as error:
                failure = failure or str(error)
        return names[0], (), failure

    async def move_stranded(self) -> tuple[bool, int]:
        """Move what waits for a route that cannot take it to its fallback, and back once it can; fail what has no
        SIM and no fallback. Whether this should be asked again soon, and how many messages it changed."""
        if self._left is None:
            self._left = await self._journal.read(routing.homes)
        changed = 0
        is_any_down = False
        conditions = await self._chooser.conditions()
        # A reload may take routes away meanwhile.
        for route in list(self._routes.values()):
            spared: list[int] = []
            if not self._chooser.can_now(route.name, conditions):
                fallback = self._ready_fallback(route) if self._is_stranded(route) else None
                changed += await self._choose_again(route, conditions, spared) if fallback is None else 0
            if route.state is RouteState.READY:
                changed += await self._move_back(route.name, route)
            elif route.state is not RouteState.PAUSED:
                is_any_down = True
                changed += await self._move_on(route, spared)
        changed += await self._move_any()
        has_fallback = any(route.config.settings.fallback is not None for route in self._routes.values())
        return is_any_down or has_fallback, changed

    # --- pieces -------------------------------------------------------------------------------------

    def _planner(self, name: str) -> Route:
        """The route that plans for a name: itself, or the first that takes any message."""
        if name in self._routes:
            return self._routes[name]
        routes = list(self._routes.values())
        return next((route for route in routes if route.takes_any), routes[0])

    def _driver(self, name: str) -> Driver:
        return self._planner(name).driver

    def _plan(self, name: str, text: str, options: PlanOptions) -> tuple[PlannedPart, ...]:
        """Raises: Unplannable."""
        route = self._planner(name)
        return route.driver.plan(text, self._max_parts(), replace(options, settings=route.config.driver))

    @staticmethod
    def _is_stranded(route: Route) -> bool:
        """Whether what waits for this route should go elsewhere now."""
        if route.state in (RouteState.READY, RouteState.PAUSED):
            return False
        return route.is_without_sim() or route.down_for_s() >= route.config.settings.fallback_after_s

    def _ready_fallback(self, route: Route) -> str | None:
        name = route.config.settings.fallback
        return name if name is not None and self._routes[name].state is RouteState.READY else None

    async def _choose_again(self, route: Route, conditions: Conditions, spared: list[int]) -> int:
        """What nobody asked to go by this route goes by another that can now. `spared` gets those that wait because
        another route could carry them, only not now."""
        able = [name for name in self._routes if name != route.name and self._chooser.can_now(name, conditions)]
        if not able and not route.is_without_sim():
            return 0
        moved, after = 0, 0
        read = partial(routing.unbound, route=route.name, limit=_AT_ONCE, only_free=True)
        while found := await self._journal.read(partial(read, after=after)):
            after = found[-1].message_id
            targets: dict[str, list[Unbound]] = {}
            for one in found:
                names, has_others = self._chooser.others(route.name, one.options.recipient, conditions)
                if names:
                    targets.setdefault(names[0], []).append(one)
                elif has_others:
                    spared.append(one.message_id)
            for target, group in targets.items():
                moves = self._plan_all(group, target, self._driver(route.name), spared)
                why = (
                    conditions.holds[route.name].why
                    if route.name in conditions.holds
                    else f"{route.name} cannot send now"
                )
                moved += await self._write_moves(moves, route.name, target, None, why)
                conditions.loads[target] = conditions.loads.get(target, 0) + len(moves)
        if moved:
            _log.info("chosen_again", route=route.name, messages=moved)
        return moved

    async def _write_moves(self, moves: list[Move], origin: str, target: str, home: str | None, why: str) -> int:
        write = partial(
            routing.move_unbound, moves=moves, origin=origin, target=target, home=home, why=why, now=self._clock.now()
        )
        return await self._journal.write(write)

    async def _move_on(self, route: Route, spared: Sequence[int]) -> int:
        if not self._is_stranded(route):
            return 0
        fallback = route.config.settings.fallback
        reason = f"there is no SIM in slot {route.slot} (route {route.name})"
        moved = 0
        if (target := self._ready_fallback(route)) is not None:
            moved, left = await self._move(route.name, target, f"{route.name} is down")
            if left and route.is_without_sim():
                moved += await self._fail(route.name, f"{reason}, and {target} cannot carry it", left)
        elif route.is_without_sim() and fallback is None:
            moved = await self._fail(route.name, reason, None, spared)
        return moved

    async def _move_any(self) -> int:
        """What any open route may take goes on when all of them are down, and back when one is not."""
        open_routes = [route for route in self._routes.values() if route.takes_any]
        for route in open_routes:
            if route.state is RouteState.READY:
                return await self._move_back(ANY, route)
        if not open_routes or not all(self._is_stranded(route) for route in open_routes):
            return 0
        target = next(filter(None, (self._ready_fallback(route) for route in open_routes)), None)
        if target is None:
            return 0
        moved, _ = await self._move(ANY, target, "every other route is down")
        return moved

    async def _move(self, origin: str, target: str, why: str) -> tuple[int, list[int]]:
        """Everything unbound that waits for `origin`. How many went, and those that `target` cannot carry."""
        moved, left, after = 0, list[int](), 0
        while found := await self._journal.read(partial(routing.unbound, route=origin, after=after, limit=_AT_ONCE)):
            after = found[-1].message_id
            moves = self._plan_all(found, target, self._driver(origin), left)
            moved += await self._write_moves(moves, origin, target, origin, why)
        if moved and self._left is not None:
            self._left.add(origin)
            _log.warning("moved_to_fallback", route=origin or "any", fallback=target, messages=moved)
        return moved, left

    async def _move_back(self, home: str, route: Route) -> int:
        if self._left is None or home not in self._left:
            return 0
        moved, after = 0, 0
        while found := await self._journal.read(partial(routing.away, home=home, after=after, limit=_AT_ONCE)):
            after = found[-1].message_id
            for origin in {one.route for one in found}:
                there = [one for one in found if one.route == origin]
                moves = self._plan_all(there, home, self._driver(origin), [])
                moved += await self._write_moves(moves, origin, home, None, f"{route.name} is back")
        self._left.discard(home)
        if moved:
            _log.info("moved_back", route=home or "any", messages=moved)
        return moved

    def _plan_all(self, found: Sequence[Unbound], target: str, before: Driver, left: list[int]) -> list[Move]:
        """Moves for those that the target can carry; the others' ids go to `left`."""
        driver = self._driver(target)
        moves = []
        for one in found:
            if not self._chooser.admits(target, one.options.recipient):
                left.append(one.message_id)
                continue
            if driver.name == before.name:
                moves.append(Move(one.message_id, None))
                continue
            try:
                moves.append(Move(one.message_id, self._plan(target, one.text, one.options)))
            except Unplannable:
                left.append(one.message_id)
        return moves

    async def _fail(self, route: str, reason: str, ids: Sequence[int] | None, spared: Sequence[int] = ()) -> int:
        failed = await self._journal.write(
            partial(routing.fail_unbound, route=route, reason=reason, now=self._clock.now(), ids=ids, spared=spared)
        )
        if failed:
            _log.warning("failed_without_sim", route=route, messages=failed)
        return failed
