"""Applies a configuration: at the start, and again whenever somebody asks (SIGHUP, `phonebridge reload`).

What did not change goes on running; what did is ended after the part in flight and made anew. A configuration that is
wrong changes nothing, and its sentence stands in the log and in `status`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import replace

import structlog

from agent import systemd
from agent.alerts.telling import UPSTREAM as ALERTS_UPSTREAM
from agent.assembly import Assembly, Wanted
from agent.config import ConfigError
from agent.gateway import Gateway
from agent.journal import feeds
from agent.journal.schema import JournalError
from agent.roster import Piece, Roster
from agent.settings import AgentSettings, Config
from drivers.values import dataclass

_log = structlog.get_logger("reload")

CLI_UPSTREAM = "cli"
"""The local sender that has no server of its own to report to."""
# What is built into the process when it starts.
_ONLY_AT_START = ("state_dir", "clock", "log_level", "log_format", "log_numbers")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a reload. `error` is a sentence where nothing was changed; `hints` are sentences, too."""

    at_ms: int
    error: str | None = None
    started: tuple[str, ...] = ()
    restarted: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()


class Reloader:
    """One per daemon. `read` gives the configuration as it stands now, or raises ConfigError."""

    def __init__(self, gateway: Gateway, assembly: Assembly, roster: Roster, read: Callable[[], Awaitable[Config]]):
        self.last: Outcome | None = None
        self._gateway = gateway
        self._assembly = assembly
        self._roster = roster
        self._read = read
        self._asked = asyncio.Event()
        self._waiting: list[asyncio.Future[Outcome]] = []

    def ask(self) -> asyncio.Future[Outcome]:
        """Have the configuration read again, soon. The result may be left alone: the work goes on by itself."""
        done: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._waiting.append(done)
        self._asked.set()
        return done

    async def run(self) -> None:
        """Do what is asked, one reload after the other, until cancelled."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            waiting, self._waiting = self._waiting, []
            systemd.reloading()
            outcome = Outcome(self._gateway.clock.utc_ms(), error="a fault of phonebridge itself; see the log")
            try:
                outcome = await self._reload()
            finally:
                self.last = outcome
                systemd.notify("READY=1", f"STATUS={self.state()}")
                for done in waiting:
                    if not done.done():
                        done.set_result(outcome)

    async def begin(self, config: Config, fresh: Sequence[tuple[Wanted, Piece]]) -> None:
        """Start what the first configuration asks for."""
        await self._start(config, fresh)
        for hint in await self._hints(config):
            _log.warning("configuration", hint=hint)

    def state(self) -> str:
        """The daemon in one line, for systemd."""
        gateway = self._gateway
        line = f"{len(gateway.routes)} routes, {len(gateway.upstreams)} upstreams"
        refused = self.last.error if self.last is not None else None
        return line if refused is None else f"{line}; the changed configuration is not used: {refused}"

    # --- pieces -------------------------------------------------------------------------------------

    async def _reload(self) -> Outcome:
        now_ms = self._gateway.clock.utc_ms()
        try:
            outcome = await self._apply(await self._read())
        except (ConfigError, JournalError, OSError) as error:
            _log.error("reload_refused", reason=str(error), hint="what runs goes on as before")
            return Outcome(now_ms, error=str(error))
        _log.info(
            "reloaded", started=list(outcome.started), restarted=list(outcome.restarted), ended=list(outcome.ended)
        )
        for hint in outcome.hints:
            _log.warning("configuration", hint=hint)
        return outcome

    async def _apply(self, read: Config) -> Outcome:
        config, later = _applicable(read, self._gateway.settings)
        wanted = self._assembly.wanted(config)
        names = {one.name for one in wanted}
        running, before = self._roster.pieces(), self._gateway.settings
        fresh = made(self._gateway, config, [one for one in wanted if not self._roster.runs(one.name, one.made_from)])
        try:
            await self._gateway.monitor.configure(config.metrics)
        except ConfigError:
            self._gateway.settings = before
            raise
        replaced = {one.name for one, _ in fresh}
        gone = [piece for piece in running if piece.name not in names]
        changed = [piece for piece in running if piece.name in replaced]
        await self._roster.end(piece.name for piece in (*gone, *changed))
        for piece in gone:
            piece.leave()
        await self._start(config, fresh)
        if "local" in {one.type for one in config.upstreams}:
            # Where it goes on running, new routes are devices of it from now on.
            await self._gateway.accounts.ensure_routes(list(self._gateway.routes))
        changed_names = {piece.name for piece in changed}
        return Outcome(
            self._gateway.clock.utc_ms(),
            started=_shown(one.name for one, _ in fresh if one.name not in changed_names),
            restarted=_shown(changed_names),
            ended=_shown(piece.name for piece in gone),
            hints=(*config.warnings, *later, *await self._hints(config)),
        )

    async def _start(self, config: Config, fresh: Sequence[tuple[Wanted, Piece]]) -> None:
        for _, piece in fresh:
            piece.join()
        await self._assembly.settle(config)
        for one, piece in fresh:
            self._roster.start(piece, one.made_from)

    async def _hints(self, config: Config) -> list[str]:
        """What waits for a route or an upstream that this configuration does not have."""
        journal = self._gateway.journal
        names = [*(one.name for one in config.upstreams), CLI_UPSTREAM, ALERTS_UPSTREAM]
        absent = await journal.read(lambda con: feeds.retire_absent(con, names))
        hints = [f"upstream {name} is not configured any more; what it is owed is kept" for name in absent]
        known = {one.name for one in config.routes}
        for name, count in (await self._gateway.queue_length()).items():
            if name and not name.startswith("@") and name not in known:
                hints.append(
                    f"{count} message(s) wait for route {name}, which is not configured any more; configure it again, "
                    "or cancel them: phonebridge messages --state queued"
                )
        return hints


def made(gateway: Gateway, config: Config, wanted: Iterable[Wanted]) -> list[tuple[Wanted, Piece]]:
    """Make pieces; where one cannot be made, none has changed anything. Raises: ConfigError."""
    before = gateway.settings
    gateway.settings = config.agent  # what is made looks there
    try:
        return [(one, one.make()) for one in wanted]
    except BaseException:
        gateway.settings = before
        raise


def _applicable(read: Config, running: AgentSettings) -> tuple[Config, list[str]]:
    """The configuration with the keys of a running process as they are, and a sentence for each that was changed."""
    kept = {key: getattr(running, key) for key in _ONLY_AT_START}
    later = [
        f"agent.{key} is read at the start only; run: sudo systemctl restart phonebridge"
        for key in _ONLY_AT_START
        if getattr(read.agent, key) != kept[key]
    ]
    return replace(read, agent=replace(read.agent, **kept)), later


def _shown(names: Iterable[str]) -> tuple[str, ...]:
    """Without what is not in the configuration's own words."""
    return tuple(sorted(name for name in names if name.startswith(("route ", "upstream "))))
