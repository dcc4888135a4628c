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

from agent import reload, reread, systemd
from agent.assembly import Assembly, Wanted
from agent.clock import Clock
from agent.config import Config
from agent.control import ControlServer
from agent.gateway import Gateway
from agent.journal import dispatch
from agent.journal.store import Journal
from agent.masking import show_numbers
from agent.reload import CLI_UPSTREAM, Reloader
from agent.roster import Piece, Roster
from agent.supervise import keep_running

_log = structlog.get_logger("daemon")

JOURNAL_FILE = "journal.db"

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
    journal = Journal(config.agent.state_dir / JOURNAL_FILE)
    await journal.start(clock.utc_ms())
    try:
        gateway, assembly, made = await _assembled(config, journal, clock)
        await _run_until(stop, gateway, assembly, made, config=config, path=path, ready=ready)
    finally:
        await journal.close()
        _log.info("stopped")


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
        return dispatch.settle_leftovers(con, now)

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
