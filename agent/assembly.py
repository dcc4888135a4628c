"""Makes the pieces of a gateway from its configuration: routes, upstreams with their feeds, housekeeping.

The same for a start and for a reload: what is made from the same keys is the same piece, and goes on running.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import fields
from functools import partial
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import structlog

from agent import plugins
from agent.feed import Feed
from agent.gateway import Gateway, UpstreamView
from agent.housekeeping import Housekeeping
from agent.inbox import Inbox
from agent.journal import routing
from agent.journal.store import Journal
from agent.metrics.server import MetricsServer
from agent.metrics.settings import MetricsSettings
from agent.retention import Retention
from agent.roster import Piece, Work
from agent.route import Route
from agent.settings import AgentSettings, Config, RouteConfig
from agent.upstreams.api import DeliveryError, Upstream
from drivers.api import Driver
from drivers.values import dataclass

_log = structlog.get_logger("assembly")

_WELL_AFTER_S = 5.0
"""An upstream that has run so long is over its last fault."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A piece that a configuration asks for, not made yet. `make` raises ConfigError; `made_from` tells whether the
    one that runs is still the right one."""

    name: str
    made_from: object
    make: Callable[[], Piece]


class Assembly:
    """Makes pieces on one gateway; starts none."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._memory = _SimMemory(gateway.journal)
        self._shared: WeakValueDictionary[tuple[str, str], Driver] = WeakValueDictionary()
        self._inbox = Inbox(gateway.journal, gateway.clock, gateway.committed, gateway.outbox.wake)

    def wanted(self, config: Config) -> list[Wanted]:
        """Everything that a configuration asks for. A piece that needs a further key of it names that key here."""
        agent = config.agent
        for_routes = (agent.on_unknown, agent.unknown_wait_s, agent.timezone)
        for_upstreams = (agent.device_name, agent.timezone)
        return [
            *(
                Wanted(f"upstream {one.name}", (one, _contents(one), for_upstreams), partial(self._upstream, one))
                for one in config.upstreams
            ),
            *(
                Wanted(f"route {one.name}", (one, _contents(one.driver), for_routes), partial(self._route, one, agent))
                # What comes in stays on the SIM, and nothing goes out.
                for one in (config.routes if self._gateway.degraded is None else ())
            ),
            Wanted("hooks", None, lambda: Piece(name="hooks", work={"hooks": self._gateway.hooks.run})),
            *(
                [Wanted("metrics", config.metrics, partial(self._metrics, config.metrics))]
                if config.metrics.bind is not None
                else []
            ),
            Wanted("alerts", (config.alerts, agent.timezone), partial(self._alerts, config)),
            Wanted("housekeeping", (agent, config.retention), partial(self._housekeeping, config)),
        ]

    async def settle(self, config: Config) -> None:
        """Once all have joined: order, slots and duties of the routes, which depend on each other."""
        gateway = self._gateway
        paused = await gateway.journal.read(routing.paused)
        present = dict(gateway.routes)
        gateway.routes.clear()
        gateway.routes.update({one.name: present[one.name] for one in config.routes if one.name in present})
        slots, open_routes = slots_of(config), open_routes_of(config)
        for name, route in gateway.routes.items():
            route.slot, route.takes_any = slots[name], name in open_routes
            route.is_paused = name in paused
        gateway.outbox.wake()

    def _alerts(self, config: Config) -> Piece:
        watch = partial(self._gateway.alerts.run, config.alerts, config.agent.timezone)
        return Piece(name="alerts", work={"alerts": watch})

    # --- one of each --------------------------------------------------------------------------------

    def _route(self, config: RouteConfig, agent: AgentSettings) -> Piece:
        gateway, name = self._gateway, f"route {config.name}"
        before = gateway.routes.get(config.name)
        route = Route(
            config,
            self._driver(config, before),
            agent,
            slot=0,
            takes_any=False,
            journal=gateway.journal,
            clock=gateway.clock,
            outbox=gateway.outbox,
            inbox=self._inbox,
            memory=self._memory,
            views=gateway.views,
            changed=lambda _: gateway.committed(),
        )
        return Piece(
            name=name,
            work={name: route.run},
            drain=route.drain,
            join=partial(gateway.routes.__setitem__, config.name, route),
            leave=partial(gateway.routes.__delitem__, config.name),
        )

    def _driver(self, config: RouteConfig, before: Route | None) -> Driver:
        """A driver object for a route: the one that knows its modem already (what was tried to bring it back, and by
        which IMEI it is found again), and the same for all that share their hardware."""
        is_same_modem = before is not None and _port(before.config) == _port(config)
        driver = before.driver if before is not None and is_same_modem else plugins.load_driver(config.settings.driver)
        hardware = driver.hardware(config.driver)
        if hardware is None:
            return driver
        return self._shared.setdefault((config.settings.driver, hardware), driver)

    def _upstream(self, settings: Any) -> Piece:
        gateway, name = self._gateway, f"upstream {settings.name}"
        upstream: Upstream = plugins.load_upstream(settings.type)(settings, gateway)
        feed = Feed(settings.name, upstream, gateway.journal, gateway.clock)
        life = _SupervisedUpstream(upstream, feed, settings)
        row = _Row(gateway, upstream, settings.name)
        return Piece(
            name=name,
            work={name: partial(row.before, life.run), f"feed {settings.name}": partial(row.before, feed.run)},
            on_fault={name: life.on_fault},
            drain=feed.drain,
            join=partial(gateway.add_upstream, settings.name, feed, life.view),
            leave=partial(gateway.remove_upstream, settings.name),
        )

    def _metrics(self, settings: MetricsSettings) -> Piece:
        return Piece(name="metrics", work={"metrics": MetricsServer(self._gateway.monitor, settings).run})

    def _housekeeping(self, config: Config) -> Piece:
        gateway = self._gateway
        retention = Retention(
            gateway.journal,
            gateway.clock,
            config.retention,
            undelivered_days=config.agent.undelivered_days,
            is_busy=lambda: any(view.is_sending for view in gateway.route_views()),
        )
        work = {"housekeeping": Housekeeping(gateway, config).run, "retention": retention.run}
        return Piece(name="housekeeping", work=work)


