"""What is kept at the broker for whoever looks: each route's state, and how many jobs there is room for.

Published when it changed, and at most twice a second, since signal and queue move all the time. What was not told
while the broker was away is told anew with the next connection.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Iterable, Iterator, Mapping

import structlog

from agent.alerts.telling import Notice
from agent.gateway import Gateway
from agent.journal.listing import Filter
from agent.model import Event, MessageState
from agent.upstreams.mqtt import words
from agent.upstreams.mqtt.announcing import Announcements
from agent.upstreams.mqtt.settings import MqttSettings
from agent.upstreams.mqtt.speed import Line, Speed
from drivers.mqtt.link import Link, PublishRefused
from drivers.mqtt.topics import Topics
from drivers.values import dataclass

_log = structlog.get_logger("mqtt")

_PAUSE_S = 0.5
_CAPACITY_PAUSE_S = 0.1
"""Shorter: a pool waits for it."""
_DAY_CHECK_S = 60.0
_CHUNK = 1000
_NEWEST_INBOUND = 50
_MOST_NOTICES = 100


@dataclass(slots=True)
class Tally:
    """What one route did today."""

    sent: int = 0
    failed: int = 0


class Today:
    """Counts per route since midnight, from the events; and the calls among them."""

    def __init__(self, gateway: Gateway) -> None:
        self.tallies: dict[str, Tally] = {}
        self.last_inbound_ms: dict[str, int] = {}
        self._gateway = gateway
        self._read_to: int | None = None
        self._midnight_ms = 0

    async def read_on(self) -> list[Event]:
        """Take new events into account; the calls among them, none at the first time."""
        is_first = self._read_to is None
        midnight_ms = self._gateway.midnight_ms()
        if midnight_ms != self._midnight_ms:
            self._midnight_ms = midnight_ms
            self.tallies.clear()
        if self._read_to is None:
            self._read_to = await self._gateway.last_event_before(midnight_ms)
        calls: list[Event] = []
        has_received = is_first
        while events := await self._gateway.events_after(self._read_to, _CHUNK):
            for event in events:
                self._count(event)
                has_received = has_received or event.kind == "received"
                if event.kind == "call":
                    calls.append(event)
            self._read_to = events[-1].id
        if has_received:
            await self._look_at_inbox()
        return [] if is_first else calls

    def _count(self, event: Event) -> None:
        if event.route is None or event.at_ms < self._midnight_ms:
            return
        tally = self.tallies.setdefault(event.route, Tally())
        if event.state is MessageState.SENT:
            tally.sent += 1
        elif event.state in (MessageState.FAILED, MessageState.EXPIRED):
            tally.failed += 1

    async def _look_at_inbox(self) -> None:
        newest = await self._gateway.page(Filter(direction="inbound"), 1, _NEWEST_INBOUND)
        for message in reversed(newest.messages):
            if message.route is not None:
                self.last_inbound_ms[message.route] = message.created_ms


class Retained:
    """Of one upstream."""

    def __init__(
        self, gateway: Gateway, name: str, own: Topics, settings: MqttSettings, announcements: Announcements
    ) -> None:
        self._gateway = gateway
        self._name = name
        self._topics = own
        self._room_per_route = settings.room_per_route
        self._pool = settings.pool
        self._speed = Speed()
        self._announcements = announcements
        self._today = Today(gateway)
        self._told: dict[str, bytes] = {}
        self._notices: deque[Notice] = deque(maxlen=_MOST_NOTICES)

    async def serve(self, link: Link) -> None:
        """Publish what changes until the link is lost. Raises: LinkDown, JournalError."""
        self._told.clear()
        self._notices.clear()
        changed = asyncio.Event()
        self._gateway.watch(changed)
        self._gateway.alert_takers.append(self._notices.append)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._tell_capacity(link), name=f"{self._name} capacity")
                while True:
                    changed.clear()
                    await self._tell_routes(link)
                    await self._tell_alerts(link)
                    await asyncio.sleep(_PAUSE_S)
                    try:
                        async with asyncio.timeout(_DAY_CHECK_S):
                            await changed.wait()
                    except TimeoutError:
                        pass  # the day may have ended
        finally:
            self._gateway.alert_takers.remove(self._notices.append)
            self._gateway.unwatch(changed)

    async def _tell_alerts(self, link: Link) -> None:
        device_name = self._gateway.settings.device_name
        while self._notices:
            await self._publish(link, self._topics.alert, _json(self._notices.popleft().document(device_name)))
        await self._keep(link, self._topics.alerts, _json({"active": self._gateway.alerts.documents()}))

    async def _tell_routes(self, link: Link) -> None:
        for call in await self._today.read_on():
            found = words.call(call.detail, call.route, call.at_ms)
            await self._publish(link, self._topics.calls, _json(found))
            if (event := self._announcements.call_event(call.route, found)) is not None:
                await self._publish(link, *event)
        queued = await self._gateway.queue_length()
        for view in self._gateway.route_views():
            tally = self._today.tallies.get(view.name, Tally())
            state = words.route_state(
                view,
                queued=queued.get(view.name, 0),
                sent_today=tally.sent,
                failed_today=tally.failed,
                last_inbound_ms=self._today.last_inbound_ms.get(view.name),
            )
            await self._keep(link, self._topics.route_state(view.name), _json(state))

    async def _tell_capacity(self, link: Link) -> None:
        changed = asyncio.Event()
        self._gateway.watch(changed)
        born_ms = await self._gateway.born_ms()
        try:
            while True:
                changed.clear()
                queued = sum((await self._gateway.queue_length()).values())
                views = self._gateway.route_views()
                room = words.capacity(
                    views,
                    queued,
                    self._room_per_route,
                    per_minute=self._speed.per_minute(self._lines(words.ready_routes(views))),
                    pool=self._pool,
                    born_ms=born_ms,
                )
                await self._keep(link, self._topics.capacity, room.encode())
                await asyncio.sleep(_CAPACITY_PAUSE_S)
                await changed.wait()
        finally:
            self._gateway.unwatch(changed)

    def _lines(self, names: Iterable[str]) -> Iterator[Line]:
        for name in names:
            route = self._gateway.routes[name]
            sent, settings = route.tally.wire_to_sent, route.config.settings
            yield Line(name, sum(sent.counts), sent.sum_s, settings.send_delay_s, settings.rate_per_minute)

    async def _keep(self, link: Link, topic: str, payload: bytes) -> None:
        """Publish, retained, what differs from what stands there."""
        if self._told.get(topic) == payload:
            return
        await self._publish(link, topic, payload, is_retained=True)
        self._told[topic] = payload

    async def _publish(self, link: Link, topic: str, payload: bytes, *, is_retained: bool = False) -> None:
        try:
            await link.publish(topic, payload, is_retained=is_retained)
        except PublishRefused as error:
            _log.warning("state_refused", upstream=self._name, reason=str(error))


def _json(found: Mapping[str, object]) -> bytes:
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()
