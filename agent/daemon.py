"""The composition root: builds everything from the configuration, runs it, and stops it in order."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import structlog

from agent import memory, plugins, reload, reread, systemd
from agent.assembly import Assembly, Wanted
from agent.clock import Clock
from agent.control import ControlServer
from agent.gateway import Gateway
from agent.journal import damage, dispatch, outcomes
from agent.journal.damage import JournalDamaged
from agent.journal.store import Journal
from agent.masking import show_numbers
from agent.reload import CLI_UPSTREAM, Reloader
from agent.roster import Piece, Roster
from agent.settings import Config
from agent.supervise import keep_running

_log = structlog.get_logger("daemon")

JOURNAL_FILE = "journal.db"

_STARTED_S = 5.0
"""By now everything is loaded, and a message that waited has left."""

Made = Sequence[tuple[Wanted, Piece]]


async def run(config: Config, path: Path, *, ready: Callable[[], None] | None = None) -> None:
    """Run until SIGTERM or SIGINT; SIGHUP applies the file at `path`, as it stands then.

    Raises: JournalError when the journal cannot be used; ConfigError when a server's key cannot.
    """
    if config.agent.log_numbers == "plain":
        show_numbers()
    for warning in config.warnings:
        _log.warning("configuration", hint=warning)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    clock = Clock(config.agent.clock)
    while not stop.is_set():
        await _live(stop, config, clock, path, ready)
    _log.info("stopped")


async def _live(
    stop: asyncio.Event, config: Config, clock: Clock, path: Path, ready: Callable[[], None] | None
) -> None:
    """Run on one journal until `stop`, or until that journal turns out to be damaged."""
    opening = asyncio.create_task(opened(config.agent.state_dir / JOURNAL_FILE, clock), name="journal")
    # Its thread works while this one imports.
    await asyncio.sleep(0)
    plugins.preload(config)
    journal = await opening
    end = asyncio.Event()
    watchers = [
        asyncio.create_task(_pass_on(event, end), name="end") for event in (stop, journal.damaged) if event is not None
    ]
    try:
        gateway, assembly, made = await _assembled(config, journal, clock)
        await _run_until(end, gateway, assembly, made, config=config, path=path, ready=ready)
    except JournalDamaged:
        pass  # met before anything ran: the next life sets it aside
    finally:
        for watcher in watchers:
            watcher.cancel()
        await asyncio.gather(*watchers, return_exceptions=True)
        await journal.close()


async def opened(path: Path, clock: Clock) -> Journal:
    """The journal, started; a damaged one is set aside, never deleted, and a new one stands in for it.

    Raises: JournalError.
    """
    journal = Journal(path)
    try:
        await journal.start(clock.utc_ms())
    except JournalDamaged as error:
        await journal.close()
        aside = await asyncio.to_thread(damage.set_aside, path, clock.utc_ms())
        sentence = (
            f"{error}; it is set aside as {aside.name}, nothing is sent and what comes in stays on the SIM until: "
            "systemctl stop phonebridge; phonebridge recover; systemctl start phonebridge"
        )
        _log.error("degraded", reason=sentence)
        journal = Journal(path)
        await journal.start(clock.utc_ms())
        await journal.stand_in(sentence)
    return journal


async def _pass_on(event: asyncio.Event, end: asyncio.Event) -> None:
    await event.wait()
    end.set()


async def build(config: Config, journal: Journal, clock: Clock) -> Gateway:
    """Gateway and routes on an open journal; what an earlier process left in the air is settled. Starts nothing."""
    gateway, assembly, made = await _assembled(config, journal, clock)
    for _, piece in made:
        piece.join()
    await assembly.settle(config)
    return gateway


async def _assembled(config: Config, journal: Journal, clock: Clock) -> tuple[Gateway, Assembly, Made]:
    gateway = Gateway(config.agent, journal, clock)
    now = clock.now()

    def settle(con: Any) -> int:
        dispatch.rebase(con, now)
        return outcomes.settle_leftovers(con, now)

    leftovers = await journal.write(settle)
    if leftovers:
        _log.warning("leftover_submits", count=leftovers, next="waiting for evidence of what became of them")
    assembly = Assembly(gateway)
    made = reload.made(gateway, config, assembly.wanted(config))
    await gateway.monitor.configure(config.metrics)
    await gateway.ensure_upstream(CLI_UPSTREAM, CLI_UPSTREAM)
    return gateway, assembly, made


async def _run_until(
    stop: asyncio.Event,
    gateway: Gateway,
    assembly: Assembly,
    made: Made,
    *,
    config: Config,
    path: Path,
    ready: Callable[[], None] | None,
) -> None:
    async with asyncio.TaskGroup() as group:
        roster = Roster(group)
        reloader = gateway.reloader = Reloader(gateway, assembly, roster, partial(reread.read, path))
        await reloader.begin(config, made)
        tasks = [
            group.create_task(keep_running(name, work), name=name)
            for name, work in (("control", ControlServer(gateway, config).run), ("reload", reloader.run))
        ]
        tasks.append(group.create_task(_watchdog(gateway), name="watchdog"))
        tasks.append(group.create_task(_settle(), name="settle"))
        _on_hangup(reloader, stop)
        _log.info("started", routes=list(gateway.routes), upstreams=list(gateway.upstreams))
        systemd.notify("READY=1", f"STATUS={reloader.state()}")
        if ready is not None:
            ready()
        await stop.wait()
        systemd.notify("STOPPING=1")
        _log.info("stopping", waits_for="the parts in flight")
        await asyncio.gather(*(route.drain() for route in gateway.routes.values()))
        roster.cancel()
        for task in tasks:
            task.cancel()


def _on_hangup(reloader: Reloader, stop: asyncio.Event) -> None:
    """SIGHUP asks a service to reload; to a program in a terminal it says that the terminal is gone."""
    is_in_terminal = os.isatty(0)
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, stop.set if is_in_terminal else reloader.ask)


async def _settle() -> None:
    await asyncio.sleep(_STARTED_S)
    await asyncio.to_thread(memory.settle)


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
