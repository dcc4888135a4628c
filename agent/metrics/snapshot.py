"""Gathers what a scrape shows: families with their samples, from the gateway as it is now. Writes nothing."""

from __future__ import annotations

import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import field
from functools import partial
from typing import TYPE_CHECKING

import agent
from agent.alerts.settings import KINDS
from agent.journal import listing, observing
from agent.metrics.tally import Histogram
from agent.model import RouteState, RouteView
from drivers.values import dataclass

if TYPE_CHECKING:
    from agent.gateway import Gateway

_started_s = time.time()


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a family; a histogram's value is a `Histogram`."""

    name: str
    labels: tuple[str, ...]
    value: float | Histogram


@dataclass(slots=True)
class History:
    """What was counted from the journal's events since the process began."""

    cursor: int | None = None
    kinds: Counter[tuple[str, str]] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    delivered: dict[str, Histogram] = field(default_factory=dict)

    async def begin(self, gateway: Gateway) -> None:
        """Count from here."""
        if self.cursor is None:
            self.cursor = await gateway.journal.read(observing.newest_event)

    async def catch_up(self, gateway: Gateway) -> None:
        """Read on to the last event, in stretches, so that others get their turn between them."""
        await self.begin(gateway)
        while True:
            after = self.cursor or 0
            seen = await gateway.journal.read(partial(observing.seen_after, after=after))
            # Set before anything is awaited again: two scrapes at once count nothing twice.
            if self.cursor != after:
                continue
            self.cursor = seen.upto
            self.kinds.update(seen.kinds)
            self.states.update(seen.states)
            for route, after_s in seen.delivered_after_s:
                self.delivered.setdefault(route, Histogram()).observe(after_s)
            if seen.upto == after:
                return


async def samples(gateway: Gateway, history: History, *, is_ready: bool) -> list[Sample]:
    """Everything that is to be shown."""
    await history.catch_up(gateway)
    queued = await gateway.journal.read(listing.queue_length)
    oldest = await gateway.journal.read(lambda con: observing.oldest_queued_ms(con, [*queued]))
    now_ms = gateway.clock.utc_ms()
    found = [
        Sample("build", (agent.__version__,), 1.0),
        Sample("start_time_seconds", (), _started_s),
        Sample("ready", (), float(is_ready)),
    ]
    for name in ("", *gateway.routes):
        found.append(Sample("queued", (name,), float(queued.get(name, 0))))
        waited_ms = now_ms - oldest[name] if name in oldest else 0
        found.append(Sample("queue_oldest_seconds", (name,), max(0.0, waited_ms / 1000)))
    found += _of_parts(gateway, history)
    for view in gateway.route_views():
        found += _of_route(view)
    for look in gateway.upstreams.values():
        upstream = look()
        found.append(Sample("upstream_up", (upstream.name,), float(upstream.problem is None)))
        found.append(Sample("upstream_waiting", (upstream.name,), float(upstream.waiting)))
        found.append(Sample("upstream_parked", (upstream.name,), float(upstream.parked)))
    found += _of_journal(gateway)
    standing = Counter(alert.kind for alert in gateway.alerts.active)
    found += [Sample("alerts_active", (kind,), float(standing[kind])) for kind in KINDS]
    return found


def _of_parts(gateway: Gateway, history: History) -> Iterator[Sample]:
    for name, route in gateway.routes.items():
        tally = route.tally
        for word, count in tally.outcomes.items():
            yield Sample("parts", (name, word), float(count))
            if word != "sent":
                yield Sample("errors", (name, word), float(count))
        yield Sample("retries", (name,), float(tally.retries))
        yield Sample("accept_to_wire_seconds", (name,), tally.accept_to_wire)
        yield Sample("wire_to_sent_seconds", (name,), tally.wire_to_sent)
    for (name, kind), count in history.kinds.items():
        if kind in ("delivered", "undelivered"):
            yield Sample("parts", (name, kind), float(count))
        elif kind == "received":
            yield Sample("received", (name,), float(count))
    for name, latencies in history.delivered.items():
        yield Sample("sent_to_delivered_seconds", (name,), latencies)
    for state, count in history.states.items():
        yield Sample("messages", (state,), float(count))


def _of_route(view: RouteView) -> Iterator[Sample]:
    yield Sample("route_can_send", (view.name,), float(view.state is RouteState.READY))
    for state in RouteState:
        yield Sample("route_state", (view.name, state.value), float(view.state is state))
    link = view.link
    if link is None:
        return
    for name, value in (
        ("signal_dbm", link.signal_dbm),
        ("storage_used", link.storage_used),
        ("storage_total", link.storage_total),
    ):
        if value is not None:
            yield Sample(name, (view.name,), float(value))


def _of_journal(gateway: Gateway) -> Iterator[Sample]:
    journal = gateway.journal
    yield Sample("journal_commits", (), float(journal.commits))
    yield Sample("journal_failures", (), float(journal.failures))
    yield Sample("journal_bytes", (), float(journal.size_bytes()))
    yield Sample("disk_free_bytes", (), float(shutil.disk_usage(journal.path.parent).free))
