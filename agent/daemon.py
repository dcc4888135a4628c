"""The composition root: builds everything from the configuration, runs it, and stops it in order."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable
from typing import Any

import structlog

from agent import plugins, systemd
from agent.clock import Clock
from agent.config import Config
from agent.control import ControlServer
from agent.feed import Feed
from agent.gateway import Gateway, UpstreamView
from agent.housekeeping import Housekeeping
from agent.inbox import Inbox
from agent.journal import dispatch, feeds, routing
from agent.journal.store import Journal
from agent.masking import show_numbers
from agent.metrics.server import MetricsServer
from agent.route import Route
from agent.supervise import keep_running
from agent.upstreams.api import DeliveryError, Upstream

_log = structlog.get_logger("daemon")

JOURNAL_FILE = "journal.db"
# The local senders that have no server of their own to report to.
_CLI = "cli"


class _SimMemory:
    """drivers.api.SimMemory on the journal."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    async def recall(self, key: str, fact: str) -> str | None:
        return await self._journal.read(lambda con: routing.recall(con, key, fact))

    async def remember(self, key: str, fact: str, value: str | None) -> None:
        await self._journal.write(lambda con: routing.remember(con, key, fact, value))


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
        started = loop.call_later(5.0, self._clear)
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


async def run(config: Config, *, ready: Callable[[], None] | None = None) -> None:
    """Run until SIGTERM or SIGINT. Raises: JournalError when the journal cannot be used."""
    if config.agent.log_numbers == "plain":
        show_numbers()
    for warning in config.warnings:
        _log.warning("configuration", hint=warning)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    clock = Clock(config.agent.clock)
    journal = Journal(config.agent.state_dir / JOURNAL_FILE)
    await journal.start(clock.utc_ms())
    try:
        gateway = await build(config, journal, clock)
        await _run_until(stop, config, gateway, ready)
    finally:
        await journal.close()
        _log.info("stopped")


async def build(config: Config, journal: Journal, clock: Clock) -> Gateway:
    """Gateway and routes on an open journal; what an earlier process left in the air is settled. Starts nothing."""
    gateway = Gateway(config.agent, journal, clock)
    now = clock.now()

    def settle(con: Any) -> int:
        dispatch.rebase(con, now)
        return dispatch.settle_leftovers(con, now)

    leftovers = await journal.write(settle)
    if leftovers:
        _log.warning("leftover_submits", count=leftovers, next="waiting for evidence of what became of them")
    inbox = Inbox(journal, clock, gateway.committed, gateway.outbox.wake)
    paused = await journal.read(routing.paused)
    slots = _slots(config)
    open_routes = _open_routes(config)
    memory = _SimMemory(journal)
    for route_config in config.routes:
        route = Route(
            route_config,
            plugins.load_driver(route_config.settings.driver),
            config.agent,
            slot=slots[route_config.name],
            takes_any=route_config.name in open_routes,
            journal=journal,
            clock=clock,
            outbox=gateway.outbox,
            inbox=inbox,
            memory=memory,
            views=gateway.views,
            changed=lambda _: gateway.committed(),
        )
        route.is_paused = route_config.name in paused
        gateway.routes[route_config.name] = route
    await gateway.ensure_upstream(_CLI, _CLI)
    await gateway.monitor.configure(config.metrics)
    return gateway


def _open_routes(config: Config) -> set[str]:
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


def _slots(config: Config) -> dict[str, int]:
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


async def _run_until(stop: asyncio.Event, config: Config, gateway: Gateway, ready: Callable[[], None] | None) -> None:
    supervised: list[tuple[str, Callable[[], Any], Callable[[str], None] | None]] = []
    for settings in config.upstreams:
        upstream: Upstream = plugins.load_upstream(settings.type)(settings, gateway)
        row = await gateway.ensure_upstream(settings.name, upstream.identity(), wants_inbound=upstream.wants_inbound)
        feed = Feed(row.name, upstream, gateway.journal, gateway.clock)
        gateway.feeds[row.name] = feed
        life = _SupervisedUpstream(upstream, feed, settings)
        gateway.upstream_views.append(life.view)
        supervised.append((f"upstream {row.name}", life.run, life.on_fault))
        supervised.append((f"feed {row.name}", feed.run, None))
    names = [settings.name for settings in config.upstreams]
    absent = await gateway.journal.read(lambda con: feeds.retire_absent(con, [*names, _CLI]))
    if absent:
        _log.warning("upstreams_not_configured", names=absent, hint="what they are owed is kept")
    for route in gateway.routes.values():
        supervised.append((f"route {route.name}", route.run, None))
    supervised.append(("hooks", gateway.hooks.run, None))
    supervised.append(("housekeeping", Housekeeping(gateway, config).run, None))
    if config.metrics.bind is not None:
        supervised.append(("metrics", MetricsServer(gateway.monitor, config.metrics).run, None))
    control = ControlServer(gateway, config)
    supervised.append(("control", control.run, None))
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(keep_running(name, work, on_fault=on_fault), name=name)
            for name, work, on_fault in supervised
        ]
        tasks.append(group.create_task(_watchdog(gateway), name="watchdog"))
        _log.info("started", routes=list(gateway.routes), upstreams=names)
        systemd.notify("READY=1", f"STATUS={len(gateway.routes)} routes, {len(names)} upstreams")
        if ready is not None:
            ready()
        await stop.wait()
        systemd.notify("STOPPING=1")
        _log.info("stopping", waits_for="the parts in flight")
        await asyncio.gather(*(route.drain() for route in gateway.routes.values()))
        for task in tasks:
            task.cancel()


async def _watchdog(gateway: Gateway) -> None:
    """Tell systemd that loop and journal live; a stuck route is no reason to restart everything."""
    interval_s = systemd.watchdog_interval_s()
    if interval_s is None:
        return
    while True:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(interval_s):
                await gateway.journal.probe()
                systemd.notify("WATCHDOG=1")
        await asyncio.sleep(interval_s)
