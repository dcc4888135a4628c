"""The only object that upstreams, the CLI and the page see.

It takes jobs in, answers questions from the journal, and knows which routes and upstreams there are; `accounts` and
`hooks` belong to the local server, `facts` are what upstreams keep for themselves. Everything that must last is in the
journal before a method returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

import structlog

from agent.accounts import Accounts
from agent.alerts.telling import Notice
from agent.alerts.watch import Alerts
from agent.chooser import Chooser
from agent.clock import Clock
from agent.facts import Facts
from agent.failover import Failover
from agent.feed import Feed
from agent.hooks import Hooks
from agent.journal import acceptance, feeds, listing, messages, observing, routing, upstream_pace, waiting
from agent.journal.acceptance import Acceptance, Idempotency, PreparedJob
from agent.journal.billing import Bill
from agent.journal.dispatch import RouteCall
from agent.journal.feeds import UpstreamRow
from agent.journal.listing import Bundle, DayFigures, Filter, Known, Page
from agent.journal.schema import JournalError
from agent.journal.store import Journal, JournalFull
from agent.journal.upstream_pace import Pace
from agent.metrics.monitor import Monitor
from agent.model import Event, Job, Message, MessageState, RouteState, RouteView
from agent.outbox import Outbox
from agent.preparation import Preparation
from agent.route import Route
from agent.sending import LINE_FIRST_S
from agent.settings import AgentSettings
from agent.upstreams.api import Pairing
from drivers.values import dataclass

if TYPE_CHECKING:
    from agent.reload import Reloader

_log = structlog.get_logger("gateway")


@dataclass(frozen=True, slots=True)
class UpstreamView:
    """An upstream for people. `waiting` items are on their way, `parked` ones were refused for good."""

    name: str
    type: str
    problem: str | None
    waiting: int
    parked: int
    facts: Mapping[str, str | int | float | bool | None]


class NoSuchRoute(LookupError):
    """`str()` is one sentence."""


class Gateway:
    """One per process. Built by the daemon; `routes`, `feeds` and `outbox` are filled in there."""

    def __init__(self, settings: AgentSettings, journal: Journal, clock: Clock) -> None:
        self.settings = settings
        self.journal = journal
        self.clock = clock
        self.accounts = Accounts(journal, clock)
        self.hooks = Hooks(journal, clock)
        self.facts = Facts(journal)
        self.monitor = Monitor(self)
        self.alerts = Alerts(self)
        self.alert_takers: list[Callable[[Notice], None]] = []
        """Who else is told of an alert when its owner is, e.g. an upstream that publishes it. Must return at once."""
        self.outbox = Outbox(journal, clock, self.committed_soon, self._refresh)
        self.routes: dict[str, Route] = {}
        self._chooser = Chooser(self.routes, journal, clock, lambda: self.settings)
        self._failover = Failover(self.routes, journal, clock, lambda: self.settings.max_parts, self._chooser)
        self._preparation = Preparation(journal, self._chooser, self._failover, lambda: self.settings)
        self.feeds: dict[str, Feed] = {}
        self.pairings: dict[str, Pairing] = {}
        self.refreshers: dict[str, Callable[[], Awaitable[None]]] = {}
        self.upstreams: dict[str, Callable[[], UpstreamView]] = {}
        self.reloader: Reloader | None = None
        self._views: dict[str, int] = {}
        self._watchers: set[asyncio.Event] = set()
        self._look: asyncio.TimerHandle | None = None

    @property
    def degraded(self) -> str | None:
        """Why this gateway neither accepts nor sends, in a sentence with the next step: its journal was damaged."""
        return self.journal.degraded

    # --- taking messages ----------------------------------------------------------------------------

    async def accept(
        self,
        upstream: str,
        jobs: Sequence[Job],
        *,
        idempotency: Idempotency | None = None,
        bill: Bill | None = None,
    ) -> list[Acceptance]:
        """Take jobs in, one answer each in their order; durable when it returns.

        A job that can never be sent is accepted and FAILED with its reason, so that its origin is told; the
        others are unaffected. Raises: IdempotencyConflict, NotEnoughCredit, JournalError.
        """
        if self.degraded is not None:
            raise JournalError(self.degraded)
        if not self.journal.has_reserve:
            raise JournalFull("the disk is full: nothing is accepted until there is room again; free some space")
        prepared = await self._preparation.prepare(upstream, jobs)
        return await self.outbox.accept(upstream, prepared, idempotency, bill)

    async def plan(self, upstream: str, job: Job) -> PreparedJob:
        """What `accept` would make of a job; nothing is kept or sent."""
        (prepared,) = await self._preparation.prepare(upstream, [job])
        return prepared

    async def known(self, upstream: str, remote_ids: Sequence[str]) -> dict[str, Known]:
        """Those of a server's ids that the journal knows, with our state."""
        return await self.journal.read(lambda con: listing.known(con, upstream, remote_ids))

    async def bundle(self, upstream: str, name: str) -> Bundle:
        """One remote message with several recipients; empty where nothing of it is here."""
        return await self.journal.read(lambda con: listing.bundle(con, upstream, name))

    async def received_between(self, from_ms: int, to_ms: int, after: int = 0, limit: int = 200) -> list[Message]:
        """Inbound messages of a span of time behind an id, oldest first."""
        return await self.journal.read(lambda con: listing.received_between(con, from_ms, to_ms, after, limit))

    async def newest_known(self, upstream: str, prefix: str, since_ms: int) -> str | None:
        """The newest of a server's ids that begins so and came since then."""
        return await self.journal.read(lambda con: listing.newest_known(con, upstream, prefix, since_ms))

    async def untried(self, upstream: str) -> dict[str, int]:
        """Remote id → message id of what waits here and was never on the air."""
        return await self.journal.read(lambda con: listing.untried(con, upstream))

    async def tell_again(self, upstream: str, message_id: int) -> None:
        """Report a message's last state once more; nothing happens where there is none, or it is on its way."""
        await self.feeds[upstream].tell_again(message_id)

    async def cancel(self, message_id: int, *, why: str = "cancelled", forbids_resend: bool = True) -> bool:
        """Cancel what has no attempt yet. Otherwise False, and no resend will happen unless it may."""
        done = await self.journal.write(
            lambda con: messages.cancel(con, message_id, self.clock.now(), why=why, forbids_resend=forbids_resend)
        )
        self.committed()
        return done

    async def forestall(self, upstream: str, remote_id: str, *, why: str) -> bool:
        """Cancel what has not come yet: the id is known as cancelled from now on. False where it is known already."""
        return await self.journal.write(
            lambda con: acceptance.forestall(con, upstream, remote_id, self.clock.now(), why=why)
        )

    async def resend(self, message_id: int) -> Acceptance | None:
        """A new message with the same text, number and slot, for one that ended. None where there is no such.

        Raises: ValueError with a sentence where it has not ended.
        """
        old = await self.message(message_id)
        if old is None or old.direction != "outbound" or old.upstream is None:
            return None
        if old.state not in (MessageState.FAILED, MessageState.EXPIRED, MessageState.CANCELLED):
            raise ValueError(f"message {message_id} is {old.state}; only one that failed can be sent again")
        data, port = old.details.get("data"), old.details.get("port")
        job = Job(
            old.number, old.text, route=old.route, priority=old.priority, account=old.account,
            is_flash=old.details.get("message_class") == 0, port=port if isinstance(port, int) else None,
            data=bytes.fromhex(data) if isinstance(data, str) else None,
        )  # fmt: skip
        await self.ensure_upstream("cli", "cli")
        return (await self.accept("cli", [job]))[0]

    async def release(self, message_ids: Sequence[int] | None) -> int:
        """Let held messages go (DESIGN decision 11): those named, or all. Returns how many."""
        count = await self.journal.write(lambda con: messages.release(con, message_ids, self.clock.now()))
        self.committed()
        self.outbox.wake()
        return count

    async def delete(self, message_id: int) -> bool:
        """Remove a message. One that waits is cancelled first; one in the air is sent all the same."""
        await self.journal.write(lambda con: messages.cancel(con, message_id, self.clock.now(), why="deleted"))
        return await self.journal.write(lambda con: messages.delete(con, message_id))

    # --- reading ------------------------------------------------------------------------------------

    async def message(self, key: int | str) -> Message | None:
        """By id or uid."""
        return await self.journal.read(lambda con: listing.message(con, key))

    async def page(self, wanted: Filter, number: int = 1, per_page: int = 50) -> Page:
        """Messages, newest first; `number` starts at 1."""
        return await self.journal.read(lambda con: listing.page(con, wanted, number, per_page))

    async def total(self, wanted: Filter) -> int:
        return await self.journal.read(lambda con: listing.total(con, wanted))

    async def history(self, message_id: int) -> list[Event]:
        """A message's events, oldest first."""
        return await self.journal.read(lambda con: listing.events(con, message_id))

    async def events_after(self, event_id: int, limit: int = 200) -> list[Event]:
        """Everybody's events behind an id, oldest first; see `watch`."""
        return await self.journal.read(lambda con: listing.recent_events(con, event_id, limit))

    async def newest_events(self, limit: int) -> list[Event]:
        """The last lines of everybody's history, oldest first."""
        newest = await self.journal.read(observing.newest_event)
        return await self.events_after(newest - limit, limit)

    async def last_event_before(self, at_ms: int) -> int:
        """Id of the last event before an instant (UTC ms), 0 where there is none."""
        return await self.journal.read(lambda con: listing.last_event_before(con, at_ms))

    async def figures(self, account: int | None, from_ms: int, to_ms: int) -> DayFigures:
        """Sums of UTC days, both included."""
        return await self.journal.read(lambda con: listing.figures(con, account, from_ms, to_ms))

    async def queue_length(self) -> dict[str, int]:
        """Messages waiting per route; '' is any route."""
        return await self.journal.read(listing.queue_length)

    def midnight_ms(self) -> int:
        """When today began in the configured time zone (UTC ms)."""
        now = datetime.fromtimestamp(self.clock.utc_ms() / 1000, ZoneInfo(self.settings.timezone))
        return round(now.replace(hour=0, minute=0, second=0, microsecond=0).timestamp() * 1000)

    async def route_holds(self) -> dict[str, str]:
        """Route → the limit that holds it up now, in words."""
        calls, now = self._calls(), self.clock.now()
        found = await self.journal.read(lambda con: waiting.holds(con, calls, now))
        return {name: held.why for name, held in found.items()}

    async def waits(self, message_ids: Sequence[int]) -> dict[int, str]:
        """Message → why it waits, in words; nothing for one that does not, or is next in line."""
        calls, now = self._calls(), self.clock.now()
        problems = {
            view.name: view.problem or view.state.value
            for view in self.route_views()
            if not calls[view.name].may_send and view.state not in (RouteState.STARTING, RouteState.READY)
        }
        return await self.journal.read(lambda con: waiting.reasons(con, message_ids, calls, problems, now))

    def _calls(self) -> dict[str, RouteCall]:
        return {name: route.call() for name, route in self.routes.items()}

    def watch(self, changed: asyncio.Event) -> None:
        """Set `changed` after each commit that may have written events, until `unwatch`."""
        self._watchers.add(changed)

    def unwatch(self, changed: asyncio.Event) -> None:
        self._watchers.discard(changed)

    # --- routes and upstreams -----------------------------------------------------------------------

    def route_views(self) -> list[RouteView]:
        return [route.view() for route in self.routes.values()]

    def route(self, name: str) -> Route:
        """Raises: NoSuchRoute."""
        if name not in self.routes:
            known = ", ".join(self.routes) or "none"
            raise NoSuchRoute(f'there is no route "{name}"; configured are: {known}')
        return self.routes[name]

    async def pause(self, name: str, *, is_paused: bool) -> None:
        """Pause or resume a route; lasts over restarts. Raises: NoSuchRoute."""
        route = self.route(name)
        await self.journal.write(lambda con: routing.set_paused(con, name, is_paused=is_paused))
        route.set_paused(is_paused)

    async def restart(self, name: str) -> None:
        """Restart a route's device. Raises: NoSuchRoute, DriverError."""
        await self.route(name).restart()

    async def ask_for_balance(self, name: str) -> None:
        """Have a route ask for its balance. Raises: NoSuchRoute, DriverError."""
        await self.route(name).ask_for_balance()

    async def device(self, upstream: str) -> UpstreamRow:
        """What the journal keeps of an upstream's device."""
        return await self.journal.read(lambda con: feeds.upstream(con, upstream))

    async def set_device(
        self,
        upstream: str,
        *,
        send_delay_s: float,
        default_sim_slot: int | None,
        is_active: bool,
        keep_inbound: bool,
    ) -> None:
        """Keep what the server said about its device; a commit only where it changed."""
        row = await self.device(upstream)
        wanted = (send_delay_s, default_sim_slot, is_active, keep_inbound)
        if wanted == (row.send_delay_s, row.default_sim_slot, row.is_active, row.keep_inbound):
            return
        await self.journal.write(
            lambda con: feeds.set_device(
                con,
                upstream,
                send_delay_s=send_delay_s,
                default_sim_slot=default_sim_slot,
                is_active=is_active,
                keep_inbound=keep_inbound,
            )
        )
        self._preparation.slot_is(upstream, default_sim_slot)
        _log.info("device_settings", upstream=upstream, send_delay_s=send_delay_s, default_sim_slot=default_sim_slot,
                  is_active=is_active)  # fmt: skip
        self.outbox.wake()

    async def set_pace(self, upstream: str, pace: Pace) -> None:
        """Keep the pace that a server asks for, from now on; a commit only where it changed."""
        if await self.journal.write(lambda con: upstream_pace.set_pace(con, upstream, pace)):
            _log.info("upstream_pace", upstream=upstream, **asdict(pace))
            self.outbox.wake()

    async def ensure_upstream(self, name: str, identity: str, *, wants_inbound: bool = False) -> UpstreamRow:
        """The journal's row for an upstream, made where it is missing."""
        row = await self.journal.write(lambda con: feeds.register(con, name, identity, wants_inbound=wants_inbound))
        self._preparation.slot_is(name, row.default_sim_slot)  # another server's is not this one's
        return row

    def add_upstream(self, name: str, feed: Feed, view: Callable[[], UpstreamView]) -> None:
        """From now on this is what is told and shown of an upstream."""
        self.feeds[name], self.upstreams[name] = feed, view

    def remove_upstream(self, name: str) -> None:
        """It runs no more; the journal keeps what it is owed."""
        for known in (self.feeds, self.upstreams, self.refreshers, self._views):
            known.pop(name, None)

    def saw_pending(self, upstream: str) -> None:
        """The upstream has just read its server's whole pending list and withdrawn what was gone from it."""
        self._views[upstream] = self.clock.boot_ms()

    def can_be_asked(self, upstream: str, refresh: Callable[[], Awaitable[None]]) -> None:
        """From now on a message that waited is sent only after `refresh()` or 2 s."""
        self.refreshers[upstream] = refresh
        self._views.setdefault(upstream, 0)

    def views(self) -> Mapping[str, int]:
        """Per upstream that can be asked: when its pending list was last seen (CLOCK_BOOTTIME, ms)."""
        return self._views

    def committed_soon(self) -> None:
        """As `committed`, after a moment: while parts leave one after the other their line comes first, and many
        commits are one look."""
        if self._look is None:
            self._look = asyncio.get_running_loop().call_later(LINE_FIRST_S, self.committed)

    def committed(self) -> None:
        """Something was committed: let feeds and watchers look."""
        if self._look is not None:
            self._look.cancel()
            self._look = None
        for feed in self.feeds.values():
            feed.wake()
        for watcher in self._watchers:
            watcher.set()

    # --- pieces -------------------------------------------------------------------------------------

    async def move_stranded(self) -> bool:
        """Messages without an attempt whose route cannot take them: to the fallback and back, or failed with the
        reason. Whether this should be asked again soon."""
        is_soon, changed = await self._failover.move_stranded()
        if changed:
            self.outbox.wake()
            self.committed()
        return is_soon

    async def born_ms(self) -> int:
        """When the journal was made, UTC ms."""
        return await self.journal.read(routing.born_ms)

    async def _refresh(self, upstream: str) -> None:
        refresh = self.refreshers.get(upstream)
        try:
            if refresh is not None:
                await refresh()
        finally:
            # Answered or not: a failed or slow check does not stop the send.
            if upstream in self._views:
                self._views[upstream] = self.clock.boot_ms()