def open_routes_of(config: Config) -> set[str]:
    """Routes for what is meant for none in particular: without prefixes as long as there are such, and of one
    driver, since it plans the parts; one that another driver's route falls back to is kept for that."""
    drivers = {route.name: route.settings.driver for route in config.routes}
    reserves = {
        route.settings.fallback
        for route in config.routes
        if route.settings.fallback is not None and drivers[route.settings.fallback] != route.settings.driver
    }
    routes = [route for route in config.routes if not route.settings.prefixes] or list(config.routes)
    routes = [route for route in routes if route.name not in reserves] or routes
    return {route.name for route in routes if route.settings.driver == routes[0].settings.driver}


def slots_of(config: Config) -> dict[str, int]:
    """Each route's slot: its own, else the lowest free ones in the order of the file."""
    taken = {route.settings.sim_slot for route in config.routes}
    slots: dict[str, int] = {}
    free = 0
    for route in config.routes:
        slot = route.settings.sim_slot
        if slot is None:
            while free in taken:
                free += 1
            slot, free = free, free + 1
        slots[route.name] = slot
    return slots


def _contents(settings: Any) -> tuple[str, ...]:
    """Digests of the files that settings name (`…_file`): a new key in an old file is a change too."""
    digests = []
    for key in fields(settings):
        path = getattr(settings, key.name)
        if key.name.endswith("_file") and isinstance(path, Path):
            try:
                digests.append(hashlib.sha256(path.read_bytes()).hexdigest())
            except OSError as error:
                digests.append(str(error.errno))
    return tuple(digests)


def _port(config: RouteConfig) -> tuple[str, object]:
    return config.settings.driver, getattr(config.driver, "port", None)


class _SimMemory:
    """drivers.api.SimMemory on the journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def recall(self, key: str, fact: str) -> str | None:
        return await self._journal.read(lambda con: routing.recall(con, key, fact))

    async def remember(self, key: str, fact: str, value: str | None) -> None:
        await self._journal.write(lambda con: routing.remember(con, key, fact, value))


class _Row:
    """The journal's row of an upstream, which must be there before anything is pulled or told."""

    def __init__(self, gateway: Gateway, upstream: Upstream, name: str) -> None:
        self._gateway = gateway
        self._upstream = upstream
        self._name = name
        self._is_made = False
        self._making = asyncio.Lock()

    async def before(self, run: Work) -> None:
        async with self._making:
            if not self._is_made:
                identity, wants_inbound = self._upstream.identity(), self._upstream.wants_inbound
                await self._gateway.ensure_upstream(self._name, identity, wants_inbound=wants_inbound)
                self._is_made = True
        await run()


class _SupervisedUpstream:
    """Runs one upstream, and keeps the sentence of its last fault for `status`."""

    def __init__(self, upstream: Upstream, feed: Feed, settings: Any) -> None:
        self._upstream = upstream
        self._feed = feed
        self._settings = settings
        self._fault: str | None = None

    def view(self) -> UpstreamView:
        facts = dict(self._upstream.status())
        own = facts.pop("problem", None)
        problem = self._fault or (None if own is None else str(own)) or self._feed.problem
        return UpstreamView(
            name=self._settings.name,
            type=self._settings.type,
            problem=problem,
            waiting=self._feed.waiting,
            parked=self._feed.parked,
            facts=facts,
        )

    async def run(self) -> None:
        """One life of the upstream."""
        loop = asyncio.get_running_loop()
        started = loop.call_later(_WELL_AFTER_S, self._clear)
        try:
            await self._upstream.run()
        except (DeliveryError, OSError) as error:
            if str(error) != self._fault:
                _log.warning("upstream_stopped", upstream=self._settings.name, reason=str(error))
            self._fault = str(error)
        finally:
            started.cancel()

    def on_fault(self, problem: str) -> None:
        self._fault = self._fault or problem

    def _clear(self) -> None:
        self._fault = None
