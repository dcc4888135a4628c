"""The MQTT upstream behind the contract: keeps the connection, and tells reports and received messages by it.

The broker is the road and never the queue: a job is journalled and acknowledged at once, and what is to be told
waits in the journal's feed until the broker has acknowledged it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from typing import ClassVar

import structlog

from agent.gateway import Gateway, NoSuchRoute
from agent.model import Message, Report
from agent.supervise import backoff_s
from agent.upstreams.api import Check, LaneRefused, UpstreamDown, UpstreamSettings
from agent.upstreams.mqtt import diagnosis, words
from agent.upstreams.mqtt.announcing import Announcements
from agent.upstreams.mqtt.orders import Orders
from agent.upstreams.mqtt.retained import Retained
from agent.upstreams.mqtt.settings import MqttSettings, broker, topics_of
from drivers.api import DriverError
from drivers.mqtt import topics
from drivers.mqtt.link import Link, LinkDown, LinkRefused, PublishRefused, Received

_log = structlog.get_logger("mqtt")

_FIRST_WAIT_S = 0.5
_LONGEST_WAIT_S = 30.0
_STEADY_S = 10.0
"""A connection that lasted so long was good: the next wait is a short one."""
_FLAPS = 3
# As many as the link has under way at most.
_CONCURRENCY = 16
_GOODBYE_S = 2.0


class MqttUpstream:
    """One broker and one device on it."""

    kind: ClassVar[str] = "mqtt"
    Settings: ClassVar[type[UpstreamSettings]] = MqttSettings
    wants_accepted: ClassVar[bool] = True

    def __init__(self, settings: MqttSettings, gateway: Gateway) -> None:
        """Raises: ConfigError where a name, a secret or a certificate cannot be used."""
        self.wants_inbound = settings.inbound
        self._settings = settings
        self._gateway = gateway
        self._name = settings.name or self.kind
        self._topics = topics_of(settings, gateway.settings.device_name)
        self._broker = broker(settings, self._topics)
        self._orders = Orders(gateway, self._name, self._topics, self._do, self._hear)
        self._announcements = Announcements(gateway, self._name, self._topics, settings, self.identity())
        self._retained = Retained(gateway, self._name, self._topics, settings, self._announcements)
        self._link: Link | None = None
        self._failures = 0
        self._flaps = 0
        self._problem: str | None = "not connected yet"
        self._session: str | None = None

    @property
    def concurrency(self) -> int:
        return _CONCURRENCY

    @staticmethod
    async def diagnose(settings: MqttSettings, device_name: str) -> Sequence[Check]:
        """See `upstreams.api.Diagnosable`. Raises: ConfigError."""
        own = topics_of(settings, device_name)
        return await diagnosis.diagnose(broker(settings, own), own)

    def identity(self) -> str:
        return f"{self._settings.url} {self._topics.base}"

    async def run(self) -> None:
        """Be connected until cancelled, for ever anew. Raises: JournalError."""
        while True:
            started = asyncio.get_running_loop().time()
            try:
                async with Link(self._broker) as link:
                    await self._serve(link)
            except* LinkDown as faults:
                self._note(_first(faults), asyncio.get_running_loop().time() - started)
            await asyncio.sleep(backoff_s(self._failures, first_s=_FIRST_WAIT_S, longest_s=_LONGEST_WAIT_S))

    async def report(self, report: Report) -> None:
        await self._publish(self._topics.status, words.report(report).encode())

    async def deliver(self, inbound: Message) -> None:
        slots = {view.name: view.sim_slot for view in self._gateway.route_views()}
        found = words.inbox(inbound, slots.get(inbound.route or ""))
        await self._publish(self._topics.inbox, found.encode())
        if (event := self._announcements.sms_event(inbound.route, json.loads(found.encode()))) is not None:
            await self._publish(*event)

    def status(self) -> dict[str, str | int | float | bool | None]:
        return {
            "broker": self._settings.url,
            "device": self._topics.device,
            "topics": f"{self._topics.base}/…",
            "connected": self._link is not None,
            "session": self._session,
            "accepted": self._orders.accepted,
            "refused": self._orders.refused,
            "problem": self._orders.problem or self._problem,
        }

    async def refresh(self) -> None:
        """Cancellations are pushed."""

    # --- the connection -----------------------------------------------------------------------------

    async def _serve(self, link: Link) -> None:
        """Raises: ExceptionGroup with LinkDown in it, once the link is lost."""
        self._session = "resumed" if link.is_resumed else "new"
        birth = self._announcements.birth_topic
        await link.subscribe(self._topics.for_gateway if birth is None else (*self._topics.for_gateway, birth))
        await link.publish(self._topics.availability, topics.ONLINE, is_retained=True)
        _log.info("broker_connected", upstream=self._name, broker=self._broker.address, session=self._session)
        self._link = link
        self._problem = self._shorter_session(link)
        wake = self._gateway.feeds.get(self._name)
        if wake is not None:
            wake.retry_now()
        works = (link.lost(), self._orders.serve(link), self._retained.serve(link), self._announcements.serve(link))
        # No TaskGroup: in CPython 3.11 it forgets a cancellation that comes in the moment of a child's fault.
        tasks = [asyncio.create_task(work, name=f"{self._name} {number}") for number, work in enumerate(works)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            await self._say_goodbye(link)
            raise
        finally:
            self._link = None
            for task in tasks:
                task.cancel()
            ended = await asyncio.gather(*tasks, return_exceptions=True)
        faults = [fault for fault in ended if isinstance(fault, Exception)]
        raise ExceptionGroup("the connection ended", faults or [LinkDown("the connection ended")])

    async def _say_goodbye(self, link: Link) -> None:
        """An orderly end publishes no will."""
        try:
            async with asyncio.timeout(_GOODBYE_S):
                await link.publish(self._topics.availability, topics.OFFLINE, is_retained=True)
        except (LinkDown, PublishRefused, TimeoutError) as error:
            _log.info("no_goodbye", upstream=self._name, reason=str(error))

    def _shorter_session(self, link: Link) -> str | None:
        if link.session_expiry_s < self._settings.session_expiry_s:
            return (
                f"the broker keeps jobs for {link.session_expiry_s} s while this gateway is away, not for "
                f"{self._settings.session_expiry_s} s as session_expiry_s asks"
            )
        return None

    def _note(self, error: LinkDown, lasted_s: float) -> None:
        self._failures = 1 if lasted_s >= _STEADY_S else self._failures + 1
        was_up = self._session is not None
        self._session = None
        self._flaps = self._flaps + 1 if was_up and lasted_s < _STEADY_S else 0
        sentence = str(error)
        if self._flaps >= _FLAPS:
            sentence += (
                f"; it ended {self._flaps} times right after it began: does another client use the id "
                f'"{self._broker.client_id}"?'
            )
        if sentence != self._problem:
            level = _log.error if isinstance(error, LinkRefused) else _log.warning
            level("broker_lost", upstream=self._name, reason=sentence)
        self._problem = sentence

    async def _publish(self, topic: str, payload: bytes) -> None:
        """Raises: UpstreamDown, LaneRefused."""
        link = self._link
        if link is None:
            raise UpstreamDown(self._problem or f"the broker {self._broker.address} is not connected")
        try:
            await link.publish(topic, payload)
        except LinkDown as error:
            raise UpstreamDown(str(error)) from error
        except PublishRefused as error:
            raise LaneRefused(str(error)) from error

    # --- orders for routes --------------------------------------------------------------------------

    async def _do(self, route: str, payload: bytes) -> str | None:
        """What a route is to do; a sentence where it is not done."""
        order = payload.decode(errors="replace").strip().lower()
        gateway = self._gateway
        orders: dict[str, Callable[[], Awaitable[None]]] = {
            "pause": lambda: gateway.pause(route, is_paused=True),
            "resume": lambda: gateway.pause(route, is_paused=False),
            "reset": lambda: gateway.restart(route),
            "balance": lambda: gateway.ask_for_balance(route),
        }
        if order not in orders:
            return f'"{order[:40]}" is nothing a route can do; it can {", ".join(orders)}'
        try:
            await orders[order]()
        except (NoSuchRoute, DriverError) as error:
            return str(error)
        return None

    def _hear(self, message: Received) -> None:
        if message.topic == self._announcements.birth_topic and message.payload == topics.ONLINE:
            self._announcements.born()


def _first(group: BaseExceptionGroup[LinkDown]) -> LinkDown:
    error: BaseException = group.exceptions[0]
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error if isinstance(error, LinkDown) else LinkDown(str(error))
